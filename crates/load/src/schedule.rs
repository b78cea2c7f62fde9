//! When requests are due: fixed in advance from a seed, whatever the service does. A schedule must not look at a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use murphy_core::{Dice, Frequency, Seed, Span};

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Independent users: exponential gaps. The default, since even spacing can fall into step with timers of the
    /// service.
    #[default]
    Poisson,
    /// Even spacing.
    Constant,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Arrivals::Poisson => "poisson",
            Arrivals::Constant => "constant",
        })
    }
}

/// A text that names no spread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a spread of arrivals; write `poisson` or `constant`")]
pub struct ArrivalsError {
    /// The text as written.
    pub text: String,
}

impl FromStr for Arrivals {
    type Err = ArrivalsError;

    fn from_str(text: &str) -> Result<Arrivals, ArrivalsError> {
        match text {
            "poisson" => Ok(Arrivals::Poisson),
            "constant" => Ok(Arrivals::Constant),
            _ => Err(ArrivalsError { text: text.to_owned() }),
        }
    }
}

/// One planned request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its ordinal, from 0.
    pub n: u64,
    /// When it is due, from the beginning of the load.
    pub due: Duration,
}

/// An endless row of arrivals, in order of time.
#[derive(Debug, Clone)]
pub struct Schedule {
    rate: Frequency,
    /// Since when the rate is this, in seconds, and how many mean gaps had passed by then.
    since: (f64, f64),
    /// The rates to come and the times at which they do, in seconds; the next one is the last.
    later: Vec<(f64, Frequency)>,
    arrivals: Arrivals,
    dice: Dice,
    next: u64,
    /// Sum of the gaps so far, in mean gaps. As a double it is exact to a microsecond beyond 10⁹ arrivals.
    elapsed: f64,
}

impl Schedule {
    /// The schedule of a seed. The same three arguments give the same times on every machine.
    pub fn new(rate: Frequency, arrivals: Arrivals, seed: Seed) -> Schedule {
        let dice = Dice::new(seed);
        Schedule { rate, since: (0.0, 0.0), later: Vec::new(), arrivals, dice, next: 0, elapsed: 0.0 }
    }

    /// The same with a rate that becomes another at these times, in order. Where it begins `late`, what would have changed by then
    /// has. For a schedule that has given no arrival yet.
    #[must_use]
    pub fn changing(mut self, changes: &[(Span, Frequency)], late: Duration) -> Schedule {
        for (at, rate) in changes {
            match at.as_secs_f64() - late.as_secs_f64() {
                ahead if ahead > 0.0 => self.later.push((ahead, *rate)),
                _ => self.rate = *rate,
            }
        }
        self.later.reverse();
        self
    }

    /// When so many mean gaps have passed, in seconds: a rate that changes stretches the gaps, and draws none anew.
    fn when(&mut self, gaps: f64) -> f64 {
        loop {
            let (began, before) = self.since;
            let rate = self.rate.as_per_second();
            let due = began + ((gaps - before) / rate).max(0.0);
            match self.later.last().copied() {
                Some((at, next)) if due >= at => {
                    self.later.pop();
                    (self.since, self.rate) = ((at, before + (at - began) * rate), next);
                }
                _ => return due,
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let n = self.next;
        self.next += 1;
        let gaps = match self.arrivals {
            Arrivals::Constant => n as f64,
            Arrivals::Poisson => {
                self.elapsed += self.dice.exponential();
                self.elapsed
            }
        };
        let due = Duration::try_from_secs_f64(self.when(gaps)).unwrap_or(Duration::MAX);
        Some(Arrival { n, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(per_second: f64, arrivals: Arrivals, seed: u64) -> Schedule {
        Schedule::new(Frequency::per_second(per_second).unwrap(), arrivals, Seed(seed))
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_without_drift() {
        let third = schedule(3.0, Arrivals::Constant, 1).nth(3_000_000).unwrap();
        assert_eq!(third.due, Duration::from_secs(1_000_000));
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let n = 20_000;
        let due: Vec<f64> =
            schedule(50.0, Arrivals::Poisson, 3).take(n).map(|arrival| arrival.due.as_secs_f64()).collect();
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) * 50.0).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let above_mean = gaps.iter().filter(|gap| **gap > 1.0).count() as f64 / gaps.len() as f64;
        // Mean and variance are 1; e^-1 = 36.8 % of the gaps exceed the mean. Five standard errors are 3.5 % and 10 %.
        assert!((mean - 1.0).abs() < 0.035, "{mean}");
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
        assert!((above_mean - 0.368).abs() < 0.018, "{above_mean}");
    }

    proptest! {
        #[test]
        fn the_rate_is_kept_whatever_the_seed(seed: u64, per_second in 0.1f64..10_000.0) {
            let n = 4_000;
            let last = schedule(per_second, Arrivals::Poisson, seed).nth(n - 1).unwrap();
            let rate = n as f64 / last.due.as_secs_f64();
            // Six standard errors of the mean of n exponential gaps.
            prop_assert!((rate / per_second - 1.0).abs() < 6.0 / (n as f64).sqrt(), "{} for {}", rate, per_second);
        }

        #[test]
        fn times_are_in_order_numbered_without_gaps_and_the_same_for_the_same_seed(
            seed: u64, per_second in 0.1f64..100_000.0, n in 1usize..500,
        ) {
            let first: Vec<Arrival> = schedule(per_second, Arrivals::Poisson, seed).take(n).collect();
            // Taken bit by bit, by another instance, with a clone in between: polling decides nothing.
            let mut again = schedule(per_second, Arrivals::Poisson, seed);
            let mut bits = Vec::new();
            while bits.len() < n {
                bits.extend(again.by_ref().take(7));
                again = again.clone();
            }
            bits.truncate(n);
            prop_assert_eq!(&first, &bits);
            prop_assert!(first.windows(2).all(|pair| pair[0].due <= pair[1].due));
            prop_assert!(first.iter().enumerate().all(|(i, arrival)| arrival.n == i as u64));
        }
    }

    /// Steps of whole seconds, each with its rate, the first from the beginning on.
    fn stepwise(steps: &[(u64, u32)], arrivals: Arrivals, seed: u64) -> Schedule {
        let mut at = 0;
        let mut changes = Vec::new();
        for (length, rate) in steps {
            changes.push((Span::from_secs(at), Frequency::per_second(f64::from(*rate)).unwrap()));
            at += length;
        }
        schedule(1.0, arrivals, seed).changing(&changes, Duration::ZERO)
    }

    proptest! {
        #[test]
        fn each_step_of_even_arrivals_holds_its_rate_times_its_length(
            steps in prop::collection::vec((1u64..20, 1u32..100), 1..8), seed: u64,
        ) {
            let total: u64 = steps.iter().map(|(length, rate)| length * u64::from(*rate)).sum();
            let due: Vec<Duration> = stepwise(&steps, Arrivals::Constant, seed)
                .take(total as usize + 1)
                .map(|arrival| arrival.due)
                .collect();
            prop_assert!(due.windows(2).all(|pair| pair[0] < pair[1]));
            let mut from = 0;
            for (length, rate) in &steps {
                let step = Duration::from_secs(from)..Duration::from_secs(from + length);
                let within = due.iter().filter(|due| step.contains(*due)).count() as u64;
                prop_assert_eq!(within, length * u64::from(*rate));
                from += length;
            }
        }

        #[test]
        fn each_step_of_independent_users_holds_as_many_but_for_chance(
            steps in prop::collection::vec((1u64..20, 20u32..100), 1..6), seed: u64,
        ) {
            let end: u64 = steps.iter().map(|(length, _)| length).sum();
            let arrivals = stepwise(&steps, Arrivals::Poisson, seed);
            let due: Vec<Duration> =
                arrivals.map(|arrival| arrival.due).take_while(|due| *due < Duration::from_secs(end)).collect();
            prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
            let mut from = 0;
            for (length, rate) in &steps {
                let step = Duration::from_secs(from)..Duration::from_secs(from + length);
                let within = due.iter().filter(|due| step.contains(*due)).count() as f64;
                let mean = (length * u64::from(*rate)) as f64;
                // Seven standard deviations of a Poisson count, and as many requests for its longer tail at few.
                prop_assert!((within - mean).abs() < 7.0 * mean.sqrt() + 7.0, "{} for {}", within, mean);
                from += length;
            }
        }
    }

    #[test]
    fn a_schedule_that_begins_late_is_where_it_would_be() {
        let rate = |per_second| Frequency::per_second(per_second).unwrap();
        let changes = [(Span::from_secs(10), rate(2.0)), (Span::from_secs(20), rate(4.0))];
        let late = |late| {
            let schedule = schedule(1.0, Arrivals::Constant, 1).changing(&changes, Duration::from_secs(late));
            schedule.take(21).map(|arrival| arrival.due.as_secs_f64()).collect::<Vec<_>>()
        };
        assert_eq!((late(0)[10], late(0)[11], late(0)[20]), (10.0, 10.5, 15.0));
        assert_eq!((late(15)[10], late(15)[11], late(15)[14]), (5.0, 5.25, 6.0));
        assert_eq!((late(25)[1], late(25)[20]), (0.25, 5.0));
    }

    #[test]
    fn a_change_draws_no_gap_anew() {
        let rate = Frequency::per_second(20.0).unwrap();
        let same = [(Span::from_secs(3), rate), (Span::from_secs(7), rate)];
        let plain = schedule(20.0, Arrivals::Poisson, 5);
        let changing = plain.clone().changing(&same, Duration::ZERO);
        for (one, other) in plain.zip(changing).take(400) {
            assert!(one.due.abs_diff(other.due) < Duration::from_nanos(100), "{one:?} {other:?}");
        }
    }

    #[test]
    fn two_seeds_give_two_schedules() {
        let due = |seed| schedule(10.0, Arrivals::Poisson, seed).next().unwrap().due;
        assert_ne!(due(1), due(2));
    }
}
