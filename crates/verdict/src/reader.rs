//! Reads the events of a journal, one by one, for a run to be judged. Tolerates any list: what is missing is counted,
//! not guessed. Of an event only what judging needs is kept, so that a run of a million events can be judged in little
//! memory.

mod view;

use std::collections::BTreeMap;

use murphy_core::{
    Event, EventKind, ExitCause, FaultId, LedgerRead, LoadName, Phase, ProcessStatus, RunBrief, Sample,
};

use crate::edge::EdgeViews;
use crate::judgement::RunEnd;
use crate::phase::{ByHand, Exit, FaultView, Loss, Point, ProbeAnswer, Start, micros};

/// The exit code of a process that got SIGKILL.
const KILLED: i64 = 137;
/// The engine tells an exit and its want of memory by two ways, of which either may be the quicker one: microseconds.
const OVERTAKEN: u64 = 1_000_000;

/// A container of which the kernel killed a process for want of memory.
#[derive(Debug)]
struct Starved {
    at: u64,
    service: String,
    told: Told,
}

/// Whether its want of memory was told of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    First,
    /// Just before, with an exit: the same again, unless another exit by the kernel follows at once.
    Again,
}

impl Starved {
    /// True if it is why its container ends with this code at this time.
    fn ends(&self, code: i64, at: u64) -> bool {
        self.told == Told::First || code == KILLED && at.saturating_sub(self.at) <= OVERTAKEN
    }
}

/// Takes events one by one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    brief: Option<Box<RunBrief>>,
    phases: Vec<(u64, Phase)>,
    /// Those that were never sent included.
    points: BTreeMap<LoadName, Vec<Point>>,
    planned: BTreeMap<LoadName, u64>,
    ledgers: BTreeMap<LoadName, Box<LedgerRead>>,
    faults: BTreeMap<FaultId, FaultView>,
    exits: Vec<Exit>,
    starts: Vec<Start>,
    /// Containers of which the kernel killed a process for want of memory, and that have not ended since: by their ids.
    out_of_memory: BTreeMap<String, Starved>,
    /// Where in `exits` the kernel's kill of a container stands, by its id.
    killed: BTreeMap<String, usize>,
    probes: BTreeMap<String, Vec<ProbeAnswer>>,
    edges: EdgeViews,
    loss: Loss,
    by_hand: Option<ByHand>,
    leftovers: Vec<String>,
    ended: bool,
    early: Option<RunEnd>,
    first: Option<u64>,
    last: u64,
    next: u64,
    taken: u64,
}

impl Reader {
    pub fn take(&mut self, event: &Event) {
        let is_first = self.taken == 0;
        self.taken += 1;
        if event.seq != self.next {
            self.loss.gaps += 1;
        }
        self.next = event.seq.wrapping_add(1);
        let at = micros(event.at);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at);
        self.edges.take(&event.kind, at);
        match &event.kind {
            EventKind::RunStarted(brief) if is_first => self.brief = Some(brief.clone()),
            EventKind::PhaseStarted { phase } => self.phases.push((at, *phase)),
            EventKind::RunEnded => self.ended = true,
            EventKind::ServiceStarted { service, .. } => {
                self.starts.push(Start { at, service: service.as_str().to_owned() });
            }
            EventKind::ContainerRestarted { container, service, .. } => {
                let service = service.clone().unwrap_or_else(|| container.to_string());
                self.starts.push(Start { at, service });
            }
            EventKind::ServiceExited { service, status, cause, last_output } => self.exits.push(Exit {
                at,
                service: service.as_str().to_owned(),
                status: *status,
                cause: *cause,
                last_output: last_output.clone(),
                out_of_memory: false,
            }),
            // A container that ends by itself with code 0 has done its work, as one that prepares a database.
            EventKind::ContainerExited { container, service, code, cause, last_output }
                if *code != 0 || *cause != ExitCause::Itself =>
            {
                if *code == KILLED {
                    self.killed.insert(container.id.clone(), self.exits.len());
                }
                self.exits.push(Exit {
                    at,
                    service: service.clone().unwrap_or_else(|| container.to_string()),
                    status: match *code {
                        128..=192 => ProcessStatus::Signal((*code - 128) as i32),
                        code => ProcessStatus::Code(code as i32),
                    },
                    cause: *cause,
                    last_output: last_output.clone(),
                    out_of_memory: self
                        .out_of_memory
                        .remove(container.id.as_str())
                        .is_some_and(|starved| starved.ends(*code, at)),
                });
            }
            EventKind::ContainerOom { container, service } => {
                let killed = self.killed.get(&container.id).and_then(|exit| self.exits.get_mut(*exit));
                let told = match killed.filter(|exit| at.saturating_sub(exit.at) <= OVERTAKEN) {
                    Some(exit) if !exit.out_of_memory => {
                        exit.out_of_memory = true;
                        return;
                    }
                    Some(_) => Told::Again,
                    None => Told::First,
                };
                let service = service.clone().unwrap_or_else(|| container.to_string());
                self.out_of_memory.insert(container.id.clone(), Starved { at, service, told });
            }
            EventKind::ContainerEventsLost { .. } => self.loss.events += 1,
            EventKind::FaultArmed { fault } => self.fault(fault).armed = Some(at),
            EventKind::FaultLifted { fault, tally } => {
                let fault = self.fault(fault);
                (fault.lifted, fault.tally) = (Some(at), Some(*tally));
            }
            EventKind::FaultFailed { fault, why } => self.fault(fault).failed = Some(why.clone()),
            EventKind::FaultNeverArmed { fault, why } => self.fault(fault).never = Some(why.clone()),
            EventKind::ByHand(deed) => match &mut self.by_hand {
                Some(known) => known.more += 1,
                None => self.by_hand = Some(ByHand { at, first: deed.to_string(), more: 0 }),
            },
            EventKind::AcceptFailed { .. } => self.loss.accepts += 1,
            EventKind::ConnPanicked { .. } => self.loss.panics += 1,
            EventKind::Sample(sample) => self.sample(sample),
            EventKind::LoadEnded { load, planned, .. } => drop(self.planned.insert(load.clone(), *planned)),
            EventKind::LedgerRead { load, read } => {
                drop(self.ledgers.insert(load.clone(), read.clone()));
            }
            EventKind::Probe { probe, asked, took, ok, saw } => {
                let (asked, ended) = (micros(*asked), micros(*asked + *took));
                let answer = ProbeAnswer { asked, ended, ok: *ok, saw: saw.clone() };
                self.probes.entry(probe.as_str().to_owned()).or_default().push(answer);
            }
            EventKind::EventsLost { count } => self.loss.events = self.loss.events.saturating_add(*count),
            EventKind::Interrupted { signal } => {
                self.ends_early(RunEnd::Interrupted { signal: signal.clone() })
            }
            EventKind::Aborted { rule } => self.ends_early(RunEnd::Aborted { rule: rule.clone() }),
            EventKind::RunFailed { why } => self.ends_early(RunEnd::Failed { why: why.clone() }),
            EventKind::UndoFailed { undo, why } => self.leftovers.push(format!("{undo}: {why}")),
            _ => {}
        }
    }

    /// The first reason for an early end is the one that counts.
    fn ends_early(&mut self, end: RunEnd) {
        self.early.get_or_insert(end);
    }

    fn sample(&mut self, sample: &Sample) {
        let point = Point::of(sample);
        match self.points.get_mut(&sample.load) {
            Some(points) => points.push(point),
            // The name is copied once for each load and not for each request.
            None => drop(self.points.insert(sample.load.clone(), vec![point])),
        }
    }

    fn fault(&mut self, id: &FaultId) -> &mut FaultView {
        self.faults.entry(id.clone()).or_insert_with(|| FaultView {
            id: id.clone(),
            armed: None,
            lifted: None,
            tally: None,
            failed: None,
            never: None,
        })
    }
}
