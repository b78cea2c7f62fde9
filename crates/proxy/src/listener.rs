//! The proxy of one edge: listens, accepts, and owns the task of every connection.
//!
//! Accepting is never stopped by a connection, by a dependency that does not answer or by a lack of descriptors. The
//! listener closes only for a fault that refuses, and comes back on the same port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use murphy_core::{Chance, ConnId, EdgeName, EventKind, Protocol, Recorder, Seed};
use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::armed::Table;
use crate::bind::{BindError, explain, is_host_port, listen_on, look_up, reserve, start};
use crate::effect::EdgeEffect;
use crate::ground::{Ground, OwnGround};
use crate::handle::ProxyHandle;
use crate::link::carry;
use crate::links::Links;
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

enum Door {
    Open(TcpListener),
    /// The port is held, but nobody listens.
    Closed(Option<Socket>),
}

/// A proxy that listens and is not yet served.
pub struct Proxy {
    shared: Arc<Shared>,
    state: Arc<watch::Sender<State>>,
    listening: watch::Sender<u64>,
    door: Door,
    address: SocketAddr,
    before: u64,
}

/// Failures to accept are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Pauses after a failure to accept, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

struct Failures {
    pause: Duration,
    until: Option<Instant>,
    told: Option<Instant>,
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
            match listen_on(&*ground, address) {
                Ok(listener) => {
                    let address = listener.local_addr().map_err(|source| BindError::System {
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
                        timer,
                        carried: AtomicU64::new(0),
                        left: Notify::new(),
                        held: AtomicUsize::new(0),
                        roster: Roster::default(),
                        second_look: SecondLook::default(),
                    });
                    let state = Arc::new(watch::Sender::new(State::default()));
                    let listening = watch::Sender::new(0);
                    let door = Door::Open(listener);
                    return Ok(Proxy { shared, state, listening, door, address, before: 0 });
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

    /// The address that callers dial, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The hand on it; valid before, during and after serving.
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle::new(Arc::clone(&self.shared), Arc::clone(&self.state), self.listening.subscribe())
    }

    /// Serves until `shutdown`, then ends all connections and returns when they are gone. Dropping the future ends
    /// everything at once.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let mut helpers = JoinSet::new();
        helpers.spawn(murphy_core::boxed(Arc::clone(&self.shared.timer).drive()));
        helpers.spawn(murphy_core::boxed(second_look::drive(Arc::clone(&self.shared))));
        let mut links = Links::default();
        let mut state = self.state.subscribe();
        let mut failures = Failures { pause: PAUSES.0, until: None, told: None };
        state.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = state.changed() => {
                    let table = state.borrow_and_update().table.clone();
                    self.follow(&table, &mut failures);
                }
                () = links.clear() => {}
                accepted = accept(&self.door, failures.until) => match accepted {
                    Accepted::Caller(stream, peer) => {
                        failures.pause = PAUSES.0;
                        failures.until = None;
                        let conn = ConnId(self.before + self.shared.meter.accepted());
                        let link = carry(Arc::clone(&self.shared), stream, peer, conn, self.state.subscribe());
                        links.spawn(link);
                    }
                    Accepted::Failed(error) => self.failed(&error, &mut failures),
                    Accepted::Retry => {
                        failures.until = None;
                        if matches!(self.door, Door::Closed(_)) {
                            let table = state.borrow().table.clone();
                            self.follow(&table, &mut failures);
                        }
                    }
                }
            }
        }
        self.door = Door::Closed(None);
        self.state.send_modify(|state| state.stopping = true);
        links.end().await;
        helpers.shutdown().await;
    }

    /// Opens or closes the listener as the faults want it.
    fn follow(&mut self, table: &Table, failures: &mut Failures) {
        // A fault that only sometimes refuses cannot close the port: its callers are sampled on arrival.
        let refusing = table.standing().iter().find(|standing| {
            matches!(standing.armed.effect, EdgeEffect::Refuse) && standing.armed.chance == Chance::ALWAYS
        });
        match (&mut self.door, refusing) {
            (Door::Open(_), Some(fault)) => {
                fault.tally.add_hit();
                self.door = Door::Closed(None);
                self.door = Door::Closed(reserve(&*self.shared.ground, self.address).ok());
            }
            (Door::Closed(held), None) => match reopen(held.take(), &*self.shared.ground, self.address) {
                Ok(listener) => self.door = Door::Open(listener),
                Err(error) => {
                    self.failed(&error, failures);
                    return;
                }
            },
            _ => {}
        }
        self.listening.send_replace(table.version());
    }

    fn failed(&self, error: &io::Error, failures: &mut Failures) {
        let now = Instant::now();
        self.shared.meter.accept_failed();
        if failures.told.is_none_or(|told| now - told >= TELL_EVERY) {
            failures.told = Some(now);
            let kind = EventKind::AcceptFailed { edge: self.shared.edge.clone(), why: error.to_string() };
            self.shared.recorder.record(kind);
        }
        failures.until = Some(now + failures.pause);
        failures.pause = (failures.pause * 2).min(PAUSES.1);
    }
}

enum Accepted {
    Caller(TcpStream, SocketAddr),
    Failed(io::Error),
    /// A pause after a failure is over.
    Retry,
}

/// The next caller, after the pause that a failure asked for.
async fn accept(door: &Door, until: Option<Instant>) -> Accepted {
    if let Some(until) = until {
        tokio::time::sleep_until(until.into()).await;
        return Accepted::Retry;
    }
    match door {
        Door::Closed(_) => std::future::pending().await,
        Door::Open(listener) => match listener.accept().await {
            Ok((stream, peer)) => Accepted::Caller(stream, peer),
            Err(error) => Accepted::Failed(error),
        },
    }
}

fn reopen(held: Option<Socket>, ground: &dyn Ground, address: SocketAddr) -> io::Result<TcpListener> {
    match held {
        Some(socket) => {
            start(&socket)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        }
        None => listen_on(ground, address),
    }
}
