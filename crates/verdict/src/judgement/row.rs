//! One expectation and its answer, a row of a report's table. It holds what decided in words, so that nobody who shows it need judge
//! anew.

use murphy_core::{Answer, Subject};
use serde::Serialize;

use super::{GateId, Reading};

/// What a row measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    /// Share of user requests that were answered as expected.
    Success,
    /// A latency quantile.
    Latency,
    /// A probe that must always be good.
    Always,
    /// A probe that must be good in one part of the run.
    Good,
    /// Time to recover.
    Recovery,
    /// The caller's timeout on an edge.
    Timeout,
    /// Tries for one call.
    Attempts,
    /// Calls for each user request, relative to the baseline.
    Amplification,
    /// Whether a breaker opens.
    Breaker,
    /// Failed calls until a breaker opens.
    CallsToOpen,
    /// Time without a call between two tries of an open breaker.
    HalfOpenEvery,
    /// Time until the caller calls as before.
    Closes,
    /// Calls in flight at once.
    Pool,
    /// Loads that must not notice.
    Isolation,
    /// Whether waits between tries grow.
    BackOff,
    /// Whether waits between tries are drawn at random.
    Jitter,
    /// Whether connections come back all at once.
    Reconnect,
    /// Whether connections stay behind.
    Leak,
    /// Whether the caller goes to other instances.
    Failover,
    /// Whether some are refused at once under too much load.
    Shedding,
    /// How many requests a second can be served.
    Capacity,
    /// Whether users can do without what is broken.
    Dependency,
    /// Whether trouble outlasts its cause, fed by the load itself.
    Metastability,
    /// Time to any answer of users who are not served as before.
    FailFast,
    /// The age of degraded answers.
    Staleness,
    /// Whether a probe follows the dependency.
    Follows,
    /// Whether a service starts while a dependency is down.
    StartUp,
    /// Whether acknowledged writes are gone.
    Lost,
    /// Whether writes are kept more often than they were sent.
    Duplicates,
    /// How many acknowledged writes were given up and put aside.
    DeadLetters,
    /// Whether a service's process lived.
    Alive,
}

impl RowKind {
    /// True if a failure stands whatever else is in doubt: a write that is gone is gone.
    pub(crate) fn is_certain(self) -> bool {
        matches!(self, RowKind::Lost | RowKind::Duplicates)
    }
}

/// One expectation and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Stable identity: `browse.p99`.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// What is measured.
    pub kind: RowKind,
    /// As printed: `browse p99`.
    pub label: String,
    /// In the healthy phase.
    pub baseline: Option<Reading>,
    /// While the fault was in the world.
    pub during: Option<Reading>,
    /// After it.
    pub after: Option<Reading>,
    /// The answer.
    pub answer: Answer,
    /// The bound as the author wrote it: `<= 600ms`.
    pub want: String,
    /// The rule by which it was answered, in a sentence.
    pub rule: String,
    /// What decided, in a few words: `drop 0.2pt [0.0, 0.8] < 1pt`.
    pub reason: String,
    /// What would settle an inconclusive answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<String>,
    /// The gates that made it inconclusive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateId>,
}
