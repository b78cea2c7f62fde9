//! What a run is judged to be: plain data that a report renders and a client reads. No number in here is rounded but in
//! a `text`; nothing in here knows of colours, columns or files.

mod cause;
mod finding;
mod reading;
mod row;

use murphy_core::{FaultId, Offset, Seed, Span, Tally, Timestamp, Verdict};
use serde::Serialize;

pub use cause::{Cause, Why};
pub use finding::{DependencyClass, Finding, State};
pub use reading::{Reading, Unit};
pub use row::{Row, RowKind};

pub use crate::detector::Detector;

/// The judged run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Version of this form.
    pub format: u32,
    /// The answer of the run.
    pub verdict: Verdict,
    /// How many expectations were asserted, and how they were answered.
    pub count: Count,
    /// What was run.
    pub run: RunFacts,
    /// What was broken.
    pub faults: Vec<FaultFact>,
    /// Whether the run can be trusted.
    pub gates: Vec<Gate>,
    /// One for each expectation, then one for each service that crashed.
    pub rows: Vec<Row>,
    /// What the services do, asserted or not.
    pub findings: Vec<Finding>,
    /// Why expectations failed.
    pub why: Vec<Why>,
    /// What kept the users unharmed.
    pub saved_by: Vec<String>,
    /// What could not be told, and what would tell it.
    pub unknown: Vec<Unknown>,
    /// An `expect:` block of what was measured, rounded outward, ready to paste; empty unless it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub learned: String,
    /// What could not be taken back. Not empty: the machine needs `murphy undo`.
    pub leftovers: Vec<String>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

impl Judgement {
    /// The form that this build writes.
    pub const FORMAT: u32 = 1;

    /// The gate of that kind, if it was checked.
    pub fn gate(&self, id: GateId) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.id == id)
    }

    /// The row of that id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }
}

/// How many rows there are of each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// All rows.
    pub rows: usize,
    /// Those that hold.
    pub passed: usize,
    /// Those that do not hold.
    pub failed: usize,
    /// Those that could not be told.
    pub inconclusive: usize,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// As planned.
    Complete,
    /// A signal ended it early.
    Interrupted {
        /// Which.
        signal: String,
    },
    /// A stop condition ended it early.
    Aborted {
        /// The condition as written.
        rule: String,
    },
    /// It could not be carried out.
    Failed {
        /// Why.
        why: String,
    },
    /// The journal stops in the middle: Murphy itself was killed, or the file was cut.
    Torn,
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFacts {
    /// The scenario's name; empty if the journal has no beginning.
    pub scenario: String,
    /// Its file.
    pub source: String,
    /// The command that repeats it.
    pub again: String,
    /// Murphy's version.
    pub murphy: String,
    /// Root of all choices.
    pub seed: Option<Seed>,
    /// Wall time of the beginning.
    pub started: Option<Timestamp>,
    /// How it ended.
    pub end: RunEnd,
    /// From the first event to the last.
    pub took: Span,
}

/// One fault and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultFact {
    /// Its identity.
    pub id: FaultId,
    /// `latency 800ms`.
    pub text: String,
    /// `web → redis`.
    pub on: String,
    /// What it waited for: `after call 3 on db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Planned length.
    pub lasts: Span,
    /// When it came into the world.
    pub armed: Option<Offset>,
    /// When it was out of the world again.
    pub lifted: Option<Offset>,
    /// What it did, as counted when it was lifted.
    pub tally: Option<Tally>,
}

/// Which condition of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateId {
    /// G0: something is broken, a load is raised, or the run is a control.
    SomethingBroken,
    /// G0: the fault took effect.
    FaultTookEffect,
    /// G1: the baseline is healthy.
    BaselineHealthy,
    /// G2: the load was sent as planned.
    LoadSent,
    /// G2: the load was sent in time.
    LoadOnTime,
    /// G3: no event is missing.
    NothingLost,
    /// G4: the services' processes were there.
    ServicesUp,
    /// G5: nobody intervened by hand. Only asked where somebody did.
    HandsOff,
}

/// One condition of trust.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// Which.
    pub id: GateId,
    /// Whether it holds.
    pub holds: bool,
    /// In a few words, with its numbers: `fault hit 1800/1800 calls`.
    pub text: String,
    /// What to do about it; empty where it holds.
    pub mend: String,
}

/// Something that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What would tell.
    pub settle: String,
}
