//! Watches how callers behave, from the calls through one proxy and nothing else: after how long they give up, whether they call more
//! often while calls fail, and whether they stop calling for a while.
//!
//! Counts, a histogram and the last hour of seconds only, so that memory does not grow with time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;
use murphy_core::{AttemptOf, HttpCall, Offset, Span};

use crate::patterns::{Attempts, Breaker, Patterns, Timeout};

/// Calls that were given up, to name an age at which they are.
const FEWEST_GIVEN_UP: u64 = 5;
/// Calls that waited for so long without being given up, to say so.
const FEWEST_WAITED: u64 = 10;
/// Waits below this say nothing of a timeout.
const SHORTEST_WAIT: Span = Span::from_millis(50);
/// Seconds of each kind, and calls begun in them, to compare how often calls come.
const FEWEST_SECONDS: u64 = 5;
const FEWEST_CALLS: u64 = 20;
/// Calls that were due in a silence: by chance alone it is that silent 6 times in a million.
const FEWEST_DUE: f64 = 12.0;
/// Failed calls before a silence that could have brought it about.
const FEWEST_FAILED: u64 = 3;
/// Seconds that are kept.
const KEPT: usize = 3600;
/// Seconds with calls that say how long calls take of late.
const LATE: usize = 300;
/// The time in which a call is tried again, if it is.
const TRIED_AGAIN_WITHIN: Span = Span::from_secs(60);
/// Calls of which it is known that they are one, and that may still be tried again.
const KNOWN: usize = 256;
/// Of these, such that had to be tried again, to say how often they are.
const FEWEST_KNOWN: u64 = 5;

/// What is known of the calls, in little room.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Microseconds until calls were given up.
    given_up: Histogram<u64>,
    /// Microseconds that other calls took until they were over.
    others: Histogram<u64>,
    /// By the second in which calls began.
    seconds: BTreeMap<u64, Second>,
    newest: u64,
    /// Calls that say which one they are, oldest first.
    known: VecDeque<Known>,
    /// Calls whose first try failed, by the tries that were made: of those that are known no more.
    tries: BTreeMap<u64, u64>,
    /// One was pushed out while it could still be tried again: what follows cannot be counted.
    crowded: bool,
}

/// The calls that began in one second and are over.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    calls: u64,
    bad: u64,
    /// The second in which the last of them was over.
    until: u64,
}

/// One call whose first try failed, with its tries.
#[derive(Debug)]
struct Known {
    began: Offset,
    mark: AttemptOf,
    method: String,
    route: String,
    tries: u64,
}

impl Second {
    fn is_failing(self) -> bool {
        self.calls > 0 && self.bad * 2 >= self.calls
    }

    fn is_good(self) -> bool {
        self.calls > 0 && self.bad * 10 <= self.calls
    }
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

impl Default for Watcher {
    fn default() -> Watcher {
        // One hour at three digits; the bounds are constants within what the histogram takes.
        let ages = || Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds of a histogram");
        Watcher {
            given_up: ages(),
            others: ages(),
            seconds: BTreeMap::new(),
            newest: 0,
            known: VecDeque::new(),
            tries: BTreeMap::new(),
            crowded: false,
        }
    }
}

fn second(at: Offset) -> u64 {
    at.since(Offset::ZERO).as_duration().as_secs()
}

fn micros(micros: u64) -> Span {
    Span::from(Duration::from_micros(micros))
}

impl Watcher {
    /// Takes one call that is over.
    pub(crate) fn call(&mut self, began: Offset, ended: Offset, ending: Ending) {
        let age = ended.since(began).as_micros().max(1);
        match ending {
            Ending::GivenUp => self.given_up.saturating_record(age),
            Ending::Good | Ending::Bad => self.others.saturating_record(age),
        }
        self.newest = self.newest.max(second(ended));
        let its = self.seconds.entry(second(began)).or_default();
        its.calls += 1;
        its.bad += u64::from(ending != Ending::Good);
        its.until = its.until.max(second(ended));
        while self.seconds.len() > KEPT {
            self.seconds.pop_first();
        }
    }

    /// Takes a request that may say which call it is a try of.
    pub(crate) fn attempt(&mut self, call: &HttpCall) {
        let Some(mark) = &call.attempt_of else { return };
        let is_it = |known: &&mut Known| {
            known.mark == *mark && known.method == call.method && known.route == call.route
        };
        if let Some(known) = self.known.iter_mut().rev().find(is_it) {
            known.tries += 1;
            return;
        }
        // A call that went well at once has no further tries, and takes no room.
        if call.is_good() {
            return;
        }
        if self.known.len() == KNOWN
            && let Some(old) = self.known.pop_front()
        {
            self.crowded |= call.began.since(old.began) < TRIED_AGAIN_WITHIN;
            *self.tries.entry(old.tries).or_default() += 1;
        }
        let (method, route, began) = (call.method.clone(), call.route.clone(), call.began);
        self.known.push_back(Known { began, mark: mark.clone(), method, route, tries: 1 });
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Patterns {
        let usual = self.usual();
        Patterns {
            timeout: self.timeout(),
            attempts: self.counted().or_else(|| usual.and_then(|usual| self.attempts(usual))),
            breaker: usual.and_then(|usual| self.breaker(usual)),
        }
    }

    fn timeout(&self) -> Option<Timeout> {
        let calls = self.given_up.len();
        if calls >= FEWEST_GIVEN_UP {
            let at = |q: f64| micros(self.given_up.value_at_quantile(q));
            let (after, from, to) = (at(0.5), at(0.05), at(0.95));
            // Who closes at once has not waited, and ages that differ are users who leave, not a timer.
            let agree = to.as_micros() <= from.as_micros() + from.as_micros() / 4 + SHORTEST_WAIT.as_micros();
            let is_timer = from >= SHORTEST_WAIT && agree;
            return is_timer.then_some(Timeout::GivesUp { after, from, to, calls });
        }
        let others = self.others.len();
        if calls > 0 || others < FEWEST_WAITED {
            return None;
        }
        let share = (others - FEWEST_WAITED + 1) as f64 / others as f64;
        let waited = micros(self.others.value_at_quantile(share));
        (waited >= SHORTEST_WAIT).then_some(Timeout::NoneUpTo { waited })
    }

    /// Calls a second while they do not fail.
    fn usual(&self) -> Option<f64> {
        self.rate(|second| second.is_good())
    }

    fn counted(&self) -> Option<Attempts> {
        if self.crowded {
            return None;
        }
        let mut tries = self.tries.clone();
        for known in &self.known {
            *tries.entry(known.tries).or_default() += 1;
        }
        let calls = tries.values().sum::<u64>();
        let most = *tries.keys().next_back()?;
        let mut below = 0;
        let usual = tries.iter().find_map(|(tries, calls_of)| {
            below += calls_of;
            (below * 2 >= calls).then_some(*tries)
        })?;
        (calls >= FEWEST_KNOWN).then_some(Attempts::Counted { calls, usual, most })
    }

    fn attempts(&self, usual: f64) -> Option<Attempts> {
        let failing = self.rate(|second| second.is_failing())?;
        Some(Attempts::Rate { failing, usual })
    }

    /// Calls a second, over the seconds of one kind and the empty ones between two of them. The first second and the last are not
    /// whole.
    fn rate(&self, is_meant: impl Fn(Second) -> bool) -> Option<f64> {
        let (mut seconds, mut calls, mut before) = (0u64, 0u64, None::<u64>);
        for (at, second) in self.seconds.iter().skip(1).filter(|(at, _)| **at < self.settled()) {
            if is_meant(*second) {
                seconds += before.map_or(1, |before| at - before);
                calls += second.calls;
            }
            before = is_meant(*second).then_some(*at);
        }
        (seconds >= FEWEST_SECONDS && calls >= FEWEST_CALLS).then(|| calls as f64 / seconds as f64)
    }

    /// The longest silence between two good seconds: callers that come in batches have such without any failure.
    fn usual_silence(&self) -> u64 {
        let pairs = self.seconds.iter().zip(self.seconds.iter().skip(1));
        let good = pairs.filter(|((_, one), (_, two))| one.is_good() && two.is_good());
        good.map(|((_, one), (at, _))| at.saturating_sub(one.until + 1)).max().unwrap_or(0)
    }

    /// The second from which on calls may still be under way that nothing is known of, going by the calls of late.
    fn settled(&self) -> u64 {
        let late = self.seconds.iter().rev().take(LATE);
        let longest = late.map(|(at, second)| second.until - at).max().unwrap_or(0);
        self.newest.saturating_sub(longest + 1)
    }

    /// Seconds without a call under way, after failed ones, that end with a call: then it was not the end of all calls.
    fn breaker(&self, usual: f64) -> Option<Breaker> {
        let mut found: Option<Breaker> = None;
        let usual_silence = self.usual_silence();
        let (mut failed, mut busy_until) = (0, None::<u64>);
        for (at, second) in &self.seconds {
            if let Some(until) = busy_until {
                let silent = at.saturating_sub(until + 1);
                let due = silent as f64 * usual;
                let unusual = due >= FEWEST_DUE && silent > usual_silence * 2;
                if unusual && failed >= FEWEST_FAILED && *at <= self.settled() {
                    let silence = Span::from_secs(silent);
                    let known = found.get_or_insert(Breaker { times: 0, silence, after: failed, due });
                    known.times += 1;
                    if silence > known.silence {
                        (known.silence, known.due) = (silence, due);
                    }
                }
            }
            // Calls that failed on end, up to here.
            failed = if second.is_failing() { failed + second.bad } else { 0 };
            busy_until = busy_until.max(Some(second.until));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn tries_that_carry_a_key_are_counted() {
        let call = |key: u64, good: bool, began: Offset| HttpCall {
            edge: murphy_core::EdgeName::new("calls").unwrap(),
            conn: murphy_core::ConnId(1),
            method: "POST".into(),
            route: "/orders".into(),
            began,
            answered: None,
            ended: Offset::ZERO,
            end: murphy_core::ExchangeEnd::Answered,
            by: None,
            status: Some(if good { 200 } else { 503 }),
            service_status: None,
            answerer: murphy_core::Answerer::Service,
            reached: true,
            faults: Vec::new(),
            touched: false,
            attempt_of: Some(AttemptOf::Key(key.to_string())),
        };
        let tried = |apart: u64| {
            let mut watcher = Watcher::default();
            for key in 0..1000 {
                let began = at(key * apart);
                watcher.attempt(&call(key, key % 2 == 0, began));
                if key % 2 == 1 {
                    watcher.attempt(&call(key, false, began));
                    watcher.attempt(&call(key, true, began));
                }
            }
            assert!(watcher.known.len() <= KNOWN);
            watcher.seen().attempts
        };
        assert_eq!(tried(SECOND), Some(Attempts::Counted { calls: 500, usual: 3, most: 3 }));
        assert_eq!(tried(1_000), None, "so many fail at once that tries can be lost");
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

    #[test]
    fn a_long_time_takes_no_more_room_than_an_hour() {
        let mut watcher = Watcher::default();
        calls(&mut watcher, 0..10_000, 1, 2_000, Ending::Good);
        assert_eq!(watcher.seconds.len(), KEPT);
    }
}
