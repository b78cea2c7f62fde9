//! The proxies of a running daemon: watched and steered through its API.
//!
//! Faults that are put there stand on a lease that this process holds by an open connection: they go with it, however it ends. Whatever
//! others put there is shown, can be steered, and is recorded too; it is theirs, and stays.

mod connections;
mod known;
pub(crate) mod names;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_adhoc::How;
use murphy_control::{Client, ClientError, FaultDoc, FaultOrder, ProxyDoc, ToxicDoc};
use murphy_core::{Directions, EdgeName, FaultId, LeaseName, Offset, RunClock, Tally};
use murphy_faults::{Fault, Problems};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::known::{Known, Sits};
use self::names::edge_names;
use self::watch::watch;
use crate::connections::LookedAt;
use crate::order::Order;
use crate::record::{At, Recorded};
use crate::screen::{Shared, lock, save};
use crate::source::own::{EdgeSpec, Via};
use crate::words::tally_text;
use crate::world::{Door, Loudness, StandingFault, Whose};

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
    looked_at: LookedAt,
    /// Another page of connections is looked at.
    look_now: Notify,
}

impl Daemon {
    /// Looks at a daemon, and begins to listen to it. Must be called inside a runtime. `api` is for messages.
    pub async fn start(client: Client, api: &str, lease: LeaseName) -> Result<Daemon, DaemonError> {
        let proxies = client.proxies().await?;
        if proxies.is_empty() {
            return Err(DaemonError::NoProxy { api: api.to_owned() });
        }
        let inner = Arc::new(Inner::new(client, lease));
        let ears = inner.listen().await?;
        inner.take_in(proxies, Told::Silently);
        let (orders, given) = mpsc::unbounded_channel();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(murphy_core::boxed(watch(Arc::clone(&inner), ears, stop.clone())));
        tasks.spawn(murphy_core::boxed(obey(Arc::clone(&inner), given)));
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
        match order {
            Order::Save { path } => save(&self.inner.world, &self.inner.record, self.inner.clock, &path),
            Order::Look(window) => self.inner.look_at(window),
            // The task that takes them lives as long as this.
            order => drop(self.orders.send(order)),
        }
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
    fn new(client: Client, lease: LeaseName) -> Inner {
        Inner {
            world: Shared::default(),
            clock: RunClock::start(),
            record: Recorded::default(),
            client,
            lease,
            known: Mutex::default(),
            looked_at: LookedAt::default(),
            look_now: Notify::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, loudness: Loudness, text: String) {
        let mut world = lock(&self.world);
        world.now = world.now.max(self.clock.now());
        let now = world.now;
        world.note(now, loudness, text);
    }

    /// Puts what the daemon has into the world and into the recording.
    fn take_in(&self, proxies: Vec<ProxyDoc>, told: Told) {
        let now = self.clock.now();
        let mut known = self.known();
        let known = &mut *known;
        let mut standing = BTreeMap::new();
        let mut edges = BTreeMap::new();
        let mut toxic_faults = BTreeMap::new();
        known.toxics.clear();
        let names =
            edge_names(&proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>(), known.before());
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
            self.record.lock().tls(&name, proxy.tls.as_ref());
            if !known.names.contains_key(&name) {
                self.record.lock().edge(EdgeSpec {
                    name: name.clone(),
                    via: Via::Listen(proxy.listen.clone()),
                    upstream: proxy.upstream.clone(),
                    protocol: proxy.protocol,
                });
            }
            for toxic in &proxy.toxic_faults {
                let key = (name.clone(), toxic.name.clone());
                let sits = (toxic.inject.clone(), toxic_how(toxic));
                if known.toxic_faults.get(&key) != Some(&sits) {
                    self.record_toxic(now, &name, &toxic.name, &sits);
                }
                toxic_faults.insert(key, sits);
            }
            for toxic in &proxy.toxics {
                known.toxics.extend(FaultId::new(toxic).ok().map(|id| (name.clone(), id)));
            }
            edges.insert(name, proxy);
        }
        known.names = names;
        for (edge, toxic) in known.toxic_faults.keys().filter(|key| !toxic_faults.contains_key(*key)) {
            self.record.lock().lifted(now, &At::Edge(edge.clone()), &toxic_id(toxic));
        }
        known.toxic_faults = toxic_faults;
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

    /// The numbers of toxics have wider bounds than the settings of faults: one that `murphy check` would refuse is told of instead.
    fn record_toxic(&self, now: Offset, edge: &EdgeName, toxic: &str, (fault, how): &(Fault, How)) {
        let (at, id) = (At::Edge(edge.clone()), toxic_id(toxic));
        let mut problems = Problems::new();
        fault.check(&mut problems);
        match problems.iter().next() {
            None => self.record.lock().armed(now, &at, &id, fault, how),
            Some(problem) => {
                let mut record = self.record.lock();
                record.lifted(now, &at, &id);
                record.leave_out(format!("toxic {toxic} on {edge}: {}", problem.message));
                drop(record);
                let text = format!("toxic {toxic} on {edge} is not recorded: {}", problem.message);
                self.note(Loudness::Trouble, text);
            }
        }
    }

    /// The daemon is away: nothing stands there. What its proxies are called is kept for when it is back.
    fn lose(&self) {
        let before = self.known().before().clone();
        self.take_in(Vec::new(), Told::Aloud);
        self.known().away = before;
    }
}

fn how(fault: &FaultDoc) -> How {
    How {
        directions: fault.directions,
        chance: fault.chance,
        matching: (*fault.matching).clone(),
        which: fault.which.clone(),
    }
}

fn toxic_how(toxic: &ToxicDoc) -> How {
    How { directions: toxic.directions, chance: toxic.chance, ..How::plain() }
}

/// Its name in the recording: no fault has one with a blank in it.
fn toxic_id(toxic: &str) -> String {
    format!("toxic {toxic}")
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
        let known = proxy.toxic_faults.iter().find(|known| known.name == *toxic);
        let does = known.map(|known| format!(": {}", known.text)).unwrap_or_default();
        let (text, whose) = (format!("toxic {toxic}{does}"), Whose::Theirs);
        Some(StandingFault { id, text, fault: None, tally: None, until: None, whose })
    });
    faults.chain(toxics).collect()
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
            Order::Look(_) | Order::Save { .. } | Order::Stack(_) => Ok(()),
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

    pub(super) fn inner(lease: &LeaseName) -> Inner {
        Inner::new(Client::new("http://127.0.0.1:9", None).unwrap(), lease.clone())
    }

    pub(super) fn proxy(name: &str, faults: &[(&str, Option<&str>)]) -> ProxyDoc {
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
    fn a_daemon_that_was_away_has_each_proxy_under_the_name_that_it_had() {
        let inner = inner(&LeaseName::new("top-1").unwrap());
        // Of these, the first one that is seen has the name without a number.
        inner.take_in(vec![proxy("my/proxy", &[])], Told::Silently);
        let both = || vec![proxy("my proxy", &[]), proxy("my/proxy", &[])];
        inner.take_in(both(), Told::Aloud);
        let names = inner.known().names.clone();
        inner.lose();
        assert!(lock(&inner.world).edges.is_empty(), "nothing is to be seen of one that is away");
        inner.take_in(both(), Told::Aloud);
        assert_eq!(inner.known().names, names);
        assert_eq!(names.values().collect::<Vec<_>>(), ["my/proxy", "my proxy"]);
    }

    #[test]
    fn a_toxic_that_no_scenario_can_say_is_told_of_once_and_ends_what_was_recorded_there() {
        let inner = inner(&LeaseName::new("top-1").unwrap());
        let look = |delay: &str| {
            let toxic = serde_json::json!({
                "name": "slow", "inject": { "latency": delay }, "text": format!("latency {delay}"),
                "directions": "to-client", "chance": "100%",
            });
            let mut proxy = proxy("db", &[]);
            proxy.toxic_faults.push(serde_json::from_value(toxic).expect("a toxic"));
            inner.take_in(vec![proxy], Told::Silently);
        };
        let notes = || {
            let world = lock(&inner.world);
            world.happenings.iter().filter(|one| one.text.contains("toxic slow on")).count()
        };
        let recorded = |minutes: u64| {
            let record = inner.record.lock();
            record.scenario(Offset::from_micros(minutes * 60_000_000))
        };
        look("25h");
        look("25h");
        assert_eq!((notes(), recorded(1)), (1, None), "nothing was armed");
        let text = lock(&inner.world).happenings.iter().map(|one| one.text.clone()).collect::<String>();
        assert!(text.contains("is not recorded: ") && text.contains("longer than a day"), "{text}");

        look("100ms");
        assert_ne!(recorded(1), recorded(2), "it stands");
        look("26h");
        look("26h");
        assert_eq!(notes(), 2);
        assert_eq!(recorded(1), recorded(2), "nothing stands");
        let text = recorded(1).unwrap();
        assert_eq!(text.matches("    inject: ").count(), 1, "{text}");
        assert!(text.contains("# Not recorded: toxic slow on"), "{text}");
    }
}
