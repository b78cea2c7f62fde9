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
use crate::world::{Door, Loudness, StandingFault, Whose, tally_text};

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
    /// What was taken off from here, and may be switched on again.
    lifted: BTreeSet<(EdgeName, FaultId)>,
    /// Faults that stand, as they are recorded.
    standing: BTreeMap<(EdgeName, FaultId), (String, Tally)>,
}

impl Known {
    /// All that stands on a lease.
    fn on(&self, lease: &LeaseName) -> Vec<(EdgeName, FaultId)> {
        let is_on = |key: &&(EdgeName, FaultId)| {
            self.faults.get(*key).is_some_and(|sits| sits.lease.as_ref() == Some(lease))
        };
        self.standing.keys().filter(is_on).cloned().collect()
    }

    /// How a fault sits that is put on from here.
    fn sits(&self, key: &(EdgeName, FaultId), ours: &LeaseName) -> Sits {
        match self.faults.get(key) {
            // Somebody's fault stays his, and keeps its end, while it is tuned and when it is switched on again.
            Some(sits) if self.standing.contains_key(key) || sits.lease.as_ref() != Some(ours) => {
                sits.clone()
            }
            Some(Sits { how, .. }) => Sits { how: how.clone(), lease: Some(ours.clone()), ends_in: None },
            None => {
                let how = How { directions: Directions::Both, ..How::plain() };
                Sits { how, lease: Some(ours.clone()), ends_in: None }
            }
        }
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
        let known = &mut *known;
        let mut standing = BTreeMap::new();
        let mut edges = BTreeMap::new();
        known.toxics.clear();
        let names =
            edge_names(&proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>(), &known.names);
        let by_proxy: BTreeMap<String, EdgeName> =
            names.iter().map(|(name, proxy)| (proxy.clone(), name.clone())).collect();
        for proxy in proxies {
            let Some(name) = by_proxy.get(&proxy.name).cloned() else { continue };
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
        known.names = names;
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
                // Whatever is called so later is another one.
                if !known.lifted.contains(key) {
                    known.faults.remove(key);
                }
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
            let faults = shown(&proxy, now, &self.lease);
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
                if world.begins == Offset::ZERO && world.younger == Span::ZERO {
                    world.set_clock(event.at, now);
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

/// A name of its own for each proxy. One that is a name stays as it is; of the others, each keeps what it had `before`.
fn edge_names(proxies: &[&str], before: &BTreeMap<EdgeName, String>) -> BTreeMap<EdgeName, String> {
    let (mut names, mut odd) = (BTreeMap::new(), BTreeSet::new());
    for proxy in proxies {
        match EdgeName::new(proxy) {
            Ok(name) => {
                names.insert(name, (*proxy).to_owned());
            }
            Err(_) => {
                odd.insert(*proxy);
            }
        }
    }
    for (name, proxy) in before {
        if !names.contains_key(name) && odd.remove(proxy.as_str()) {
            names.insert(name.clone(), proxy.clone());
        }
    }
    for proxy in odd {
        let usual = edge_name(proxy);
        // Short enough for a number behind it.
        let short = &usual.as_str()[..usual.as_str().len().min(40)];
        let numbered = (2_u64..).filter_map(|n| EdgeName::new(&format!("{short}-{n}")).ok());
        let name = std::iter::once(usual.clone())
            .chain(numbered)
            .find(|name| !names.contains_key(name))
            .expect("there are more numbers than proxies");
        names.insert(name, proxy.to_owned());
    }
    names
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

fn shown(proxy: &ProxyDoc, now: Offset, ours: &LeaseName) -> Vec<StandingFault> {
    let faults = proxy.faults.iter().map(|fault| StandingFault {
        id: fault.name.clone(),
        text: fault.text.clone(),
        fault: Some(fault.inject.clone()),
        tally: Some(tally(fault)),
        until: fault.ends_in.map(|left| now + left),
        whose: if fault.lease.as_ref() == Some(ours) { Whose::Ours } else { Whose::Theirs },
    });
    let toxics = proxy.toxics.iter().filter_map(|toxic| {
        let id = FaultId::new(toxic).ok()?;
        let (text, whose) = (format!("toxic {toxic}"), Whose::Theirs);
        Some(StandingFault { id, text, fault: None, tally: None, until: None, whose })
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
                let mut world = lock(&inner.world);
                world.stage.clear();
                // It may be another one, which counts from its own beginning.
                (world.begins, world.younger) = (Offset::ZERO, Span::ZERO);
                drop(world);
                inner.record.lock().forget_calls();
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
                // What others put there is theirs.
                let all = inner.known().on(&inner.lease);
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
    let (name, Sits { how, lease, ends_in }) = {
        let mut known = inner.known();
        known.lifted.remove(&key);
        (known.names.get(edge).cloned(), known.sits(&key, &inner.lease))
    };
    let Some(name) = name else { return Ok(()) };
    let directions = if fault.acts_on_requests() { Directions::default() } else { how.directions };
    let How { chance, matching, which, .. } = how;
    let order = FaultOrder { inject: fault, directions, chance, matching, which, lasts: ends_in, lease };
    inner.client.put_fault(&name, id.as_str(), &order).await.map(|_| ())
}

async fn lift(inner: &Inner, edge: &EdgeName, id: &FaultId) -> Result<(), ClientError> {
    let (name, is_toxic) = {
        let (mut known, key) = (inner.known(), (edge.clone(), id.clone()));
        let is_toxic = known.toxics.remove(&key);
        known.lifted.insert(key);
        (known.names.get(edge).cloned(), is_toxic)
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
    fn each_proxy_is_an_edge_of_its_own_and_the_same_one_at_each_look() {
        let all = |names: &BTreeMap<EdgeName, String>| {
            names.iter().map(|(name, proxy)| format!("{name}: {proxy}")).collect::<Vec<_>>()
        };
        let first = edge_names(&["my/proxy"], &BTreeMap::new());
        assert_eq!(all(&first), ["proxy-my-proxy: my/proxy"]);
        let second = edge_names(&["my proxy", "my/proxy"], &first);
        assert_eq!(all(&second), ["proxy-my-proxy: my/proxy", "proxy-my-proxy-2: my proxy"]);
        assert_eq!(edge_names(&["my/proxy", "my proxy"], &second), second);
        let third = edge_names(&["my proxy", "my/proxy", "proxy-my-proxy"], &second);
        let expected =
            ["proxy-my-proxy: proxy-my-proxy", "proxy-my-proxy-2: my proxy", "proxy-my-proxy-3: my/proxy"];
        assert_eq!(all(&third), expected, "what has a name keeps it");
        let (long, longer) = ("/".repeat(200), "/".repeat(201));
        assert_eq!(edge_names(&[long.as_str(), longer.as_str()], &BTreeMap::new()).len(), 2);
    }

    fn proxy(name: &str, faults: &[(&str, Option<&str>)]) -> ProxyDoc {
        let fault = |(name, lease): &(&str, Option<&str>)| {
            serde_json::json!({
                "name": name, "inject": { "latency": "100ms" }, "text": "latency 100ms", "directions": "to-client",
                "chance": "100%", "ends-in": "20s", "lease": lease, "set": null,
                "tally": { "connections": 0, "hits": 0, "bytes": 0 },
            })
        };
        let faults: Vec<_> = faults.iter().map(fault).collect();
        let doc = serde_json::json!({
            "name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "protocol": "tcp",
            "enabled": true, "toxics": [], "faults": faults, "traffic": null,
        });
        serde_json::from_value(doc).expect("a proxy")
    }

    #[test]
    fn a_fault_of_others_stays_theirs_when_it_is_switched_off_and_on_and_nought_leaves_it() {
        let (ours, cache) = (LeaseName::new("top-1").unwrap(), EdgeName::new("cache").unwrap());
        let client = Client::new("http://127.0.0.1:9", None).unwrap();
        let (world, clock, record) = (Shared::default(), RunClock::start(), Recorded::default());
        let inner = Inner { world, clock, record, client, lease: ours.clone(), known: Mutex::default() };
        let key = |id: &str| (cache.clone(), FaultId::new(id).unwrap());
        let all = [("free", None), ("leased", Some("test")), ("mine", Some("top-1")), ("over", None)];
        inner.take_in(vec![proxy("cache", &all)], Told::Silently);
        assert_eq!(inner.known().on(&ours), [key("mine")]);
        // All but the last one are taken off from here.
        inner.known().lifted.extend(["free", "leased", "mine"].map(key));
        inner.take_in(vec![proxy("cache", &[])], Told::Silently);
        let sits = |id: &str| {
            let Sits { lease, ends_in, .. } = inner.known().sits(&key(id), &ours);
            (lease.map(String::from), ends_in)
        };
        let left = Some(Span::from_millis(20_000));
        assert_eq!(sits("free"), (None, left));
        assert_eq!(sits("leased"), (Some("test".to_owned()), left));
        let mine = (Some("top-1".to_owned()), None);
        assert_eq!(sits("mine"), mine);
        assert_eq!(sits("over"), mine, "it ended by itself: what is called so now is another one");
        assert_eq!(sits("new"), mine);
    }

    #[test]
    fn a_field_of_a_notice_is_text_whatever_it_is() {
        let data = r#"{"fault":"pause-1","count":7}"#;
        assert_eq!((value(data, "fault"), value(data, "count")), ("pause-1".into(), "7".into()));
        assert_eq!(value("no json", "count"), "null");
    }
}
