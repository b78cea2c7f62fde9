//! The proxies of a running daemon: watched and steered through its API.
//!
//! Faults that are put there stand on a lease that this process holds by an open connection: they go with it, however it ends. Whatever
//! others put there is shown, can be steered, and is recorded too; it is theirs, and stays.

mod connections;
mod known;
pub(crate) mod names;
mod seen;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use murphy_adhoc::How;
use murphy_control::{Client, ClientError, FaultOrder};
use murphy_core::{Directions, EdgeName, FaultId, LeaseName, RunClock};
use murphy_faults::Fault;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::known::{Known, Sits};
use self::watch::watch;
use crate::connections::LookedAt;
use crate::order::Order;
use crate::record::Recorded;
use crate::screen::{Shared, lock, save};
use crate::world::Loudness;

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
