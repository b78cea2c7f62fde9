//! Faults that wait for something to be seen: `after: { edge: db, nth: 3 }`, `when: { probe: ready, is: failing }`.
//!
//! What is seen is what stands in the journal, in its order, so a run shows by itself why a fault began or did not.

use std::sync::{Arc, Mutex, PoisonError};

use murphy_core::{Event, EventKind, Offset, Phase, Span, plural};
use murphy_scenario::{Counted, FaultStep, ProbeState, Trigger};
use tokio::sync::mpsc;

/// What a fault waited for was seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Met {
    /// The fault, by its place in the plan.
    pub(crate) fault: usize,
    /// What was seen, for people.
    pub(crate) by: String,
}

/// One fault that waits.
#[derive(Debug)]
struct Wait {
    fault: usize,
    trigger: Trigger,
    /// From the beginning of the fault phase.
    from: Span,
    /// Calls, connections or answers so far.
    seen: u64,
    met: bool,
}

/// All that is waited for, and how far each has come.
#[derive(Debug, Clone)]
pub(crate) struct Waits(Arc<Mutex<Vec<Wait>>>);

/// Sees the journal's events and says what was met.
#[derive(Debug)]
pub(crate) struct TriggerWatch {
    waits: Waits,
    begun: Option<Offset>,
    met: mpsc::UnboundedSender<Met>,
}

/// Watches what the faults of a plan wait for.
pub(crate) fn watch(faults: &[FaultStep]) -> (TriggerWatch, Waits, mpsc::UnboundedReceiver<Met>) {
    let waits = faults.iter().enumerate().filter_map(|(fault, step)| {
        Some(Wait { fault, trigger: step.trigger.clone()?, from: step.at, seen: 0, met: false })
    });
    let waits = Waits(Arc::new(Mutex::new(waits.collect())));
    let (met, receiver) = mpsc::unbounded_channel();
    (TriggerWatch { waits: waits.clone(), begun: None, met }, waits, receiver)
}

impl TriggerWatch {
    pub(crate) fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::PhaseStarted { phase: Phase::Fault } => self.begun = Some(event.at),
            EventKind::Exchange { .. }
            | EventKind::Request(_)
            | EventKind::ConnOpened { .. }
            | EventKind::Probe { .. } => {
                let Some(begun) = self.begun else { return };
                // A call on a connection that is kept open is told of when the next one begins: it counts where it was over.
                let seen = match &event.kind {
                    EventKind::Exchange { ended, .. } => *ended,
                    EventKind::Request(call) => call.ended,
                    _ => event.at,
                };
                for wait in self.waits.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                    if !wait.met
                        && seen >= begun + wait.from
                        && let Some(by) = wait.on(&event.kind)
                    {
                        wait.met = true;
                        // Nobody hears it once the run is on its way out.
                        let _ = self.met.send(Met { fault: wait.fault, by });
                    }
                }
            }
            _ => {}
        }
    }
}

impl Wait {
    /// What was seen, if it is what was waited for.
    fn on(&mut self, kind: &EventKind) -> Option<String> {
        match (&self.trigger, kind) {
            (Trigger::After { edge, nth, of }, kind) => {
                let (on, counts) = match kind {
                    EventKind::Exchange { edge, .. } => (edge, Counted::Calls),
                    EventKind::Request(call) => (&call.edge, Counted::Calls),
                    EventKind::ConnOpened { edge, .. } => (edge, Counted::Connections),
                    _ => return None,
                };
                self.seen += u64::from(on == edge && counts == *of);
                (self.seen >= u64::from(*nth)).then(|| format!("{} {nth} on {edge}", of.one()))
            }
            (Trigger::When { probe, is }, EventKind::Probe { probe: asked, ok, saw, .. })
                if probe == asked =>
            {
                self.seen += 1;
                (*ok == (*is == ProbeState::Passing)).then(|| format!("probe {probe} is {is} ({saw})"))
            }
            (Trigger::When { .. }, _) => None,
        }
    }

    /// What was seen instead of what was waited for.
    fn instead(&self) -> String {
        match &self.trigger {
            _ if self.met => "what it waits for came when its time was over".to_owned(),
            Trigger::After { edge, nth, of } => {
                format!("{edge} had {} of {}", self.seen, plural(u64::from(*nth), of.one()))
            }
            Trigger::When { probe, is } => {
                format!("probe {probe} was not {is} in {}", plural(self.seen, "answer"))
            }
        }
    }
}

impl Waits {
    /// Why a fault that waits has not begun; `None` if it waits for nothing.
    pub(crate) fn instead(&self, fault: usize) -> Option<String> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.iter().find(|wait| wait.fault == fault).map(Wait::instead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{ConnId, EdgeName, ExchangeEnd, ProbeName};

    fn wait(trigger: Trigger) -> (TriggerWatch, Waits, mpsc::UnboundedReceiver<Met>) {
        let from = Span::from_secs(1);
        let waits = Waits(Arc::new(Mutex::new(vec![Wait { fault: 3, trigger, from, seen: 0, met: false }])));
        let (met, receiver) = mpsc::unbounded_channel();
        (TriggerWatch { waits: waits.clone(), begun: None, met }, waits, receiver)
    }

    fn feed(watch: &mut TriggerWatch, seconds: u64, kind: EventKind) {
        watch.on(&Event { seq: 0, at: Offset::from_micros(seconds * 1_000_000), kind });
    }

    fn opened(edge: &str) -> EventKind {
        EventKind::ConnOpened { edge: EdgeName::new(edge).unwrap(), conn: ConnId(1), peer: String::new() }
    }

    fn answered(probe: &str, ok: bool) -> EventKind {
        let probe = ProbeName::new(probe).unwrap();
        EventKind::Probe { probe, asked: Offset::ZERO, took: Span::ZERO, ok, saw: "refused".to_owned() }
    }

    #[test]
    fn only_what_is_meant_counts_and_only_from_its_time_in_the_fault_phase_on() {
        let edge = EdgeName::new("db").unwrap();
        let (mut watch, waits, mut met) = wait(Trigger::After { edge, nth: 2, of: Counted::Connections });
        feed(&mut watch, 5, opened("db"));
        feed(&mut watch, 6, EventKind::PhaseStarted { phase: Phase::Fault });
        feed(&mut watch, 6, opened("db"));
        feed(&mut watch, 7, opened("db"));
        feed(&mut watch, 7, opened("cache"));
        feed(&mut watch, 7, answered("db", false));
        assert!(met.try_recv().is_err());
        assert_eq!(waits.instead(3).unwrap(), "db had 1 of 2 connections");
        assert_eq!(waits.instead(2), None, "it waits for nothing");
        feed(&mut watch, 8, opened("db"));
        feed(&mut watch, 8, opened("db"));
        assert_eq!(met.try_recv().unwrap(), Met { fault: 3, by: "connection 2 on db".to_owned() });
        assert!(met.try_recv().is_err(), "once");
    }

    #[test]
    fn a_call_that_was_over_before_its_time_does_not_count_when_it_is_told_of_later() {
        let edge = || EdgeName::new("db").unwrap();
        let (mut watch, waits, mut met) = wait(Trigger::After { edge: edge(), nth: 1, of: Counted::Calls });
        let over = |seconds: u64| EventKind::Exchange {
            edge: edge(),
            conn: ConnId(1),
            began: Offset::ZERO,
            answered: None,
            ended: Offset::from_micros(seconds * 1_000_000),
            end: ExchangeEnd::Answered,
            touched: false,
        };
        feed(&mut watch, 6, EventKind::PhaseStarted { phase: Phase::Fault });
        feed(&mut watch, 8, over(6));
        assert!(met.try_recv().is_err());
        assert_eq!(waits.instead(3).unwrap(), "db had 0 of 1 call");
        feed(&mut watch, 8, over(7));
        assert_eq!(met.try_recv().unwrap().by, "call 1 on db");
    }

    #[test]
    fn a_probe_is_waited_for_until_it_says_what_is_meant() {
        let probe = || ProbeName::new("ready").unwrap();
        for (is, good) in [(ProbeState::Failing, false), (ProbeState::Passing, true)] {
            let (mut watch, waits, mut met) = wait(Trigger::When { probe: probe(), is });
            feed(&mut watch, 6, EventKind::PhaseStarted { phase: Phase::Fault });
            feed(&mut watch, 7, answered("ready", !good));
            feed(&mut watch, 7, answered("live", good));
            assert!(met.try_recv().is_err());
            assert_eq!(waits.instead(3).unwrap(), format!("probe ready was not {is} in 1 answer"));
            feed(&mut watch, 8, answered("ready", good));
            assert_eq!(met.try_recv().unwrap().by, format!("probe ready is {is} (refused)"));
        }
    }
}
