//! The catalogue of faults: one file and one line in the registry for each.
//!
//! A fault is data with a pure effect. This crate knows no socket, no task and no process; it hands effects to the
//! crates that do. It must never panic on any setting: nonsense is reported by a check, with what to write instead.

mod catalogue;
mod check;
mod container;
mod describe;
mod flags;
mod http;
mod network;
mod pressure;
mod process;
mod read;
mod registry;
mod spec;
mod stream;

pub use catalogue::{Entry, Field, catalogue};
pub use check::{Problem, Problems};
pub use container::{Disconnect, Pause, Remove, Restart, Stop};
pub use flags::{Flag, FlagError, FlagValue, faults_of_flags, flags};
pub use http::{
    Abort, AbortWith, Before, Body, Delay, Drip, Flaw, GrpcStatus, Hang, Headers, Instead, LoseResponse,
    Malform, Match, Moment, Of, PathPattern, PatternError, Per, PerError, RateLimit, StaleKeepAlive,
    TextPattern, Truncate, Which,
};
pub use murphy_docker::{
    Action as ContainerAction, Command as Exec, Limits, Removal, Target as ContainerTarget,
};
pub use network::{NetworkAction, Partition};
pub use pressure::{CpuPressure, DiskPressure, MemoryPressure};
pub use process::{Freeze, Kill, ProcessAction, SendSignal, SignalName};
pub use read::JsonError;
pub use registry::{Fault, NAMES, described};
pub use spec::{Effect, FaultSpec, Grain, Place};
pub use stream::{
    Bandwidth, Beyond, Blackhole, ConnectionLimit, Corrupt, Distribution, Drop, Latency, Limit, Loss, Meets,
    Refuse, Reset, Scope, Slice, SlowClose, SlowOpen, Then, Timeout, TlsHandshake,
};
