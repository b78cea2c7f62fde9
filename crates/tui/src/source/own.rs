//! Edges of our own: proxies made for the occasion, or edges that somebody sits in on for us; broken by hand, whole again with
//! the end of the screen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use murphy_adhoc::How;
use murphy_core::{Directions, EdgeName, FaultId, Offset, Protocol, Recorder, Recording, RunClock, Seed};
use murphy_faults::{Effect, Fault};
use murphy_proxy::{Armed, BindError, EdgeHands, EdgeTls, Limits, Proxy, ProxyConfig};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{LookedAt, Page};
use crate::order::Order;
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock, save};
use crate::words::tally_text;
use crate::world::{Loudness, StandingFault, Whose, World};

/// An edge to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSpec {
    /// Its name.
    pub name: EdgeName,
    /// How calls come to it.
    pub via: Via,
    /// What it dials on, `host:port`.
    pub upstream: String,
    /// What is spoken; faults on requests want HTTP.
    pub protocol: Protocol,
}

/// How calls come to an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Callers dial this address, `host:port`.
    Listen(String),
    /// Somebody sits in on their calls; see [`Own::hands`].
    From {
        /// Whose calls, as typed.
        from: String,
        /// The same in a scenario, if it has a word for it.
        saved: Option<SavedCaller>,
    },
}

/// Callers that are sat in on, as a scenario names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedCaller {
    /// For `from:`.
    pub caller: String,
    /// For a probe of the containers.
    pub container: String,
    /// The compose project in which that is meant.
    pub project: Option<String>,
}

impl Via {
    /// As shown in a column.
    fn shown(&self) -> String {
        match self {
            Via::Listen(listen) => listen.clone(),
            Via::From { from, .. } => format!("from {from}"),
        }
    }
}

/// Events that may wait to be counted.
const QUEUE: usize = 1 << 17;

/// Edges of our own.
pub struct Own {
    world: Shared,
    clock: RunClock,
    recorder: Recorder,
    hands: BTreeMap<EdgeName, EdgeHands>,
    record: Recorded,
    looked_at: LookedAt,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Own {
    /// Takes all addresses and serves them. Must be called inside a runtime.
    pub async fn start(edges: &[EdgeSpec], seed: Seed) -> Result<Own, BindError> {
        let world = Shared::default();
        let clock = RunClock::start();
        let (recorder, recording) = Recorder::new(clock, QUEUE);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut hands = BTreeMap::new();
        let mut proxies = Vec::new();
        // All addresses are taken before any is served: a taken port leaves nothing half open.
        for edge in edges {
            let Via::Listen(listen) = &edge.via else { continue };
            let config = ProxyConfig {
                name: edge.name.clone(),
                protocol: edge.protocol,
                listen: listen.clone(),
                upstream: edge.upstream.clone(),
                tls: EdgeTls::default(),
                seed: seed.derive(edge.name.as_str(), 0),
                recorder: recorder.clone(),
                limits: Limits::default(),
            };
            proxies.push((edge, Proxy::bind(config).await?.on_each_processor()));
        }
        let record = Recorded::default();
        let mut known_by = |edge: &EdgeSpec, via: Via, its: EdgeHands| {
            let mut seen = lock(&world);
            let known = seen.edge(&edge.name);
            (known.listen, known.upstream) = (via.shown(), edge.upstream.clone());
            if let Via::Listen(listen) = &via {
                seen.note(Offset::ZERO, Loudness::Notice, format!("{} listens on {listen}", edge.name));
            }
            record.lock().edge(EdgeSpec { via, ..edge.clone() });
            hands.insert(edge.name.clone(), its);
        };
        for (edge, proxy) in proxies {
            known_by(edge, Via::Listen(proxy.local_addr().to_string()), EdgeHands::of(proxy.handle()));
            tasks.spawn(murphy_core::boxed(proxy.serve(stop.clone().cancelled_owned())));
        }
        for edge in edges.iter().filter(|edge| matches!(edge.via, Via::From { .. })) {
            known_by(edge, edge.via.clone(), EdgeHands::default());
        }
        let looked_at = LookedAt::default();
        let fed = Fed {
            world: Shared::clone(&world),
            clock,
            hands: hands.clone(),
            record: record.clone(),
            looked_at: looked_at.clone(),
        };
        let ending = stop.clone();
        tasks.spawn_blocking(move || fed.feed(recording, &ending));
        Ok(Own { world, clock, recorder, hands, record, looked_at, stop, tasks })
    }

    /// The hands on an edge: who sits in on calls for it adds the proxies there.
    pub fn hands(&self, edge: &EdgeName) -> Option<EdgeHands> {
        self.hands.get(edge).cloned()
    }

    /// Where that one tells of calls and of callers.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Its clock, and what was done so far.
    pub fn recorded(&self) -> (RunClock, Recorded) {
        (self.clock, self.record.clone())
    }

    /// What is seen.
    pub fn world(&self) -> Shared {
        Shared::clone(&self.world)
    }

    /// Carries an order out. Never waits.
    pub fn act(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Arm { edge, id, fault } => self.arm(now, &edge, &id, *fault),
            Order::Lift { edge, id } => self.lift(now, &edge, &id),
            Order::LiftAll => {
                let all: Vec<(EdgeName, FaultId)> = lock(&self.world)
                    .edges
                    .iter()
                    .flat_map(|(name, edge)| edge.faults.iter().map(|fault| (name.clone(), fault.id.clone())))
                    .collect();
                for (edge, id) in all {
                    self.lift(now, &edge, &id);
                }
            }
            Order::Look(window) => self.looked_at.set(window),
            Order::Stack(_) => {}
            Order::Save { path } => save(&self.world, &self.record, self.clock, &path),
        }
    }

    fn arm(&mut self, now: Offset, edge: &EdgeName, id: &FaultId, fault: Fault) {
        let (Some(hands), Effect::Edge(effect)) = (self.hands.get(edge), fault.effect()) else { return };
        if fault.acts_on_requests() && self.record.lock().protocol(edge) != Protocol::Http {
            let text =
                format!("`{}` acts on requests, which {edge} does not read: start with --http", fault.name());
            lock(&self.world).note(now, Loudness::Trouble, text);
            return;
        }
        if fault.acts_on_handshakes() {
            let text = format!("`{}` acts on TLS handshakes: use `murphy proxy --tls`", fault.name());
            lock(&self.world).note(now, Loudness::Trouble, text);
            return;
        }
        let how = How { directions: Directions::Both, ..How::plain() };
        hands.arm(Armed { id: id.clone(), effect, directions: how.directions, chance: how.chance });
        self.record.lock().armed(now, &At::Edge(edge.clone()), id.as_str(), &fault, &how);
        let mut world = lock(&self.world);
        world.note(now, Loudness::Deed, format!("{} on {edge}", fault.text()));
        let known = world.edge(edge);
        let standing = StandingFault {
            id: id.clone(),
            text: fault.text(),
            fault: Some(fault),
            tally: None,
            until: None,
            whose: Whose::Ours,
        };
        match known.faults.iter_mut().find(|known| known.id == *id) {
            Some(known) => *known = standing,
            None => known.faults.push(standing),
        }
    }

    fn lift(&mut self, now: Offset, edge: &EdgeName, id: &FaultId) {
        let Some(tally) = self.hands.get(edge).and_then(|hands| hands.lift(id)) else { return };
        self.record.lock().lifted(now, &At::Edge(edge.clone()), id.as_str());
        let mut world = lock(&self.world);
        let known = world.edge(edge);
        let text = known.faults.iter().find(|known| known.id == *id).map(|known| known.text.clone());
        known.faults.retain(|known| known.id != *id);
        let text = text.unwrap_or_else(|| id.to_string());
        world.note(now, Loudness::Deed, format!("{text} off {edge}: {}", tally_text(tally)));
    }

    /// Takes all faults off, ends all proxies of its own and waits for their connections to be gone.
    pub fn end(mut self, runtime: &Handle) {
        self.act(Order::LiftAll);
        self.stop.cancel();
        self.tasks.close();
        runtime.block_on(self.tasks.wait());
    }
}

/// Events and counters are taken in this often.
const STEP: Duration = Duration::from_millis(50);

/// Who feeds the world, with all that it is fed from but the events.
struct Fed {
    world: Shared,
    clock: RunClock,
    hands: BTreeMap<EdgeName, EdgeHands>,
    record: Recorded,
    looked_at: LookedAt,
}

impl Fed {
    /// Counts events until the end, and reads the counters of proxies and faults beside them, and the connections that are looked at.
    fn feed(&self, mut recording: Recording, stop: &CancellationToken) {
        let mut events = Vec::new();
        while !stop.is_cancelled() {
            // A batch under one lock: a busy edge does not fight with the screen for every call.
            let end = Instant::now() + STEP;
            while let Some(left) = end.checked_duration_since(Instant::now())
                && events.len() < 10_000
            {
                match recording.next(left) {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => {}
                    Err(()) => return,
                }
            }
            {
                let mut record = self.record.lock();
                events.iter().for_each(|event| record.on(event));
            }
            let connections = self.looked_at.get().map(|window| Arc::new(Page::read(window, &self.hands)));
            let mut seen = lock(&self.world);
            for event in events.drain(..) {
                seen.see(event);
            }
            seen.now = self.clock.now();
            seen.connections = connections;
            count(&mut seen, &self.hands);
        }
    }
}

fn count(world: &mut World, hands: &BTreeMap<EdgeName, EdgeHands>) {
    for (name, hands) in hands {
        let edge = world.edge(name);
        let meter = hands.meter();
        (edge.open, edge.accepted, edge.unreachable) = (meter.open, meter.accepted, meter.dial_failed);
        edge.bytes = (meter.to_upstream, meter.to_client);
        for fault in &mut edge.faults {
            fault.tally = hands.tally(&fault.id);
        }
    }
}
