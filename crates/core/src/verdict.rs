//! The answers that a run can end with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer to one expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Holds, with its whole interval.
    Pass,
    /// Could be either way, or a gate failed.
    Inconclusive,
    /// Does not hold, with its whole interval.
    Fail,
}

/// The answer of a run. Ordered from best to worst; the worst of several wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every expectation holds.
    Graceful,
    /// Not all could be told.
    Inconclusive,
    /// At least one does not hold.
    NotGraceful,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Graceful => "GRACEFUL",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::NotGraceful => "NOT GRACEFUL",
        })
    }
}
