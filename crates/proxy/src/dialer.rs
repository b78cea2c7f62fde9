//! Dialling the dependency for one caller, within a time, and saying plainly why it failed.
//!
//! It runs in the caller's own task: a dependency that does not answer must never hold up another caller.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::ground::{Dialling, Ground};

/// Why the dependency could not be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The system said no.
    #[error("cannot connect to {upstream}: {source}")]
    Refused { upstream: String, source: io::Error },
    /// It said nothing.
    #[error("no answer from {upstream} within {within:?}")]
    Silent { upstream: String, within: Duration },
}

/// A dial under way. Its time is kept by the caller's own alarm: a timer of the runtime for each dial would wake a sleeping
/// processor for every connection, only to tell it of a time that never comes.
pub(crate) struct Dial<'a> {
    dialling: Dialling<'a>,
    upstream: &'a str,
    within: Duration,
    /// When silence is an answer.
    pub(crate) until: Instant,
}

impl<'a> Dial<'a> {
    /// Dials `upstream`, a `host:port`, for this caller.
    pub(crate) fn begin(
        ground: &'a dyn Ground,
        caller: &'a TcpStream,
        upstream: &'a str,
        within: Duration,
        now: Instant,
    ) -> Dial<'a> {
        const LONGEST: Duration = Duration::from_secs(1 << 30);
        let until = now + within.min(LONGEST);
        Dial { dialling: ground.dial(caller, upstream), upstream, within, until }
    }

    /// Whoever polls it sets an alarm for `until`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, DialError>> {
        match self.dialling.as_mut().poll(cx) {
            Poll::Ready(Ok(stream)) => {
                // Fails only on a connection that is already dead, which the first write tells as well.
                let _ = stream.set_nodelay(true);
                Poll::Ready(Ok(stream))
            }
            Poll::Ready(Err(source)) => {
                Poll::Ready(Err(DialError::Refused { upstream: self.upstream.to_owned(), source }))
            }
            Poll::Pending if self.until <= Instant::now() => {
                let (upstream, within) = (self.upstream.to_owned(), self.within);
                Poll::Ready(Err(DialError::Silent { upstream, within }))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
