//! The words of the domain: units, names, seeded choices, events, undos, verdicts.
//!
//! Every other crate speaks in these types. This crate does no I/O of its own, starts no task and knows no fault by
//! name: it must stay usable from a pure function and from a test without a runtime.

mod boxed;
mod brief;
mod clock;
mod container;
mod dice;
mod event;
mod expect;
mod glob;
mod hand_deed;
mod http_call;
mod ids;
mod journal;
mod json_path;
mod ledger;
mod order;
mod packed;
mod plural;
mod rate_ramp;
mod recorder;
mod sample;
mod secrets;
mod undo;
mod units;
mod verdict;

pub use boxed::{Boxed, boxed};
pub use brief::{
    EdgeBrief, FaultBrief, Learn, LoadBrief, Need, Phase, PhaseLengths, ProbeBrief, Protocol, Purpose,
    RunBrief, ServiceBrief,
};
pub use clock::{Offset, RunClock, Timestamp};
pub use container::{
    ContainerIdentity, CpuRecord, EndpointRecord, LimitsRecord, MemoryRecord, NetworkIdentity, PidsRecord,
};
pub use dice::{Dice, Seed};
pub use event::{
    CloseHow, ContainerHealth, Event, EventKind, ExchangeEnd, ExitCause, OutputStream, ProcessStatus, Side,
    Tally,
};
pub use expect::{Expectation, Quantile, Rule, RunPart, Subject, SuccessRule};
pub use glob::{Glob, GlobError, Slashes};
pub use hand_deed::HandDeed;
pub use http_call::{Answerer, AttemptOf, HttpCall};
pub use ids::{
    ConnId, Direction, Directions, EdgeName, FaultId, LeaseName, LoadName, NameError, ProbeName, RuleSetName,
    ServiceName,
};
pub use journal::{JournalError, each_event, read_journal, write_line};
pub use json_path::{JsonPath, JsonPathError, JsonTest, JsonTestError};
pub use ledger::{Aside, Kept, LedgerRead, ReadBack, WriteIds};
pub use order::{gathered, sort_short};
pub use packed::unpacked;
pub use plural::plural;
pub use rate_ramp::RateRamp;
pub use recorder::{Demand, Recorder, Recording};
pub use sample::{Sample, SampleOutcome, Served};
pub use secrets::Secrets;
pub use undo::{NamespaceIdentity, ProcessIdentity, TableFamily, Undo, UndoEntry, UndoId};
pub use units::{Amount, Chance, Cpus, CpusError, Frequency, Rate, Size, Span, UnitError, UnitKind};
pub use verdict::{Answer, Verdict};
