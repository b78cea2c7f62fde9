//! The requests of one connection that are under way, and what is told of each when it is over.
//!
//! An answer counts as delivered when its bytes have left for the caller, so after whatever a fault on the bytes adds.
//! What leaves for a caller that has said goodbye before the first byte of it reaches nobody: such a request was given up
//! when the caller left. (A client may close its sending side and still read, RFC 9112, section 9.6; those in use close
//! both, and a proxy cannot tell the two apart in time.)
//! Nothing is counted, and nothing kept, where no events are recorded.

use murphy_core::{Answerer, EventKind, ExchangeEnd, HttpCall, Offset, Recorder, Side};

/// A request that is under way.
#[derive(Debug)]
struct Open {
    id: u64,
    call: HttpCall,
    /// What faults on bytes had done when it began.
    hits: u64,
    /// Bytes for the caller up to the beginning of its answer.
    head_at: Option<u64>,
    /// The answer has been handed over in full.
    done: bool,
    /// Bytes for the caller up to the end of its answer.
    end_at: Option<u64>,
    /// The caller had left before the first byte of its answer went out.
    late: bool,
}

/// How far bytes for the caller have come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Handed to the connection.
    pub(crate) pushed: u64,
    /// Of these, delivered.
    pub(crate) delivered: u64,
    /// The caller takes no bytes at the moment, so not all may have been handed over.
    pub(crate) blocked: bool,
    /// What faults on bytes have done so far.
    pub(crate) hits: u64,
    /// When the caller stopped sending.
    pub(crate) left: Option<Offset>,
}

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Books {
    recorder: Recorder,
    open: Vec<Open>,
    next: u64,
}

impl Books {
    pub(crate) fn new(recorder: Recorder) -> Books {
        Books { recorder, open: Vec::new(), next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A request came. Answers the name it goes by here.
    pub(crate) fn open(&mut self, call: HttpCall, hits: u64) -> u64 {
        self.next += 1;
        self.open.push(Open {
            id: self.next,
            call,
            hits,
            head_at: None,
            done: false,
            end_at: None,
            late: false,
        });
        self.next
    }

    /// Something is learnt of a request.
    pub(crate) fn note(&mut self, id: u64, note: impl FnOnce(&mut HttpCall)) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            note(&mut open.call);
        }
    }

    /// The next bytes that are handed over are its answer's.
    pub(crate) fn begins(&mut self, id: u64, pushed: u64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.head_at.get_or_insert(pushed);
        }
    }

    /// Its answer has been handed over in full.
    pub(crate) fn finishes(&mut self, id: u64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.done = true;
        }
    }

    /// Tells of what has been delivered by now. True if a request is over.
    pub(crate) fn settle(&mut self, progress: Progress) -> bool {
        let now = self.recorder.clock().now();
        let mut over = false;
        for open in &mut self.open {
            if open.call.answered.is_none() && open.head_at.is_some_and(|at| progress.delivered > at) {
                open.late |= progress.left.is_some_and(|left| left < now);
                if !open.late {
                    open.call.answered = Some(now);
                }
            }
            if open.done && open.end_at.is_none() && !progress.blocked {
                open.end_at = Some(progress.pushed);
            }
            over |= open.end_at.is_some_and(|at| progress.delivered >= at);
        }
        if over {
            let (done, open) = std::mem::take(&mut self.open)
                .into_iter()
                .partition(|open| open.end_at.is_some_and(|at| progress.delivered >= at));
            self.open = open;
            for open in done {
                match progress.left.filter(|_| open.late) {
                    Some(left) => self.gave_up(open, left, progress.hits),
                    None => self.tell(open, ExchangeEnd::Answered, None, now, progress.hits),
                }
            }
        }
        over
    }

    /// One request is broken off. A request that is over already is left alone.
    pub(crate) fn breaks(&mut self, id: u64, by: Side, hits: u64) {
        if let Some(at) = self.open.iter().position(|open| open.id == id) {
            let open = self.open.remove(at);
            let now = self.recorder.clock().now();
            self.part(open, Some(by), now, hits);
        }
    }

    /// The connection is over, and all that is under way with it. `by` is `None` if the proxy was stopped.
    pub(crate) fn close(&mut self, by: Option<Side>, left: Option<Offset>, hits: u64) {
        let now = self.recorder.clock().now();
        for open in std::mem::take(&mut self.open) {
            if let Some(left) = left.filter(|_| open.late) {
                self.gave_up(open, left, hits);
                continue;
            }
            let at = left.filter(|_| by == Some(Side::Client)).unwrap_or(now).max(open.call.began);
            self.part(open, by, at, hits);
        }
    }

    fn gave_up(&self, open: Open, left: Offset, hits: u64) {
        let at = left.max(open.call.began);
        self.tell(open, ExchangeEnd::GivenUp, Some(Side::Client), at, hits);
    }

    fn part(&self, open: Open, by: Option<Side>, at: Offset, hits: u64) {
        let end = match by {
            Some(Side::Client) if open.call.answered.is_some() => ExchangeEnd::Cut,
            Some(Side::Client) => ExchangeEnd::GivenUp,
            Some(Side::Upstream | Side::Proxy) => ExchangeEnd::Failed,
            None => ExchangeEnd::Open,
        };
        self.tell(open, end, by, at, hits);
    }

    fn tell(&self, mut open: Open, end: ExchangeEnd, by: Option<Side>, at: Offset, hits: u64) {
        let call = &mut open.call;
        call.ended = call.answered.map_or(at, |answered| answered.max(at));
        (call.end, call.by) = (end, by);
        call.touched |= hits > open.hits;
        if call.answered.is_none() {
            (call.status, call.answerer) = (None, Answerer::Nobody);
        }
        self.recorder.record_at(call.ended, EventKind::Request(Box::new(open.call)));
    }
}
