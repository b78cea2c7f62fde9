//! The compose stack of a run: brought up (its undo on disk first) or found, healthy before the load begins, and taken
//! down at the end if it is the run's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use murphy_core::{ServiceName, Undo, UndoId};
use murphy_docker::{ComposeError, ComposeProgram, ComposeStack, Container, Engine, UpTimes};
use murphy_host as host;
use murphy_scenario::{StackKeep, StackPlan};

use crate::RunError;
use crate::lock::{Lockable, Locks};
use crate::undo_log::UndoLog;

/// A stack that is there, or on its way.
#[derive(Debug)]
pub(crate) struct Stack {
    engine: Engine,
    /// What to take back at the end, in the order of doing.
    undos: Mutex<Vec<(UndoId, Undo)>>,
    /// Set once compose is done with bringing it up.
    brought_up: OnceLock<()>,
}

/// What is to be taken back of a stack.
#[derive(Debug)]
pub(crate) struct Remains {
    /// In the order of doing.
    pub(crate) undos: Vec<(UndoId, Undo)>,
    pub(crate) coming: Coming,
}

/// Whether more of a stack may still come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// Compose was stopped in the middle: the engine may be at its last requests.
    Perhaps,
    /// All of it is there.
    No,
}

impl Stack {
    /// None yet.
    pub(crate) fn new(engine: Engine) -> Stack {
        Stack { engine, undos: Mutex::default(), brought_up: OnceLock::new() }
    }

    /// Has the stack up and healthy. Paths are relative to `base`; `marker` is how its compose process can be found
    /// again. Returns the project's name.
    pub(crate) async fn ready(
        &self,
        plan: &StackPlan,
        base: &Path,
        marker: &str,
        log: &UndoLog,
        locks: &Locks,
    ) -> Result<String, RunError> {
        if plan.keep == StackKeep::Found {
            let project = match (&plan.project, plan.compose.is_empty()) {
                (Some(project), _) => project.clone(),
                // Only its name is asked for; the program is not run.
                (None, _) => self.compose(plan, base, ComposeProgram::Plugin)?.project().to_owned(),
            };
            let containers =
                self.engine.running_project(&project).await.map_err(|error| found(error, plan))?;
            let services: Vec<String> = services_of(&containers).into_iter().collect();
            self.engine.until_ready(&project, &services, plan.wait).await.map_err(ComposeError::from)?;
            return Ok(project);
        }
        let program = ComposeProgram::detect().await?;
        let mut stack = self.compose(plan, base, program)?.with_variable(host::MARK_VARIABLE, marker);
        for (key, value) in &plan.env {
            stack = stack.with_variable(key, value);
        }
        locks.take(&Lockable::Project(stack.project().to_owned()))?;
        let take_down = stack.prepare(&self.engine).await?;
        // The compose process is stopped before the stack is taken down, or it would go on bringing it up.
        let stop_compose = ServiceName::new("compose")
            .map(|service| Undo::StopMarked { marker: marker.to_owned(), service })
            .ok();
        for undo in std::iter::once(take_down).chain(stop_compose) {
            let id = log.due(None, &undo)?;
            self.lock().push((id, undo));
        }
        stack.up(&self.engine, UpTimes { ready: plan.wait, ..UpTimes::default() }).await?;
        let _ = self.brought_up.set(());
        if plan.keep == StackKeep::Left {
            for (id, _) in self.lock().drain(..) {
                log.done(id)?;
            }
        }
        Ok(stack.project().to_owned())
    }

    fn compose(
        &self,
        plan: &StackPlan,
        base: &Path,
        program: ComposeProgram,
    ) -> Result<ComposeStack, ComposeError> {
        let files: Vec<PathBuf> = plan.compose.iter().map(|file| base.join(file)).collect();
        ComposeStack::new(program, &files, plan.project.as_deref())
    }

    /// What is to be taken back at the end, in the order of doing; the caller does it.
    pub(crate) fn drain(&self) -> Remains {
        let coming = if self.brought_up.get().is_some() { Coming::No } else { Coming::Perhaps };
        Remains { undos: self.lock().drain(..).collect(), coming }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(UndoId, Undo)>> {
        self.undos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A project that is not running can be brought up where its file is known.
fn found(error: ComposeError, plan: &StackPlan) -> RunError {
    match error {
        ComposeError::NotRunning { project, .. } if !plan.compose.is_empty() => {
            RunError::StackDown { project }
        }
        other => other.into(),
    }
}

fn services_of(containers: &[Container]) -> BTreeSet<String> {
    murphy_core::gathered(containers.iter().filter_map(|container| container.service().map(str::to_owned)))
}
