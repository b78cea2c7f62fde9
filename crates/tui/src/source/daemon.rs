//! The proxies of a running daemon: watched and steered through its API.
//!
//! Faults that are put there stand on a lease that this process holds by an open connection: they go with it, however it ends. Whatever
//! others put there is shown, can be steered, and is recorded too; it is theirs, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_control::{Client, ClientError, FaultDoc, FaultOrder, Heard, Listening, ProxyDoc};
use murphy_core::{Directions, EdgeName, Event, FaultId, LeaseName, Offset, RunClock, Span, Tally};
use murphy_faults::Fault;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::order::Order;
use crate::record::{At, How, Recorded};
use crate::screen::{Shared, lock, save};
use crate::source::own::{EdgeSpec, Via};
use crate::world::{Door, Loudness, StandingFault, tally_text};

/// Between two looks where nothing is told.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks for a daemon that is gone.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end waits for a daemon to answer.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a daemon cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// There is nothing to break.
    #[error("{api} has no proxy yet; make one: murphy proxies add redis 127.0.0.1:6379 --api {api}")]
    NoProxy {
        /// Where it was asked.
        api: String,
    },
}

/// A watched daemon.
pub struct Daemon {
    inner: Arc<Inner>,
    orders: mpsc::UnboundedSender<Order>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Inner {
    world: Shared,
    clock: RunClock,
    record: Recorded,
    client: Client,
    lease: LeaseName,
    known: Mutex<Known>,
}

/// What the daemon has, as far as was seen.
#[derive(Default)]
struct Known {
    /// The names of proxies, as the daemon has them.
    names: BTreeMap<EdgeName, String>,
    /// How faults sit, also of those that are off now.
    faults: BTreeMap<(EdgeName, FaultId), Sits>,
    /// Toxics of Toxiproxy's API.
    toxics: BTreeSet<(EdgeName, FaultId)>,
    /// Faults that stand, as they are recorded.
    standing: BTreeMap<(EdgeName, FaultId), (String, Tally)>,
}

impl Known {
    /// All that stands.
    fn all(&self) -> Vec<(EdgeName, FaultId)> {
        self.standing.keys().chain(&self.toxics).cloned().collect()
    }
}

#[derive(Clone)]
struct Sits {
    how: How,
    lease: Option<LeaseName>,
    ends_in: Option<Span>,
}

/// What is read from a daemon all the while.
struct Ears {
    events: Listening,
    hold: Listening,
}

impl Daemon {
    /// Looks at a daemon, and begins to listen to it. Must be called inside a runtime. `api` is for messages.
    pub async fn start(client: Client, api: &str, lease: LeaseName) -> Result<Daemon, DaemonError> {
        let proxies = client.proxies().await?;
        if proxies.is_empty() {
            return Err(DaemonError::NoProxy { api: api.to_owned() });
        }
        let (world, clock, record) = (Shared::default(), RunClock::start(), Recorded::default());
        let inner = Arc::new(Inner { world, clock, record, client, lease, known: Mutex::default() });
        let ears = inner.listen().await?;
        inner.take_in(proxies, Told::Silently);
        let (orders, given) = mpsc::unbounded_channel();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(watch(Arc::clone(&inner), ears, stop.clone()));
        tasks.spawn(obey(Arc::clone(&inner), given));
        Ok(Daemon { inner, orders, stop, tasks })
    }

    /// What is seen.
    pub fn world(&self) -> Shared {
        Shared::clone(&self.inner.world)
    }

    /// Its clock, and what was done so far.
    pub fn recorded(&self) -> (RunClock, Recorded) {
        (self.inner.clock, self.inner.record.clone())
    }

    /// Carries an order out. Never waits.
    pub fn act(&mut self, order: Order) {
        if let Order::Save { path } = &order {
            save(&self.inner.world, &self.inner.record, self.inner.clock, path);
            return;
        }
        // The task that takes them lives as long as this.
        let _ = self.orders.send(order);
    }

    /// Takes off what was put there, and leaves the daemon as it is.
    pub async fn end(self) {
        let Daemon { inner, orders, stop, tasks } = self;
        drop(orders);
        // A daemon that does not answer takes them off all the same, once the connection is gone.
        let _ = tokio::time::timeout(FAREWELL, inner.client.end_lease(inner.lease.as_str())).await;
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(FAREWELL, tasks.wait()).await;
    }
}

/// Whether what is new is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Aloud,
    Silently,
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, loudness: Loudness, text: String) {
        let mut world = lock(&self.world);
        world.now = world.now.max(self.clock.now());
        let now = world.now;
        world.note(now, loudness, text);
    }

    async fn listen(&self) -> Result<Ears, ClientError> {
        let hold = self.client.hold_lease(self.lease.as_str()).await?;
        Ok(Ears { events: self.client.events().await?, hold })
    }

    /// Puts what the daemon has into the world and into the recording.
    fn take_in(&self, proxies: Vec<ProxyDoc>, told: Told) {
        let now = self.clock.now();
        let mut known = self.known();
        let mut standing = BTreeMap::new();
        let mut edges = BTreeMap::new();
        known.toxics.clear();
        for proxy in proxies {
            let name = edge_name(&proxy.name);
            for fault in &proxy.faults {
                let (key, text) = ((name.clone(), fault.name.clone()), fault.text.clone());
                let sits = Sits { how: how(fault), lease: fault.lease.clone(), ends_in: fault.ends_in };
                let sat = known.faults.get(&key).is_some_and(|before| before.how == sits.how);
                let is_new = !sat || known.standing.get(&key).is_none_or(|(before, _)| *before != text);
                if is_new {
                    let at = At::Edge(name.clone());
                    self.record.lock().armed(now, &at, fault.name.as_str(), &fault.inject, &sits.how);
                }
                known.faults.insert(key.clone(), sits);
                standing.insert(key, (text, tally(fault)));
            }
            if !known.names.contains_key(&name) {
                self.record.lock().edge(EdgeSpec {
                    name: name.clone(),
                    via: Via::Listen(proxy.listen.clone()),
                    upstream: proxy.upstream.clone(),
                    protocol: proxy.protocol,
                });
            }
            for toxic in &proxy.toxics {
                known.toxics.extend(FaultId::new(toxic).ok().map(|id| (name.clone(), id)));
            }
            edges.insert(name, proxy);
        }
        known.names = edges.iter().map(|(name, proxy)| (name.clone(), proxy.name.clone())).collect();
        let mut world = lock(&self.world);
        world.now = world.now.max(now);
        for (key, (text, _)) in &standing {
            if known.standing.get(key).is_none_or(|(before, _)| before != text) && told == Told::Aloud {
                world.note(now, Loudness::Deed, format!("{text} on {}", key.0));
            }
        }
        for (key, (text, tally)) in &known.standing {
            if !standing.contains_key(key) {
                self.record.lock().lifted(now, &At::Edge(key.0.clone()), key.1.as_str());
                world.note(now, Loudness::Deed, format!("{text} off {}: {}", key.0, tally_text(*tally)));
            }
        }
        known.standing = standing;
        for gone in world.edges.keys().filter(|name| !edges.contains_key(*name)).cloned().collect::<Vec<_>>()
        {
            world.edges.remove(&gone);
            world.note(now, Loudness::Notice, format!("{gone} is no proxy any more"));
        }
        for (name, proxy) in edges {
            let is_new = !world.edges.contains_key(&name);
            if is_new && told == Told::Aloud {
                world.note(now, Loudness::Notice, format!("{name} listens on {}", proxy.listen));
            }
            let faults = shown(&proxy, now);
            let edge = world.edge(&name);
            edge.door = if proxy.enabled { Door::Open } else { Door::Closed };
            (edge.listen, edge.upstream, edge.faults) = (proxy.listen, proxy.upstream, faults);
            if let Some(traffic) = proxy.traffic {
                (edge.open, edge.accepted, edge.unreachable) =
                    (traffic.open, traffic.accepted, traffic.dial_failed);
                edge.bytes = (traffic.to_upstream, traffic.to_client);
            }
        }
    }

    fn hear(&self, heard: &Heard) -> Then {
        if heard.event == "traffic" {
            if let Ok(event) = serde_json::from_slice::<Event>(heard.data.as_bytes()) {
                self.record.lock().on(&event);
                let mut world = lock(&self.world);
                let now = self.clock.now();
                // The daemon counts from its own beginning.
                if world.begins == Offset::ZERO {
                    world.begins = Offset::ZERO + event.at.since(now);
                }
                world.see(event);
            }
            return Then::GoOn;
        }
        match heard.event.as_str() {
            "lost" => {
                let count = value(&heard.data, "count");
                self.note(Loudness::Trouble, format!("{count} events were lost: figures are too low"));
                Then::GoOn
            }
            "container-fault" => {
                let said = value(&heard.data, "happened");
                let done = serde_json::from_str::<serde_json::Value>(&said)
                    .map_or(String::new(), |said| said["event"].as_str().unwrap_or_default().to_owned());
                let fault = value(&heard.data, "fault");
                self.note(Loudness::Deed, format!("container fault {fault}: {done}"));
                Then::GoOn
            }
            "listening" => Then::GoOn,
            _ => Then::Look,
        }
    }
}

/// What follows from a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    /// Something is another than before.
    Look,
}

/// A field of a notice as text.
fn value(data: &str, field: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(data).unwrap_or_default();
    json[field].as_str().map_or_else(|| json[field].to_string(), str::to_owned)
}

/// The API of Toxiproxy takes any text for a name.
fn edge_name(text: &str) -> EdgeName {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let made = || EdgeName::new(&format!("proxy-{}", text.chars().map(plain).collect::<String>()));
    EdgeName::new(text).or_else(|_| made()).or_else(|_| EdgeName::new("proxy")).expect("a plain name")
}

fn how(fault: &FaultDoc) -> How {
    How {
        directions: fault.directions,
        chance: fault.chance,
        matching: (*fault.matching).clone(),
        which: fault.which.clone(),
    }
}

fn tally(fault: &FaultDoc) -> Tally {
    Tally { connections: fault.tally.connections, hits: fault.tally.hits, bytes: fault.tally.bytes }
}

fn shown(proxy: &ProxyDoc, now: Offset) -> Vec<StandingFault> {
    let faults = proxy.faults.iter().map(|fault| StandingFault {
        id: fault.name.clone(),
        text: fault.text.clone(),
        fault: Some(fault.inject.clone()),
        tally: Some(tally(fault)),
        until: fault.ends_in.map(|left| now + left),
    });
    let toxics = proxy.toxics.iter().filter_map(|toxic| {
        let id = FaultId::new(toxic).ok()?;
        Some(StandingFault { id, text: format!("toxic {toxic}"), fault: None, tally: None, until: None })
    });
    faults.chain(toxics).collect()
}

async fn watch(inner: Arc<Inner>, ears: Ears, stop: CancellationToken) {
    let mut ears = Some(ears);
    // Of its own time: where traffic is told without a pause, there is never a silence to look in.
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        let Some(Ears { events, hold }) = &mut ears else {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
            if let Ok(heard) = inner.listen().await {
                ears = Some(heard);
                inner.note(Loudness::Notice, "the daemon is back".to_owned());
                lock(&inner.world).stage.clear();
            }
            continue;
        };
        let then = tokio::select! {
            () = stop.cancelled() => return,
            heard = events.next() => heard.map(|heard| inner.hear(&heard)),
            held = hold.next() => held.map(|_| Then::GoOn),
            _ = beat.tick() => Some(Then::Look),
        };
        let looked = match then {
            Some(Then::GoOn) => continue,
            Some(Then::Look) => inner.client.proxies().await.ok(),
            None => None,
        };
        match looked {
            Some(proxies) => inner.take_in(proxies, Told::Aloud),
            None => {
                ears = None;
                inner.take_in(Vec::new(), Told::Aloud);
                lock(&inner.world).stage = "NO DAEMON".to_owned();
                inner.note(Loudness::Trouble, "the daemon does not answer any more".to_owned());
            }
        }
    }
}

/// One order after the other.
async fn obey(inner: Arc<Inner>, mut given: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = given.recv().await {
        let done = match order {
            Order::Arm { edge, id, fault } => arm(&inner, &edge, &id, *fault).await,
            Order::Lift { edge, id } => lift(&inner, &edge, &id).await,
            Order::LiftAll => {
                let all = inner.known().all();
                let mut done = Ok(());
                for (edge, id) in all {
                    done = done.and(lift(&inner, &edge, &id).await);
                }
                done
            }
            Order::Save { .. } | Order::Stack(_) => Ok(()),
        };
        if let Err(error) = done {
            inner.note(Loudness::Trouble, error.to_string());
        }
    }
}

async fn arm(inner: &Inner, edge: &EdgeName, id: &FaultId, fault: Fault) -> Result<(), ClientError> {
    let key = (edge.clone(), id.clone());
    let (name, sits, stands) = {
        let known = inner.known();
        (known.names.get(edge).cloned(), known.faults.get(&key).cloned(), known.standing.contains_key(&key))
    };
    let Some(name) = name else { return Ok(()) };
    let both = How { directions: Directions::Both, ..How::plain() };
    let Sits { how, lease, ends_in } = match sits {
        // Somebody's fault keeps its end while it is tuned.
        Some(sits) if stands => sits,
        Some(Sits { how, .. }) => Sits { how, lease: Some(inner.lease.clone()), ends_in: None },
        None => Sits { how: both, lease: Some(inner.lease.clone()), ends_in: None },
    };
    let directions = if fault.acts_on_requests() { Directions::default() } else { how.directions };
    let How { chance, matching, which, .. } = how;
    let order = FaultOrder { inject: fault, directions, chance, matching, which, lasts: ends_in, lease };
    inner.client.put_fault(&name, id.as_str(), &order).await.map(|_| ())
}

async fn lift(inner: &Inner, edge: &EdgeName, id: &FaultId) -> Result<(), ClientError> {
    let (name, is_toxic) = {
        let mut known = inner.known();
        (known.names.get(edge).cloned(), known.toxics.remove(&(edge.clone(), id.clone())))
    };
    let Some(name) = name else { return Ok(()) };
    match is_toxic {
        true => inner.client.remove_toxic(&name, id.as_str()).await,
        false => inner.client.lift_fault(&name, id.as_str()).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_proxy_becomes_one_of_an_edge() {
        assert_eq!(edge_name("redis").as_str(), "redis");
        assert_eq!(edge_name("my proxy/1").as_str(), "proxy-my-proxy-1");
        for text in ["", " ", "ü", "-", &"x".repeat(300)] {
            edge_name(text);
        }
    }

    #[test]
    fn a_field_of_a_notice_is_text_whatever_it_is() {
        let data = r#"{"fault":"pause-1","count":7}"#;
        assert_eq!((value(data, "fault"), value(data, "count")), ("pause-1".into(), "7".into()));
        assert_eq!(value("no json", "count"), "null");
    }
}
