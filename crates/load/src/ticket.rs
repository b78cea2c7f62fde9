//! One planned request's promise to be told of: a ticket becomes exactly one sample, whatever happens to its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use murphy_core::{EventKind, LoadName, Offset, Recorder, Sample, SampleOutcome, Served};

use crate::head::Head;

/// What a load's tickets share: where they are told of, and how many are out.
#[derive(Debug)]
pub(crate) struct Booth {
    pub load: LoadName,
    pub recorder: Recorder,
    pub counts: Counts,
}

/// Numbers for the summary and for the cap on requests in flight.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub in_flight: AtomicU64,
    pub in_flight_max: AtomicU64,
    pub sent: AtomicU64,
    pub ok: AtomicU64,
    pub dropped: AtomicU64,
    pub unfinished: AtomicU64,
    pub dialled: AtomicU64,
    pub resent: AtomicU64,
}

/// Adds to a counter that is only read for reports.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// A request in flight. Dropped without an outcome (its task panicked, or the whole load was dropped), it is told of
/// as unfinished.
#[derive(Debug)]
pub(crate) struct Ticket {
    booth: Arc<Booth>,
    n: u64,
    intended: Offset,
    sent: Option<Offset>,
    told: bool,
}

impl Ticket {
    /// A ticket for request `n`, which was due `due` after `start`.
    pub(crate) fn new(booth: &Arc<Booth>, n: u64, start: Instant, due: Duration) -> Ticket {
        let counts = &booth.counts;
        let in_flight = counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        counts.in_flight_max.fetch_max(in_flight, Ordering::Relaxed);
        let intended = booth.recorder.clock().offset(start + due);
        Ticket { booth: Arc::clone(booth), n, intended, sent: None, told: false }
    }

    /// The ordinal of the request.
    pub(crate) fn n(&self) -> u64 {
        self.n
    }

    /// The present is when its sending begins.
    pub(crate) fn sent_now(&mut self) {
        self.sent = Some(self.booth.recorder.clock().now());
        count(&self.booth.counts.sent, 1);
    }

    /// Never sent, because this machine could not: takes back that it was.
    pub(crate) fn not_sent(&mut self) {
        if self.sent.take().is_some() {
            self.booth.counts.sent.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The present is its end.
    pub(crate) fn tell(mut self, outcome: SampleOutcome, head: Option<Head>) {
        self.record(outcome, head);
    }

    fn record(&mut self, outcome: SampleOutcome, head: Option<Head>) {
        self.told = true;
        let counts = &self.booth.counts;
        counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        match outcome {
            SampleOutcome::Ok => count(&counts.ok, 1),
            SampleOutcome::Dropped => count(&counts.dropped, 1),
            SampleOutcome::Unfinished => count(&counts.unfinished, 1),
            _ => {}
        }
        let ended = self.booth.recorder.clock().now();
        let sample = Sample {
            load: self.booth.load.clone(),
            n: self.n,
            intended: self.intended,
            sent: self.sent,
            ended,
            outcome,
            status: head.map(|head| head.status),
            served: head.map_or(Served::Fresh, |head| head.served),
            age: head.and_then(|head| head.age),
            retry_after: head.and_then(|head| head.retry_after),
        };
        self.booth.recorder.record_at(ended, EventKind::Sample(sample));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.told {
            self.record(SampleOutcome::Unfinished, None);
        }
    }
}
