//! The containers of a stack, looked at once a second: what the engine says of them, and what the kernel counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use murphy_docker::{Container, Engine, EngineError, Scope, State, Target};
use murphy_host::{self as host, Felt, Inside};
use tokio_util::sync::CancellationToken;

use super::{Inner, Missed};
use crate::screen::lock;
use crate::stack::{ContainerState, Load, Touch, cpus};
use crate::world::Loudness;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// So many containers are shown; each costs a call to the engine a look.
const MOST: usize = 200;

/// Which containers are the stack.
#[derive(Debug, Clone, PartialEq)]
pub enum StackOf {
    /// Those that a target means.
    Named(Target),
    /// Those of the compose project of these, or else those on one network with them: full container ids.
    Around(Vec<String>),
}

impl StackOf {
    fn choose(&self, all: Vec<Container>) -> Vec<Container> {
        let mut found: Vec<Container> = match self {
            StackOf::Named(target) => all.into_iter().filter(|one| target.matches(one)).collect(),
            StackOf::Around(ids) => {
                let (core, others): (Vec<Container>, Vec<Container>) =
                    all.into_iter().partition(|one| ids.contains(&one.identity.id));
                let near = |other: &Container| {
                    core.iter().any(|one| match (one.project(), other.project()) {
                        (Some(one), Some(other)) => one == other,
                        _ => one.networks.keys().any(|net| {
                            // Every container of a machine may be on the engine's own network.
                            !matches!(net.as_str(), "bridge" | "host" | "none")
                                && other.networks.contains_key(net)
                        }),
                    })
                };
                let near: Vec<Container> = others.into_iter().filter(near).collect();
                core.into_iter().chain(near).collect()
            }
        };
        found.truncate(MOST);
        found
    }
}

/// What is kept of a container between two looks.
#[derive(Default)]
struct Seen {
    inside: Option<Inside>,
    before: Option<(Instant, Felt)>,
    /// It changes only with a new process.
    restarts: Option<u64>,
}

pub(super) async fn watch(inner: Arc<Inner>, stop: CancellationToken) {
    let mut engine: Option<Engine> = None;
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    while !stop.is_cancelled() {
        let looked = tokio::select! {
            looked = look(&inner, &mut engine, &mut seen) => looked,
            () = stop.cancelled() => return,
        };
        if let Err(error) = looked {
            engine = None;
            inner.note(Loudness::Trouble, format!("containers: {error}"));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn look(
    inner: &Inner,
    engine: &mut Option<Engine>,
    seen: &mut BTreeMap<String, Seen>,
) -> Result<(), EngineError> {
    let engine = match engine {
        Some(engine) => engine,
        none => none.insert(Engine::connect().await?),
    };
    let found = inner.config.which.choose(engine.containers(Scope::All).await?);
    let mut shown = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for one in &found {
        let known = seen.entry(one.identity.id.clone()).or_default();
        let alive = known.inside.as_ref().is_some_and(|inside| host::is_alive(&inside.process));
        if !alive {
            let has_process = matches!(one.state, State::Running | State::Paused);
            let inside = if has_process { murphy_runner::inside(engine, one).await.ok() } else { None };
            (known.inside, known.before) = (inside, None);
            // Behind the look inside: it is the count of that process or of a later one. One that is gone since it was listed has none.
            known.restarts = engine.restarts(&one.identity).await.ok();
        }
        let load = known.load();
        shown.insert(one.name().to_owned(), state_of(one, known.restarts, load));
        ids.insert(one.name().to_owned(), one.identity.id.clone());
    }
    if found.is_empty()
        && let StackOf::Named(target) = &inner.config.which
        && std::mem::replace(&mut inner.lock().missed, Missed::Told) == Missed::Untold
    {
        inner.note(Loudness::Trouble, format!("no container matches `{target}`"));
    }
    seen.retain(|id, _| found.iter().any(|one| one.identity.id == *id));
    lock(&inner.config.world).containers = shown;
    inner.lock().ids = ids;
    Ok(())
}

fn state_of(one: &Container, restarts: Option<u64>, load: Load) -> ContainerState {
    // `Exited (137) 3 seconds ago`: the code is in no other field of a list.
    let code = one.status.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(code, _)| code);
    let state = match (one.state, code) {
        (State::Exited, Some(code)) => format!("exited ({code})"),
        (state, _) => state.name().to_owned(),
    };
    let addresses = one.networks.values().flatten().cloned();
    ContainerState {
        state,
        health: one.health(),
        restarts,
        load,
        touch: if one.is_protected() { Touch::Forbidden } else { Touch::Allowed },
        known_as: one.service().map(str::to_owned).into_iter().chain(addresses).collect(),
    }
}

impl Seen {
    fn load(&mut self) -> Load {
        let Some(inside) = &self.inside else { return Load::default() };
        let (now, felt) = (Instant::now(), inside.felt());
        let before = self.before.replace((now, felt));
        let bytes = |size: murphy_core::Size| size.as_bytes();
        let memory = felt.memory.map(|used| (bytes(used), felt.limit.map(bytes)));
        let mut load = Load { memory, stalled: felt.stalled, ..Load::default() };
        if let Some((then, old)) = before {
            let used = old.used.zip(felt.used);
            load.cpus = used.and_then(|(one, two)| cpus(one, two, now.duration_since(then)));
            load.held_back = old.held_back.zip(felt.held_back).and_then(|(one, two)| {
                let (all, held) = (two.0.checked_sub(one.0)?, two.1.checked_sub(one.1)?);
                (all > 0).then(|| held as f64 / all as f64)
            });
        }
        load
    }
}
