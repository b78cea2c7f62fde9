//! Faults on containers: targets are found, locked, and their undos put on disk before the engine is asked to act. A
//! container that is restarted or replaced in mid-fault is followed where the fault would be gone otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use murphy_core::{ContainerIdentity, EventKind, ExitCause, FaultId, Recorder, Seed, Tally, Undo, UndoId};
use murphy_docker::{
    Action, Change, Container, Engine, EngineError, ExitCauses, FindError, Mark, Pattern, Reverted, Scope,
    SelectError, Selector, Target, Wanted, Watched,
};
use murphy_faults::Fault;
use murphy_scenario::{FaultStep, FaultTarget};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::RunError;
use crate::by_hand::by_hand;
use crate::container_acts::{NotDone, act_on, asked, ends, is_away, may_end, takes_its_time};
use crate::lock::{Lockable, Locks};
use crate::pressure::{Place, inside};
use crate::undo::Unsure;
use crate::undo_log::UndoLog;

/// How long an engine that has gone (a restart of its daemon) is waited for when something is to be taken back.
const ENGINE_PATIENCE: Duration = Duration::from_secs(15);
/// The pause between two questions.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// How long the event of an exit that must have happened may take to arrive.
const EVENT_PATIENCE: Duration = Duration::from_secs(3);

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

/// One fault in the world.
struct Armed {
    action: Action,
    targets: Vec<ContainerIdentity>,
    undos: Vec<(UndoId, Undo)>,
    /// How many containers took it, by the engine's answers.
    applied: u64,
    /// Acts that take their time (a stop with its grace), with the containers that took it.
    acting: JoinSet<Result<u64, NotDone>>,
    /// True if the act only counts once the container has ended.
    ends: bool,
    /// Whether an act that the engine did not answer may still come about.
    unsure: Unsure,
}

/// What the engine's events told.
#[derive(Default)]
struct Seen {
    /// Exits so far, by container.
    exits: BTreeMap<String, u64>,
    /// Exits at the time when the fault began.
    before: BTreeMap<(FaultId, String), u64>,
    /// Whose next exit still is a fault's.
    forget: BTreeSet<String>,
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

    /// A container runs in the place of one under a fault: the fault comes with it, where it would be gone otherwise.
    async fn follow(&self, old: &ContainerIdentity, new: &ContainerIdentity) {
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

    /// Of how many targets the end was seen; waits a little for events that are still on their way.
    async fn ended(&self, fault: &FaultId, armed: &Armed) -> u64 {
        let count = || {
            let seen = lock(&self.seen);
            let ended = |id: &String| {
                let before = seen.before.get(&(fault.clone(), id.clone())).copied().unwrap_or(0);
                seen.exits.get(id).copied().unwrap_or(0) > before
            };
            armed.targets.iter().filter(|target| ended(&target.id)).count() as u64
        };
        let deadline = Instant::now() + EVENT_PATIENCE;
        loop {
            let news = self.news.notified();
            let seen = count();
            if seen >= armed.applied || tokio::time::timeout_at(deadline, news).await.is_err() {
                return seen;
            }
        }
    }

    fn expect_exits(&self, fault: &FaultId, action: &Action, targets: &[ContainerIdentity]) {
        let mut seen = lock(&self.seen);
        for target in targets {
            let so_far = seen.exits.get(&target.id).copied().unwrap_or(0);
            seen.before.insert((fault.clone(), target.id.clone()), so_far);
            if may_end(action) {
                seen.forget.remove(&target.id);
                if ends(action) {
                    seen.forget.insert(target.id.clone());
                }
                self.each_cause(|causes| causes.expect(target, ExitCause::Fault));
            }
        }
    }

    /// The next exit is the container's own, unless one of this fault must still be told.
    fn forget_exits(&self, fault: &FaultId, armed: &Armed, undone: bool) {
        if !may_end(&armed.action) {
            return;
        }
        let mut seen = lock(&self.seen);
        for target in &armed.targets {
            let before = seen.before.remove(&(fault.clone(), target.id.clone())).unwrap_or(0);
            let told = seen.exits.get(&target.id).copied().unwrap_or(0) > before;
            if told || !armed.ends || !undone {
                seen.forget.remove(&target.id);
                self.each_cause(|causes| causes.forget(target));
            }
        }
    }

    fn each_cause(&self, with: impl Fn(&ExitCauses)) {
        lock(&self.causes).iter().for_each(with);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
