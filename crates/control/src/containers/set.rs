//! All faults on containers of a daemon: each is one task, which takes it back whatever ends it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_adhoc::{AdhocError, Consent, Order, carry_out, dry_run};
use murphy_core::{FaultId, Seed};
use murphy_faults::Fault;
use murphy_runner::{Base, Stop, StopReason};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::order::{DryRun, NewContainerFault, order};
use super::progress::{ContainerFaultDoc, Progress, StandsDoc};
use crate::events::{Events, Notice};
use crate::history::History;
use crate::native::Problem;

/// The most at a time, those that have ended included: each has a watchdog process.
const MOST: usize = 64;
/// How long a request waits for an act, or for it to be taken back. A stop may use its grace.
const PATIENCE: Duration = Duration::from_secs(20);

/// A fault that may not be taken back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTakenBack(pub FaultId);

/// The faults. Cheap to clone.
#[derive(Clone)]
pub struct ContainerFaults {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
    seed: Seed,
    events: Events,
    history: History,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    all: BTreeMap<FaultId, Entry>,
    /// Numbers given out, for names and seeds.
    ordinal: u64,
    /// The daemon ends: nothing begins any more.
    ending: Ending,
}

impl State {
    /// Unless another has taken its name meanwhile: that one must stay known, or nobody could take it off.
    fn forget(&mut self, name: &FaultId, entry: &Entry) {
        if self.all.get(name).is_some_and(|known| known.progress.same_channel(&entry.progress)) {
            self.all.remove(name);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ending {
    #[default]
    No,
    Yes,
}

#[derive(Clone)]
struct Entry {
    stop: Stop,
    progress: watch::Receiver<Progress>,
}

impl Entry {
    /// True if nothing of it is left.
    fn has_ended(&self) -> bool {
        self.progress.borrow().doc.state == StandsDoc::Ended
    }
}

/// What the task of one fault holds.
struct Task {
    order: Order,
    stop: Stop,
    name: FaultId,
    progress: watch::Sender<Progress>,
    failed: tokio::sync::oneshot::Sender<Problem>,
}

impl ContainerFaults {
    /// None yet. What is done goes into the history.
    pub(crate) fn new(base: Base, seed: Seed, events: Events, history: History) -> ContainerFaults {
        let (tasks, state) = (TaskTracker::new(), Mutex::default());
        ContainerFaults { inner: Arc::new(Inner { base, seed, events, history, tasks, state }) }
    }

    /// All, by name.
    pub fn list(&self) -> Vec<ContainerFaultDoc> {
        self.inner.lock().all.values().map(|entry| entry.progress.borrow().shown()).collect()
    }

    /// One of them.
    pub fn show(&self, name: &str) -> Result<ContainerFaultDoc, Problem> {
        Ok(self.inner.find(name)?.1.progress.borrow().shown())
    }

    /// Begins a fault, and waits until its first round is in the world; or only tells what it would be.
    pub async fn add(&self, new: NewContainerFault) -> Result<ContainerFaultDoc, Problem> {
        let (name, inject, dry) = (new.name.clone(), new.inject.clone(), new.dry_run);
        let ordinal = self.inner.next_ordinal();
        let order = order(new, self.inner.seed.derive("container-fault", ordinal))?;
        if dry == DryRun::Yes {
            return self.inner.told(name, inject, &order).await;
        }
        let (name, entry, mut failed) = self.inner.begin(name, inject, order)?;
        let mut progress = entry.progress.clone();
        // What takes longer goes on, and is shown by `GET`.
        let acted = tokio::time::timeout(PATIENCE, progress.wait_for(Progress::has_acted)).await;
        drop(acted);
        if let Ok(problem) = failed.try_recv() {
            self.inner.forget(&name, &entry);
            return Err(problem);
        }
        let shown = entry.progress.borrow().clone();
        if shown.is_over() && shown.touched == 0 && shown.doc.state == StandsDoc::Ended {
            self.inner.forget(&name, &entry);
            return Err(Problem::NotDone { why: why_not(&shown.doc) });
        }
        Ok(shown.shown())
    }

    /// Takes a fault back at once; one that has ended is forgotten.
    pub async fn lift(&self, name: &str) -> Result<(), Problem> {
        let (name, mut entry) = self.inner.find(name)?;
        entry.stop.stop(StopReason::Request);
        let over = entry.progress.wait_for(Progress::is_over);
        if tokio::time::timeout(PATIENCE, over).await.is_err() {
            return Err(Problem::StillEnding { name: name.to_string() });
        }
        let state = entry.progress.borrow().doc.state;
        if state == StandsDoc::NotTakenBack {
            return Err(Problem::NotTakenBack { name: name.to_string() });
        }
        self.inner.forget(&name, &entry);
        Ok(())
    }

    /// Takes all back, and lets none begin; those that may not be as before.
    pub async fn end(&self) -> Vec<NotTakenBack> {
        let all = {
            let mut state = self.inner.lock();
            state.ending = Ending::Yes;
            state.all.clone()
        };
        all.values().for_each(|entry| entry.stop.stop(StopReason::Request));
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        let left = |entry: &Entry| entry.progress.borrow().doc.state == StandsDoc::NotTakenBack;
        all.into_iter().filter(|(_, entry)| left(entry)).map(|(name, _)| NotTakenBack(name)).collect()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> Result<(FaultId, Entry), Problem> {
        let state = self.lock();
        let found = state.all.iter().find(|(known, _)| known.as_str() == name);
        let found = found.map(|(name, entry)| (name.clone(), entry.clone()));
        found.ok_or_else(|| Problem::NoContainerFault { name: name.to_owned() })
    }

    fn forget(&self, name: &FaultId, entry: &Entry) {
        self.lock().forget(name, entry);
    }

    fn next_ordinal(&self) -> u64 {
        let mut state = self.lock();
        state.ordinal += 1;
        state.ordinal
    }

    async fn told(
        &self,
        name: Option<FaultId>,
        inject: Fault,
        order: &Order,
    ) -> Result<ContainerFaultDoc, Problem> {
        let name = free_name(&self.lock(), name, &inject)?;
        let mut progress = Progress::new(name, inject, order);
        let mut tell = |happening| progress.on(&happening);
        dry_run(order, &self.base.state, &mut tell).await.map_err(problem)?;
        Ok(progress.shown())
    }

    /// The task that takes it back is there, and known by name, before anything is done.
    fn begin(
        self: &Arc<Self>,
        name: Option<FaultId>,
        inject: Fault,
        order: Order,
    ) -> Result<(FaultId, Entry, tokio::sync::oneshot::Receiver<Problem>), Problem> {
        let mut state = self.lock();
        if state.ending == Ending::Yes {
            return Err(Problem::Ending);
        }
        make_room(&mut state)?;
        let name = free_name(&state, name, &inject)?;
        let (sender, progress) = watch::channel(Progress::new(name.clone(), inject, &order));
        let (failed, has_failed) = tokio::sync::oneshot::channel();
        let stop = Stop::new();
        let task = Task { order, stop: stop.clone(), name: name.clone(), progress: sender, failed };
        self.tasks.spawn(murphy_core::boxed(Arc::clone(self).carry(task)));
        let entry = Entry { stop, progress };
        state.all.insert(name.clone(), entry.clone());
        Ok((name, entry, has_failed))
    }

    async fn carry(self: Arc<Self>, task: Task) {
        let Task { order, stop, name, progress, failed } = task;
        let inject = progress.borrow().doc.inject.clone();
        let mut tell = |happening| {
            progress.send_modify(|progress| progress.on(&happening));
            self.history.happened(&name, &order.whom, &inject, &happening);
            self.events.tell(&Notice::ContainerFault { fault: name.clone(), happened: happening });
        };
        // What was not allowed beforehand is refused: nobody is there to be asked.
        let mut agree = |_: &murphy_adhoc::Planned| Consent::NotGiven;
        let done = carry_out(&order, &self.base, &stop, &mut agree, &mut tell).await;
        if let Err(error) = done {
            // Nobody listens any more if the request was given up; the list shows it as ended.
            let _ = failed.send(problem(error));
        }
        progress.send_modify(Progress::end);
    }
}

/// Forgets one that has ended, where there is no room.
fn make_room(state: &mut State) -> Result<(), Problem> {
    if state.all.len() < MOST {
        return Ok(());
    }
    let over = state.all.iter().find(|(_, entry)| entry.has_ended()).map(|(name, _)| name.clone());
    match over {
        Some(name) => drop(state.all.remove(&name)),
        None => return Err(Problem::TooManyFaults { most: MOST }),
    }
    Ok(())
}

fn free_name(state: &State, name: Option<FaultId>, inject: &Fault) -> Result<FaultId, Problem> {
    if let Some(name) = name {
        // A new one may have the name of one that has ended; one that is not taken back stays in sight.
        return match state.all.get(&name) {
            Some(entry) if !entry.has_ended() => Err(Problem::NameTaken { name: name.to_string() }),
            _ => Ok(name),
        };
    }
    let free = |text: String| FaultId::new(&text).ok().filter(|name| !state.all.contains_key(name));
    // One more than there are cannot all be taken.
    let mut names = (1..=MOST + 1).filter_map(|number| free(format!("{}-{number}", inject.name())));
    names.next().ok_or(Problem::TooManyFaults { most: MOST })
}

/// Why nothing was done to anybody.
fn why_not(doc: &ContainerFaultDoc) -> String {
    let why = doc.happened.iter().find_map(|happening| match happening {
        murphy_adhoc::Happening::Failed { target, why, .. } => Some(format!("{target}: {why}")),
        _ => None,
    });
    why.unwrap_or_else(|| "it was taken off before anything was done".to_owned())
}

fn problem(error: AdhocError) -> Problem {
    match error {
        AdhocError::NotAgreed { deed, targets } => Problem::Value {
            field: "max",
            message: format!("{deed} would touch {} targets at once: {}", targets.len(), targets.join(", ")),
            help: "if that is meant, give `max`; else narrow it",
        },
        error if error.is_about_targets() => Problem::Order { why: error.to_string() },
        error if error.is_engine() => Problem::NoEngine { why: error.to_string() },
        error => Problem::NotDone { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_adhoc::Happening;
    use serde_json::json;

    fn pause() -> (FaultId, Fault, Order) {
        let new: NewContainerFault =
            serde_json::from_value(json!({ "container": "web", "inject": "pause" })).unwrap();
        (FaultId::new("it").unwrap(), new.inject.clone(), order(new, Seed(7)).unwrap())
    }

    /// One of this name that has come to an end, with so much that may not be as before.
    fn ended(not_taken_back: usize) -> Entry {
        let (name, inject, order) = pause();
        let mut progress = Progress::new(name, inject, &order);
        progress.on(&Happening::Ended { rounds: 1, touched: 1, not_taken_back });
        Entry { stop: Stop::new(), progress: watch::channel(progress).1 }
    }

    #[test]
    fn the_name_of_a_fault_that_is_not_taken_back_is_not_given_to_another() {
        let (name, inject, _) = pause();
        for (not_taken_back, is_free) in [(0, true), (1, false)] {
            let state = State { all: [(name.clone(), ended(not_taken_back))].into(), ..State::default() };
            assert_eq!(free_name(&state, Some(name.clone()), &inject).is_ok(), is_free, "{not_taken_back}");
        }
    }

    #[test]
    fn whoever_forgets_a_fault_leaves_the_next_one_of_its_name() {
        let (name, old, new) = (pause().0, ended(0), ended(0));
        let mut state = State { all: [(name.clone(), new.clone())].into(), ..State::default() };
        state.forget(&name, &old);
        assert!(state.all.contains_key(&name));
        state.forget(&name, &new);
        assert!(state.all.is_empty());
    }
}
