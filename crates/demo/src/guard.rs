//! All the care around calls to one dependency, in order: bulkhead, breaker, timeout, retry. What to do when the call is
//! refused or fails (an older answer, a stand-in, an honest 503) is the caller's business, never the guard's.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use crate::breaker::{Breaker, BreakerLimits, BreakerState};
use crate::bulkhead::Bulkhead;
use crate::jitter::Jitter;
use crate::log::Log;
use crate::retry::{Retry, RetryLimits};

/// The limits of calls to one dependency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardLimits {
    /// The longest that one attempt may take, connecting included, to the last byte of its answer.
    pub timeout: Duration,
    /// Retries.
    pub retry: RetryLimits,
    /// The breaker.
    pub breaker: BreakerLimits,
    /// Calls at once.
    pub parallel: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NoAnswer<E> {
    /// Too many calls are out already.
    #[error("{places} calls are out already")]
    Busy {
        /// The most at once.
        places: usize,
    },
    /// It failed too often lately.
    #[error("it failed too often; next try in {} ms", retry_in.as_millis())]
    Open {
        /// Time until a call is worth while again.
        retry_in: Duration,
    },
    /// The last attempt took too long.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The last attempt failed.
    #[error(transparent)]
    Failed(E),
}

impl<E> NoAnswer<E> {
    /// When it is worth while to ask again.
    pub fn retry_in(&self) -> Duration {
        match self {
            NoAnswer::Open { retry_in } => *retry_in,
            NoAnswer::Busy { .. } | NoAnswer::TimedOut { .. } | NoAnswer::Failed(_) => Duration::from_secs(1),
        }
    }
}

/// The care around calls to one dependency.
#[derive(Debug)]
pub(crate) struct Guard {
    timeout: Duration,
    bulkhead: Bulkhead,
    breaker: Breaker,
    retry: Retry,
}

impl Guard {
    /// For the dependency of this name.
    pub fn new(dependency: &'static str, limits: GuardLimits, jitter: Jitter, log: Log) -> Guard {
        Guard {
            timeout: limits.timeout,
            bulkhead: Bulkhead::new(limits.parallel),
            breaker: Breaker::new(dependency, limits.breaker, log),
            retry: Retry::new(limits.retry, jitter),
        }
    }

    /// Where the breaker stands.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Makes the call. `attempt` is dropped when its time is over: it must not need an orderly end.
    pub async fn call<T, E, F, Fut>(&self, mut attempt: F) -> Result<T, NoAnswer<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let _place = self.bulkhead.enter().map_err(|full| NoAnswer::Busy { places: full.places })?;
        self.retry.begin();
        let mut made = 0;
        loop {
            let permit = self.breaker.admit().map_err(|open| NoAnswer::Open { retry_in: open.retry_in })?;
            made += 1;
            let failure = match tokio::time::timeout(self.timeout, attempt()).await {
                Ok(Ok(answer)) => {
                    permit.success();
                    return Ok(answer);
                }
                Ok(Err(error)) => NoAnswer::Failed(error),
                Err(_) => NoAnswer::TimedOut { after: self.timeout },
            };
            permit.failure();
            match self.retry.next(made) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::num::NonZeroU32;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::LogLevel;

    const TIMEOUT: Duration = Duration::from_millis(250);

    fn guard(attempts: u32, failures: u32, parallel: usize) -> Guard {
        let limits = GuardLimits {
            timeout: TIMEOUT,
            retry: RetryLimits {
                attempts: NonZeroU32::new(attempts).unwrap(),
                first_wait: Duration::from_millis(20),
                longest_wait: Duration::from_millis(20),
            },
            breaker: BreakerLimits {
                failures: NonZeroU32::new(failures).unwrap(),
                open_for: Duration::from_secs(2),
            },
            parallel,
        };
        Guard::new("dependency", limits, Jitter::new(Some(1)), Log::new("test", LogLevel::Nothing))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hang_costs_two_timeouts_and_one_wait() {
        let guard = guard(2, 100, 8);
        let began = Instant::now();
        let result: Result<(), NoAnswer<&str>> = guard.call(std::future::pending).await;
        assert_eq!(result, Err(NoAnswer::TimedOut { after: TIMEOUT }));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(510) && took <= Duration::from_millis(532), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_attempt_may_succeed() {
        let guard = guard(2, 100, 8);
        let tries = Cell::new(0);
        let attempt = || {
            tries.set(tries.get() + 1);
            std::future::ready(if tries.get() == 1 { Err("reset") } else { Ok("answer") })
        };
        assert_eq!(guard.call(attempt).await, Ok("answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_makes_no_call_and_takes_no_time() {
        let guard = guard(1, 2, 8);
        for _ in 0..2 {
            assert_eq!(
                guard.call(|| std::future::ready(Err::<(), _>("down"))).await,
                Err(NoAnswer::Failed("down"))
            );
        }
        assert_eq!(guard.breaker(), BreakerState::Open);
        let began = Instant::now();
        let refused: Result<(), NoAnswer<&str>> = guard.call(|| async { panic!("must not be called") }).await;
        assert_eq!(refused, Err(NoAnswer::Open { retry_in: Duration::from_secs(2) }));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_above_the_bulkhead_are_refused_while_the_others_hang() {
        let guard = guard(1, 100, 3);
        let calls = (0..5).map(|_| guard.call(std::future::pending::<Result<(), &str>>));
        let results = join_all(calls).await;
        let busy =
            results.iter().filter(|result| matches!(result, Err(NoAnswer::Busy { places: 3 }))).count();
        let late = results.iter().filter(|result| matches!(result, Err(NoAnswer::TimedOut { .. }))).count();
        assert_eq!((busy, late), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_gives_its_place_back_and_blames_nobody() {
        let guard = guard(1, 1, 1);
        let gone = tokio::time::timeout(
            Duration::from_millis(1),
            guard.call(std::future::pending::<Result<(), &str>>),
        );
        assert!(gone.await.is_err());
        assert_eq!(guard.breaker(), BreakerState::Closed);
        assert_eq!(guard.call(|| std::future::ready(Ok::<_, &str>(1))).await, Ok(1));
    }
}
