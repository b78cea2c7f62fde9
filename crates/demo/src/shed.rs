//! Load shedding: above so many requests in flight, new ones are turned away at once, cheaply, with a word when to come
//! again. The requests that are let in keep their latency. It never queues.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::reply::{Reply, unavailable};

/// When a user who was turned away should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Too many are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

impl Overloaded {
    /// 503 with `Retry-After`.
    pub fn reply(self) -> Reply {
        unavailable("too many requests in flight", COME_AGAIN)
    }
}

/// Counts requests in flight.
#[derive(Debug)]
pub(crate) struct Shedder {
    most: usize,
    in_flight: AtomicUsize,
}

/// One request in flight, until dropped.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    shedder: &'a Shedder,
}

impl Shedder {
    /// Lets so many in at once.
    pub fn new(most: usize) -> Shedder {
        Shedder { most, in_flight: AtomicUsize::new(0) }
    }

    /// Lets a request in, or turns it away.
    pub fn admit(&self) -> Result<InFlight<'_>, Overloaded> {
        // The count may pass the limit for an instant by those who are about to be turned away; none of them gets in.
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let seat = InFlight { shedder: self };
        if before >= self.most {
            return Err(Overloaded);
        }
        Ok(seat)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shedder.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn above_the_limit_a_request_is_turned_away_with_a_time_to_come_again() {
        let shedder = Shedder::new(1);
        let inside = shedder.admit().unwrap();
        let turned_away = shedder.admit().unwrap_err().reply();
        assert_eq!(turned_away.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(turned_away.headers()[RETRY_AFTER], "1");
        drop(inside);
        assert!(shedder.admit().is_ok(), "those turned away hold no seat");
    }
}
