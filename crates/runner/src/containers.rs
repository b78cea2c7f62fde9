//! Faults on containers: targets are found, locked, and their undos put on disk before the engine is asked to act. A
//! container that is restarted or replaced in mid-fault is followed where the fault would be gone otherwise.

mod armed;
mod exits;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use murphy_core::{ContainerIdentity, FaultId, Recorder, Seed};
use murphy_docker::{
    Change, Container, Engine, EngineError, ExitCauses, FindError, Mark, Pattern, Scope, SelectError,
    Selector, Target, Wanted, Watched,
};
use murphy_scenario::{FaultStep, FaultTarget};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::armed::Armed;
use self::exits::Seen;
use crate::RunError;
use crate::container_acts::asked;
use crate::lock::{Lockable, Locks};
use crate::pressure::{Place, inside};
use crate::undo_log::UndoLog;

/// The containers of a run, and what is done to them.
pub(crate) struct Containers {
    engine: Engine,
    recorder: Recorder,
    log: Arc<UndoLog>,
    locks: Arc<Locks>,
    seed: Seed,
    /// Where a fault names no project: containers of this one are meant.
    project: Mutex<Option<String>>,
    causes: Mutex<Vec<ExitCauses>>,
    armed: tokio::sync::Mutex<BTreeMap<FaultId, Armed>>,
    seen: Mutex<Seen>,
    /// Something was seen.
    news: Notify,
    watches: tokio::sync::Mutex<JoinSet<()>>,
    end_watches: CancellationToken,
}

impl Containers {
    pub(crate) fn new(
        engine: Engine,
        recorder: Recorder,
        log: Arc<UndoLog>,
        locks: Arc<Locks>,
        seed: Seed,
    ) -> Containers {
        Containers {
            engine,
            recorder,
            log,
            locks,
            seed,
            project: Mutex::default(),
            causes: Mutex::default(),
            armed: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            news: Notify::new(),
            watches: tokio::sync::Mutex::default(),
            end_watches: CancellationToken::new(),
        }
    }

    /// Watches all containers of the run's stack, and means them where a fault names no project.
    pub(crate) async fn use_project(self: &Arc<Self>, project: &str) -> Result<(), RunError> {
        *lock(&self.project) = Some(project.to_owned());
        self.watch(Watched::Project(project.to_owned())).await
    }

    /// Looks whether each fault will find its targets and can be taken back from them; locks and watches these. Touches
    /// nothing.
    pub(crate) async fn look_ahead(self: &Arc<Self>, steps: &[FaultStep]) -> Result<(), RunError> {
        let mut outside: Vec<Container> = Vec::new();
        for step in steps {
            let FaultTarget::Container { container: target } = &step.target else { continue };
            let targets = self.targets(step, target).await?;
            // A pressure has nothing to be prepared.
            if let Some((_, action)) = asked(step) {
                self.engine
                    .prepare_all(&targets, &action)
                    .await
                    .map_err(|error| RunError::Inject { fault: step.id.clone(), why: error.to_string() })?;
            }
            let project = lock(&self.project).clone();
            outside.extend(
                targets.into_iter().filter(|one| project.is_none() || one.project() != project.as_deref()),
            );
        }
        if outside.is_empty() { Ok(()) } else { self.watch(Watched::These(outside)).await }
    }

    /// All containers that a target means, whatever they do.
    pub(crate) async fn matching(&self, target: &Target) -> Result<Vec<Container>, EngineError> {
        let target = self.within_project(target);
        let all = self.engine.containers(Scope::All).await?;
        Ok(all.into_iter().filter(|container| target.matches(container)).collect())
    }

    /// What a container wrote since the mark, which then stands behind it.
    pub(crate) async fn output_after(
        &self,
        container: &ContainerIdentity,
        mark: &mut Mark,
    ) -> Result<Vec<String>, EngineError> {
        self.engine.output_after(container, mark).await
    }

    /// Of the run's stack, unless the target says another project.
    fn within_project(&self, target: &Target) -> Target {
        let names_project = |one: &Selector| matches!(one, Selector::Project(_));
        let mut target = target.clone();
        if let Some(project) = &*lock(&self.project)
            && !target.all_of.iter().any(names_project)
        {
            target.all_of.push(Selector::Project(Pattern::Exact(project.clone())));
        }
        target
    }

    async fn targets(&self, step: &FaultStep, target: &Target) -> Result<Vec<Container>, RunError> {
        let target = self.within_project(target);
        let seed = self.seed.derive(step.id.as_str(), 0);
        let choice = match self.engine.targets(&target, seed, Wanted::Running).await {
            Ok(choice) => choice,
            Err(source) => {
                if matches!(source, FindError::Select(SelectError::NotRunning { .. })) {
                    self.refuse_held(&target, seed).await?;
                }
                return Err(RunError::Target { fault: step.id.clone(), source });
            }
        };
        for one in &choice.targets {
            self.locks.take(&Lockable::Container(one.identity.clone()))?;
        }
        Ok(choice.targets)
    }

    /// The insides of those that a pressure is about, locked.
    pub(crate) async fn pressed(
        self: &Arc<Self>,
        step: &FaultStep,
        target: &Target,
    ) -> Result<Vec<Place>, RunError> {
        let mut places = Vec::new();
        for container in self.targets(step, target).await? {
            let inside = inside(&self.engine, &container)
                .await
                .map_err(|error| RunError::Inject { fault: step.id.clone(), why: error.to_string() })?;
            places.push(Place::Container(container.identity, inside));
        }
        Ok(places)
    }

    /// Where another run is why nothing of a target runs, that is what must be said.
    async fn refuse_held(&self, target: &Target, seed: Seed) -> Result<(), RunError> {
        let Ok(choice) = self.engine.targets(target, seed, Wanted::Any).await else { return Ok(()) };
        for one in &choice.targets {
            self.locks.take(&Lockable::Container(one.identity.clone()))?;
        }
        Ok(())
    }

    async fn watch(self: &Arc<Self>, watched: Watched) -> Result<(), RunError> {
        let mut watch = self.engine.watch(watched, self.recorder.clone()).await?;
        lock(&self.causes).push(watch.causes());
        let (this, end) = (Arc::clone(self), self.end_watches.clone());
        self.watches.lock().await.spawn(murphy_core::boxed(async move {
            loop {
                tokio::select! {
                    change = watch.change() => match change {
                        Some(change) => this.on(&change).await,
                        None => break,
                    },
                    () = end.cancelled() => break,
                }
            }
            watch.stop().await;
        }));
        Ok(())
    }

    /// No more events from here on.
    pub(crate) async fn stop_watching(&self) {
        self.end_watches.cancel();
        let mut watches = self.watches.lock().await;
        while watches.join_next().await.is_some() {}
    }

    async fn on(&self, change: &Change) {
        match change {
            Change::Exited { container, .. } => {
                let mut seen = lock(&self.seen);
                *seen.exits.entry(container.id.clone()).or_default() += 1;
                if seen.forget.remove(&container.id) {
                    self.each_cause(|causes| causes.forget(container));
                }
                drop(seen);
                self.news.notify_waiters();
            }
            Change::Restarted { container, .. } => self.follow(container, container).await,
            Change::Replaced { container, by } => self.follow(container, &by.identity).await,
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
