//! A rate that is raised step by step: what a load does where the capacity of a service is asked for. Rates and times only;
//! who sends and who judges take the same steps from here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Frequency, Span};

/// How a rate is raised from the beginning of the fault phase on, to the end of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RateRamp {
    /// The last rate, which stays.
    pub to: Frequency,
    /// The factor from one step to the next, above 1.
    pub by: f64,
    /// How long each step lasts; the last one, at least.
    pub every: Span,
}

impl RateRamp {
    /// The most steps.
    pub const MOST_STEPS: usize = 100;

    /// The rate of each step of a load that begins at `first`, in order; the last is `to`. Never more than
    /// [`RateRamp::MOST_STEPS`], whatever a journal says.
    pub fn rates(&self, first: Frequency) -> Vec<Frequency> {
        let mut rates = Vec::new();
        let mut rate = first.as_per_second() * self.by;
        // Less than a hundredth below the last is the last: a product of factors is not exact.
        while rates.len() + 1 < RateRamp::MOST_STEPS && rate * 1.01 < self.to.as_per_second() {
            let Some(step) = Frequency::per_second(rate) else { break };
            rates.push(step);
            rate *= self.by;
        }
        rates.push(self.to);
        rates
    }
}

impl fmt::Display for RateRamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "raised by {} every {} to {}", self.by, self.every, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn per_second(events: f64) -> Frequency {
        Frequency::per_second(events).unwrap()
    }

    fn rates(first: f64, by: f64, to: f64) -> Vec<f64> {
        let ramp = RateRamp { to: per_second(to), by, every: Span::from_secs(20) };
        ramp.rates(per_second(first)).into_iter().map(Frequency::as_per_second).collect()
    }

    #[test]
    fn each_step_is_the_one_before_times_the_factor_and_the_last_is_as_written() {
        assert_eq!(rates(20.0, 2.0, 100.0), [40.0, 80.0, 100.0]);
        assert_eq!(rates(20.0, 2.0, 80.0), [40.0, 80.0]);
        assert_eq!(rates(20.0, 5.0, 30.0), [30.0]);
        // 10 * 1.1 ^ 2 is 12.100000000000001 and no step of its own.
        assert_eq!(rates(10.0, 1.1, 12.1), [11.0, 12.1]);
    }

    #[test]
    fn a_factor_that_raises_nothing_still_ends() {
        for by in [1.0, 0.5, 0.0, -2.0, f64::NAN, f64::INFINITY] {
            let rates = rates(20.0, by, 100.0);
            assert!(rates.len() <= RateRamp::MOST_STEPS && rates.last() == Some(&100.0), "{by}: {rates:?}");
        }
    }

    proptest! {
        #[test]
        fn the_steps_climb_to_the_last(first in 1.0f64..1_000.0, by in 1.05f64..10.0, more in 1.02f64..100.0) {
            let rates = rates(first, by, first * more);
            prop_assert!(rates[0] > first);
            prop_assert!(rates.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", rates);
            prop_assert!(rates.last() == Some(&(first * more)));
        }
    }
}
