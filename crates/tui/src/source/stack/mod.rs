//! The containers of a stack: looked at once a second, struck by hand after a question, and taken back at the end.
//!
//! Each blow is an act by hand of `murphy-adhoc`, with its undo on disk and a watchdog. It must never touch more than the
//! question named.

mod sight;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_adhoc::{
    AdhocError, Asked, Consent, Deed, Happening, How, NetworkTarget, Order as Act, OrderError, Planned,
    Victim, Whom, WhomError, Wish, carry_out, dry_run, side,
};
use murphy_core::{RunClock, Seed};
use murphy_faults::{Fault, Place};
use murphy_runner::{Base, Stop, StopReason};
use murphy_scenario::{Caller, CallerError, Stretch, StretchError};
use serde_json::Map;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::sight::StackOf;
use self::sight::watch;
use crate::order::Heard;
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock};
use crate::stack::{Blow, ContainerState, Proposal, Said, StackOrder, Struck, Touch};
use crate::world::{Loudness, World};

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

/// Why a blow makes no sense.
#[derive(Debug, thiserror::Error)]
enum BlowError {
    #[error("`{container}` is not there any more")]
    Gone { container: String },
    #[error("its owner protects it: it has the label murphy.protect=true")]
    Protected,
    #[error(transparent)]
    Whom(#[from] WhomError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Stretch(#[from] StretchError),
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("this build has no fault `{name}`")]
    NoFault { name: &'static str },
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

    /// The act that a blow is, and how a scenario says it.
    fn act_of(&self, number: u64, blow: &Blow, container: &str) -> Result<(Act, At, Fault), BlowError> {
        let gone = || BlowError::Gone { container: container.to_owned() };
        let id = self.lock().ids.get(container).cloned().ok_or_else(gone)?;
        let touch = lock(&self.config.world).containers.get(container).map(|known| known.touch);
        if touch == Some(Touch::Forbidden) {
            return Err(BlowError::Protected);
        }
        let name = match blow {
            Blow::Kill => "kill",
            Blow::Pause => "pause",
            Blow::Cut { .. } => "partition",
        };
        let fault = Fault::from_settings(name, Map::new()).map_err(|_| BlowError::NoFault { name })?;
        let (whom, at, place) = match blow {
            Blow::Kill | Blow::Pause => {
                let whom = Wish::all(&format!("id:{id}")).containers(name, "")?;
                (whom, At::Container(container.to_owned()), Place::Container)
            }
            Blow::Cut { from } => {
                let (one, others) = (side(container)?, side(from)?);
                let words = |side: &[Caller]| side.iter().map(Caller::to_string).collect();
                let at = At::Between(words(&one), words(&others));
                let stretch = Stretch::between(vec![one, others])?;
                let target = NetworkTarget { stretch, project: None, max: None };
                (Whom::Network(target), at, Place::Network)
            }
        };
        let deed = Deed::of_fault(&fault, place).ok_or(BlowError::NoFault { name })?;
        let seed = self.config.seed.derive("top", number);
        Ok((Act::new(deed, whom, Asked::default(), seed, Consent::EachTime)?, at, fault))
    }

    async fn look_whom(self: Arc<Self>, number: u64, blow: Blow, container: String) {
        let mut planned = None;
        let said = match self.act_of(number, &blow, &container) {
            Err(error) => Said::Refused { why: error.to_string() },
            Ok((act, at, fault)) => {
                let mut tell = |happening: Happening| {
                    if let Happening::Planned(plan) = happening {
                        planned = Some(plan);
                    }
                };
                let told = dry_run(&act, &self.config.base.state, &mut tell).await;
                match (told, planned) {
                    (Ok(()), Some(planned)) => {
                        let said = Said::Ready { lines: self.radius(&planned) };
                        let pending = Pending { number, container, act, at, fault, planned };
                        self.lock().keep(pending);
                        said
                    }
                    (Err(error), _) => Said::Refused { why: error.to_string() },
                    (Ok(()), None) => Said::Refused { why: AdhocError::Interrupted.to_string() },
                }
            }
        };
        let mut world = lock(&self.config.world);
        if let Some(proposal) = world.proposal.as_mut().filter(|proposal| proposal.number == number) {
            proposal.said = said;
        }
    }

    /// Whom it touches and whose calls go there now.
    fn radius(&self, planned: &Planned) -> Vec<String> {
        let text = Happening::Planned(planned.clone()).text();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let world = lock(&self.config.world);
        for victim in &planned.targets {
            let Some(known) = world.containers.get(&victim.name) else { continue };
            lines.extend(calls_to(&world, &victim.name, known));
        }
        lines
    }

    async fn carry(self: Arc<Self>, pending: Pending, stop: Stop, told: Option<oneshot::Receiver<()>>) {
        let number = pending.number;
        if let Some(told) = told {
            let why_not = tokio::select! {
                biased;
                () = stop.stopped() => Some("it was taken back before it was struck"),
                told = told => told.err().map(|_| "the run was not told of it"),
            };
            if let Some(why) = why_not {
                let deed = &pending.planned.deed;
                self.note(Loudness::Trouble, format!("{deed} was not done: {why}"));
                return self.forget(number);
            }
        }
        let shown = pending.planned.targets.clone();
        let mut agree = |planned: &Planned| agreed(&shown, &planned.targets);
        let mut tell = |happening: Happening| self.told(&pending, &happening);
        let done = carry_out(&pending.act, &self.config.base, &stop, &mut agree, &mut tell).await;
        if let Err(error) = done {
            let why = match error {
                // Of a command line: its flags are not to be had here.
                AdhocError::NotAgreed { targets, .. } => {
                    format!(
                        "it would touch others than the question named, ask again: {}",
                        targets.join(", ")
                    )
                }
                error => error.to_string(),
            };
            self.note(Loudness::Trouble, format!("{} was not done: {why}", pending.planned.deed));
        }
        self.forget(number);
    }

    /// It does not stand any more.
    fn forget(&self, number: u64) {
        self.lock().standing.remove(&number);
        lock(&self.config.world).struck.retain(|struck| struck.number != number);
    }

    fn told(&self, pending: &Pending, happening: &Happening) {
        let (now, deed) = (self.config.clock.now(), &pending.planned.deed);
        match happening {
            Happening::Done { target, took, notes, .. } => {
                let mut world = lock(&self.config.world);
                let at = world.now;
                let until = pending.act.schedule.hold.map(|hold| at + hold);
                world.note(at, Loudness::Deed, format!("{deed} on {}", target.name));
                for note in notes {
                    world.note(at, Loudness::Notice, note.clone());
                }
                // Of several targets, the first one begins it: when the engine was asked for it, for then it is done again.
                if !world.struck.iter().any(|struck| struck.number == pending.number) {
                    let mut record = self.config.record.lock();
                    let asked = now.before(*took);
                    record.armed(asked, &pending.at, &key(pending.number), &pending.fault, &How::plain());
                    drop(record);
                    let (number, container) = (pending.number, pending.container.clone());
                    world.struck.push(Struck { number, container, text: deed.clone(), until });
                }
            }
            Happening::Failed { target, why, .. } => {
                self.note(Loudness::Trouble, format!("{deed} on {}: {why}", target.name));
            }
            Happening::TakenBack { undo, .. } => {
                self.config.record.lock().lifted(now, &pending.at, &key(pending.number));
                self.note(Loudness::Deed, format!("taken back: {undo}"));
            }
            Happening::NotTakenBack { undo, why, by_hand, .. } => {
                let text = format!("{undo}: {why}; by hand: {by_hand}");
                self.note(Loudness::Trouble, format!("NOT TAKEN BACK {text}"));
                self.lock().not_taken_back.push(text);
            }
            _ => {}
        }
    }
}

/// Whoever was not shown is not agreed to; that some are gone does no harm to the others.
fn agreed(shown: &[Victim], targets: &[Victim]) -> Consent {
    match targets.iter().all(|target| shown.contains(target)) {
        true => Consent::Given,
        false => Consent::NotGiven,
    }
}

fn key(number: u64) -> String {
    format!("by-hand-{number}")
}

/// The edges whose calls go to a container, with what passes there now.
fn calls_to(world: &World, name: &str, known: &ContainerState) -> Vec<String> {
    let is_it = |upstream: &str| {
        let host = upstream.rsplit_once(':').map_or(upstream, |(host, _)| host);
        host == name || known.known_as.iter().any(|one| one == host)
    };
    let edges = world.edges.iter().filter(|(_, edge)| is_it(&edge.upstream));
    let said = edges.map(|(edge_name, edge)| {
        let rate = edge.figures.rate(world.now, Duration::from_secs(10));
        format!("  calls       {edge_name} goes to {name}: {rate:.1} calls/s, {} open connections", edge.open)
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use murphy_adhoc::Kind;
    use murphy_core::EdgeName;
    use murphy_runner::StateDir;

    use super::*;

    #[test]
    fn whoever_was_not_shown_is_not_agreed_to_however_few_they_are() {
        let victim = |n: u8| Victim {
            kind: Kind::Container,
            name: format!("shop-api-{n}"),
            id: n.to_string().repeat(64),
        };
        let shown = [victim(1), victim(2)];
        assert_eq!(agreed(&shown, &[victim(2), victim(1)]), Consent::Given);
        assert_eq!(agreed(&shown, &[victim(2)]), Consent::Given);
        assert_eq!(agreed(&shown, &[victim(1), victim(2), victim(3)]), Consent::NotGiven);
        let again = Victim { id: "f".repeat(64), ..victim(1) };
        assert_eq!(agreed(&shown, &[again]), Consent::NotGiven, "the same name on another container");
    }

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

    #[test]
    fn the_question_names_the_edges_whose_calls_go_to_the_container() {
        let mut world = World::default();
        for (name, upstream) in [("cache", "redis:6379"), ("db", "10.0.0.3:5432"), ("other", "web:80")] {
            world.edge(&EdgeName::new(name).unwrap()).upstream = upstream.to_owned();
        }
        world.edge(&EdgeName::new("cache").unwrap()).open = 3;
        let known =
            ContainerState { known_as: vec!["redis".into(), "10.0.0.3".into()], ..Default::default() };
        let said = calls_to(&world, "shop-redis-1", &known);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].ends_with("cache goes to shop-redis-1: 0.0 calls/s, 3 open connections"), "{said:?}");
    }
}
