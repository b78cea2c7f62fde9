//! Waiting until a service answers for the first time.

use std::future::Future;
use std::time::{Duration, Instant};

use murphy_core::Span;

use crate::probe::{Question, Reply, ask};

/// The shortest and the longest pause between two questions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(100));
/// A question that hangs is given up after this and asked again: a service that starts may accept and forget.
const ONE_QUESTION: Duration = Duration::from_secs(2);

/// Why a service is not ready. `W` is what the early end told, for example how the process died.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady<W> {
    /// Time is over.
    #[error("not ready within {within}; the last answer was: {}", .last.saw)]
    Late {
        /// The time that it was given.
        within: Span,
        /// What the last question saw.
        last: Reply,
    },
    /// It is no use to ask on.
    #[error("ended before it was ready; the last answer was: {}", .last.as_ref().map_or("none", |reply| reply.saw.as_str()))]
    Ended {
        /// What the early end told.
        why: W,
        /// What the last question saw, if one was answered.
        last: Option<Reply>,
    },
}

/// Asks until the answer is good, and says how long that took. Gives up when `within` is over or `ended` is ready:
/// give it the exit of the service's process, or a pending future. May be cancelled.
pub async fn wait_ready<E: Future>(
    question: &Question,
    within: Span,
    ended: E,
) -> Result<Span, NotReady<E::Output>> {
    let began = Instant::now();
    let deadline = began + within.as_duration();
    let mut pause = PAUSES.0;
    let mut last = None;
    tokio::pin!(ended);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let reply = tokio::select! {
            biased;
            why = &mut ended => return Err(NotReady::Ended { why, last }),
            reply = ask(question, left.min(ONE_QUESTION).into()) => reply,
        };
        if reply.ok {
            return Ok(began.elapsed().into());
        }
        if Instant::now() + pause >= deadline {
            // A question that was cut short by the deadline says less than the one before it.
            let cut_short = left < ONE_QUESTION && reply.took.as_duration() >= left;
            let last = last.filter(|_| cut_short).unwrap_or(reply);
            return Err(NotReady::Late { within, last });
        }
        last = Some(reply);
        tokio::select! {
            biased;
            why = &mut ended => return Err(NotReady::Ended { why, last }),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}
