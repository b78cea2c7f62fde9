//! The containers of a stack: looked at once a second, struck by hand after a question, and taken back at the end.
//!
//! Each blow is an act by hand of `murphy-adhoc`, with its undo on disk and a watchdog. It must never touch more than the
//! question named.

mod question;
mod sight;
mod strike;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_adhoc::{Order as Act, Planned};
use murphy_core::{RunClock, Seed};
use murphy_faults::Fault;
use murphy_runner::{Base, Stop, StopReason};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::sight::StackOf;
use self::sight::watch;
use crate::order::Heard;
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock};
use crate::stack::{Proposal, Said, StackOrder};
use crate::world::Loudness;

/// What a stack needs to be watched and struck.
#[derive(Debug)]
pub struct StackConfig {
    /// Where it is shown.
    pub world: Shared,
    /// The clock of the recording.
    pub clock: RunClock,
    /// What is done goes there.
    pub record: Recorded,
    /// Undo logs and this binary.
    pub base: Base,
    /// Which containers.
    pub which: StackOf,
    /// Root of all choices.
    pub seed: Seed,
}

/// A watched stack.
pub struct Stack {
    inner: Arc<Inner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Inner {
    config: StackConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last question: what is found for one before it comes too late.
    asked: u64,
    /// Looked at, and not agreed to yet.
    pending: Option<Pending>,
    /// By the number of the question.
    standing: BTreeMap<u64, (String, Stop)>,
    not_taken_back: Vec<String>,
    ids: BTreeMap<String, String>,
    /// It was said that there is nobody.
    missed: Missed,
}

/// Whether it was said that nothing matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Missed {
    #[default]
    Untold,
    Told,
}

#[derive(Clone)]
struct Pending {
    number: u64,
    container: String,
    act: Act,
    at: At,
    fault: Fault,
    planned: Planned,
}

impl Stack {
    /// Begins to look. Must be called inside a runtime.
    pub fn start(config: StackConfig) -> Stack {
        let inner = Arc::new(Inner { config, state: Mutex::default() });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(murphy_core::boxed(watch(Arc::clone(&inner), stop.clone())));
        Stack { inner, stop, tasks }
    }

    /// Carries an order out; a blow as soon as whoever is watched has been told of it. Never waits.
    pub fn act(&self, order: StackOrder, heard: Heard) {
        let told = match heard {
            Heard::Yes => None,
            Heard::OnceTold(told) => Some(told),
            Heard::No => return,
        };
        match order {
            StackOrder::Propose { number, blow, container } => {
                self.inner.lock().asked = number;
                let title = blow.text(&container);
                lock(&self.inner.config.world).proposal =
                    Some(Proposal { number, title, said: Said::Looking });
                self.tasks
                    .spawn(murphy_core::boxed(Arc::clone(&self.inner).look_whom(number, blow, container)));
            }
            StackOrder::Agree { number } => {
                let Some(pending) = self.inner.take(number) else { return };
                let stop = Stop::new();
                let standing = (pending.container.clone(), stop.clone());
                self.inner.lock().standing.insert(number, standing);
                self.tasks.spawn(murphy_core::boxed(Arc::clone(&self.inner).carry(pending, stop, told)));
            }
            StackOrder::Relieve { container } => {
                let state = self.inner.lock();
                for (_, stop) in state.standing.values().filter(|(on, _)| *on == container) {
                    stop.stop(StopReason::Request);
                }
            }
        }
    }

    /// Takes everything back and waits for it; what may not be as before.
    pub async fn end(self) -> Vec<String> {
        self.stop.cancel();
        self.inner.lock().standing.values().for_each(|(_, stop)| stop.stop(StopReason::Request));
        self.tasks.close();
        self.tasks.wait().await;
        std::mem::take(&mut self.inner.lock().not_taken_back)
    }
}

impl State {
    /// Keeps what was found, unless another question has been asked since.
    fn keep(&mut self, pending: Pending) {
        if pending.number >= self.asked {
            self.pending = Some(pending);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: u64) -> Option<Pending> {
        let mut state = self.lock();
        state.pending.take().filter(|pending| pending.number == number)
    }

    fn note(&self, loudness: Loudness, text: String) {
        let mut world = lock(&self.config.world);
        let now = world.now;
        world.note(now, loudness, text);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use murphy_adhoc::{Asked, Consent, Deed, Wish};
    use murphy_faults::Place;
    use murphy_runner::StateDir;
    use serde_json::Map;
    use tokio::sync::oneshot;

    use super::*;

    fn pending(number: u64) -> Pending {
        let whom =
            Wish::all(&format!("id:{}", "0123456789abcdef".repeat(4))).containers("pause", "").unwrap();
        let fault = Fault::from_settings("pause", Map::new()).unwrap();
        let deed = Deed::of_fault(&fault, Place::Container).unwrap();
        let act = Act::new(deed, whom, Asked::default(), Seed(1), Consent::EachTime).unwrap();
        let planned = Planned {
            round: 1,
            deed: "pause".to_owned(),
            when: String::new(),
            targets: Vec::new(),
            of: 0,
            protected: Vec::new(),
            undo: Vec::new(),
            notes: Vec::new(),
            seed: Seed(1),
        };
        let container = format!("web-{number}");
        Pending { number, at: At::Container(container.clone()), container, act, fault, planned }
    }

    #[test]
    fn what_is_found_for_an_earlier_question_does_not_take_the_place_of_the_last_one() {
        let mut state = State { asked: 2, ..State::default() };
        state.keep(pending(1));
        assert!(state.pending.is_none());
        state.keep(pending(2));
        state.keep(pending(1));
        assert_eq!(state.pending.as_ref().map(|pending| pending.number), Some(2));
    }

    #[tokio::test]
    async fn a_blow_that_the_run_is_not_told_of_or_that_is_taken_back_before_is_not_struck() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path().join("state")).unwrap();
        let config = StackConfig {
            world: Shared::default(),
            clock: RunClock::start(),
            record: Recorded::default(),
            base: Base { state, program: PathBuf::new() },
            which: StackOf::Around(Vec::new()),
            seed: Seed(1),
        };
        let inner = Arc::new(Inner { config, state: Mutex::default() });
        let stack = Stack { inner, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        stack.inner.lock().pending = Some(pending(1));
        stack.act(StackOrder::Agree { number: 1 }, Heard::No);
        assert!(stack.inner.lock().pending.is_some(), "it may be agreed to again");

        let (told, once_told) = oneshot::channel();
        stack.act(StackOrder::Agree { number: 1 }, Heard::OnceTold(once_told));
        assert_eq!(stack.inner.lock().standing.len(), 1);
        drop(told);
        stack.tasks.close();
        stack.tasks.wait().await;
        assert!(stack.inner.lock().standing.is_empty());

        // Whoever would tell the run is still at it.
        stack.inner.lock().pending = Some(pending(2));
        let (told, once_told) = oneshot::channel();
        stack.act(StackOrder::Agree { number: 2 }, Heard::OnceTold(once_told));
        stack.act(StackOrder::Relieve { container: "web-2".into() }, Heard::Yes);
        stack.tasks.wait().await;
        assert!(stack.inner.lock().standing.is_empty());
        assert_eq!(told.send(()), Err(()), "and learns that it is not struck");
        let world = lock(&stack.inner.config.world);
        let notes: Vec<&str> = world.happenings.iter().map(|happening| happening.text.as_str()).collect();
        assert_eq!(
            notes,
            [
                "pause was not done: the run was not told of it",
                "pause was not done: it was taken back before it was struck",
            ]
        );
    }
}
