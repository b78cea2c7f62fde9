//! Watches how callers behave, from the calls through one proxy and nothing else: after how long they give up, whether they call more
//! often while calls fail, and whether they stop calling for a while.
//!
//! Counts, a histogram and the last hour of seconds only, so that memory does not grow with time.

mod ages;
mod seconds;
mod tries;

use murphy_core::{HttpCall, Offset};

use self::ages::Ages;
use self::seconds::Seconds;
use self::tries::Tries;
use crate::patterns::Patterns;

/// What is known of the calls, in little room.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    ages: Ages,
    seconds: Seconds,
    tries: Tries,
}

/// How a call was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an answer of use to the caller.
    Good,
    /// Without one.
    Bad,
    /// The caller gave it up.
    GivenUp,
}

impl Watcher {
    /// Takes one call that is over.
    pub(crate) fn call(&mut self, began: Offset, ended: Offset, ending: Ending) {
        self.ages.call(ended.since(began), ending);
        self.seconds.call(began, ended, ending);
    }

    /// Takes a request that may say which call it is a try of.
    pub(crate) fn attempt(&mut self, call: &HttpCall) {
        self.tries.attempt(call);
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Patterns {
        let usual = self.seconds.usual();
        Patterns {
            timeout: self.ages.timeout(),
            attempts: self.tries.counted().or_else(|| usual.and_then(|usual| self.seconds.attempts(usual))),
            breaker: usual.and_then(|usual| self.seconds.breaker(usual)),
        }
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::Span;

    use super::*;
    use crate::patterns::{Attempts, Timeout};

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Offset {
        Offset::ZERO + Span::from_micros(micros)
    }

    /// Calls at an even rate from one second to another, each this long.
    fn calls(watcher: &mut Watcher, seconds: std::ops::Range<u64>, rate: u64, micros: u64, ending: Ending) {
        for call in seconds.start * rate..seconds.end * rate {
            let began = call * SECOND / rate;
            watcher.call(at(began), at(began + micros), ending);
        }
    }

    #[test]
    fn nothing_is_said_of_calls_that_are_answered_at_once() {
        let mut watcher = Watcher::default();
        assert_eq!(watcher.seen(), Patterns::default());
        calls(&mut watcher, 0..60, 20, 2_000, Ending::Good);
        let seen = watcher.seen();
        assert_eq!(seen, Patterns::default());
        assert!(seen.words().is_empty());
        assert!(seen.lines().iter().all(|(_, text)| text.starts_with("not seen: ")));
    }

    #[test]
    fn the_age_at_which_calls_are_given_up_is_a_timeout() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10, 10, 2_000, Ending::Good);
        calls(&mut watcher, 10..11, 4, 500_000, Ending::GivenUp);
        assert_eq!(watcher.seen().timeout, None, "four may be four users who left");
        calls(&mut watcher, 11..13, 10, 500_000, Ending::GivenUp);
        let seen = watcher.seen();
        assert!(matches!(seen.timeout, Some(Timeout::GivesUp { calls: 24, .. })), "{seen:?}");
        assert_eq!(seen.lines()[0].1, "gives up after 500ms (24 calls)");
        assert_eq!(seen.words()[0], "gives up 500ms");
        calls(&mut watcher, 13..15, 10, 3_000_000, Ending::GivenUp);
        assert_eq!(watcher.seen().timeout, None, "ages that differ are no timer");
        // Who writes and closes has not waited.
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..50, 10, 2_000, Ending::GivenUp);
        assert_eq!(watcher.seen().timeout, None);
    }

    #[test]
    fn calls_that_wait_and_are_not_given_up_rule_a_timeout_out_as_far_as_ten_of_them_waited() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10, 10, 2_000, Ending::Good);
        calls(&mut watcher, 10..20, 1, 800_000, Ending::Good);
        let Some(Timeout::NoneUpTo { waited }) = watcher.seen().timeout else {
            panic!("{:?}", watcher.seen())
        };
        assert!((790_000..810_000).contains(&waited.as_micros()), "{waited}");
        assert_eq!(watcher.seen().lines()[0].1, "none up to 800ms");
    }

    #[test]
    fn calls_that_come_more_often_while_they_fail_are_tries() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..20, 10, 2_000, Ending::Good);
        calls(&mut watcher, 20..40, 30, 2_000, Ending::Bad);
        let seen = watcher.seen();
        assert_eq!(seen.attempts, Some(Attempts::Rate { failing: 30.0, usual: 10.0 }));
        assert_eq!(seen.words(), ["3.0x calls"]);
        // As many as ever: told, and not worth a word on the line.
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..20, 10, 2_000, Ending::Good);
        calls(&mut watcher, 20..40, 10, 2_000, Ending::Bad);
        let seen = watcher.seen();
        assert!(seen.lines()[1].1.starts_with("1.0 times as many"), "{seen:?}");
        assert!(seen.words().is_empty());
    }

    #[test]
    fn callers_that_call_less_while_calls_fail_may_have_a_breaker() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..20, 10, 2_000, Ending::Good);
        calls(&mut watcher, 20..60, 1, 2_000, Ending::Bad);
        let seen = watcher.seen();
        assert_eq!(seen.breaker, None);
        let breaker = &seen.lines()[2].1;
        assert_eq!(
            breaker,
            "perhaps: calls fall to 10% of the usual while they fail, without a long silence"
        );
    }

    #[test]
    fn callers_that_come_now_and_then_or_in_batches_have_no_breaker() {
        for (apart, batch) in [(15, 1), (30, 20)] {
            let mut watcher = Watcher::default();
            for round in 0..60 {
                let ending = if round < 40 { Ending::Good } else { Ending::Bad };
                for call in 0..batch {
                    let began = round * apart * SECOND + call * 10_000;
                    watcher.call(at(began), at(began + 2_000), ending);
                }
            }
            assert_eq!(watcher.seen().breaker, None, "{batch} every {apart} s");
        }
    }

    #[test]
    fn one_very_long_call_does_not_hide_what_comes_after_it() {
        let mut watcher = Watcher::default();
        watcher.call(at(0), at(3_000 * SECOND), Ending::Good);
        calls(&mut watcher, 2_600..3_010, 10, 2_000, Ending::Good);
        calls(&mut watcher, 3_010..3_011, 10, 2_000, Ending::Bad);
        calls(&mut watcher, 3_020..3_030, 10, 2_000, Ending::Good);
        assert_eq!(watcher.seen().breaker.map(|seen| seen.times), Some(1));
    }

    #[test]
    fn silences_after_failed_calls_are_a_breaker_once_calls_come_again() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10, 10, 2_000, Ending::Good);
        calls(&mut watcher, 10..11, 10, 2_000, Ending::Bad);
        // Silent from 11 to 16, one call that fails, and again.
        watcher.call(at(16 * SECOND), at(16 * SECOND + 2_000), Ending::Bad);
        watcher.call(at(22 * SECOND), at(22 * SECOND + 2_000), Ending::Bad);
        assert_eq!(watcher.seen().breaker.map(|seen| seen.times), Some(1), "the last second is not settled");
        calls(&mut watcher, 27..30, 10, 2_000, Ending::Good);
        let seen = watcher.seen();
        let Some(breaker) = seen.breaker else { panic!("{seen:?}") };
        assert_eq!((breaker.times, breaker.silence, breaker.after), (3, Span::from_secs(5), 10));
        assert_eq!(seen.lines()[2].1, "no call for 5s after 10 failed ones, 3 times (50 were due)");
        assert_eq!(seen.words().last().unwrap(), "silent 5s");
    }

    #[test]
    fn callers_that_wait_or_that_had_no_failure_are_not_silent() {
        // One after the other, each given up after six seconds: always one under way.
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10, 10, 2_000, Ending::Good);
        for call in 0..6 {
            let began = (10 + call * 6) * SECOND;
            watcher.call(at(began), at(began + 5_990_000), Ending::GivenUp);
        }
        calls(&mut watcher, 60..80, 10, 2_000, Ending::Good);
        // From 46 to 60 nobody calls: that is a silence after failures; what comes before is none.
        assert_eq!(watcher.seen().breaker.map(|seen| seen.times), Some(1));
        // Users who leave without a failure.
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10, 10, 2_000, Ending::Good);
        calls(&mut watcher, 40..60, 10, 2_000, Ending::Good);
        assert_eq!(watcher.seen().breaker, None);
    }
}
