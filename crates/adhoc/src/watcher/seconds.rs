//! How often callers call, second by second: whether they call more while calls fail, and whether they fall silent.

use std::collections::BTreeMap;

use murphy_core::{Offset, Span};

use super::Ending;
use crate::patterns::{Attempts, Breaker};

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

/// The last hour of seconds.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    /// By the second in which calls began.
    seconds: BTreeMap<u64, Second>,
    newest: u64,
}

/// The calls that began in one second and are over.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    calls: u64,
    bad: u64,
    /// The second in which the last of them was over.
    until: u64,
}

impl Second {
    fn is_failing(self) -> bool {
        self.calls > 0 && self.bad * 2 >= self.calls
    }

    fn is_good(self) -> bool {
        self.calls > 0 && self.bad * 10 <= self.calls
    }
}

fn second(at: Offset) -> u64 {
    at.since(Offset::ZERO).as_duration().as_secs()
}

impl Seconds {
    /// Takes one call that is over.
    pub(super) fn call(&mut self, began: Offset, ended: Offset, ending: Ending) {
        self.newest = self.newest.max(second(ended));
        let its = self.seconds.entry(second(began)).or_default();
        its.calls += 1;
        its.bad += u64::from(ending != Ending::Good);
        its.until = its.until.max(second(ended));
        while self.seconds.len() > KEPT {
            self.seconds.pop_first();
        }
    }

    /// Calls a second while they do not fail.
    pub(super) fn usual(&self) -> Option<f64> {
        self.rate(|second| second.is_good())
    }

    /// How often calls come while they fail, beside how often they usually do.
    pub(super) fn attempts(&self, usual: f64) -> Option<Attempts> {
        let failing = self.rate(|second| second.is_failing())?;
        Some(Attempts::Rate { failing, usual })
    }

    /// Calls a second, over the seconds of one kind and the empty ones between two of them. The first second and the last are not
    /// whole.
    fn rate(&self, is_meant: impl Fn(Second) -> bool) -> Option<f64> {
        let (mut seconds, mut calls, mut before) = (0u64, 0u64, None::<u64>);
        let settled = self.settled();
        for (at, second) in self.seconds.iter().skip(1).filter(|(at, _)| **at < settled) {
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
    pub(super) fn breaker(&self, usual: f64) -> Option<Breaker> {
        let mut found: Option<Breaker> = None;
        let (usual_silence, settled) = (self.usual_silence(), self.settled());
        let (mut failed, mut busy_until) = (0, None::<u64>);
        for (at, second) in &self.seconds {
            if let Some(until) = busy_until {
                let silent = at.saturating_sub(until + 1);
                let due = silent as f64 * usual;
                let unusual = due >= FEWEST_DUE && silent > usual_silence * 2;
                if unusual && failed >= FEWEST_FAILED && *at <= settled {
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

    #[test]
    fn a_long_time_takes_no_more_room_than_an_hour() {
        let mut seconds = Seconds::default();
        for number in 0..10_000 {
            let at = Offset::ZERO + Span::from_secs(number);
            seconds.call(at, at, Ending::Good);
        }
        assert_eq!(seconds.seconds.len(), KEPT);
    }
}
