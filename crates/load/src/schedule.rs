//! When requests are due: fixed in advance from a seed, whatever the service does. A schedule must not look at a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use murphy_core::{Dice, Frequency, Seed};

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
    arrivals: Arrivals,
    dice: Dice,
    next: u64,
    /// Sum of the gaps so far, in mean gaps. As a double it is exact to a microsecond beyond 10⁹ arrivals.
    elapsed: f64,
}

impl Schedule {
    /// The schedule of a seed. The same three arguments give the same times on every machine.
    pub fn new(rate: Frequency, arrivals: Arrivals, seed: Seed) -> Schedule {
        Schedule { rate, arrivals, dice: Dice::new(seed), next: 0, elapsed: 0.0 }
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
        let due = Duration::try_from_secs_f64(gaps / self.rate.as_per_second()).unwrap_or(Duration::MAX);
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
            // Seven standard errors of the mean of n exponential gaps: the seeds are others in every run.
            prop_assert!((rate / per_second - 1.0).abs() < 7.0 / (n as f64).sqrt(), "{} for {}", rate, per_second);
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

    #[test]
    fn two_seeds_give_two_schedules() {
        let due = |seed| schedule(10.0, Arrivals::Poisson, seed).next().unwrap().due;
        assert_ne!(due(1), due(2));
    }
}
