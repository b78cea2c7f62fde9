//! Is a run worse than an older one? Worse is only what cannot be chance: two intervals that do not touch, and the newer on
//! the wrong side. Pure, like all judging.

mod change;
mod held;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use change::Change;
use change::change;
pub(crate) use held::{most_calls, shortest};

use crate::judgement::{Detector, FaultFact, GateId, Judgement, Reading, RowKind, RunEnd, Unit};

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better: success, capacity.
    Higher,
    /// Less is better: latency, recovery, amplification.
    Lower,
    /// Neither is: the size of a pool, the open window of a breaker.
    Neither,
}

/// One number of a run that can be compared, with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Measure {
    /// Stable identity: `browse.p99`, `cart-cache.amplification`.
    pub id: String,
    /// Unit of the numbers.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// The value, if there is one.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Of how many observations.
    pub n: u64,
}

/// What is kept of one or more runs of a scenario, to hold later runs against: small enough to be committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Baseline {
    /// Version of this form.
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What was broken, as printed.
    pub faults: Vec<String>,
    /// Version of Murphy that measured.
    pub murphy: String,
    /// How many runs are in it.
    pub runs: u32,
    /// By id.
    pub measures: Vec<Measure>,
}

/// What was broken, and what it waited for: a fault that begins at another event is another fault.
fn printed(fault: &FaultFact) -> String {
    match &fault.trigger {
        Some(trigger) => format!("{} on {}, {trigger}", fault.text, fault.on),
        None => format!("{} on {}", fault.text, fault.on),
    }
}

impl Baseline {
    /// The form that this build reads and writes.
    pub const FORMAT: u32 = 1;

    /// Of one run.
    pub fn of(judgement: &Judgement) -> Baseline {
        let mut measures: BTreeMap<String, Measure> = BTreeMap::new();
        for finding in &judgement.findings {
            let param = match finding.detector {
                Detector::Amplification => "ratio",
                Detector::Timeout => "timeout",
                _ => continue,
            };
            if let (Some(reading), true) = (finding.param(param), finding.is_present()) {
                let id =
                    format!("{}.{}", crate::judge::subject_name(&finding.subject), finding.detector.name());
                measures.insert(id.clone(), Measure::of(id, Better::Lower, reading));
            }
        }
        // As rows are: of a run that is in doubt, a number that stands in a finding all the same is none to hold another against.
        if judgement.gates.iter().all(|gate| gate.holds || !gate.id.carries(RowKind::DeadLetters)) {
            for measure in judgement.findings.iter().flat_map(held::measures) {
                measures.insert(measure.id.clone(), measure);
            }
        }
        for row in &judgement.rows {
            let (better, reading) = match row.kind {
                RowKind::Success | RowKind::Capacity => (Better::Higher, &row.during),
                RowKind::Latency | RowKind::Timeout | RowKind::Attempts | RowKind::Amplification => {
                    (Better::Lower, &row.during)
                }
                RowKind::Recovery => (Better::Lower, &row.after),
                _ => continue,
            };
            let Some(reading) = reading.as_ref().filter(|_| row.gates.is_empty()) else { continue };
            let mut measure = Measure::of(row.id.clone(), better, reading);
            if row.kind == RowKind::Recovery {
                // Recovery is seen in windows of a second: that much is its resolution.
                measure.high = measure.high.map(|high| high + 1.0);
            }
            measures.insert(row.id.clone(), measure);
        }
        Baseline {
            format: Baseline::FORMAT,
            scenario: judgement.run.scenario.clone(),
            faults: judgement.faults.iter().map(printed).collect(),
            murphy: judgement.run.murphy.clone(),
            runs: 1,
            measures: measures.into_values().collect(),
        }
    }

    /// Refuses one of a form that this build does not know.
    pub fn in_known_form(&self) -> Result<(), Incomparable> {
        match self.format {
            Baseline::FORMAT => Ok(()),
            found => Err(Incomparable::Form { found }),
        }
    }

    /// The same with further runs of the same scenario. The intervals become wide enough for all of them: what differs from
    /// run to run is no regression. A measure that is missing from one of them is left out.
    pub fn with(mut self, other: &Baseline) -> Baseline {
        let hull =
            |one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| Some(choose(one?, other?));
        let (runs, others) = (f64::from(self.runs), f64::from(other.runs));
        self.measures = self
            .measures
            .into_iter()
            .filter_map(|one| {
                let other = other.measures.iter().find(|measure| measure.id == one.id)?;
                Some(Measure {
                    value: one
                        .value
                        .zip(other.value)
                        .map(|(one, other)| (one * runs + other * others) / (runs + others)),
                    low: hull(one.low, other.low, f64::min),
                    high: hull(one.high, other.high, f64::max),
                    n: one.n.saturating_add(other.n),
                    ..one
                })
            })
            .collect();
        self.runs = self.runs.saturating_add(other.runs);
        self
    }
}

impl Measure {
    fn of(id: String, better: Better, reading: &Reading) -> Measure {
        let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
        Measure {
            id,
            unit: reading.unit,
            better,
            value: finite(reading.value),
            low: finite(reading.low),
            high: finite(reading.high),
            n: reading.n,
        }
    }
}

/// One measure in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Its identity.
    pub id: String,
    /// In the older run.
    pub old: Option<Measure>,
    /// In the newer.
    pub new: Option<Measure>,
    /// What became of it.
    pub change: Change,
}

/// A run held against an older one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// Version of this form.
    pub format: u32,
    /// Every measure of either.
    pub measures: Vec<Compared>,
    /// Why not all could be told; empty if it could.
    pub doubts: Vec<String>,
}

impl Comparison {
    /// True if something became worse.
    pub fn is_worse(&self) -> bool {
        self.measures.iter().any(|measure| measure.change == Change::Worse)
    }

    /// True if it cannot be said that nothing became worse.
    pub fn is_doubtful(&self) -> bool {
        !self.doubts.is_empty()
    }
}

/// Two baselines that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// Of two scenarios.
    #[error("the older run is of `{old}`, the newer one of `{new}`")]
    Scenarios {
        /// Of the older.
        old: String,
        /// Of the newer.
        new: String,
    },
    /// The older one is of a form that this build does not know.
    #[error(
        "the baseline has form {found}; this version of Murphy reads form 1: write it again with `murphy compare --save`"
    )]
    Form {
        /// What was found.
        found: u32,
    },
}

/// Holds a run against an older one. `slack` is the share by which a number may become worse without being called so, 0 for
/// none.
pub fn compare(old: &Baseline, new: &Judgement, slack: f64) -> Result<Comparison, Incomparable> {
    old.in_known_form()?;
    let newer = Baseline::of(new);
    if old.scenario != newer.scenario {
        return Err(Incomparable::Scenarios { old: old.scenario.clone(), new: newer.scenario });
    }
    let mut doubts = Vec::new();
    if old.faults != newer.faults {
        doubts.push(format!(
            "the faults are not the same: {} then, {} now",
            or_none(&old.faults),
            or_none(&newer.faults)
        ));
    }
    if new.run.end != RunEnd::Complete {
        doubts.push("the newer run did not end as planned".to_owned());
    }
    if let Some(steered) = new.gate(GateId::HandsOff).filter(|gate| !gate.holds) {
        doubts.push(format!("of the newer run nothing is compared: {}", steered.text));
    }
    let mut measures = Vec::new();
    for measure in &old.measures {
        let found = newer.measures.iter().find(|candidate| candidate.id == measure.id);
        let change = found.map_or(Change::Lost, |found| change(measure, found, slack));
        measures.push(Compared {
            id: measure.id.clone(),
            old: Some(measure.clone()),
            new: found.cloned(),
            change,
        });
    }
    for measure in newer.measures {
        if measures.iter().all(|compared| compared.id != measure.id) {
            let id = measure.id.clone();
            measures.push(Compared { id, old: None, new: Some(measure), change: Change::New });
        }
    }
    murphy_core::sort_short(&mut measures, |a, b| a.id.cmp(&b.id));
    let lost: Vec<&str> = measures
        .iter()
        .filter(|compared| compared.change == Change::Lost)
        .map(|compared| compared.id.as_str())
        .collect();
    if !lost.is_empty() {
        doubts.push(format!("the newer run does not tell: {}", lost.join(", ")));
    }
    let told = |compared: &&Compared| !matches!(compared.change, Change::Lost | Change::New);
    if measures.iter().filter(told).count() == 0 {
        doubts.push("the two have nothing in common that could be compared".to_owned());
    }
    Ok(Comparison { scenario: old.scenario.clone(), format: Baseline::FORMAT, measures, doubts })
}

fn or_none(texts: &[String]) -> String {
    if texts.is_empty() { "none".to_owned() } else { texts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(better: Better, low: f64, high: f64) -> Measure {
        let (low, high) = (Some(low), Some(high));
        Measure { id: "x".into(), unit: Unit::Seconds, better, value: None, low, high, n: 100 }
    }

    #[test]
    fn a_fault_that_waits_for_another_event_is_another_fault() {
        let fault = FaultFact {
            id: murphy_core::FaultId::new("slow").unwrap(),
            text: "latency 800ms".into(),
            on: "web → redis".into(),
            trigger: None,
            lasts: murphy_core::Span::from_secs(1),
            armed: None,
            lifted: None,
            tally: None,
        };
        let waits = FaultFact { trigger: Some("after call 3 on db".into()), ..fault.clone() };
        assert_eq!(printed(&fault), "latency 800ms on web → redis");
        assert_eq!(printed(&waits), "latency 800ms on web → redis, after call 3 on db");
    }

    #[test]
    fn several_runs_make_an_interval_that_holds_them_all() {
        let of = |low, high, n| Baseline {
            format: 1,
            scenario: "s".into(),
            faults: vec![],
            murphy: String::new(),
            runs: 1,
            measures: vec![Measure { value: Some(low), n, ..measure(Better::Lower, low, high) }],
        };
        let all = of(0.1, 0.2, 100).with(&of(0.3, 0.4, 50)).with(&of(0.2, 0.25, 50));
        let only = &all.measures[0];
        assert_eq!((all.runs, only.n, only.low, only.high), (3, 200, Some(0.1), Some(0.4)));
        assert!((only.value.unwrap() - 0.2).abs() < 1e-9);
        // Those of a baseline that was kept count each, whichever comes first.
        let kept = of(0.6, 0.7, 100).with(&all);
        assert_eq!(kept.runs, 4);
        assert!((kept.measures[0].value.unwrap() - 0.3).abs() < 1e-9);
    }
}
