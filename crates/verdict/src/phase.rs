//! Which request belongs to which part of the run. The *intended* time decides; the fault window is what the
//! acknowledgements say ([armed, lifted)), not what was planned. A request that was in flight when the first fault was
//! armed belongs to no part: it is neither healthy nor hurt for its whole life. It is kept apart, for the calls that it makes are its own.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use murphy_core::{
    EdgeName, ExitCause, FaultBrief, FaultId, LedgerRead, LoadName, Offset, ProcessStatus, RunBrief, Sample,
    SampleOutcome, Served, Span, Tally,
};

use crate::across::Across;
use crate::edge::EdgeView;
use crate::judgement::RunEnd;
use crate::solo::{Life, lives};
use crate::stats::Blocks;
use crate::words;

pub(crate) use crate::window::{Window, Windows};

/// Later than this (100 hours) no run lasts; a time beyond it is a broken one and is drawn in, so that sums of times stay
/// small and a series by the second fits in memory.
pub(crate) const HORIZON: u64 = 360_000_000_000;

/// An offset in microseconds, within the horizon.
pub(crate) fn micros(offset: Offset) -> u64 {
    offset.as_micros().min(HORIZON)
}

/// One user request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub n: u64,
    pub intended: u64,
    pub sent: Option<u64>,
    pub ended: u64,
    pub outcome: SampleOutcome,
    pub status: Option<u16>,
    pub served: Served,
    /// Age of the answer's content, as its header tells.
    pub age: Option<Span>,
    pub retry_after: Option<Span>,
}

impl Point {
    pub fn of(sample: &Sample) -> Point {
        Point {
            n: sample.n,
            intended: micros(sample.intended),
            sent: sample.sent.map(micros),
            ended: micros(sample.ended),
            outcome: sample.outcome.clone(),
            status: sample.status,
            served: sample.served,
            age: sample.age,
            retry_after: sample.retry_after,
        }
    }

    /// From intention to end.
    pub fn latency(&self) -> u64 {
        self.ended.saturating_sub(self.intended)
    }

    /// From sending to end.
    pub fn service_time(&self) -> u64 {
        self.ended.saturating_sub(self.sent.unwrap_or(self.intended))
    }

    pub fn is_ok(&self) -> bool {
        self.outcome == SampleOutcome::Ok
    }

    /// Answered as asked, and from the source.
    pub fn is_fresh(&self) -> bool {
        self.is_ok() && self.served.is_fresh()
    }

    /// Known only to have taken at least its age.
    pub fn is_censored(&self) -> bool {
        matches!(self.outcome, SampleOutcome::Timeout | SampleOutcome::Unfinished)
    }
}

/// One request of a load whose writes are looked for, whenever it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub n: u64,
    pub sent: u64,
    pub ended: u64,
    /// Its user was told that it is done: an expected answer that is no 2xx says nothing of the kind.
    pub acknowledged: bool,
}

impl Write {
    /// Of a request; `None` if it was never sent.
    pub fn of(point: &Point) -> Option<Write> {
        let (n, sent, ended) = (point.n, point.sent?, point.ended);
        let done = point.status.is_none_or(|status| (200..300).contains(&status));
        Some(Write { n, sent, ended, acknowledged: point.is_ok() && done })
    }
}

/// What a load wrote, and what was found of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LedgerView {
    /// Those in flight when the fault was armed included: just these are lost.
    pub writes: Vec<Write>,
    /// `None` if it was not read.
    pub read: Option<Box<LedgerRead>>,
}

/// All requests of one load that were sent, by intended time, and what was not sent.
#[derive(Debug, Clone)]
pub(crate) struct LoadView {
    pub name: LoadName,
    pub timeout: Option<Span>,
    pub rate: Option<f64>,
    pub points: Vec<Point>,
    /// Requests that were in flight when the first fault was armed, by intended time; in no other list. How they were served is of no
    /// part of the run, but no call that they make is another request's.
    pub across: Vec<Point>,
    pub dropped: u64,
    /// Requests that were sent, those in flight when the fault was armed included.
    pub sent: u64,
    pub planned: Option<u64>,
    /// Requests once the load was begun again after a quiet time; in no other list.
    pub again: Vec<Point>,
    /// Ordinals that are missing or twice there.
    pub missing: u64,
    /// `None` for a load whose writes are not looked for.
    pub ledger: Option<LedgerView>,
}

impl LoadView {
    pub fn within<'a>(&'a self, windows: &'a Windows) -> impl Iterator<Item = &'a Point> + 'a {
        windows.iter().flat_map(|window| {
            let from = self.points.partition_point(|point| point.intended < window.from);
            let to = self.points.partition_point(|point| point.intended < window.to);
            self.points[from..to.max(from)].iter()
        })
    }
}

/// How many of these requests were answered well.
pub(crate) fn successes<'a>(points: impl Iterator<Item = &'a Point>) -> Blocks {
    let mut blocks = Blocks::default();
    for point in points {
        blocks.add(point.intended, point.is_ok());
    }
    blocks
}

/// One fault, planned and real.
#[derive(Debug, Clone)]
pub(crate) struct FaultView {
    pub id: FaultId,
    pub armed: Option<u64>,
    pub lifted: Option<u64>,
    pub tally: Option<Tally>,
    pub failed: Option<String>,
    /// Why it was never in the world, if what it waited for did not come.
    pub never: Option<String>,
}

/// The end of a service's process, or of a container's.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub at: u64,
    /// The service, or the container where it belongs to none.
    pub service: String,
    pub status: ProcessStatus,
    pub cause: ExitCause,
    pub last_output: Vec<String>,
    /// True if the kernel had killed a process of it for want of memory just before.
    pub out_of_memory: bool,
}

impl Exit {
    /// What it said last, behind these words and not longer than so many characters; nothing if it said nothing.
    pub fn last_words(&self, behind: &str, most: usize) -> String {
        let last = self.last_output.iter().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(String::new, |line| format!("{behind}{}", words::cut(line.trim(), most)))
    }
}

/// A service's process, or a container, that came up.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub at: u64,
    /// The service, or the container where it belongs to none.
    pub service: String,
}

/// A probe's answer.
#[derive(Debug, Clone)]
pub(crate) struct ProbeAnswer {
    pub asked: u64,
    /// When the answer came, or was given up.
    pub ended: u64,
    pub ok: bool,
    pub saw: String,
}

impl ProbeAnswer {
    /// When the answer counts: a question that was open when the fault was armed (`None`: never) is the fault's, for it
    /// may have met it.
    pub fn counts_at(&self, armed: Option<u64>) -> u64 {
        match armed {
            Some(armed) if self.ended > armed => self.asked.max(armed),
            _ => self.asked,
        }
    }
}

/// What a service that did not recover does once its load is stopped and begun again. Nothing of it is in any other part of the
/// view: all else sees a run that ends where the load was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quiesced {
    /// Without load.
    pub quiet: Window,
    /// With the full load again; `None` if the run ended before that.
    pub again: Option<Window>,
    /// The edges were quiet for some time of it: under 1 % of the calls of the baseline.
    pub went_quiet: bool,
    /// A service ended with code 0 in it, as one may that has nothing to do.
    pub left: bool,
}

/// What went wrong with Murphy itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub events: u64,
    pub gaps: u64,
    pub panics: u64,
    pub accepts: u64,
}

/// What somebody did to the run by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByHand {
    /// When it was done for the first time.
    pub at: u64,
    /// What that was.
    pub first: String,
    /// How often something was done after it.
    pub more: u64,
}

/// The run, laid out for judging.
#[derive(Debug)]
pub(crate) struct RunView<'a> {
    pub brief: Option<&'a RunBrief>,
    pub end: RunEnd,
    pub first: u64,
    pub last: u64,
    pub baseline: Windows,
    pub during: Windows,
    /// The phase itself, in which loads may be raised; `during` is when something was broken.
    pub fault_phase: Option<Window>,
    /// From the last lift to the end of the load, or of the phase where nothing is sent.
    pub recovery: Windows,
    /// The later half of `recovery`: what "after" means in a table.
    pub after: Windows,
    /// When the last fault was lifted, as acknowledged.
    pub lifted: Option<u64>,
    /// Where the load was stopped and begun again.
    pub quiesced: Option<Quiesced>,
    pub loads: Vec<LoadView>,
    pub edges: Vec<EdgeView>,
    pub faults: Vec<FaultView>,
    pub exits: Vec<Exit>,
    /// In order; of containers only those that had ended in the run.
    pub starts: Vec<Start>,
    /// Services of which a process was killed for want of memory, and that lived on.
    pub starved: BTreeSet<String>,
    pub probes: BTreeMap<String, Vec<ProbeAnswer>>,
    pub loss: Loss,
    pub by_hand: Option<ByHand>,
    pub leftovers: Vec<String>,
    pub(crate) lives: OnceCell<Vec<Life>>,
    pub(crate) across: OnceCell<BTreeMap<EdgeName, Across>>,
}

impl RunView<'_> {
    /// When each user request was under way, by beginning; those in flight when the first fault was armed included.
    pub fn lives(&self) -> &[Life] {
        self.lives.get_or_init(|| lives(self))
    }

    /// The calls on an edge that requests made which were in flight when the first fault was armed; `None` for an edge of another run.
    pub fn across(&self, edge: &EdgeView) -> Option<&Across> {
        let of_all = || self.edges.iter().map(|edge| (edge.name.clone(), Across::of(self, edge))).collect();
        self.across.get_or_init(of_all).get(&edge.name)
    }

    pub fn fault(&self, id: &FaultId) -> Option<&FaultView> {
        self.faults.iter().find(|fault| &fault.id == id)
    }

    /// When a fault was in the world: up to the end of the run where it was not taken back.
    pub fn in_world(&self, fault: &FaultBrief) -> Option<Window> {
        let view = self.fault(&fault.id)?;
        Some(Window { from: view.armed?, to: view.lifted.unwrap_or(self.last.saturating_add(1)) })
    }

    pub fn load(&self, name: &LoadName) -> Option<&LoadView> {
        self.loads.iter().find(|load| &load.name == name)
    }

    pub fn first_armed(&self) -> Option<u64> {
        self.faults.iter().filter_map(|fault| fault.armed).min()
    }

    /// True if the run came to its planned end.
    pub fn is_complete(&self) -> bool {
        self.end == RunEnd::Complete
    }

    /// When trouble began: the first fault was armed, or a load was raised.
    pub fn trouble(&self) -> Option<u64> {
        let is_raised = |brief: &RunBrief| brief.loads.iter().any(|load| load.ramp.is_some());
        let raised = self.fault_phase.filter(|_| self.brief.is_some_and(is_raised));
        self.first_armed().into_iter().chain(raised.map(|phase| phase.from)).min()
    }

    /// A service that Murphy started and that ended by itself after that.
    pub fn crashes(&self) -> impl Iterator<Item = &Exit> {
        let trouble = self.trouble();
        self.exits
            .iter()
            .filter(move |exit| exit.cause == ExitCause::Itself && trouble.is_some_and(|at| exit.at >= at))
    }
}

/// The kinds of answer that count as success where the author allows some.
pub(crate) fn allowed(may: &[Served]) -> BTreeSet<Served> {
    murphy_core::gathered(may.iter().copied().chain([Served::Fresh]))
}
