//! What happened, in order: the live stream, the journal's lines and the input of every report are this one type.

mod kind;

use serde::{Deserialize, Serialize};

pub use kind::EventKind;

use crate::Offset;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Ordinal in the journal, from 0, without gaps.
    pub seq: u64,
    /// When it happened. Two events recorded by different tasks may stand in the journal in either order.
    pub at: Offset,
    /// What it was.
    pub kind: EventKind,
}

/// One end of a proxied connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The caller.
    Client,
    /// The dependency.
    Upstream,
    /// Murphy itself, because of a fault or its own end.
    Proxy,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseHow {
    /// In order, by FIN.
    Fin,
    /// By RST or another error.
    Rst,
}

/// How one exchange (a caller's burst and the answer's burst) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeEnd {
    /// An answer was delivered, and the caller spoke again or closed in peace.
    Answered,
    /// The caller closed or reset before any byte of the answer was delivered: it gave up.
    GivenUp,
    /// The caller closed or reset in mid-answer, as far as can be told from outside.
    Cut,
    /// The dependency (or a fault in its stead) closed or reset without an answer, or showed a certificate that the caller
    /// refused.
    Failed,
    /// Still unanswered when the connection's proxy stopped: censored.
    Open,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCause {
    /// By itself: a crash, whatever its code.
    Itself,
    /// Murphy stopped it at the end of the run.
    Stopped,
    /// A fault ended it on purpose.
    Fault,
}

/// What a container's own health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerHealth {
    /// It has no health check.
    None,
    /// Its health check has not passed yet.
    Starting,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

/// Where a container wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputStream {
    /// Its standard output, or its terminal.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// What a fault has done so far. A fault without effect has a tally of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Connections that it touched (also refused ones).
    pub connections: u64,
    /// Chunks, calls or requests that it touched.
    pub hits: u64,
    /// Bytes that it delayed, cut, changed or withheld.
    pub bytes: u64,
}
