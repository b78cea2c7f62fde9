//! Makes a [`RunView`] of all that was read: the windows of the run, each load with its requests in order, and how
//! the run ended. It reads no event, and must never fill in what the journal does not tell.

use std::collections::BTreeMap;

use murphy_core::{ExitCause, LoadName, Phase, ProcessStatus, RunBrief, SampleOutcome};

use super::{Reader, Told};
use crate::edge::EdgeView;
use crate::goodput::{QUIET, REST};
use crate::judgement::RunEnd;
use crate::phase::{
    Exit, FaultView, LedgerView, LoadView, Point, ProbeAnswer, Quiesced, RunView, Window, Windows, Write,
};

impl Reader {
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
    use murphy_core::{Offset, Sample, Served};

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
