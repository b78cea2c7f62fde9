//! The proxy of one edge: takes its address, has callers accepted and carried, and owns every task of it.
//!
//! The listener closes only for a fault that refuses, and comes back on the same port.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use murphy_core::{Chance, EdgeName, Protocol, Recorder, Seed};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::acceptor::{Held, Reception};
use crate::armed::Table;
use crate::bind::{BindError, explain, is_host_port, look_up};
use crate::crew::{Crew, Desk, Hand};
use crate::door::{Door, Phase};
use crate::effect::EdgeEffect;
use crate::ground::{Ground, OwnGround};
use crate::handle::ProxyHandle;
use crate::meter::Meter;
use crate::roster::Roster;
use crate::second_look::{self, SecondLook};
use crate::shared::{Limits, Shared, State};
use crate::timer::Timer;
use crate::tls::EdgeTls;

/// What a proxy is made of.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// The edge; all events carry its name.
    pub name: EdgeName,
    /// What travels. HTTP is understood; all else is carried as bytes.
    pub protocol: Protocol,
    /// The address that callers dial, `host:port`; port 0 picks a free one.
    pub listen: String,
    /// The address that is dialled on, `host:port`.
    pub upstream: String,
    /// On which sides TLS is spoken.
    pub tls: EdgeTls,
    /// Root of all choices.
    pub seed: Seed,
    /// Where events go.
    pub recorder: Recorder,
    /// Bounds.
    pub limits: Limits,
}

/// A proxy that listens and is not yet served.
pub struct Proxy {
    shared: Arc<Shared>,
    state: Arc<watch::Sender<State>>,
    listening: watch::Sender<u64>,
    door: Keeper,
    address: SocketAddr,
    before: u64,
    carriers: Carriers,
}

/// On whose threads connections are carried.
enum Carriers {
    /// On the runtime that serves the proxy.
    Own(Arc<Timer>),
    /// On those of the process.
    Crew(&'static Crew),
}

/// Proxies take turns in whose thread accepts for them.
static PORTER: AtomicUsize = AtomicUsize::new(0);

/// Gives the door up when nobody keeps it any more, whoever still holds it.
struct Keeper(Arc<Door>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl Proxy {
    /// Takes the address, in the network in which Murphy lives. Needs a tokio runtime with I/O.
    pub async fn bind(config: ProxyConfig) -> Result<Proxy, BindError> {
        Proxy::bind_on(config, Arc::new(OwnGround)).await
    }

    /// Takes the address on this ground, and dials from there. A name in `listen` is looked up on Murphy's own ground;
    /// on another one, give an address.
    pub async fn bind_on(config: ProxyConfig, ground: Arc<dyn Ground>) -> Result<Proxy, BindError> {
        let ProxyConfig { name, protocol, listen, upstream, tls, seed, recorder, limits } = config;
        if !is_host_port(&upstream, false) {
            return Err(BindError::BadUpstream { edge: name, upstream });
        }
        let mut last = None;
        for address in look_up(&name, &listen).await? {
            match Door::open_on(&*ground, address) {
                Ok(door) => {
                    let address = door.address().map_err(|source| BindError::System {
                        edge: name.clone(),
                        address,
                        source,
                    })?;
                    let timer =
                        Timer::new().map_err(|source| BindError::Timer { edge: name.clone(), source })?;
                    let shared = Arc::new(Shared {
                        edge: name,
                        protocol,
                        upstream,
                        tls,
                        ground,
                        seed,
                        recorder,
                        limits,
                        meter: Meter::default(),
                        carried: AtomicU64::new(0),
                        left: Notify::new(),
                        held: AtomicUsize::new(0),
                        roster: Roster::default(),
                        second_look: SecondLook::default(),
                    });
                    let state = Arc::new(watch::Sender::new(State::default()));
                    let listening = watch::Sender::new(0);
                    let (door, carriers) = (Keeper(Arc::new(door)), Carriers::Own(timer));
                    return Ok(Proxy { shared, state, listening, door, address, before: 0, carriers });
                }
                Err(error) => last = Some(explain(&name, address, error)),
            }
        }
        Err(last.unwrap_or(BindError::BadListen { edge: name, listen }))
    }

    /// Counts connections from this number on, so that several proxies of one edge number theirs apart.
    pub fn numbered_from(self, before: u64) -> Proxy {
        Proxy { before, ..self }
    }

    /// Carries connections on threads of their own, one for each processor, which all proxies of the process share: each stays
    /// on one of them. Where there is one processor, or few descriptors, they are carried on the runtime that serves the proxy,
    /// as without this.
    pub fn on_each_processor(self) -> Proxy {
        let carriers = Crew::of_this_process().map_or(self.carriers, Carriers::Crew);
        Proxy { carriers, ..self }
    }

    /// The address that callers dial, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The hand on it; valid before, during and after serving.
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle::new(Arc::clone(&self.shared), Arc::clone(&self.state), self.listening.subscribe())
    }

    /// Serves until `shutdown`, then ends all connections and returns when they are gone. Dropping the future refuses callers
    /// at once, and ends everything.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let mut helpers = JoinSet::new();
        helpers.spawn(murphy_core::boxed(second_look::drive(Arc::clone(&self.shared))));
        let hands: &'static [Hand] = match &self.carriers {
            Carriers::Own(timer) => {
                helpers.spawn(murphy_core::boxed(Arc::clone(timer).drive()));
                &[]
            }
            Carriers::Crew(crew) => &crew.hands,
        };
        let own = match &self.carriers {
            Carriers::Own(timer) => Some(Desk::new(Arc::clone(timer))),
            Carriers::Crew(_) => None,
        };
        let desks = hands.iter().map(|hand| Arc::clone(&hand.desk)).chain(own.clone());
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        let reception = Arc::new(Reception::new(shared, state, self.before, desks));
        let (guard, let_go) = mpsc::channel(1);
        let (phases, watched) = watch::channel(Phase::Open(0));
        let mut held = Some(Held { door: Arc::clone(&self.door.0), _guard: guard });
        let mut elsewhere = JoinSet::new();
        // One of them accepts: were it each, each caller would wake them all, and all but one for nothing.
        let porter = match hands.len() {
            0 => 0,
            hands => PORTER.fetch_add(1, Ordering::Relaxed) % hands,
        };
        for (room, hand) in hands.iter().enumerate() {
            let held = if room == porter { held.take() } else { None };
            let accepting = Arc::clone(&reception).serve(room, held, watched.clone());
            elsewhere.spawn_on(murphy_core::boxed(accepting), &hand.runtime);
        }
        let here = own.is_some().then(|| Arc::clone(&reception).serve(0, held.take(), watched.clone()));
        drop(watched);
        let accepting = async move {
            if let Some(here) = here {
                murphy_core::boxed(here).await;
            }
            while elsewhere.join_next().await.is_some() {}
        };
        let minding = self.mind(&reception, phases, let_go, shutdown);
        tokio::join!(minding, accepting);
        helpers.shutdown().await;
    }

    /// Opens and closes the door as the faults want it, until `shutdown`; then closes it for good.
    async fn mind(
        self,
        reception: &Reception,
        phases: watch::Sender<Phase>,
        mut let_go: mpsc::Receiver<Infallible>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let mut shutdown = pin!(shutdown);
        let (mut state, mut opened) = (self.state.subscribe(), 0);
        loop {
            let table = state.borrow_and_update().table.clone();
            let again = self.follow(&table, reception, &phases, &mut opened);
            let retry = async {
                match again {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                // Never fails: this proxy holds the sender.
                _ = state.changed() => {}
                () = retry => {}
            }
        }
        reception.close(&self.door.0);
        phases.send_replace(Phase::Gone);
        // Nobody sends: it ends when who accepts has let go.
        let _ = let_go.recv().await;
        drop(self.door);
        self.state.send_modify(|state| state.stopping = true);
    }

    /// Opens or closes the door as the faults want it; says when to try again if that failed.
    fn follow(
        &self,
        table: &Table,
        reception: &Reception,
        phases: &watch::Sender<Phase>,
        opened: &mut u64,
    ) -> Option<Instant> {
        // A fault that only sometimes refuses cannot close the port: its callers are sampled on arrival.
        let refusing = table.standing().iter().find(|standing| {
            matches!(standing.armed.effect, EdgeEffect::Refuse) && standing.armed.chance == Chance::ALWAYS
        });
        let phase = *phases.borrow();
        match (phase, refusing) {
            (Phase::Open(_), Some(fault)) => {
                fault.tally.add_hit();
                reception.close(&self.door.0);
                phases.send_replace(Phase::Closed);
            }
            (Phase::Closed, None) => match self.door.0.reopen() {
                Ok(()) => {
                    *opened += 1;
                    phases.send_replace(Phase::Open(*opened));
                }
                Err(error) => {
                    reception.failed(&error);
                    return Some(reception.pause().unwrap_or_else(Instant::now));
                }
            },
            _ => {}
        }
        self.listening.send_replace(table.version());
        None
    }
}
