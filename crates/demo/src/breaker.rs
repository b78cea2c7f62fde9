//! A circuit breaker: after enough failures in a row, calls are refused at once for a while; then one call may try.
//! It decides whether a call may start, and never makes one itself.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::log::Log;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BreakerLimits {
    /// Failures in a row that open it.
    pub failures: NonZeroU32,
    /// How long it refuses before one probe may try.
    pub open_for: Duration,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// One probe is out, or may go out; others are refused.
    HalfOpen,
}

/// The call may not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// Time until a call is worth while again.
    pub retry_in: Duration,
}

/// A circuit breaker.
#[derive(Debug)]
pub(crate) struct Breaker {
    dependency: &'static str,
    limits: BreakerLimits,
    log: Log,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Grows with each change of state: the result of a call that began in an earlier one says nothing about this one.
    epoch: u64,
    position: Position,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// Leave for one call. Say how it went; dropped without a word (the user went away), it counts for nothing.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    epoch: u64,
    settled: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(dependency: &'static str, limits: BreakerLimits, log: Log) -> Breaker {
        let inner = Inner { epoch: 0, position: Position::Closed { failures: 0 } };
        Breaker { dependency, limits, log, inner: Mutex::new(inner) }
    }

    /// Where it stands now.
    pub fn state(&self) -> BreakerState {
        match self.lock().position {
            Position::Closed { .. } => BreakerState::Closed,
            Position::Open { until } if Instant::now() < until => BreakerState::Open,
            Position::Open { .. } | Position::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks for leave to call.
    pub fn admit(&self) -> Result<Permit<'_>, Open> {
        let mut inner = self.lock();
        match inner.position {
            Position::Closed { .. } => {}
            Position::Open { until } => {
                let now = Instant::now();
                if now < until {
                    return Err(Open { retry_in: until - now });
                }
                self.turn(&mut inner, Position::HalfOpen { probing: true });
            }
            Position::HalfOpen { probing: true } => return Err(Open { retry_in: self.limits.open_for }),
            Position::HalfOpen { probing: false } => inner.position = Position::HalfOpen { probing: true },
        }
        Ok(Permit { breaker: self, epoch: inner.epoch, settled: false })
    }

    fn settle(&self, epoch: u64, outcome: Outcome) {
        let mut inner = self.lock();
        if inner.epoch != epoch {
            return;
        }
        match (inner.position, outcome) {
            (Position::Closed { .. }, Outcome::Success) => inner.position = Position::Closed { failures: 0 },
            (Position::Closed { failures }, Outcome::Failure) => {
                let failures = failures + 1;
                if failures >= self.limits.failures.get() {
                    self.open(&mut inner);
                } else {
                    inner.position = Position::Closed { failures };
                }
            }
            (Position::HalfOpen { .. }, Outcome::Success) => {
                self.turn(&mut inner, Position::Closed { failures: 0 });
            }
            (Position::HalfOpen { .. }, Outcome::Failure) => self.open(&mut inner),
            // The probe was abandoned: the next call may probe in its stead.
            (Position::HalfOpen { .. }, Outcome::Unknown) => {
                inner.position = Position::HalfOpen { probing: false }
            }
            (Position::Closed { .. }, Outcome::Unknown) | (Position::Open { .. }, _) => {}
        }
    }

    fn open(&self, inner: &mut Inner) {
        self.turn(inner, Position::Open { until: Instant::now() + self.limits.open_for });
    }

    fn turn(&self, inner: &mut Inner, position: Position) {
        inner.epoch += 1;
        inner.position = position;
        let name = match position {
            Position::Closed { .. } => "closed",
            Position::Open { .. } => "open",
            Position::HalfOpen { .. } => "half-open",
        };
        self.log
            .change("breaker", [("dependency", Value::from(self.dependency)), ("state", Value::from(name))]);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    Failure,
    Unknown,
}

impl Permit<'_> {
    /// The call was answered well.
    pub fn success(mut self) {
        self.settled = true;
        self.breaker.settle(self.epoch, Outcome::Success);
    }

    /// The call failed, or took too long.
    pub fn failure(mut self) {
        self.settled = true;
        self.breaker.settle(self.epoch, Outcome::Failure);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.settle(self.epoch, Outcome::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogLevel;

    const OPEN_FOR: Duration = Duration::from_secs(2);

    fn breaker() -> Breaker {
        let limits = BreakerLimits { failures: NonZeroU32::new(3).unwrap(), open_for: OPEN_FOR };
        Breaker::new("dependency", limits, Log::new("test", LogLevel::Nothing))
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.admit().unwrap().failure();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_at_the_third_failure_in_a_row_and_a_success_starts_the_count_anew() {
        let breaker = breaker();
        fail(&breaker, 2);
        breaker.admit().unwrap().success();
        fail(&breaker, 2);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), BreakerState::Open);
        tokio::time::advance(OPEN_FOR / 2).await;
        assert_eq!(breaker.admit().unwrap_err(), Open { retry_in: OPEN_FOR / 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_out_when_the_time_is_over_and_its_success_closes() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(OPEN_FOR).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "a second probe");
        probe.success();
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 2);
        assert_eq!(breaker.state(), BreakerState::Closed, "the count starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_for_the_whole_time_again() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(OPEN_FOR).await;
        fail(&breaker, 1);
        assert_eq!(breaker.admit().unwrap_err(), Open { retry_in: OPEN_FOR });
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_probe_leaves_its_place_to_the_next() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.admit().unwrap());
        breaker.admit().unwrap().success();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_of_an_earlier_state_count_for_nothing() {
        let breaker = breaker();
        let (late_good, late_bad) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        fail(&breaker, 3);
        late_good.success();
        assert_eq!(breaker.state(), BreakerState::Open, "a late success does not close");
        tokio::time::advance(OPEN_FOR).await;
        let probe = breaker.admit().unwrap();
        late_bad.failure();
        probe.success();
        assert_eq!(breaker.state(), BreakerState::Closed, "a late failure does not re-open");
    }
}
