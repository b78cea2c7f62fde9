//! What is seen: edges with their figures and faults, containers, and the last things that happened. Fed by a source,
//! drawn by the panes; it decides nothing and touches nothing.

mod events;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use murphy_core::{EdgeName, FaultBrief, FaultId, Offset, Span, Tally};
use murphy_faults::Fault;

use crate::connections::Page;
use crate::figures::Figures;
use crate::stack::{ContainerState, Proposal, Struck};

/// Happenings that are kept.
const KEPT: usize = 200;

/// A fault that stands on an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingFault {
    /// Which.
    pub id: FaultId,
    /// As printed: `latency 200ms`.
    pub text: String,
    /// The fault itself, where the source knows it: only then can it be edited.
    pub fault: Option<Fault>,
    /// What it has done so far, where the source counts.
    pub tally: Option<Tally>,
    /// When it ends by itself.
    pub until: Option<Offset>,
    /// Who put it there.
    pub whose: Whose,
}

/// Whose a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It was put there from here, and goes with the view.
    Ours,
    /// Somebody else's: it stays.
    Theirs,
}

/// Who says what stands on the edges and what passes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Teller {
    /// The events that are seen.
    #[default]
    Events,
    /// Whoever feeds the world, and knows it earlier: what events say of faults and of connections is only noted.
    Source,
}

/// Whether callers can connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// A listener is there.
    #[default]
    Open,
    /// Nobody listens.
    Closed,
}

/// One edge.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// Where callers dial.
    pub listen: String,
    /// What is dialled on.
    pub upstream: String,
    /// Whether it listens.
    pub door: Door,
    /// Open connections.
    pub open: u64,
    /// Connections so far.
    pub accepted: u64,
    /// Connections whose dependency could not be reached.
    pub unreachable: u64,
    /// Bytes delivered: to the dependency, to callers.
    pub bytes: (u64, u64),
    /// Calls and latencies.
    pub figures: Figures,
    /// What stands on it, in the order in which it was armed.
    pub faults: Vec<StandingFault>,
}

/// How loud a happening is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    /// Done on purpose.
    Deed,
    /// Noticed.
    Notice,
    /// Something broke.
    Trouble,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// When.
    pub at: Offset,
    /// How loud.
    pub loudness: Loudness,
    /// In a few words.
    pub text: String,
    /// How often it happened on end.
    pub times: u64,
}

/// All that is seen.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The edges, by name.
    /// Each behind its own count of holders, so that a copy for the screen costs little.
    pub edges: BTreeMap<EdgeName, Arc<Edge>>,
    /// The containers, by name.
    pub containers: BTreeMap<String, ContainerState>,
    /// What was done to them by hand and is not taken back yet.
    pub struck: Vec<Struck>,
    /// What a person is asked about.
    pub proposal: Option<Proposal>,
    /// The open connections that are looked at; `None` while nobody looks.
    pub connections: Option<Arc<Page>>,
    /// What happened, newest last.
    pub happenings: VecDeque<Happening>,
    /// The present of whoever feeds it.
    pub now: Offset,
    /// When it begins on the clock of whoever tells of events: taken off all their times.
    pub begins: Offset,
    /// How much younger that clock is than ours, where it is: added to all their times.
    pub younger: Span,
    /// What a run is at, in a few words; empty where there is no run.
    pub stage: String,
    /// Who says what stands on the edges and what passes there.
    pub teller: Teller,
    briefs: Vec<FaultBrief>,
}

impl World {
    /// Notes that something happened; the same thing on end is counted, not repeated.
    pub fn note(&mut self, at: Offset, loudness: Loudness, text: impl Into<String>) {
        let text = text.into();
        if let Some(last) = self.happenings.back_mut().filter(|last| last.text == text) {
            last.times += 1;
            last.at = at;
            return;
        }
        self.happenings.push_back(Happening { at, loudness, text, times: 1 });
        while self.happenings.len() > KEPT {
            self.happenings.pop_front();
        }
    }

    /// An edge to be changed; a new one if there is none of that name.
    pub fn edge(&mut self, name: &EdgeName) -> &mut Edge {
        Arc::make_mut(self.edges.entry(name.clone()).or_default())
    }

    /// Takes its clock from an event that is told of now.
    pub fn set_clock(&mut self, told: Offset, now: Offset) {
        self.begins = Offset::ZERO + told.since(now);
        self.younger = now.since(told);
    }
}
