//! Reads the events of a journal, one by one, into a [`RunView`]. Tolerates any list: what is missing is counted, not guessed.
//! Of an event only what judging needs is kept, so that a run of a million events can be judged in little memory.

use std::collections::BTreeMap;

use murphy_core::{
    Event, EventKind, ExitCause, FaultId, LedgerRead, LoadName, Phase, ProcessStatus, RunBrief, Sample,
    SampleOutcome,
};

use crate::edge::{EdgeView, EdgeViews};
use crate::goodput::{QUIET, REST};
use crate::judgement::RunEnd;
use crate::phase::{
    ByHand, Exit, FaultView, LedgerView, LoadView, Loss, Point, ProbeAnswer, Quiesced, RunView, Start,
    Window, Windows, Write, micros,
};

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

    fn phase(&self, wanted: Phase) -> Option<Window> {
        let at = self.phases.iter().position(|(_, phase)| *phase == wanted)?;
        let from = self.phases[at].0;
        let to = self.phases[at + 1..].iter().map(|(start, _)| *start).find(|start| *start >= from);
        Some(Window { from, to: to.unwrap_or(u64::MAX) })
    }

    /// All that was read; the reader is empty then, but for the brief.
    pub fn finish(&mut self) -> RunView<'_> {
        murphy_core::sort_short(&mut self.phases, Ord::cmp);
        let faults: Vec<FaultView> = self.faults.values().cloned().collect();
        let first_armed = faults.iter().filter_map(|fault| fault.armed).min();
        let open_end = self.last.saturating_add(1);
        let during = match first_armed {
            Some(_) => Windows::union(
                faults
                    .iter()
                    .filter_map(|fault| {
                        Some(Window { from: fault.armed?, to: fault.lifted.unwrap_or(open_end) })
                    })
                    .collect(),
            ),
            // Nothing was broken: a control run, or a fault that could not be armed.
            None => Windows::union(self.phase(Phase::Fault).into_iter().collect()),
        };
        let all_lifted =
            faults.iter().filter(|fault| fault.armed.is_some()).all(|fault| fault.lifted.is_some());
        let lifted = faults.iter().filter_map(|fault| fault.lifted).max().filter(|_| all_lifted);
        let baseline = self
            .phase(Phase::Baseline)
            .map(|phase| Window { from: phase.from, to: phase.to.min(first_armed.unwrap_or(u64::MAX)) });
        let baseline = Windows::union(baseline.into_iter().collect());
        let (points, planned) = (std::mem::take(&mut self.points), std::mem::take(&mut self.planned));
        let clamped = |phase: Window| Window { to: phase.to.min(open_end), ..phase };
        let fault_phase = self.phase(Phase::Fault).map(clamped);
        let quiet = self.phase(Phase::Quiet).map(clamped);
        let stop = quiet.map_or(u64::MAX, |quiet| quiet.from);
        let mut loads = loads(self.brief.as_deref(), points, &planned, self.ended, first_armed, stop);
        for load in &mut loads {
            if let Some(ledger) = &mut load.ledger {
                ledger.read = self.ledgers.remove(&load.name);
            }
        }
        let (brief, mut exits) = (self.brief.as_deref(), std::mem::take(&mut self.exits));
        let mut edges = self.edges.finish(brief, &baseline, &faults, &exits);
        let mut probes = std::mem::take(&mut self.probes);
        let mut starts = std::mem::take(&mut self.starts);
        starts.sort_by_key(|start| start.at);
        // They are told of as they are answered; what is asked of a probe is by when it was asked.
        probes.values_mut().for_each(|answers| answers.sort_by_key(|answer| answer.asked));
        // Who ends with code 0 for want of anything to do was made to by the quiet time, and not by the fault.
        let idle = |exit: &Exit| {
            let done = exit.cause == ExitCause::Itself && exit.status == ProcessStatus::Code(0);
            done && quiet.is_some_and(|quiet| quiet.holds(exit.at))
        };
        let left = exits.iter().any(idle);
        exits.retain(|exit| !idle(exit));
        let quiesced = quiet.map(|quiet| Quiesced {
            left,
            quiet,
            again: self.phase(Phase::Again).map(clamped),
            went_quiet: went_quiet(&edges, &baseline, quiet),
        });
        if let Some(quiesced) = quiesced {
            without(quiesced, &mut loads, &mut edges, &mut probes);
        }
        let load_end =
            loads.iter().filter_map(|load| load.points.last()).map(|point| point.intended + 1).max();
        // Where nothing was sent, probes are asked to the end of the phase.
        let load_end = load_end.or_else(|| self.phase(Phase::Recovery).map(|phase| phase.to.min(open_end)));
        let recovery =
            match (lifted.or_else(|| self.phase(Phase::Recovery).map(|phase| phase.from)), load_end) {
                (Some(from), Some(to)) if from < to => Some(Window { from, to }),
                _ => None,
            };
        let after = recovery.map(|window| Window { from: window.from + window.length() / 2, to: window.to });
        let end = match (self.early.take(), self.ended) {
            (Some(early), _) => early,
            (None, true) => RunEnd::Complete,
            (None, false) => RunEnd::Torn,
        };
        let starved = std::mem::take(&mut self.out_of_memory).into_values();
        let starved = starved.filter(|starved| starved.told == Told::First).map(|starved| starved.service);
        let starved = starved.collect();
        RunView {
            brief,
            end,
            first: self.first.unwrap_or(0),
            last: self.last,
            edges,
            baseline,
            during,
            fault_phase,
            recovery: Windows::union(recovery.into_iter().collect()),
            after: Windows::union(after.into_iter().collect()),
            lifted,
            quiesced,
            loads,
            faults,
            exits,
            starts,
            starved,
            probes,
            loss: std::mem::take(&mut self.loss),
            by_hand: self.by_hand.take(),
            leftovers: std::mem::take(&mut self.leftovers),
            lives: std::cell::OnceCell::new(),
            across: std::cell::OnceCell::new(),
        }
    }
}

fn loads(
    brief: Option<&RunBrief>,
    mut points: BTreeMap<LoadName, Vec<Point>>,
    planned: &BTreeMap<LoadName, u64>,
    ended: bool,
    first_armed: Option<u64>,
    stop: u64,
) -> Vec<LoadView> {
    let mut names: Vec<LoadName> =
        brief.iter().flat_map(|brief| brief.loads.iter().map(|load| load.name.clone())).collect();
    for name in points.keys().chain(planned.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
        .into_iter()
        .map(|name| {
            let mut points = points.remove(&name).unwrap_or_default();
            let told = brief.and_then(|brief| brief.loads.iter().find(|load| load.name == name));
            let planned = planned.get(&name).copied();
            // What was due once the load was stopped counts in nothing but what is said of `again`.
            let counts = |point: &Point| point.intended < stop;
            let dropped = |point: &Point| point.outcome == SampleOutcome::Dropped;
            let missing = missing(&points, planned.filter(|_| ended));
            let count =
                |what: &dyn Fn(&Point) -> bool| points.iter().filter(|point| what(point)).count() as u64;
            let sent = count(&|point| point.sent.is_some() && counts(point));
            let never = count(&|point| dropped(point) && counts(point));
            let later = count(&|point| !counts(point));
            let planned = planned.map(|planned| planned.saturating_sub(later));
            let straddles = |point: &Point| {
                first_armed.is_some_and(|armed| point.intended < armed && armed < point.ended)
            };
            let ledger = told
                .and_then(|load| load.ledger.as_ref())
                .map(|_| LedgerView { writes: points.iter().filter_map(Write::of).collect(), read: None });
            points.retain(|point| !dropped(point));
            points.sort_by_key(|point| (point.intended, point.n));
            let (across, points): (Vec<Point>, Vec<Point>) = points.into_iter().partition(straddles);
            LoadView {
                timeout: told.map(|load| load.timeout),
                rate: told.map(|load| load.rate.as_per_second()),
                points,
                across,
                again: Vec::new(),
                dropped: never,
                sent,
                planned,
                missing,
                ledger,
                name,
            }
        })
        .collect()
}

/// At rest for some time of it.
fn went_quiet(edges: &[EdgeView], baseline: &Windows, quiet: Window) -> bool {
    let usual: usize = edges.iter().map(|edge| edge.within(baseline).count()).sum();
    let due = usual as f64 / baseline.length().max(1) as f64 * REST as f64;
    let few = (due * QUIET) as usize;
    let calls = edges.iter().flat_map(|edge| edge.in_window(quiet)).map(|call| call.began);
    let mut times: Vec<u64> = calls.chain([quiet.from, quiet.to]).collect();
    times.sort_unstable();
    times.windows((few + 2).min(times.len())).any(|times| times[times.len() - 1] - times[0] >= REST)
}

/// Takes out what began once the load was stopped, so that no statistic counts it by mistake.
fn without(
    quiesced: Quiesced,
    loads: &mut [LoadView],
    edges: &mut [EdgeView],
    probes: &mut BTreeMap<String, Vec<ProbeAnswer>>,
) {
    let end = quiesced.quiet.from;
    for load in loads {
        let mut later = load.points.split_off(load.points.partition_point(|point| point.intended < end));
        later.retain(|point| quiesced.again.is_some_and(|again| again.holds(point.intended)));
        load.again = later;
    }
    for edge in edges {
        edge.calls.truncate(edge.calls.partition_point(|call| call.began < end));
        edge.conns.truncate(edge.conns.partition_point(|conn| conn.opened < end));
    }
    for answers in probes.values_mut() {
        answers.retain(|answer| answer.asked < end);
    }
}

/// Ordinals that should be there once and are not.
fn missing(points: &[Point], planned: Option<u64>) -> u64 {
    let mut seen: Vec<u64> = points.iter().map(|point| point.n).collect();
    seen.sort_unstable();
    let all = seen.len() as u64;
    seen.dedup();
    let distinct = seen.len() as u64;
    let expected = planned.unwrap_or_else(|| seen.last().map_or(0, |last| last.saturating_add(1)));
    let within = seen.partition_point(|n| *n < expected) as u64;
    (expected - within.min(expected)).saturating_add(all - distinct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Offset, Served};

    #[test]
    fn a_missing_and_a_double_ordinal_are_both_counted() {
        let sample = |n: u64| Sample {
            load: LoadName::new("browse").unwrap(),
            n,
            intended: Offset::ZERO,
            sent: None,
            ended: Offset::ZERO,
            outcome: SampleOutcome::Ok,
            status: None,
            served: Served::Fresh,
            age: None,
            retry_after: None,
        };
        let all: Vec<Sample> = [0, 1, 3, 3].map(sample).to_vec();
        let all: Vec<Point> = all.iter().map(Point::of).collect();
        assert_eq!(missing(&all, Some(6)), 3 + 1); // 2, 4 and 5 are not there; 3 is there twice
        assert_eq!(missing(&all, None), 1 + 1);
        assert_eq!(missing(&[], Some(4)), 4);
    }
}
