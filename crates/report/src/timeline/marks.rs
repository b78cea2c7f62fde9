//! What is worth telling of a run, as remarks in order of time. It must never weigh one against another: if there are too many,
//! the last are left out and counted.

use std::collections::BTreeMap;

use murphy_core::{Event, EventKind, ExitCause, FaultId, ProbeName, RunBrief, Span};

use super::WindowOf;
use crate::html::spoken;

/// Remarks beyond this many are left out; the journal has them.
const MOST_MARKS: usize = 200;

/// How a remark is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkTone {
    /// As planned.
    Plain,
    /// Something broke on purpose.
    Fault,
    /// Something went wrong.
    Bad,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When; `None` for what was before the load.
    pub at: Option<Span>,
    /// How it is meant.
    pub tone: MarkTone,
    /// What.
    pub text: String,
}

pub(super) fn marks(events: &[Event], brief: &RunBrief, window: WindowOf) -> (Vec<Mark>, usize) {
    let fault = |id: &FaultId| {
        brief
            .faults
            .iter()
            .find(|fault| fault.id == *id)
            .map_or_else(|| id.to_string(), |fault| format!("{} on {}", fault.text, fault.on))
    };
    let mut probes: BTreeMap<&ProbeName, bool> = BTreeMap::new();
    let mut marks = Vec::new();
    for event in events {
        use MarkTone::{Bad, Fault, Plain};
        let (tone, text) = match &event.kind {
            EventKind::PhaseStarted { phase } => (Plain, format!("phase {phase}")),
            EventKind::FaultArmed { fault: id } => (Fault, format!("fault on: {}", fault(id))),
            EventKind::FaultLifted { fault: id, tally } => {
                let hits = if tally.hits == 0 { String::new() } else { format!(" ({} hits)", tally.hits) };
                (Fault, format!("fault off: {}{hits}", fault(id)))
            }
            EventKind::FaultTriggered { fault: id, by } => (Fault, format!("{by}: begin {id}")),
            EventKind::FaultNeverArmed { fault: id, why } => {
                (Bad, format!("fault never on: {}: {why}", fault(id)))
            }
            EventKind::ByHand(deed) => (Fault, format!("by hand: {deed}")),
            EventKind::FaultFailed { fault: id, why } => (Bad, format!("fault failed: {}: {why}", fault(id))),
            EventKind::ServiceReady { service, took } => {
                (Plain, format!("service {service} ready after {}", spoken(*took)))
            }
            EventKind::ServiceExited { service, cause: ExitCause::Itself, last_output, .. } => {
                let last = last_output.last().map(|line| format!(": {line}")).unwrap_or_default();
                (Bad, format!("service {service} ended by itself{last}"))
            }
            EventKind::ServiceExited { service, cause: ExitCause::Fault, .. } => {
                (Fault, format!("service {service} was ended by a fault"))
            }
            EventKind::ContainerExited { container, cause, code, .. } => {
                let tone = if *cause == ExitCause::Itself { Bad } else { Fault };
                (tone, format!("container {} exited with {code}", container.name))
            }
            EventKind::ContainerOom { container, .. } => {
                (Bad, format!("container {} ran out of memory", container.name))
            }
            EventKind::ContainerRestarted { container, down, .. } => {
                (Plain, format!("container {} runs again after {}", container.name, spoken(*down)))
            }
            EventKind::Probe { probe, ok, saw, .. } => {
                if probes.insert(probe, *ok) == Some(*ok) {
                    continue;
                }
                let state = if *ok { "ok" } else { "not ok" };
                (if *ok { Plain } else { Bad }, format!("probe {probe} {state}: {saw}"))
            }
            EventKind::QuiesceSkipped { why } => (Plain, format!("load not stopped: {why}")),
            EventKind::EventsLost { count } => (Bad, format!("{count} events lost")),
            EventKind::Interrupted { signal } => (Bad, format!("interrupted by {signal}")),
            EventKind::Aborted { rule } => (Bad, format!("stop condition met: {rule}")),
            EventKind::RunFailed { why } => (Bad, format!("the run failed: {why}")),
            EventKind::UndoFailed { undo, why } => (Bad, format!("not taken back: {undo}: {why}")),
            _ => continue,
        };
        let at = (event.at >= window.begin).then(|| window.place(event.at));
        marks.push(Mark { at, tone, text });
    }
    marks.sort_by_key(|mark| mark.at);
    let left_out = marks.len().saturating_sub(MOST_MARKS);
    marks.truncate(MOST_MARKS);
    (marks, left_out)
}
