//! After how long callers give up: a histogram of the calls that were given up and one of all others.

use std::time::Duration;

use hdrhistogram::Histogram;
use murphy_core::Span;

use super::Ending;
use crate::patterns::Timeout;

/// Calls that were given up, to name an age at which they are.
const FEWEST_GIVEN_UP: u64 = 5;
/// Calls that waited for so long without being given up, to say so.
const FEWEST_WAITED: u64 = 10;
/// Waits below this say nothing of a timeout.
const SHORTEST_WAIT: Span = Span::from_millis(50);

/// The ages of calls, in little room.
#[derive(Debug)]
pub(super) struct Ages {
    /// Microseconds until calls were given up.
    given_up: Histogram<u64>,
    /// Microseconds that other calls took until they were over.
    others: Histogram<u64>,
}

impl Default for Ages {
    fn default() -> Ages {
        // One hour at three digits; the bounds are constants within what the histogram takes.
        let ages = || Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds of a histogram");
        Ages { given_up: ages(), others: ages() }
    }
}

fn micros(micros: u64) -> Span {
    Span::from(Duration::from_micros(micros))
}

impl Ages {
    /// Takes one call that is over.
    pub(super) fn call(&mut self, age: Span, ending: Ending) {
        let age = age.as_micros().max(1);
        match ending {
            Ending::GivenUp => self.given_up.saturating_record(age),
            Ending::Good | Ending::Bad => self.others.saturating_record(age),
        }
    }

    /// The age at which calls are given up, or up to which they are not.
    pub(super) fn timeout(&self) -> Option<Timeout> {
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
}
