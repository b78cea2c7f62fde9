//! The `X-Toxiproxy-Request-Id` of each answer: twenty characters, unique in a daemon.

use std::sync::atomic::{AtomicU32, Ordering};

use murphy_core::Seed;

/// Makes request ids: 64 bits of the daemon and 32 of a counter, in base 32 with the digits `0` to `v`.
#[derive(Debug)]
pub struct RequestIds {
    daemon: u64,
    next: AtomicU32,
}

impl RequestIds {
    /// Ids of one daemon.
    pub fn new(seed: Seed) -> RequestIds {
        RequestIds { daemon: seed.derive("request ids", 0).0, next: AtomicU32::new(0) }
    }

    /// The next id.
    pub fn make(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Twenty digits of five bits are 100 bits; the last four are nought.
        let bits = (u128::from(self.daemon) << 32 | u128::from(number)) << 4;
        (0..20u32)
            .map(|digit| {
                let value = (bits >> (95 - 5 * digit)) as u32 & 31;
                char::from_digit(value, 32).unwrap_or('0')
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_twenty_characters_and_never_repeat() {
        let ids = RequestIds::new(Seed(7));
        let (first, second) = (ids.make(), ids.make());
        assert_ne!(first, second);
        for id in [first, second] {
            assert_eq!(id.len(), 20);
            assert!(id.chars().all(|c| matches!(c, '0'..='9' | 'a'..='v')), "{id}");
        }
    }
}
