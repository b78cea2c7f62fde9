//! Live counters of an edge: what has passed so far, readable at any time. Relaxed atomics; nothing here waits.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use murphy_core::Direction;

/// Threads that count bytes without getting in each other's way; further ones share.
const LANES: usize = 8;

/// The counters of one edge.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    accepted: AtomicU64,
    ended: AtomicU64,
    dial_failed: AtomicU64,
    accept_failed: AtomicU64,
    lanes: [Lane; LANES],
}

/// Bytes, counted by one thread. They are counted at every read and write: two processors that wrote to one cache line
/// would wait for each other there.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    to_upstream: AtomicU64,
    to_client: AtomicU64,
    from_client: AtomicU64,
    from_upstream: AtomicU64,
}

thread_local! {
    static LANE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// This thread's.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    LANE.get().unwrap_or_else(|| {
        let lane = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
        LANE.set(Some(lane));
        lane
    })
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeterSnapshot {
    /// Connections accepted so far.
    pub accepted: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connections whose dependency could not be reached.
    pub dial_failed: u64,
    /// Failures to accept.
    pub accept_failed: u64,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to callers.
    pub to_client: u64,
    /// Bytes read from callers, delivered or not.
    pub from_client: u64,
    /// Bytes read from the dependency, delivered or not.
    pub from_upstream: u64,
}

impl MeterSnapshot {
    /// The sum of two.
    pub(crate) fn and(self, other: MeterSnapshot) -> MeterSnapshot {
        MeterSnapshot {
            accepted: self.accepted + other.accepted,
            open: self.open + other.open,
            dial_failed: self.dial_failed + other.dial_failed,
            accept_failed: self.accept_failed + other.accept_failed,
            to_upstream: self.to_upstream + other.to_upstream,
            to_client: self.to_client + other.to_client,
            from_client: self.from_client + other.from_client,
            from_upstream: self.from_upstream + other.from_upstream,
        }
    }
}

impl Meter {
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dial_failed(&self) {
        self.dial_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::ToUpstream => &self.lanes[lane()].to_upstream,
            Direction::ToClient => &self.lanes[lane()].to_client,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::ToUpstream => &self.lanes[lane()].from_client,
            Direction::ToClient => &self.lanes[lane()].from_upstream,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> MeterSnapshot {
        let ended = self.ended.load(Ordering::Relaxed);
        let accepted = self.accepted.load(Ordering::Relaxed);
        let sum = |counter: fn(&Lane) -> &AtomicU64| {
            self.lanes.iter().map(|lane| counter(lane).load(Ordering::Relaxed)).sum()
        };
        MeterSnapshot {
            accepted,
            open: accepted.saturating_sub(ended),
            dial_failed: self.dial_failed.load(Ordering::Relaxed),
            accept_failed: self.accept_failed.load(Ordering::Relaxed),
            to_upstream: sum(|lane| &lane.to_upstream),
            to_client: sum(|lane| &lane.to_client),
            from_client: sum(|lane| &lane.from_client),
            from_upstream: sum(|lane| &lane.from_upstream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_one_sum() {
        let meter = Meter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * LANES {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        meter.received(Direction::ToUpstream, 3);
                        meter.delivered(Direction::ToUpstream, 2);
                    }
                    meter.received(Direction::ToClient, 5);
                    meter.delivered(Direction::ToClient, 4);
                });
            }
        });
        let threads = 2 * LANES as u64;
        let read = meter.read();
        assert_eq!((read.from_client, read.to_upstream), (threads * 3000, threads * 2000));
        assert_eq!((read.from_upstream, read.to_client), (threads * 5, threads * 4));
    }
}
