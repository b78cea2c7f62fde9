//! Bounded retries: how often, how long to wait between, and a budget that stops retries from multiplying the load on a
//! dependency that is down already. It decides; it never calls and never sleeps.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::jitter::Jitter;

/// How many tokens one call pays into the budget. A retry costs 1, so that retries stay below a tenth of calls, which is
/// the ratio of the SRE book (chapter 21, "Client-side throttling" and "Retries").
const DEPOSIT: f64 = 0.1;

/// The most tokens that the budget holds: so many retries may come in one burst.
const BUDGET: f64 = 10.0;

/// How often, and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryLimits {
    /// Attempts, the first included.
    pub attempts: NonZeroU32,
    /// The wait before the second attempt, on average; it doubles for each further one.
    pub first_wait: Duration,
    /// The longest wait, before jitter.
    pub longest_wait: Duration,
}

/// Decides whether to try again.
#[derive(Debug)]
pub(crate) struct Retry {
    limits: RetryLimits,
    jitter: Jitter,
    tokens: Mutex<f64>,
}

impl Retry {
    /// With a full budget.
    pub fn new(limits: RetryLimits, jitter: Jitter) -> Retry {
        Retry { limits, jitter, tokens: Mutex::new(BUDGET) }
    }

    /// A call begins: it pays into the budget.
    pub fn begin(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + DEPOSIT).min(BUDGET);
    }

    /// After `made` attempts have failed: how long to wait before the next, or `None` to give up.
    pub fn next(&self, made: u32) -> Option<Duration> {
        if made >= self.limits.attempts.get() {
            return None;
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if *tokens < 1.0 {
            return None;
        }
        *tokens -= 1.0;
        let doublings = made.saturating_sub(1).min(16);
        let wait = self.limits.first_wait.saturating_mul(1 << doublings).min(self.limits.longest_wait);
        Some(self.jitter.around(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(attempts: u32) -> Retry {
        let limits = RetryLimits {
            attempts: NonZeroU32::new(attempts).unwrap(),
            first_wait: Duration::from_millis(20),
            longest_wait: Duration::from_millis(100),
        };
        Retry::new(limits, Jitter::new(Some(1)))
    }

    #[test]
    fn attempts_are_bounded() {
        let retry = retry(2);
        assert!(retry.next(1).is_some());
        assert_eq!(retry.next(2), None);
    }

    #[test]
    fn waits_double_up_to_the_longest_with_jitter_around_each() {
        let retry = retry(9);
        for (made, middle) in [(1, 20), (2, 40), (3, 80), (4, 100), (8, 100)] {
            let middle = Duration::from_millis(middle);
            let wait = retry.next(made).unwrap();
            assert!(wait >= middle / 2 && wait < middle * 3 / 2, "attempt {made}: {wait:?}");
        }
    }

    #[test]
    fn the_budget_holds_retries_to_a_tenth_of_calls() {
        let retry = retry(2);
        let mut retries = 0;
        for _ in 0..1000 {
            retry.begin();
            retries += u32::from(retry.next(1).is_some());
        }
        // A full budget of 10 at the start, then one for ten calls.
        assert!((105..=111).contains(&retries), "{retries}");
    }
}
