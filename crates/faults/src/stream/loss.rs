//! `loss`: what lost packets look like to a program on TCP: no byte is missing, but some come a retransmission later,
//! and everything behind them waits.

use std::time::Duration;

use murphy_core::{Chance, Dice};
use murphy_proxy::{Chunk, EdgeEffect, EffectFactory, Outbox, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::network::NetworkAction;
use crate::spec::{Effect, FaultSpec, Place};

/// Delays of the shape that retransmissions have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Loss {
    /// The share of packets that are lost; a packet holds 1460 bytes.
    pub rate: Chance,
    /// How many packets are lost in a row, on average; 1 if left out.
    #[serde(default = "one")]
    pub burst: u32,
}

fn one() -> u32 {
    1
}

const PACKET: usize = 1460;
/// Linux's shortest retransmission time-out, doubled by each further loss (RFC 6298, 5.5).
const TIMEOUT: Duration = Duration::from_millis(200);
const DOUBLINGS: u32 = 6;

impl FaultSpec for Loss {
    const NAME: &'static str = "loss";
    const ABOUT: &'static str =
        "Some bytes come later by TCP's retransmission times, and all behind them wait; none is lost.";
    const EXAMPLE: &'static str = "{ loss: { rate: 2% } }";
    const PLACE: Place = Place::Edge;
    const ALSO: &'static [Place] = &[Place::Network];
    const SHORTHAND: Option<&'static str> = Some("rate");

    fn text(&self) -> String {
        if self.burst <= 1 {
            format!("loss {}", self.rate)
        } else {
            format!("loss {} in bursts of {}", self.rate, self.burst)
        }
    }

    fn check(&self, problems: &mut Problems) {
        if self.burst == 0 {
            problems.field("burst", "a burst of no packets loses nothing", "write at least 1");
        }
        if self.rate.as_fraction() > 0.5 {
            problems.field(
                "rate",
                format!("at {} hardly anything passes", self.rate),
                "write at most 50%, or use `blackhole`",
            );
        }
    }

    fn check_on(&self, place: Place, problems: &mut Problems) {
        if place == Place::Network && self.burst > 1 {
            problems.field("burst", "on a network each packet is lost on its own", "remove it");
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }

    fn effect_on(&self, place: Place) -> Option<Effect> {
        match place {
            Place::Edge => Some(self.effect()),
            Place::Network => Some(Effect::Network(NetworkAction::Loss { rate: self.rate })),
            Place::Process | Place::Container | Place::Host => None,
        }
    }
}

impl EffectFactory for Loss {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Lossy { rate: self.rate, stay: 1.0 - 1.0 / f64::from(self.burst.max(1)), losing: false })
    }

    fn is_neutral(&self) -> bool {
        self.rate == Chance::NEVER
    }
}

/// Two states, as in Gilbert's model (1960): losing, with a chance to stay so, and not losing.
struct Lossy {
    rate: Chance,
    stay: f64,
    losing: bool,
}

impl Lossy {
    fn loses(&mut self, dice: &mut Dice) -> bool {
        let draw = dice.unit();
        // Entering a burst is rarer by its mean length, so that the share of lost packets stays the rate.
        let rate = self.rate.as_fraction();
        let enter = if rate >= 1.0 { 1.0 } else { (rate * (1.0 - self.stay) / (1.0 - rate)).min(1.0) };
        self.losing = draw < if self.losing { self.stay.max(rate * (1.0 - self.stay)) } else { enter };
        self.losing
    }
}

impl StreamEffect for Lossy {
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox) {
        let mut rest = chunk.bytes;
        let mut wait = Duration::ZERO;
        while !rest.is_empty() {
            let bytes = rest.split_to(PACKET.min(rest.len()));
            let mut timeout = TIMEOUT;
            for _ in 0..DOUBLINGS {
                if !self.loses(dice) {
                    break;
                }
                wait += timeout;
                timeout *= 2;
            }
            if !wait.is_zero() {
                out.acted(bytes.len());
            }
            out.send(Chunk { bytes, due: chunk.due.after(wait) });
        }
    }

    fn capacity(&self) -> usize {
        4 << 20
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::Seed;

    use super::*;

    #[test]
    fn the_share_of_losses_is_the_rate_in_bursts_too() {
        for burst in [1, 4] {
            let mut lossy = Lossy {
                rate: Chance::from_fraction(0.05).unwrap(),
                stay: 1.0 - 1.0 / f64::from(burst),
                losing: false,
            };
            let mut dice = Dice::new(Seed(11));
            let n = 100_000;
            let lost = (0..n).filter(|_| lossy.loses(&mut dice)).count();
            let share = lost as f64 / f64::from(n);
            assert!((share - 0.05).abs() < 0.006, "burst {burst}: {share}");
        }
    }
}
