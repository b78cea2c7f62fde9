//! The judgement of a run: from its journal to facts, from facts to answers, from answers to a verdict.
//!
//! Pure: no clock, no I/O, no task, no draw without a fixed seed. The same journal gives the same judgement, on any
//! machine, years later. A detector states facts; only what the author asserted can fail.

mod across;
mod answered;
mod compare;
mod detect;
mod detector;
mod drift;
mod edge;
mod gate;
pub mod goodput;
mod judge;
mod judgement;
mod learn;
pub mod limit;
mod marked;
mod phase;
mod reader;
mod rows;
mod solo;
pub mod stats;
mod traffic;
mod turns;
mod why;
mod window;
mod words;
mod worth;

pub use answered::Answered;
pub use compare::{Baseline, Better, Change, Compared, Comparison, Incomparable, Measure, compare};
pub use detector::{DETECTORS, DetectorWords};
pub use drift::drift;
pub use judge::{Hearing, judge};
pub use judgement::{
    Cause, Count, DependencyClass, Detector, FaultFact, Finding, Gate, GateId, Judgement, Reading, Row,
    RowKind, RunEnd, RunFacts, State, Unit, Unknown, Why,
};
pub use traffic::{CallOutcome, EdgeTraffic, LoadTraffic, Traffic};
