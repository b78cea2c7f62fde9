//! Watches containers during a run: exits with their last lines, restarts, replacements, want of memory, health and
//! output go into the journal as they happen, and the changes to whoever keeps a fault in place. It never acts on a
//! container, and a watch that is dropped ends its tasks.

mod happening;
mod ledger;
mod output;

pub use output::Mark;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use murphy_core::{ContainerIdentity, EventKind, ExitCause, Recorder, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::engine::{Engine, Scope};
use crate::error::EngineError;
use happening::{Happening, read};
use ledger::Ledger;
pub use ledger::{Change, Watched};

/// Exits that are no crash, by container id, with their cause.
type Expected = Arc<Mutex<BTreeMap<String, ExitCause>>>;

/// What a watch takes the exits of containers for. Cheap to clone; outlives the watch without effect.
#[derive(Debug, Clone)]
pub struct ExitCauses(Expected);

impl ExitCauses {
    /// Says that a container's exits have this cause from now on: to be called before a fault ends it.
    pub fn expect(&self, container: &ContainerIdentity, cause: ExitCause) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(container.id.clone(), cause);
    }

    /// Says that a container's exits are its own again: to be called after the fault is taken back.
    pub fn forget(&self, container: &ContainerIdentity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&container.id);
    }
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    tasks: JoinSet<()>,
    changes: mpsc::UnboundedReceiver<Change>,
    expected: Expected,
}

impl Watch {
    /// What exits are taken for.
    pub fn causes(&self) -> ExitCauses {
        ExitCauses(Arc::clone(&self.expected))
    }

    /// The next change. `None` if the watch has ended, which only [`Watch::stop`] brings about.
    pub async fn change(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Engine {
    /// Watches containers. When this returns, nothing that happens from then on is missed.
    pub async fn watch(&self, watched: Watched, recorder: Recorder) -> Result<Watch, EngineError> {
        let since = Timestamp::since_epoch();
        let ledger = Ledger::new(watched, &self.containers(Scope::All).await?);
        let (sender, changes) = mpsc::unbounded_channel();
        let expected = Expected::default();
        let watcher = Watcher {
            engine: self.clone(),
            recorder,
            ledger,
            sender,
            expected: Arc::clone(&expected),
            since: since.as_nanos() as i64,
            outputs: JoinSet::new(),
            followed: BTreeSet::new(),
            written: BTreeMap::new(),
            began: Mark::at(since),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(murphy_core::boxed(watcher.run()));
        Ok(Watch { tasks, changes, expected })
    }
}

struct Watcher {
    engine: Engine,
    recorder: Recorder,
    ledger: Ledger,
    sender: mpsc::UnboundedSender<Change>,
    expected: Expected,
    /// The engine's time of the last event that was taken in.
    since: i64,
    /// One task for each life of a container whose output is followed.
    outputs: JoinSet<(ContainerIdentity, Mark)>,
    /// The containers that have such a task.
    followed: BTreeSet<String>,
    /// How far the output of each was written down, by container id.
    written: BTreeMap<String, Mark>,
    /// The same for one that was not met yet.
    began: Mark,
}

impl Watcher {
    async fn run(mut self) {
        for container in self.ledger.running() {
            self.follow_output(container.identity);
        }
        loop {
            let why = self.follow_events().await;
            self.recorder.record(EventKind::ContainerEventsLost { why });
            loop {
                tokio::time::sleep(output::AGAIN_AFTER.as_duration()).await;
                if let Ok(there) = self.engine.containers(Scope::All).await {
                    for change in self.ledger.reconcile(&there, self.since) {
                        self.tell(change).await;
                    }
                    break;
                }
            }
        }
    }

    /// Takes events in until the stream ends; says why it did.
    async fn follow_events(&mut self) -> String {
        let (seconds, nanos) = (self.since / 1_000_000_000, self.since % 1_000_000_000);
        let filters = HashMap::from([("type", vec!["container"])]);
        let options =
            EventsOptionsBuilder::new().since(&format!("{seconds}.{nanos:09}")).filters(&filters).build();
        self.engine.count_call();
        let engine = self.engine.clone();
        let mut events = Box::pin(engine.docker().events(Some(options)));
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(message)) => {
                        if let Some(happening) = read(message) {
                            self.take(&happening).await;
                        }
                    }
                    Some(Err(raw)) => return engine.sort(raw, "events").to_string(),
                    None => return "the engine ended its event stream".to_owned(),
                },
                Some(ended) = self.outputs.join_next() => self.output_ended(ended),
            }
        }
    }

    async fn take(&mut self, happening: &Happening) {
        self.since = self.since.max(happening.at + 1);
        if let Some(change) = self.ledger.take(happening) {
            self.tell(change).await;
        }
    }

    fn follow_output(&mut self, container: ContainerIdentity) {
        let mark = self.written.get(&container.id).unwrap_or(&self.began).clone();
        self.followed.insert(container.id.clone());
        let output = output::follow(self.engine.clone(), container, mark, self.recorder.clone());
        self.outputs.spawn(murphy_core::boxed(output));
    }

    fn output_ended(&mut self, ended: Result<(ContainerIdentity, Mark), JoinError>) {
        if let Ok((container, mark)) = ended {
            self.followed.remove(&container.id);
            self.written.insert(container.id, mark);
        }
    }

    /// Waits until all that a container wrote in its ended life is written down.
    async fn drain_output(&mut self, container: &ContainerIdentity) {
        let drained = async {
            while self.followed.contains(&container.id)
                && let Some(ended) = self.outputs.join_next().await
            {
                self.output_ended(ended);
            }
        };
        // An engine that does not end the stream must not hold up what comes next.
        let _ = tokio::time::timeout(output::PATIENCE, drained).await;
    }

    async fn tell(&mut self, change: Change) {
        if let Change::Exited { container, .. } = &change {
            self.drain_output(&container.clone()).await;
        }
        if let Some(kind) = self.kind(&change).await {
            self.recorder.record(kind);
        }
        match &change {
            Change::Restarted { container, .. } => {
                self.follow_output(container.clone());
            }
            Change::Replaced { by: container, .. } | Change::Joined { container } => {
                self.follow_output(container.identity.clone());
            }
            _ => {}
        }
        // Nobody need listen: the journal has it.
        let _ = self.sender.send(change);
    }

    async fn kind(&self, change: &Change) -> Option<EventKind> {
        Some(match change.clone() {
            Change::Exited { container, service, code, asked } => {
                let expected =
                    self.expected.lock().unwrap_or_else(PoisonError::into_inner).get(&container.id).copied();
                let cause = expected.unwrap_or(if asked { ExitCause::Stopped } else { ExitCause::Itself });
                let last_output = self.engine.last_output(&container).await;
                EventKind::ContainerExited { container, service, code, cause, last_output }
            }
            Change::OutOfMemory { container, service } => EventKind::ContainerOom { container, service },
            Change::Restarted { container, service, down } => {
                EventKind::ContainerRestarted { container, service, down }
            }
            Change::Replaced { container, by } => EventKind::ContainerReplaced { container, by: by.identity },
            Change::Health { container, health } => EventKind::ContainerHealthChanged { container, health },
            Change::Joined { .. } | Change::Removed { .. } => return None,
        })
    }
}
