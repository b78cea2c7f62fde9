//! The way that events take from where they happen to the journal: a bounded queue that never blocks its sender.
//! When the queue is full the event is counted as lost, and the journal says so; it is never lost in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::{Event, EventKind, Offset, RunClock};

/// The sending half: cheap to clone, shared by every part of a run.
#[derive(Debug, Clone)]
pub struct Recorder {
    clock: RunClock,
    queue: Option<SyncSender<(Offset, EventKind)>>,
    lost: Arc<AtomicU64>,
    demand: Option<Demand>,
    /// Of this part of it alone.
    own: Option<Demand>,
}

/// How many listen to a recorder that works on demand. With nobody listening nothing is recorded.
#[derive(Debug, Clone, Default)]
pub struct Demand(Arc<AtomicUsize>);

impl Demand {
    /// So many listen from now on.
    pub fn set(&self, listeners: usize) {
        self.0.store(listeners, Ordering::Relaxed);
    }
}

/// The receiving half: numbers the events in the order in which they come.
#[derive(Debug)]
pub struct Recording {
    queue: Receiver<(Offset, EventKind)>,
    lost: Arc<AtomicU64>,
    clock: RunClock,
    next: u64,
}

impl Recorder {
    /// A recorder and its recording; at most `capacity` events wait between them.
    pub fn new(clock: RunClock, capacity: usize) -> (Recorder, Recording) {
        let (sender, queue) = sync_channel(capacity);
        let lost = Arc::new(AtomicU64::new(0));
        let recording = Recording { queue, lost: Arc::clone(&lost), clock, next: 0 };
        (Recorder { clock, queue: Some(sender), lost, demand: None, own: None }, recording)
    }

    /// The same, but nothing is recorded while nobody listens: for a daemon whose events are seldom asked for.
    pub fn on_demand(clock: RunClock, capacity: usize, demand: Demand) -> (Recorder, Recording) {
        let (recorder, recording) = Recorder::new(clock, capacity);
        (Recorder { demand: Some(demand), ..recorder }, recording)
    }

    /// The same into the same recording, also while only this part of it is wanted.
    pub fn also_on_demand(&self, own: Demand) -> Recorder {
        Recorder { own: Some(own), ..self.clone() }
    }

    /// A recorder that keeps nothing, for a proxy that is used as a library.
    pub fn disabled() -> Recorder {
        Recorder { clock: RunClock::start(), queue: None, lost: Arc::default(), demand: None, own: None }
    }

    /// True if events go anywhere; lets a hot path skip the making of one.
    pub fn is_enabled(&self) -> bool {
        let is_wanted = |demand: &Demand| demand.0.load(Ordering::Relaxed) > 0;
        self.queue.is_some()
            && (self.demand.as_ref().is_none_or(is_wanted) || self.own.as_ref().is_some_and(is_wanted))
    }

    /// The run's clock.
    pub fn clock(&self) -> RunClock {
        self.clock
    }

    /// Records that something happened now.
    pub fn record(&self, kind: EventKind) {
        self.record_at(self.clock.now(), kind);
    }

    /// Records that something happened at an instant that was read earlier.
    pub fn record_at_instant(&self, at: Instant, kind: EventKind) {
        self.record_at(self.clock.offset(at), kind);
    }

    /// Records that something happened at an offset.
    pub fn record_at(&self, at: Offset, kind: EventKind) {
        if let Some(queue) = &self.queue
            && self.is_enabled()
            && queue.try_send((at, kind)).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Recording {
    /// The next event, waiting at most `patience`. `Ok(None)` when none came in time, `Err(())` when every recorder is
    /// gone and all events have been taken.
    #[allow(clippy::result_unit_err)] // the error carries nothing: the stream has ended
    pub fn next(&mut self, patience: Duration) -> Result<Option<Event>, ()> {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            return Ok(Some(self.number(self.clock.now(), EventKind::EventsLost { count: lost })));
        }
        match self.queue.recv_timeout(patience) {
            Ok((at, kind)) => Ok(Some(self.number(at, kind))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => match self.lost.swap(0, Ordering::Relaxed) {
                0 => Err(()),
                lost => Ok(Some(self.number(self.clock.now(), EventKind::EventsLost { count: lost }))),
            },
        }
    }

    fn number(&mut self, at: Offset, kind: EventKind) -> Event {
        let seq = self.next;
        self.next += 1;
        Event { seq, at, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_counted_and_said() {
        let (recorder, mut recording) = Recorder::new(RunClock::start(), 2);
        for _ in 0..5 {
            recorder.record(EventKind::RunEnded);
        }
        drop(recorder);
        let mut kinds = Vec::new();
        while let Ok(Some(event)) = recording.next(Duration::from_secs(1)) {
            assert_eq!(event.seq, kinds.len() as u64);
            kinds.push(event.kind);
        }
        assert_eq!(kinds, [EventKind::EventsLost { count: 3 }, EventKind::RunEnded, EventKind::RunEnded]);
    }

    #[test]
    fn a_recorder_on_demand_records_while_somebody_listens() {
        let demand = Demand::default();
        let (recorder, mut recording) = Recorder::on_demand(RunClock::start(), 8, demand.clone());
        for listeners in [0, 1, 0] {
            demand.set(listeners);
            assert_eq!(recorder.is_enabled(), listeners > 0);
            recorder.record(EventKind::RunEnded);
        }
        assert!(recording.next(Duration::ZERO).unwrap().is_some());
        assert_eq!(recording.next(Duration::ZERO), Ok(None));
    }

    #[test]
    fn one_part_is_recorded_alone_where_nobody_listens_to_all() {
        let (all, own) = (Demand::default(), Demand::default());
        let (others, mut recording) = Recorder::on_demand(RunClock::start(), 8, all.clone());
        let part = others.also_on_demand(own.clone());
        assert!(!part.is_enabled());
        own.set(1);
        assert_eq!((part.is_enabled(), others.is_enabled()), (true, false));
        others.record(EventKind::RunEnded);
        assert_eq!(recording.next(Duration::ZERO), Ok(None));
        part.record(EventKind::RunEnded);
        assert!(recording.next(Duration::ZERO).unwrap().is_some());
        own.set(0);
        all.set(1);
        assert_eq!((part.is_enabled(), others.is_enabled()), (true, true));
    }

    #[test]
    fn a_disabled_recorder_keeps_nothing_and_loses_nothing() {
        let recorder = Recorder::disabled();
        recorder.record(EventKind::RunEnded);
        assert_eq!(recorder.lost.load(Ordering::Relaxed), 0);
    }
}
