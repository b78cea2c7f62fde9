//! A fault on containers while it is in the world: armed, on one that was restarted or replaced put once more, and lifted. Nothing is
//! done before its undo is in the log, and what the engine may still carry out is waited for before it is taken back.

use std::time::Duration;

use murphy_core::{ContainerIdentity, EventKind, FaultId, Tally, Undo, UndoId};
use murphy_docker::{Action, Reverted};
use murphy_faults::Fault;
use murphy_scenario::FaultStep;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Containers;
use crate::RunError;
use crate::by_hand::by_hand;
use crate::container_acts::{NotDone, act_on, asked, ends, is_away, takes_its_time};
use crate::lock::Lockable;
use crate::undo::Unsure;

/// How long an engine that has gone (a restart of its daemon) is waited for when something is to be taken back.
const ENGINE_PATIENCE: Duration = Duration::from_secs(15);
/// The pause between two questions.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// One fault in the world.
pub(super) struct Armed {
    pub(super) action: Action,
    pub(super) targets: Vec<ContainerIdentity>,
    undos: Vec<(UndoId, Undo)>,
    /// How many containers took it, by the engine's answers.
    pub(super) applied: u64,
    /// Acts that take their time (a stop with its grace), with the containers that took it.
    acting: JoinSet<Result<u64, NotDone>>,
    /// True if the act only counts once the container has ended.
    pub(super) ends: bool,
    /// Whether an act that the engine did not answer may still come about.
    unsure: Unsure,
}

impl Containers {
    /// Puts a fault into the world.
    pub(crate) async fn arm(&self, step: &FaultStep) -> Result<(), RunError> {
        let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
        let (target, action) =
            asked(step).ok_or_else(|| failed(format!("{} does not act on containers", step.fault.name())))?;
        let targets = self.targets(step, &target).await?;
        // Held until the fault is in the world: an event of its own effect must find it.
        let mut all = self.armed.lock().await;
        let prepared =
            self.engine.prepare_all(&targets, &action).await.map_err(|error| failed(error.to_string()))?;
        let identities: Vec<ContainerIdentity> = prepared.iter().map(|one| one.container.clone()).collect();
        let mut undos = Vec::new();
        for undo in prepared.iter().flat_map(|one| &one.undos) {
            undos.push((self.log.due(Some(&step.id), undo)?, undo.clone()));
        }
        self.expect_exits(&step.id, &action, &identities);
        let containers = identities.clone();
        self.recorder.record(EventKind::ContainersChosen { fault: step.id.clone(), containers });
        self.recorder.record(EventKind::FaultArmed { fault: step.id.clone() });
        let ends = ends(&action) && !matches!(step.fault, Fault::Signal(_));
        let armed = all.entry(step.id.clone()).or_insert(Armed {
            action: action.clone(),
            targets: identities,
            undos,
            applied: 0,
            acting: JoinSet::new(),
            ends,
            unsure: Unsure::No,
        });
        let acting = act_on(self.engine.clone(), prepared, action);
        if takes_its_time(&armed.action) {
            let (recorder, fault) = (self.recorder.clone(), step.id.clone());
            armed.acting.spawn(murphy_core::boxed(async move {
                let answer = acting.await;
                if let Err(not_done) = &answer {
                    recorder.record(EventKind::FaultFailed { fault, why: not_done.why.clone() });
                }
                answer
            }));
            return Ok(());
        }
        match acting.await {
            Ok(done) => armed.applied = done,
            Err(not_done) => {
                armed.unsure = not_done.unsure;
                return Err(failed(not_done.why));
            }
        }
        Ok(())
    }

    /// Takes a fault out of the world. What it did, and what could not be taken back.
    pub(crate) async fn lift(&self, fault: &FaultId) -> Option<(Tally, Vec<String>)> {
        let mut armed = self.armed.lock().await.remove(fault)?;
        let mut failures = Vec::new();
        while let Some(acted) = armed.acting.join_next().await {
            match acted {
                Ok(Ok(done)) => armed.applied += done,
                // It was said when it happened; whatever part of it was done is taken back below.
                Ok(Err(not_done)) => armed.unsure = armed.unsure.max(not_done.unsure),
                Err(_) => {}
            }
        }
        let hits = if armed.ends { self.ended(fault, &armed).await } else { armed.applied };
        let (undone, mut failed) = self.take_back(std::mem::take(&mut armed.undos), armed.unsure).await;
        failures.append(&mut failed);
        self.forget_exits(fault, &armed, undone);
        Some((Tally { hits, ..Tally::default() }, failures))
    }

    /// Takes undos back, given in the order of doing; an engine that is away is waited for, and so is what may still come
    /// about. Whether anything was changed, and what could not be taken back.
    pub(crate) async fn take_back(&self, undos: Vec<(UndoId, Undo)>, unsure: Unsure) -> (bool, Vec<String>) {
        unsure.over().await;
        let deadline = Instant::now() + ENGINE_PATIENCE;
        let (mut due, mut failures, mut changed) = (undos, Vec::new(), false);
        while !due.is_empty() {
            let only: Vec<Undo> = due.iter().map(|(_, undo)| undo.clone()).collect();
            let mut again = Vec::new();
            for (undo, answer) in self.engine.revert_all(&only).await {
                let Some(at) = due.iter().position(|(_, one)| *one == undo) else { continue };
                let (id, undo) = due.swap_remove(at);
                match answer {
                    Ok(reverted) => {
                        changed |= matches!(reverted, Reverted::Restored { .. });
                        // What cannot be noted is taken back once more later, which is harmless.
                        drop(self.log.done(id));
                        self.recorder.record(EventKind::Undone { undo });
                    }
                    Err(error) if is_away(&error) && Instant::now() < deadline => again.push((id, undo)),
                    Err(error) => {
                        let why = format!("{error}; by hand: {}", by_hand(&undo));
                        failures.push(format!("{undo}: {why}"));
                        self.recorder.record(EventKind::UndoFailed { undo, why });
                    }
                }
            }
            murphy_core::sort_short(&mut again, |a, b| a.0.cmp(&b.0));
            due = again;
            if !due.is_empty() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        (changed, failures)
    }

    /// A container runs in the place of one under a fault: the fault comes with it, where it would be gone otherwise.
    pub(super) async fn follow(&self, old: &ContainerIdentity, new: &ContainerIdentity) {
        let mut all = self.armed.lock().await;
        for (fault, armed) in all.iter_mut() {
            let same = old == new;
            let lost = match &armed.action {
                Action::Pause => true,
                Action::Limit(_) | Action::Disconnect(_) => !same,
                // These are over once they are done: that the container is back is for the judge to see.
                _ => false,
            };
            if !lost || !armed.targets.contains(old) {
                continue;
            }
            if let Err(why) = self.once_more(fault, armed, new).await {
                self.recorder.record(EventKind::FaultFailed { fault: fault.clone(), why });
            }
            if !same {
                armed.targets.push(new.clone());
            }
        }
    }

    async fn once_more(
        &self,
        fault: &FaultId,
        armed: &mut Armed,
        on: &ContainerIdentity,
    ) -> Result<(), String> {
        self.locks.take(&Lockable::Container(on.clone())).map_err(|error| error.to_string())?;
        let undos = self.engine.prepare(on, &armed.action).await.map_err(|error| error.to_string())?;
        for undo in &undos {
            let id = self.log.due(Some(fault), undo).map_err(|error| error.to_string())?;
            armed.undos.push((id, undo.clone()));
        }
        self.expect_exits(fault, &armed.action, std::slice::from_ref(on));
        self.engine.apply(on, &armed.action, &undos).await.map_err(|error| error.to_string())?;
        armed.applied += 1;
        Ok(())
    }
}
