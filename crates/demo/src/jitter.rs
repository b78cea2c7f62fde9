//! Random waits, so that many callers that failed together do not come back together.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

/// A source of jitter. Replicas without a seed differ: that is the point of jitter.
#[derive(Debug)]
pub(crate) struct Jitter {
    generator: Mutex<Pcg64Mcg>,
}

impl Jitter {
    /// The same jitter for the same seed; without one, of this process alone.
    pub fn new(seed: Option<u64>) -> Jitter {
        // The standard library keys its hash maps from the system's randomness, once for each process.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Jitter { generator: Mutex::new(Pcg64Mcg::new(u128::from(seed) << 1 | 1)) }
    }

    /// A number that other processes most likely do not have.
    pub fn root(&self) -> u64 {
        self.generator.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// The wait, give or take half of it, evenly spread.
    pub fn around(&self, wait: Duration) -> Duration {
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        wait.mul_f64(generator.random_range(0.5..1.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spreads_over_half_to_one_and_a_half() {
        let jitter = Jitter::new(Some(7));
        let wait = Duration::from_millis(100);
        let drawn: Vec<Duration> = (0..500).map(|_| jitter.around(wait)).collect();
        let (low, high) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*low >= wait / 2 && *high < wait * 3 / 2);
        assert!(*low < Duration::from_millis(55) && *high > Duration::from_millis(145), "{low:?} {high:?}");
    }

    #[test]
    fn replicas_differ_and_a_seed_repeats() {
        let draw = |seed| Jitter::new(seed).around(Duration::from_secs(1));
        assert_eq!(draw(Some(1)), draw(Some(1)));
        assert_ne!(draw(None), draw(None));
    }
}
