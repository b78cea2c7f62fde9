//! The figures of one edge over the last two minutes, second by second: calls, failures, latencies. Bounded memory: a
//! second keeps at most so many latencies, chosen evenly, however many calls it saw.

use std::collections::VecDeque;
use std::time::Duration;

use murphy_core::{Offset, Span};

/// Seconds that are kept.
const KEPT: usize = 120;
/// Latencies that a second keeps.
const SAMPLES: usize = 256;

/// How a call ended, as far as the figures care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// An answer was delivered.
    Answered,
    /// None was, or the caller gave up.
    Failed,
}

#[derive(Debug, Clone, Default)]
struct Second {
    number: u64,
    calls: u64,
    failed: u64,
    micros: Vec<u32>,
}

impl Second {
    fn keep(&mut self, took: Span) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.micros.len() < SAMPLES {
            self.micros.push(micros);
        } else {
            // Reservoir sampling with a multiplicative hash in the place of dice (Knuth, TAOCP 3, 6.4): what is kept
            // is a function of the order of calls alone.
            let slot = (self.calls.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % self.calls;
            if let Some(old) = usize::try_from(slot).ok().and_then(|slot| self.micros.get_mut(slot)) {
                *old = micros;
            }
        }
    }
}

/// The figures of one edge.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    seconds: VecDeque<Second>,
}

fn second(at: Offset) -> u64 {
    at.as_micros() / 1_000_000
}

impl Figures {
    /// Counts a call that ended at `at` after `took`.
    pub fn call(&mut self, at: Offset, took: Span, end: CallEnd) {
        let number = second(at);
        if self.seconds.back().is_none_or(|last| last.number < number) {
            self.seconds.push_back(Second { number, ..Second::default() });
            while self.seconds.len() > KEPT {
                self.seconds.pop_front();
            }
        }
        // An event that comes late is counted in its own second if that is still known.
        let Some(slot) = self.seconds.iter_mut().rev().find(|slot| slot.number <= number) else { return };
        slot.calls += 1;
        match end {
            CallEnd::Answered => slot.keep(took),
            CallEnd::Failed => slot.failed += 1,
        }
    }

    /// The whole seconds before `now`, at most `over` of them; the running second is not whole and is left out.
    fn window(&self, now: Offset, over: Duration) -> impl Iterator<Item = &Second> {
        let end = second(now);
        let start = end.saturating_sub(over.as_secs().max(1));
        self.seconds.iter().filter(move |slot| (start..end).contains(&slot.number))
    }

    /// Calls per second.
    pub fn rate(&self, now: Offset, over: Duration) -> f64 {
        let seconds = over.as_secs().max(1).min(second(now).max(1));
        self.window(now, over).map(|slot| slot.calls).sum::<u64>() as f64 / seconds as f64
    }

    /// The share of calls that failed, 0 to 1; `None` without a call.
    pub fn failed(&self, now: Offset, over: Duration) -> Option<f64> {
        let (calls, failed) = self
            .window(now, over)
            .fold((0, 0), |(calls, failed), slot| (calls + slot.calls, failed + slot.failed));
        (calls > 0).then(|| failed as f64 / calls as f64)
    }

    /// A quantile of the answered calls' latency, by the nearest rank; `None` without one.
    pub fn quantile(&self, now: Offset, over: Duration, q: f64) -> Option<Span> {
        let mut all: Vec<u32> = self.window(now, over).flat_map(|slot| slot.micros.iter().copied()).collect();
        let rank = ((all.len() as f64 * q).ceil() as usize).clamp(1, all.len().max(1)) - 1;
        if all.is_empty() {
            return None;
        }
        let (_, value, _) = all.select_nth_unstable(rank);
        Some(Span::from_micros(u64::from(*value)))
    }

    /// Calls of each of the last `n` whole seconds, oldest first.
    pub fn calls(&self, now: Offset, n: usize) -> Vec<u64> {
        self.each(now, n, |slot| slot.calls)
    }

    /// The median latency in microseconds of each of the last `n` whole seconds, oldest first; 0 without a call.
    pub fn medians(&self, now: Offset, n: usize) -> Vec<u64> {
        self.each(now, n, |slot| {
            let mut all = slot.micros.clone();
            let middle = all.len() / 2;
            if all.is_empty() { 0 } else { u64::from(*all.select_nth_unstable(middle).1) }
        })
    }

    fn each(&self, now: Offset, n: usize, value: impl Fn(&Second) -> u64) -> Vec<u64> {
        let end = second(now);
        let mut values = vec![0; n];
        for slot in &self.seconds {
            let back = end.checked_sub(slot.number + 1).and_then(|back| usize::try_from(back).ok());
            if let Some(place) = back.filter(|back| *back < n) {
                values[n - 1 - place] = value(slot);
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Offset {
        Offset::from_micros(millis * 1000)
    }

    fn steady(seconds: u64, each: u64) -> Figures {
        let mut figures = Figures::default();
        for n in 0..seconds * each {
            figures.call(at(n * 1000 / each), Span::from_millis(n % 100 + 1), CallEnd::Answered);
        }
        figures
    }

    #[test]
    fn the_running_second_does_not_pull_the_rate_down() {
        let figures = steady(20, 50);
        assert_eq!(figures.rate(at(20_001), TEN), 50.0);
        assert_eq!(figures.rate(at(20_900), TEN), 50.0);
    }

    #[test]
    fn a_young_edge_is_not_divided_by_seconds_that_it_has_not_seen() {
        assert_eq!(steady(3, 50).rate(at(3_000), TEN), 50.0);
    }

    #[test]
    fn quantiles_are_of_the_answered_calls_and_failures_a_share_of_all() {
        let mut figures = steady(10, 100);
        for n in 0..250 {
            figures.call(at(n * 40), Span::from_secs(30), CallEnd::Failed);
        }
        assert_eq!(figures.failed(at(10_000), TEN), Some(0.2));
        assert_eq!(figures.quantile(at(10_000), TEN, 0.5), Some(Span::from_millis(50)));
        assert_eq!(figures.quantile(at(10_000), TEN, 0.99), Some(Span::from_millis(99)));
        assert_eq!(figures.quantile(at(60_000), TEN, 0.5), None);
        assert_eq!(figures.failed(at(60_000), TEN), None);
    }

    #[test]
    fn memory_stays_bounded_however_busy_and_old_an_edge_is() {
        let mut figures = Figures::default();
        for n in 0..300_000 {
            figures.call(at(n), Span::from_micros(n), CallEnd::Answered);
        }
        assert_eq!(figures.seconds.len(), KEPT);
        assert!(figures.seconds.iter().all(|slot| slot.micros.len() <= SAMPLES && slot.calls == 1000));
        let median = figures.quantile(at(300_000), TEN, 0.5).unwrap().as_micros();
        assert!((293_500..296_500).contains(&median), "the kept ones stand for all: {median}");
    }

    #[test]
    fn the_history_is_aligned_to_the_present() {
        let mut figures = Figures::default();
        figures.call(at(1_500), Span::from_millis(7), CallEnd::Answered);
        figures.call(at(3_500), Span::from_millis(9), CallEnd::Answered);
        assert_eq!(figures.calls(at(5_000), 5), [0, 1, 0, 1, 0]);
        assert_eq!(figures.medians(at(5_000), 4), [7_000, 0, 9_000, 0]);
        assert_eq!(figures.calls(at(5_000), 2), [1, 0]);
    }

    #[test]
    fn a_late_event_counts_in_its_own_second() {
        let mut figures = Figures::default();
        figures.call(at(1_500), Span::from_millis(1), CallEnd::Answered);
        figures.call(at(2_500), Span::from_millis(1), CallEnd::Answered);
        figures.call(at(1_600), Span::from_millis(1), CallEnd::Answered);
        assert_eq!(figures.calls(at(3_000), 2), [2, 1]);
    }
}
