//! What was done, in bounded room: of what is over the oldest is forgotten and counted.

use std::collections::{BTreeMap, VecDeque};

use murphy_core::{FaultId, Offset, Span};
use serde::Serialize;

use super::doc::{DeedDoc, DoneOn, StoodDoc};

/// So many are kept of what is over.
pub(super) const KEPT: usize = 2048;
/// And at most so many bytes of it: one body may have a mebibyte, and the whole of it is one answer.
pub(super) const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// So many sentences are kept of what cannot be told.
const LEFT_OUT: usize = 64;

/// Something that was done.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) on: DoneOn,
    pub(super) stood: StoodDoc,
    from: Offset,
    until: Option<Offset>,
    /// The container as an undo names it; none on proxies and networks.
    victim: Option<String>,
    /// It could not be taken back.
    pub(super) owed: bool,
    /// Bytes of its text.
    weight: usize,
}

impl Deed {
    /// It begins.
    pub(super) fn begin(on: DoneOn, stood: StoodDoc, from: Offset, victim: Option<String>) -> Deed {
        let weight = text_len(&on) + text_len(&stood);
        Deed { on, stood, from, until: None, victim, owed: false, weight }
    }

    /// True if this undo, once done, is the end of it. A network is one deed, whatever its undos are.
    pub(super) fn ends_by(&self, undo: &str) -> bool {
        self.victim.as_ref().is_none_or(|victim| undo.contains(victim.as_str()))
    }

    /// As it is told.
    pub(super) fn doc(&self) -> DeedDoc {
        let (on, stood, until) = (self.on.clone(), self.stood.clone(), self.until.map(span));
        DeedDoc { on, stood, from: span(self.from), until }
    }
}

/// How long it is as JSON.
pub(crate) fn text_len<T: Serialize>(value: &T) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}

/// Since the daemon was started.
pub(super) fn span(at: Offset) -> Span {
    at.since(Offset::ZERO)
}

/// Whose doing it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Proxy(String),
    ContainerFault(FaultId),
}

/// All that was done.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) open: BTreeMap<Key, Vec<Deed>>,
    pub(super) over: VecDeque<Deed>,
    /// Bytes of all that is over.
    weight: usize,
    pub(super) forgotten: u64,
    pub(super) left_out: VecDeque<String>,
}

impl Kept {
    /// These are over.
    pub(super) fn end(&mut self, now: Offset, deeds: Vec<Deed>) {
        for deed in deeds {
            self.weight += deed.weight;
            self.over.push_back(Deed { until: Some(now), ..deed });
            while self.over.len() > KEPT || self.weight > KEPT_BYTES {
                let Some(oldest) = self.over.pop_front() else { break };
                self.weight -= oldest.weight;
                self.forgotten += 1;
            }
        }
    }

    /// Some of what stands under this key is over; all else there goes on.
    pub(super) fn end_those(&mut self, now: Offset, key: Key, are_over: impl Fn(&Deed) -> bool) {
        let open = self.open.remove(&key).unwrap_or_default();
        let (over, open): (Vec<Deed>, Vec<Deed>) = open.into_iter().partition(are_over);
        self.end(now, over);
        if !open.is_empty() {
            self.open.insert(key, open);
        }
    }

    /// One undo has failed: what it would have ended is not over before another one is done.
    pub(super) fn owe(&mut self, key: &Key, undo: &str) {
        for deed in self.open.get_mut(key).into_iter().flatten() {
            deed.owed |= deed.ends_by(undo);
        }
    }

    /// This cannot be told; each sentence once.
    pub(super) fn leave_out(&mut self, what: String) {
        if self.left_out.contains(&what) {
            return;
        }
        if self.left_out.len() >= LEFT_OUT {
            self.left_out.pop_front();
        }
        self.left_out.push_back(what);
    }
}
