//! What stands for a while: phases, faults while they were in the world, and the answers of probes. Their times are cut to the
//! stretch that is drawn; a state lasts until the next one is told.

use std::collections::BTreeMap;

use murphy_core::{Event, EventKind, FaultId, Phase, ProbeName, RunBrief, Span, Tally};

use super::WindowOf;

/// A phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseBand {
    /// Which.
    pub phase: Phase,
    /// Its beginning.
    pub from: Span,
    /// Its end.
    pub to: Span,
}

/// A fault, while it was in the world.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultBand {
    /// `latency 800ms`.
    pub text: String,
    /// `web → redis`.
    pub on: String,
    /// When it was armed and lifted, for every time that it was.
    pub windows: Vec<(Span, Span)>,
    /// What it did.
    pub tally: Tally,
}

/// The answers of a probe over time; neighbours of one answer are one stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeTrack {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub what: String,
    /// In order.
    pub stretches: Vec<Stretch>,
}

/// A time in which a probe gave one kind of answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// From the first question.
    pub from: Span,
    /// To the answer to the last.
    pub to: Span,
    /// Whether it was as expected.
    pub ok: bool,
    /// The first answer.
    pub saw: String,
}

pub(super) fn stretches(events: &[Event], window: WindowOf) -> BTreeMap<&ProbeName, Vec<Stretch>> {
    let mut probes: BTreeMap<&ProbeName, Vec<Stretch>> = BTreeMap::new();
    for event in events {
        let EventKind::Probe { probe, asked, took, ok, saw } = &event.kind else { continue };
        let (from, to) = (window.place(*asked), window.place(*asked + *took));
        let stretches = probes.entry(probe).or_default();
        match stretches.last_mut() {
            Some(last) if last.ok == *ok => last.to = to,
            last => {
                // The state between two answers is the older one's.
                if let Some(last) = last {
                    last.to = from;
                }
                stretches.push(Stretch { from, to, ok: *ok, saw: saw.clone() });
            }
        }
    }
    probes
}

pub(super) fn phases(events: &[Event], window: WindowOf) -> Vec<PhaseBand> {
    let mut bands: Vec<PhaseBand> = Vec::new();
    for event in events {
        if let EventKind::PhaseStarted { phase } = event.kind {
            let from = window.place(event.at);
            if let Some(last) = bands.last_mut() {
                last.to = from;
            }
            bands.push(PhaseBand { phase, from, to: window.length });
        }
    }
    bands
}

pub(super) fn faults(events: &[Event], brief: &RunBrief, window: WindowOf) -> Vec<FaultBand> {
    type Windows = Vec<(Span, Span)>;
    let mut found: BTreeMap<&FaultId, (Windows, Tally)> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::FaultArmed { fault } => {
                found.entry(fault).or_default().0.push((window.place(event.at), window.length));
            }
            EventKind::FaultLifted { fault, tally } => {
                let (windows, sum) = found.entry(fault).or_default();
                if let Some(last) = windows.last_mut() {
                    last.1 = window.place(event.at);
                }
                sum.connections += tally.connections;
                sum.hits += tally.hits;
                sum.bytes += tally.bytes;
            }
            _ => {}
        }
    }
    let band = |fault: &murphy_core::FaultBrief| {
        let (windows, tally) = found.remove(&fault.id)?;
        Some(FaultBand { text: fault.text.clone(), on: fault.on.clone(), windows, tally })
    };
    brief.faults.iter().filter_map(band).collect()
}
