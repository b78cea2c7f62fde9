//! What hands see of the faults that the plan has put on edges, and how one of them is put back: by whoever has taken it off, or
//! because he has gone.

use std::sync::PoisonError;
use std::time::Instant;

use murphy_core::{EdgeName, EventKind, FaultId};
use murphy_faults::{Effect, Fault};
use murphy_proxy::Armed;
use murphy_scenario::{FaultStep, FaultTarget};

use super::{InWorld, Injector, effect_of};
use crate::RunError;

/// What a fault was of which a hand has let go, if it is still its time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GivenBack {
    /// As the plan has it, or over.
    AsItWas,
    /// Off: it stands again.
    Armed {
        /// With its main settings, as printed.
        text: String,
    },
    /// Tuned: it has other settings again.
    Changed {
        /// With its main settings, as printed.
        text: String,
    },
}

impl Injector {
    /// The faults that it has put on an edge and that stand there, as they are now.
    pub(crate) fn standing_on(&self, edge: &EdgeName) -> Vec<(FaultId, Fault)> {
        let armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let on_edge = armed.iter().filter_map(|(id, in_world)| match in_world {
            InWorld::Edge { edge: on, fault } if on == edge => Some((id.clone(), Fault::clone(fault))),
            _ => None,
        });
        on_edge.collect()
    }

    /// Puts a fault back on its edge that a hand has taken off there. One whose time is over stays off.
    pub(crate) fn switch_on(&self, step: &FaultStep) -> Result<(), RunError> {
        // Held until it stands: so its end comes before all of this, or behind it and takes it off.
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if !due.contains_key(&step.id) {
            let why = "its time in the scenario is over".to_owned();
            return Err(RunError::Inject { fault: step.id.clone(), why });
        }
        self.put_back(step)
    }

    /// Has a fault on an edge stand there as the plan has it by now, whatever a hand has made of it. One whose time is over stays off.
    pub(crate) fn give_back(&self, step: &FaultStep) -> Result<GivenBack, RunError> {
        // As above; and no step of its ramp comes in between.
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(planned) = due.get(&step.id) else { return Ok(GivenBack::AsItWas) };
        let text = planned.text();
        match self.stands_as(&step.id) {
            Some(current) if current == *planned => Ok(GivenBack::AsItWas),
            Some(_) => {
                self.tune(step, planned)?;
                Ok(GivenBack::Changed { text })
            }
            None => {
                self.put_back(&FaultStep { fault: planned.clone(), ..step.clone() })?;
                Ok(GivenBack::Armed { text })
            }
        }
    }

    fn stands_as(&self, id: &FaultId) -> Option<Fault> {
        let armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().find_map(|(standing, in_world)| match in_world {
            InWorld::Edge { fault, .. } if standing == id => Some(Fault::clone(fault)),
            _ => None,
        })
    }

    /// Only of one that is due, and while that is held.
    fn put_back(&self, step: &FaultStep) -> Result<(), RunError> {
        let failed = |why: &str| RunError::Inject { fault: step.id.clone(), why: why.to_owned() };
        let (FaultTarget::Edge { edge, directions, chance, .. }, Some(Effect::Edge(effect))) =
            (&step.target, effect_of(step, &step.fault))
        else {
            return Err(failed("it does not sit on an edge"));
        };
        let hands = self.edge(edge).ok_or_else(|| failed("its edge is not open"))?;
        // Read before the act: whatever meets the fault ends after this.
        let felt = Instant::now();
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        hands.arm(Armed { id: step.id.clone(), effect, directions: *directions, chance: *chance });
        armed.push((
            step.id.clone(),
            InWorld::Edge { edge: edge.clone(), fault: Box::new(step.fault.clone()) },
        ));
        self.recorder.record_at_instant(felt, EventKind::FaultArmed { fault: step.id.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use murphy_core::{Chance, Directions, Recorder, Span};
    use murphy_docker::Environment;
    use murphy_faults::{Match, Which};
    use murphy_proxy::EdgeHands;
    use murphy_scenario::Ramp;

    use super::*;
    use crate::lock::Locks;
    use crate::services::Services;
    use crate::undo_log::{Owner, UndoLog};
    use crate::{RunDir, StateDir};

    fn injector(folder: &Path) -> Injector {
        let state = StateDir::at(folder.join("state")).unwrap();
        let owner = Owner {
            process: murphy_host::myself(),
            scenario: "s".to_owned(),
            run_dir: folder.to_owned(),
            engine: Environment::default(),
        };
        let log = Arc::new(UndoLog::create(&state.log_path("run"), &owner).unwrap());
        let locks = Arc::new(Locks::new(&state, &owner.holder()));
        let (dir, recorder) = (RunDir::open(folder), Recorder::disabled());
        let services = Services::new(recorder.clone(), Arc::clone(&log), dir, PathBuf::new(), PathBuf::new());
        Injector::new(recorder, log, Arc::new(services), locks, PathBuf::new())
    }

    fn step(edge: &EdgeName, delay: &str) -> FaultStep {
        FaultStep {
            id: FaultId::new("latency-1").unwrap(),
            target: FaultTarget::Edge {
                edge: edge.clone(),
                directions: Directions::Both,
                chance: Chance::ALWAYS,
                matching: Box::new(Match::default()),
                which: Which::default(),
            },
            fault: serde_json::from_value(serde_json::json!({ "latency": delay })).unwrap(),
            ramp: Ramp::default(),
            trigger: None,
            at: Span::ZERO,
            lasts: Span::from_secs(1),
            entry: 0,
            turn: 1,
        }
    }

    #[tokio::test]
    async fn a_fault_that_was_switched_off_comes_back_until_its_time_is_over_and_then_never() {
        let folder = tempfile::tempdir().unwrap();
        let (injector, edge) = (injector(folder.path()), EdgeName::new("db").unwrap());
        let hands = EdgeHands::default();
        injector.add_edge(edge.clone(), hands.clone());
        let (planned, tuned) = (step(&edge, "40ms"), step(&edge, "50ms"));
        let id = &planned.id;

        injector.arm(&planned).await.unwrap();
        injector.lift(id).await;
        assert_eq!((hands.tally(id), injector.standing_on(&edge)), (None, Vec::new()));
        injector.switch_on(&tuned).unwrap();
        assert!(hands.tally(id).is_some());
        assert_eq!(injector.standing_on(&edge), [(id.clone(), tuned.fault.clone())]);
        injector.end(id).await;
        assert_eq!((hands.tally(id), injector.standing_on(&edge)), (None, Vec::new()));

        // Nothing would take it off again.
        let error = injector.switch_on(&tuned).unwrap_err();
        assert!(error.to_string().contains("its time in the scenario is over"), "{error}");
        injector.change(&planned, &tuned.fault).unwrap();
        assert_eq!((hands.tally(id), injector.standing_on(&edge)), (None, Vec::new()));
    }

    #[tokio::test]
    async fn what_a_hand_has_let_go_of_is_as_the_plan_has_it_by_then_until_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (injector, edge) = (injector(folder.path()), EdgeName::new("db").unwrap());
        let hands = EdgeHands::default();
        injector.add_edge(edge.clone(), hands.clone());
        let (planned, tuned, later) = (step(&edge, "40ms"), step(&edge, "50ms"), step(&edge, "60ms"));
        let id = &planned.id;
        let text = |of: &FaultStep| of.fault.text();

        injector.arm(&planned).await.unwrap();
        assert_eq!(injector.give_back(&planned).unwrap(), GivenBack::AsItWas);
        injector.tune(&planned, &tuned.fault).unwrap();
        let given_back = injector.give_back(&planned).unwrap();
        assert_eq!(given_back, GivenBack::Changed { text: text(&planned) });
        assert_eq!(injector.standing_on(&edge), [(id.clone(), planned.fault.clone())]);

        // Its ramp goes on while it is off.
        injector.lift(id).await;
        injector.change(&planned, &later.fault).unwrap();
        assert_eq!((hands.tally(id), injector.standing_on(&edge)), (None, Vec::new()));
        let given_back = injector.give_back(&planned).unwrap();
        assert_eq!(given_back, GivenBack::Armed { text: text(&later) });
        assert!(hands.tally(id).is_some());
        assert_eq!(injector.standing_on(&edge), [(id.clone(), later.fault.clone())]);

        // And its end comes.
        injector.lift(id).await;
        injector.end(id).await;
        assert_eq!(injector.give_back(&planned).unwrap(), GivenBack::AsItWas);
        assert_eq!((hands.tally(id), injector.standing_on(&edge)), (None, Vec::new()));
    }
}
