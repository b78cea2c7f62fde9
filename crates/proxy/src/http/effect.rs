//! What a fault may do to a request and its answer, as data: steps that are carried out in order.
//!
//! Nothing here acts. A step never names the fault that it serves.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use murphy_core::{Chance, Rate};

use crate::effect::Ending;

/// Chooses requests by what they say. Pure: it sees the head only, and never the body.
pub trait RequestMatch: Send + Sync {
    /// True if the request is meant.
    fn matches(&self, request: &Parts, source: IpAddr) -> bool;

    /// False only if no request with this method, path (without its query) and source is meant, whatever its headers say. It costs
    /// less to answer than `matches`, which needs the whole head taken apart; who cannot tell says true.
    fn may_match(&self, method: &str, path: &str, source: IpAddr) -> bool {
        let _ = (method, path, source);
        true
    }
}

/// What requests are counted by, each kind on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKey {
    /// The value of a header; requests without it share one count.
    Header(HeaderName),
    /// The value of a parameter of the query; requests without it share one count.
    Query(String),
    /// The path.
    Path,
    /// The caller's address, without its port.
    Source,
}

/// Which of the requests that match are chosen. All conditions hold together; counts are by arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// So many pass first.
    pub after: u64,
    /// Of the others, in turn: so many are chosen, then so many pass, again and again.
    pub cycle: Option<Cycle>,
    /// Of these, the share that is drawn, each by itself.
    pub chance: Chance,
    /// At most so many are chosen in all.
    pub first: Option<u64>,
    /// Counts are kept for each value of this.
    pub per: Option<RequestKey>,
}

/// A repeating pattern of chosen and passed requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cycle {
    /// The nth, the 2nth, and so on.
    Every(NonZeroU64),
    /// `fail` are chosen, the next `pass` are not.
    Spell {
        /// Chosen in a row.
        fail: NonZeroU64,
        /// Passed in a row.
        pass: NonZeroU64,
    },
}

impl Default for Selection {
    fn default() -> Selection {
        Selection { after: 0, cycle: None, chance: Chance::ALWAYS, first: None, per: None }
    }
}

/// Whether the service gets to see a request that it does not get to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It never learns of it.
    BeforeUpstream,
    /// It does its work; only its answer is lost.
    AfterUpstream,
}

/// What a wait stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The status line and headers of the answer.
    Head,
    /// The first byte of the answer's body, after its head.
    Body,
}

/// Headers that are removed, then headers that are set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Gone, all values of each.
    pub remove: Vec<HeaderName>,
    /// There once, with this value.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderEdits {
    /// Makes the edits.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// An answer that is made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of framing.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A change of a whole body. It is called with everything, so a body is held while it acts.
pub trait BodyEdit: Send + Sync {
    /// The new body; `None` if it is not one that can be changed so.
    fn edit(&self, body: &[u8]) -> Option<Bytes>;
}

/// What happens at a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection ends.
    End(Ending),
    /// Nothing more comes, and the connection stays.
    Stall,
}

/// An answer that breaks the rules of HTTP. HTTP/2 frames cannot be broken so: there the stream is reset. HTTP/1.0 has no chunks: there
/// the connection is, in the place of a bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Promises more bytes than come, then FIN.
    LengthTooLong,
    /// Promises fewer bytes than come.
    LengthTooShort,
    /// A chunk whose size is no number.
    Chunk,
    /// A line among the headers that is no header.
    Header,
}

/// Tokens at a rate: whether a request is one too many.
#[derive(Debug)]
pub struct Limiter {
    per_second: f64,
    burst: f64,
    state: Mutex<(f64, Option<Instant>)>,
}

impl Limiter {
    /// So many a second, with so many at once.
    pub fn new(per_second: f64, burst: u64) -> Limiter {
        let burst = (burst as f64).max(1.0);
        Limiter { per_second, burst, state: Mutex::new((burst, None)) }
    }

    /// Takes a token if there is one.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *state;
        let grown = last.map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        let tokens = (tokens + grown * self.per_second).min(self.burst);
        let admitted = tokens >= 1.0;
        *state = (if admitted { tokens - 1.0 } else { tokens }, Some(now));
        admitted
    }
}

/// One thing that is done to a request or to its answer.
#[derive(Clone)]
pub enum HttpStep {
    /// Headers of the request change.
    EditRequest(HeaderEdits),
    /// A made-up answer.
    Answer {
        /// Before or after the service has done its work.
        when: When,
        /// It.
        answer: Arc<Answer>,
    },
    /// The connection ends without an answer; on HTTP/2, the stream.
    Break {
        /// Before or after the service has done its work.
        when: When,
        /// How.
        how: Ending,
    },
    /// The connection ends as a request comes that is not its first. First requests are not even counted. On HTTP/2,
    /// where connections are made to be used again, the stream.
    BreakReused {
        /// How.
        how: Ending,
    },
    /// No answer, until the fault is lifted.
    Withhold {
        /// Before or after the service has done its work.
        when: When,
    },
    /// A made-up answer to what is above a rate; the others pass.
    Ration {
        /// The rate.
        limiter: Arc<Limiter>,
        /// For those above it.
        answer: Arc<Answer>,
    },
    /// The answer waits.
    Wait {
        /// Where.
        before: Part,
        /// How long at the least.
        base: Duration,
        /// Up to so much less or more, evenly spread.
        jitter: Duration,
    },
    /// Headers of the answer change.
    EditReply(HeaderEdits),
    /// The answer's body is another one.
    EditBody(Arc<dyn BodyEdit>),
    /// The answer's body comes at a rate.
    Pace(Rate),
    /// The answer's body ends too early.
    Cut {
        /// So many bytes of the body come.
        after: u64,
        /// What happens then.
        then: Then,
    },
    /// The answer breaks the rules.
    Malform(Malformed),
}

/// What a fault does to requests.
#[derive(Clone)]
pub struct HttpEffect {
    /// Which requests are meant; all if there is none.
    pub filter: Option<Arc<dyn RequestMatch>>,
    /// Which of them are chosen.
    pub selection: Selection,
    /// What is done to each.
    pub steps: Arc<[HttpStep]>,
}

impl HttpEffect {
    /// These steps, on all requests.
    pub fn new(steps: impl Into<Arc<[HttpStep]>>) -> HttpEffect {
        HttpEffect { filter: None, selection: Selection::default(), steps: steps.into() }
    }
}

impl fmt::Debug for HttpEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEffect")
            .field("filtered", &self.filter.is_some())
            .field("selection", &self.selection)
            .field("steps", &self.steps.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limiter_admits_its_burst_and_then_its_rate() {
        let limiter = Limiter::new(10.0, 3);
        let start = Instant::now();
        assert_eq!((0..5).filter(|_| limiter.admits(start)).count(), 3);
        assert!(!limiter.admits(start + Duration::from_millis(99)));
        assert!(limiter.admits(start + Duration::from_millis(101)));
        assert_eq!((0..9).filter(|_| limiter.admits(start + Duration::from_secs(9))).count(), 3);
    }
}
