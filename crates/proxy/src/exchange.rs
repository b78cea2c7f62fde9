//! Exchanges of one connection: a burst of the caller and the burst that answered it. A small state machine over what
//! was read and delivered; it never looks at the bytes.
//!
//! It runs only when events are recorded, and costs a comparison for a chunk that changes nothing.

use murphy_core::{ConnId, EdgeName, EventKind, ExchangeEnd, Offset, Recorder};

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has asked.
    Quiet,
    /// The caller has asked and has had no answer.
    Asking {
        began: Offset,
        hits: u64,
        /// When the caller stopped sending: the end, if no answer is taken any more.
        fell_silent: Option<Offset>,
    },
    /// The answer is on its way to the caller.
    Answering {
        began: Offset,
        hits: u64,
        answered: Offset,
        last: Offset,
        /// Set when the answer came only after the caller had stopped sending, and so may have met nobody.
        fell_silent: Option<Offset>,
    },
}

/// How the connection of an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    /// The caller went, by FIN on its own or by RST.
    CallerReset,
    /// Both sides ended in order.
    Peace,
    /// The dependency, or a fault in its stead, broke off.
    Broken,
    /// The proxy stopped.
    Stopped,
}

/// The exchanges of one connection.
#[derive(Debug)]
pub(crate) struct Exchanges {
    recorder: Recorder,
    edge: EdgeName,
    conn: ConnId,
    state: State,
}

impl Exchanges {
    /// `None` if nobody listens.
    pub(crate) fn watch(recorder: &Recorder, edge: &EdgeName, conn: ConnId) -> Option<Exchanges> {
        recorder.is_enabled().then(|| Exchanges {
            recorder: recorder.clone(),
            edge: edge.clone(),
            conn,
            state: State::Quiet,
        })
    }

    /// The caller's bytes came. `hits` counts what faults have done on this connection so far.
    pub(crate) fn asked(&mut self, hits: u64) {
        match self.state {
            State::Asking { .. } => {}
            State::Quiet => {
                self.state = State::Asking { began: self.recorder.clock().now(), hits, fell_silent: None };
            }
            State::Answering { began, hits: before, answered, last, .. } => {
                self.emit(began, Some(answered), last, ExchangeEnd::Answered, hits > before);
                self.state = State::Asking { began: self.recorder.clock().now(), hits, fell_silent: None };
            }
        }
    }

    /// Bytes of the answer were delivered to the caller.
    pub(crate) fn delivered(&mut self) {
        match &mut self.state {
            State::Quiet => {}
            State::Asking { began, hits, fell_silent } => {
                let now = self.recorder.clock().now();
                self.state = State::Answering {
                    began: *began,
                    hits: *hits,
                    answered: now,
                    last: now,
                    fell_silent: *fell_silent,
                };
            }
            State::Answering { last, .. } => *last = self.recorder.clock().now(),
        }
    }

    /// The caller will send no more.
    pub(crate) fn fell_silent(&mut self) {
        if let State::Asking { fell_silent, .. } = &mut self.state {
            fell_silent.get_or_insert(self.recorder.clock().now());
        }
    }

    /// True if only the caller's kernel can tell whether the answer still met somebody.
    pub(crate) fn is_doubtful(&self) -> bool {
        matches!(self.state, State::Answering { fell_silent: Some(_), .. })
    }

    /// The connection is over. `undelivered` tells whether bytes for the caller were still on their way.
    pub(crate) fn part(&mut self, parting: Parting, undelivered: bool, hits: u64) {
        let now = self.recorder.clock().now();
        match std::mem::replace(&mut self.state, State::Quiet) {
            State::Quiet => {}
            State::Asking { began, hits: before, fell_silent } => {
                let (end, at) = match (parting, fell_silent) {
                    // A caller that asked, stopped sending and got nothing has given up when it stopped.
                    (Parting::CallerReset | Parting::Stopped, Some(silent)) => (ExchangeEnd::GivenUp, silent),
                    (Parting::Peace | Parting::Broken, Some(silent)) => (ExchangeEnd::GivenUp, silent),
                    (Parting::CallerReset, None) => (ExchangeEnd::GivenUp, now),
                    (Parting::Peace | Parting::Broken, None) => (ExchangeEnd::Failed, now),
                    (Parting::Stopped, None) => (ExchangeEnd::Open, now),
                };
                self.emit(began, None, at, end, hits > before);
            }
            State::Answering { began, hits: before, fell_silent: Some(silent), .. }
                if parting == Parting::CallerReset =>
            {
                // The answer was sent to somebody who had already gone: the RST says so.
                self.emit(began, None, silent, ExchangeEnd::GivenUp, hits > before);
            }
            State::Answering { began, hits: before, answered, last, .. } => {
                let (end, at) = match parting {
                    Parting::Broken => (ExchangeEnd::Failed, now),
                    Parting::CallerReset if undelivered => (ExchangeEnd::Cut, now),
                    _ => (ExchangeEnd::Answered, last),
                };
                self.emit(began, Some(answered), at, end, hits > before);
            }
        }
    }

    fn emit(&self, began: Offset, answered: Option<Offset>, ended: Offset, end: ExchangeEnd, touched: bool) {
        self.recorder.record_at(
            ended,
            EventKind::Exchange {
                edge: self.edge.clone(),
                conn: self.conn,
                began,
                answered,
                ended,
                end,
                touched,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use murphy_core::{Recording, RunClock};

    use super::*;

    fn exchanges() -> (Exchanges, Recording) {
        let (recorder, recording) = Recorder::new(RunClock::start(), 16);
        let edge = EdgeName::new("e").unwrap();
        (Exchanges::watch(&recorder, &edge, ConnId(1)).unwrap(), recording)
    }

    fn ends(
        mut exchanges: Exchanges,
        mut recording: Recording,
        parting: Parting,
    ) -> Vec<(ExchangeEnd, bool, bool)> {
        exchanges.part(parting, false, 5);
        drop(exchanges);
        let mut ends = Vec::new();
        while let Ok(Some(event)) = recording.next(Duration::from_secs(1)) {
            if let EventKind::Exchange { began, answered, ended, end, touched, .. } = event.kind {
                assert!(began <= ended && answered.is_none_or(|at| began <= at && at <= ended));
                ends.push((end, answered.is_some(), touched));
            }
        }
        ends
    }

    #[test]
    fn each_question_after_an_answer_is_an_exchange_of_its_own() {
        let (mut all, recording) = exchanges();
        for hits in [0, 0, 5] {
            all.asked(hits);
            all.asked(hits);
            all.delivered();
            all.delivered();
        }
        assert_eq!(
            ends(all, recording, Parting::Peace),
            [
                (ExchangeEnd::Answered, true, false),
                (ExchangeEnd::Answered, true, true),
                (ExchangeEnd::Answered, true, false)
            ]
        );
    }

    #[test]
    fn a_caller_that_goes_unanswered_gave_up_and_a_dependency_that_goes_failed() {
        for (parting, end) in [
            (Parting::CallerReset, ExchangeEnd::GivenUp),
            (Parting::Broken, ExchangeEnd::Failed),
            (Parting::Peace, ExchangeEnd::Failed),
            (Parting::Stopped, ExchangeEnd::Open),
        ] {
            let (mut all, recording) = exchanges();
            all.asked(0);
            assert_eq!(ends(all, recording, parting), [(end, false, true)], "{parting:?}");
        }
    }

    #[test]
    fn an_answer_that_met_nobody_is_no_answer() {
        let (mut all, recording) = exchanges();
        all.asked(5);
        all.fell_silent();
        all.delivered();
        assert!(all.is_doubtful());
        assert_eq!(ends(all, recording, Parting::CallerReset), [(ExchangeEnd::GivenUp, false, false)]);
        let (mut all, recording) = exchanges();
        all.asked(5);
        all.fell_silent();
        all.delivered();
        assert_eq!(ends(all, recording, Parting::Peace), [(ExchangeEnd::Answered, true, false)]);
    }

    #[test]
    fn a_greeting_is_no_exchange() {
        let (mut all, recording) = exchanges();
        all.delivered();
        assert_eq!(ends(all, recording, Parting::Peace), []);
    }
}
