//! What a scenario asserts, compiled from its sentences to (subject, rule) with nothing left to interpret.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Chance, EdgeName, Frequency, LoadName, ProbeName, Served, Span};

/// A latency quantile, strictly between 0 and 1: `p99` is 0.99, `p99.9` is 0.999.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantile(f64);

impl Quantile {
    /// The median.
    pub const P50: Quantile = Quantile(0.50);
    /// The 95th percentile.
    pub const P95: Quantile = Quantile(0.95);
    /// The 99th percentile.
    pub const P99: Quantile = Quantile(0.99);

    /// From a fraction; `None` unless strictly between 0 and 1.
    pub fn from_fraction(fraction: f64) -> Option<Quantile> {
        (fraction > 0.0 && fraction < 1.0).then_some(Quantile(fraction))
    }

    /// From `p50`, `p99`, `p99.9`; `None` for anything else.
    pub fn from_name(name: &str) -> Option<Quantile> {
        let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
        Quantile::from_fraction(percent / 100.0)
    }

    /// The fraction.
    pub fn as_fraction(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.0 * 1e8).round() / 1e6;
        f.pad(&format!("p{percent}"))
    }
}

/// What an expectation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// What users of one load saw.
    Load(LoadName),
    /// What a probe answered.
    Probe(ProbeName),
    /// What the caller did on an edge.
    Edge(EdgeName),
    /// The run as a whole.
    Run,
}

/// How a success rate is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuccessRule {
    /// At least this share during the fault: `">= 99%"`.
    AtLeast(Chance),
    /// Not lower than in the baseline by more than this: `within 1% of baseline`.
    WithinOfBaseline(Chance),
}

/// A part of a run, as seen from its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunPart {
    /// The baseline.
    Before,
    /// While a fault is in the world.
    During,
    /// From the last lift to the end of the recovery.
    After,
}

impl RunPart {
    /// The key of `expect:`.
    pub fn name(self) -> &'static str {
        match self {
            RunPart::Before => "before",
            RunPart::During => "during",
            RunPart::After => "after",
        }
    }
}

/// One asserted rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Success rate of a load during the fault. `may` lists kinds of answer that count as success.
    Success {
        /// The bound.
        rule: SuccessRule,
        /// Degraded answers that the author allows; fresh ones always count.
        may: Vec<Served>,
    },
    /// A latency quantile of a load during the fault, over all its requests, failed ones at their age.
    Latency {
        /// Which quantile.
        quantile: Quantile,
        /// The bound.
        at_most: Span,
    },
    /// Every answer of a probe is good, in baseline, fault and recovery.
    Always,
    /// Every answer of a probe is good in one part of the run.
    Good {
        /// Which part.
        part: RunPart,
        /// Answers to what was asked within this time of the part's beginning are passed over.
        after: Span,
    },
    /// After the last fault is lifted, users are served as before within this time (verdicts 2.14).
    Recovery {
        /// The bound.
        at_most: Span,
    },
    /// The caller gives a call on this edge up within this time.
    Timeout {
        /// The bound.
        at_most: Span,
    },
    /// The caller tries at most this often for one call.
    Attempts {
        /// The bound, first try included.
        at_most: u32,
    },
    /// Calls on the edge for each user request, relative to the baseline.
    Amplification {
        /// The bound; 1 is no amplification.
        at_most: f64,
    },
    /// The caller stops calling for a while when calls keep failing.
    BreakerOpens,
    /// The same, for the first time within so long of the first call that fails.
    BreakerOpensWithin {
        /// The bound.
        at_most: Span,
    },
    /// The same, for the first time after so many failed calls.
    CallsToOpen {
        /// The bound.
        at_most: u32,
    },
    /// Between two tries whether the callee is well again, a caller that stopped makes no call for so long.
    HalfOpenEvery {
        /// The bound.
        at_least: Span,
    },
    /// After the fault, a caller that had stopped calls as before within so long.
    BreakerCloses {
        /// The bound.
        at_most: Span,
    },
    /// The caller has at most so many calls in flight at once; the others wait, or are refused (verdicts 2.7).
    Pool {
        /// The bound.
        at_most: u32,
    },
    /// These loads are unharmed while others suffer.
    Isolation {
        /// The loads that must not notice.
        loads: Vec<LoadName>,
    },
    /// The waits between tries of one call grow.
    BackOffGrows,
    /// The waits between tries are drawn at random.
    Jitter,
    /// Connections do not come back all at once after the fault.
    ReconnectsSpread,
    /// No connection stays behind after a fault.
    NoLeak,
    /// Under too much load, some are refused at once while the others are served.
    Sheds,
    /// Raised step by step, so much of a load is served (verdicts 2.10).
    Capacity {
        /// The bound.
        at_least: Frequency,
    },
    /// The caller takes a sick instance out and goes to the others.
    Ejects,
    /// Users do not need what is broken: their success rate holds.
    Soft,
    /// Users need no more than the load declares.
    AsDeclared,
    /// Trouble does not outlast its cause, fed by the load itself (verdicts 2.15).
    NotMetastable,
    /// No write that was acknowledged is gone.
    NoneLost,
    /// No write is there more often than it was sent.
    NoneTwice,
    /// So many acknowledged writes at most were given up and put aside.
    DeadLetters {
        /// The bound.
        at_most: u32,
    },
    /// Users who are not served as before get any answer, an error included, within this time (verdicts 2.8).
    FailFast {
        /// The bound.
        at_most: Span,
    },
    /// Degraded answers are at most so old.
    Staleness {
        /// The bound.
        at_most: Span,
    },
    /// The probe turns good within this time of a start of the service, while a dependency is down.
    StartUp {
        /// The bound.
        at_most: Span,
    },
    /// The probe turns bad within this time of the fault, and good again after it.
    Follows {
        /// The bound.
        at_most: Span,
    },
}

/// One line of `expect:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Stable identity, as used by `--only`, JUnit and `compare`: `browse.p99`.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// The rule.
    pub rule: Rule,
    /// The bound as the author wrote it: `<= 600ms`.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_names_are_read_and_printed() {
        for name in ["p50", "p99", "p99.9"] {
            assert_eq!(Quantile::from_name(name).unwrap().to_string(), name);
        }
        for name in ["p0", "p100", "q99", "p", "99"] {
            assert!(Quantile::from_name(name).is_none(), "{name}");
        }
    }
}
