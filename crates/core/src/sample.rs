//! One user request, as its sender saw it.

use serde::{Deserialize, Serialize};

use crate::{LoadName, Offset, Span};

/// How a user request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleOutcome {
    /// Answered as expected, body read to its end.
    Ok,
    /// Answered with a status that was not expected.
    Status,
    /// Answered, but the body was cut, empty where it must not be, or did not match.
    Body,
    /// No answer within the load's own timeout: censored at its age.
    Timeout,
    /// The connection could not be made.
    Connect,
    /// The connection broke before the answer was whole.
    Broken,
    /// Never sent: the in-flight cap was reached. A failure of the run, not of the service.
    Dropped,
    /// Unfinished when the run ended: censored at its age.
    Unfinished,
}

/// What kind of answer was given, where the service says so.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Served {
    /// From the source, as always.
    #[default]
    Fresh,
    /// An older answer, as from a cache.
    Stale,
    /// A stand-in that does not depend on what was asked.
    Default,
    /// Part of the answer.
    Partial,
}

impl Served {
    /// True for the ordinary case, which is left out of the journal.
    pub fn is_fresh(&self) -> bool {
        *self == Served::Fresh
    }
}

/// One user request. Latency counts from the *intended* time, so that a stalled sender cannot hide a stalled service
/// (coordinated omission, Tene 2013).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which load it belongs to.
    pub load: LoadName,
    /// Ordinal in the load's schedule, from 0, without gaps: a missing number is a lost event.
    pub n: u64,
    /// When the schedule wanted it sent.
    pub intended: Offset,
    /// When it was sent; `None` if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Offset>,
    /// When its last byte, its error or the end of the run came.
    pub ended: Offset,
    /// How it ended.
    pub outcome: SampleOutcome,
    /// The HTTP status, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What kind of answer it was.
    #[serde(default, skip_serializing_if = "Served::is_fresh")]
    pub served: Served,
    /// Age of the answer's content, where a header tells it (RFC 9111 `Age`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Span>,
    /// Seconds that a `Retry-After` header asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
}

impl Sample {
    /// Time from intention to end.
    pub fn latency(&self) -> Span {
        self.ended.since(self.intended)
    }

    /// How late it was sent; `None` if it never was.
    pub fn lag(&self) -> Option<Span> {
        self.sent.map(|sent| sent.since(self.intended))
    }

    /// True if the user got what was expected.
    pub fn is_ok(&self) -> bool {
        self.outcome == SampleOutcome::Ok
    }
}
