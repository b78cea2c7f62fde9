//! A bulkhead: so many calls to one dependency at once and no more, so that one that hangs cannot take every worker.
//! It refuses at once and never queues: a queue before a hanging dependency is the same trouble in another place.

use tokio::sync::{Semaphore, SemaphorePermit};

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// How many places there are.
    pub places: usize,
}

/// A bulkhead.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    places: usize,
    free: Semaphore,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _held: SemaphorePermit<'a>,
}

impl Bulkhead {
    /// With so many places.
    pub fn new(places: usize) -> Bulkhead {
        Bulkhead { places, free: Semaphore::new(places) }
    }

    /// Takes a place, or says at once that there is none.
    pub fn enter(&self) -> Result<Place<'_>, Full> {
        match self.free.try_acquire() {
            Ok(held) => Ok(Place { _held: held }),
            Err(_) => Err(Full { places: self.places }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bulkhead_refuses_at_once_until_a_place_is_given_back() {
        let bulkhead = Bulkhead::new(2);
        let first = bulkhead.enter().unwrap();
        let _second = bulkhead.enter().unwrap();
        assert_eq!(bulkhead.enter().unwrap_err(), Full { places: 2 });
        drop(first);
        assert!(bulkhead.enter().is_ok());
    }
}
