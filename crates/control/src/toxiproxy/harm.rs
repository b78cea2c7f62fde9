//! What a toxic does: its numbers become an effect of the catalogue, or a refusal that says which number is nonsense.
//!
//! No number may panic, stall the daemon or end it. Under strict compatibility nonsense is taken and brought into range.

use murphy_core::{Chance, Directions, FaultId, Rate, Seed, Size, Span};
use murphy_faults::{
    Bandwidth, Effect, Fault, Latency, Limit, Loss, Reset, Scope, Slice, SlowClose, Then, Timeout,
};
use murphy_proxy::Armed;

use super::compat::Compat;
use super::toxic::{Attributes, Stream, Toxic, ToxicType};

/// A number that cannot be meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Nonsense {
    /// Below zero.
    #[error("{toxic}: {attribute} is {value}; write 0 or more")]
    Negative {
        /// The type.
        toxic: ToxicType,
        /// The number's name.
        attribute: &'static str,
        /// As written.
        value: i64,
    },
    /// A time beyond a year.
    #[error("{toxic}: {attribute} is {value} {unit}, longer than a year; write at most {most}")]
    TooLong {
        /// The type.
        toxic: ToxicType,
        /// The number's name.
        attribute: &'static str,
        /// As written.
        value: i64,
        /// Its unit.
        unit: &'static str,
        /// The longest.
        most: i64,
    },
    /// A slicer whose pieces could be smaller than nothing.
    #[error("slicer: size_variation {variation} is above average_size {average}; write at most {average}")]
    Variation {
        /// As written.
        variation: i64,
        /// As written.
        average: i64,
    },
    /// Not a probability.
    #[error("{name} is {value}; write a number from 0 to 1")]
    Share {
        /// The number's name.
        name: &'static str,
        /// As written.
        value: f64,
    },
}

const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// Turns numbers into quantities, by the rules of the compatibility that is asked for.
struct Numbers<'a> {
    attributes: &'a Attributes,
    compat: Compat,
}

impl Numbers<'_> {
    fn count(&self, attribute: &'static str) -> Result<u64, Nonsense> {
        let value = self.attributes.whole(attribute);
        match (u64::try_from(value), self.compat) {
            (Ok(count), _) => Ok(count),
            (Err(_), Compat::Strict) => Ok(0),
            (Err(_), Compat::Better) => {
                Err(Nonsense::Negative { toxic: self.attributes.kind(), attribute, value })
            }
        }
    }

    fn time(&self, attribute: &'static str, unit: &'static str, most: i64) -> Result<u64, Nonsense> {
        let value = self.attributes.whole(attribute);
        if value > most && self.compat == Compat::Better {
            return Err(Nonsense::TooLong { toxic: self.attributes.kind(), attribute, value, unit, most });
        }
        Ok(self.count(attribute)?.min(most.unsigned_abs()))
    }

    fn millis(&self, attribute: &'static str) -> Result<Span, Nonsense> {
        self.time(attribute, "ms", YEAR_MS).map(Span::from_millis)
    }

    fn micros(&self, attribute: &'static str) -> Result<Span, Nonsense> {
        self.time(attribute, "us", YEAR_MS * 1000).map(Span::from_micros)
    }

    fn share(&self, name: &'static str) -> Result<f64, Nonsense> {
        share(name, self.attributes.part(name), self.compat).map(Chance::as_fraction)
    }
}

fn share(name: &'static str, value: f64, compat: Compat) -> Result<Chance, Nonsense> {
    match (Chance::from_fraction(value), compat) {
        (Some(chance), _) => Ok(chance),
        (None, Compat::Strict) => Ok(Chance::from_fraction(value.clamp(0.0, 1.0)).unwrap_or_default()),
        (None, Compat::Better) => Err(Nonsense::Share { name, value }),
    }
}

/// A toxic as a fault of the catalogue, and how that sits on the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// What it does.
    pub fault: Fault,
    /// The ways on which it sits.
    pub directions: Directions,
    /// The share of connections on which it acts.
    pub chance: Chance,
}

/// The fault of a toxic's numbers; `None` for those that change nothing.
fn fault(attributes: &Attributes, compat: Compat) -> Result<Option<Fault>, Nonsense> {
    fn some(fault: impl Into<Fault>) -> Option<Fault> {
        Some(fault.into())
    }
    let numbers = Numbers { attributes, compat };
    Ok(match attributes.kind() {
        ToxicType::Latency => some(Latency {
            jitter: Some(numbers.millis("jitter")?),
            ..Latency::of(numbers.millis("latency")?)
        }),
        ToxicType::Bandwidth => some(Bandwidth {
            // A kilobyte is 1000 bytes here, as Toxiproxy measures it.
            rate: Rate::from_bytes_per_sec(numbers.count("rate")?.saturating_mul(1000)),
            burst: None,
            scope: Scope::Connection,
        }),
        ToxicType::SlowClose => some(SlowClose { delay: numbers.millis("delay")? }),
        ToxicType::Timeout => {
            let after = numbers.millis("timeout")?;
            some(Timeout { after: (!after.is_zero()).then_some(after) })
        }
        ToxicType::ResetPeer => some(Reset { after: Some(numbers.millis("timeout")?), after_bytes: None }),
        ToxicType::Slicer => {
            let (average, variation) = (numbers.count("average_size")?, numbers.count("size_variation")?);
            let gap = numbers.micros("delay")?;
            if variation > average && compat == Compat::Better {
                let written = |name| attributes.whole(name);
                return Err(Nonsense::Variation {
                    variation: written("size_variation"),
                    average: written("average_size"),
                });
            }
            let variation = Some(Size::from_bytes(variation.min(average)));
            // Pieces of no size: there is nothing to cut.
            (average > 0).then(|| Slice { size: Size::from_bytes(average), variation, gap: Some(gap) }.into())
        }
        ToxicType::LimitData => {
            some(Limit { bytes: Size::from_bytes(numbers.count("bytes")?), then: Then::Close })
        }
        ToxicType::PacketLoss => some(loss(numbers.share("loss_rate")?, numbers.share("correlation")?)),
        ToxicType::Noop => None,
    })
}

/// A loss of the catalogue from the chance to lose a packet after a good one (`enter`), and how much likelier it is
/// after a lost one. The share that is lost and the mean run follow from the two as in any two-state chain.
fn loss(enter: f64, correlation: f64) -> Loss {
    const LONGEST_RUN: f64 = 1000.0;
    let stay = (enter + correlation).min(1.0 - 1.0 / LONGEST_RUN);
    let share = if enter > 0.0 { enter / (enter + 1.0 - stay) } else { 0.0 };
    // Without correlation each packet is lost by itself; a run of 1 says so.
    let burst = if correlation > 0.0 { (1.0 / (1.0 - stay)).round().max(1.0) as u32 } else { 1 };
    let share = if enter >= 1.0 {
        1.0
    } else if correlation > 0.0 {
        share
    } else {
        enter
    };
    Loss { rate: Chance::from_fraction(share).unwrap_or_default(), burst }
}

/// The name of a toxic's fault on its proxy. Toxics may have names that faults may not; these are hashed, so that the
/// same name always draws the same choices.
pub fn fault_id(toxic: &str) -> FaultId {
    FaultId::new(&format!("t.{toxic}")).unwrap_or_else(|_| {
        let hash = Seed(0).derive(toxic, 0);
        FaultId::new(&format!("h.{:016x}", hash.0)).expect("a hash is a name")
    })
}

/// A toxic in the words of the catalogue; `None` if its numbers change nothing.
pub fn translated(toxic: &Toxic, compat: Compat) -> Result<Option<Translated>, Nonsense> {
    let chance = share("toxicity", f64::from(toxic.toxicity), compat)?;
    let directions = match toxic.stream {
        Stream::Upstream => Directions::ToUpstream,
        Stream::Both => Directions::Both,
        Stream::Downstream => Directions::ToClient,
    };
    let fault = fault(&toxic.attributes, compat)?;
    Ok(fault.map(|fault| Translated { fault, directions, chance }))
}

/// What stands on the edge for a toxic; `None` if its numbers change nothing.
pub fn armed(toxic: &Toxic, compat: Compat) -> Result<Option<Armed>, Nonsense> {
    let id = fault_id(&toxic.name);
    Ok(translated(toxic, compat)?.and_then(|Translated { fault, directions, chance }| match fault.effect() {
        Effect::Edge(effect) => Some(Armed { id, effect, directions, chance }),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_loss_has_the_share_and_the_runs_of_the_two_chances() {
        assert_eq!(loss(0.1, 0.0), Loss { rate: Chance::from_fraction(0.1).unwrap(), burst: 1 });
        let correlated = loss(0.1, 0.4);
        // After a loss 0.5: runs of 2. Share 0.1 / (0.1 + 0.5).
        assert_eq!(correlated.burst, 2);
        assert!((correlated.rate.as_fraction() - 1.0 / 6.0).abs() < 1e-9);
        assert_eq!(loss(0.0, 1.0).rate, Chance::NEVER);
        assert_eq!(loss(1.0, 1.0).rate, Chance::ALWAYS);
    }

    #[test]
    fn every_name_has_a_fault_of_its_own_that_stays_the_same() {
        let names = ["a", "latency_downstream", "with space", "", "ü", "<x>", &"y".repeat(100)];
        for (index, name) in names.iter().enumerate() {
            assert_eq!(fault_id(name), fault_id(name));
            for other in &names[..index] {
                assert_ne!(fault_id(name), fault_id(other));
            }
        }
    }

    proptest! {
        #[test]
        fn no_number_panics_and_strict_takes_them_all(first: i64, second: i64, third: i64, part: f64, toxicity: f32) {
            for kind in ToxicType::ALL {
                let toxic = Toxic {
                    name: "t".into(),
                    stream: Stream::Both,
                    stream_as_written: "both".into(),
                    toxicity,
                    attributes: Attributes::with(kind, [first, second, third], [part, part]),
                };
                let _ = armed(&toxic, Compat::Better);
                prop_assert!(armed(&toxic, Compat::Strict).is_ok());
            }
        }
    }
}
