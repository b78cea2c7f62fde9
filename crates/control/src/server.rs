//! The daemon's HTTP server: takes its address, carries requests to the API, ends in order.
//!
//! A slow or broken client costs its own connection only; a lack of descriptors, or as many clients as there may be, pauses accepting
//! and never ends it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use murphy_core::{Demand, EventKind, Recorder, Recording, RunClock, Seed};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::clients::{Apis, Clients, Tasks};
use crate::containers::{Base, ContainerFaults, NotTakenBack};
use crate::events::Events;
use crate::history::History;
use crate::listen::{self, ListenError};
use crate::metrics::MetricsChoice;
use crate::native::{Guard, NativeApi, Reach, Token};
use crate::proxies::{Proxies, ProxySpec};
use crate::toxiproxy::{Api, Compat};

/// What a daemon is made of.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The host on which the API listens.
    pub host: String,
    /// Its port; 0 picks a free one.
    pub port: u16,
    /// Root of all choices of all proxies.
    pub seed: Seed,
    /// How close to Toxiproxy the answers keep.
    pub compat: Compat,
    /// Which metrics are served.
    pub metrics: MetricsChoice,
    /// Where the local authority is kept.
    pub state: PathBuf,
    /// What every client must send. Without one the native API is open on loopback, and elsewhere one is made for it.
    pub token: Option<Token>,
    /// Where undo logs are, if the API may act on containers.
    pub containers: Option<Base>,
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The host cannot be read or looked up.
    #[error(
        "cannot listen on {host}:{port}: {source}; write --host 127.0.0.1 or another address of this machine"
    )]
    Host {
        /// As given.
        host: String,
        /// As given.
        port: u16,
        /// Why.
        source: ListenError,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address} for the control API: {why}; stop what listens there, or choose another with --port", why = listen::system_text(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A proxy of the configuration cannot be started.
    #[error("proxy `{name}` of the configuration: {source}")]
    Proxy {
        /// Its name.
        name: String,
        /// Why.
        source: crate::proxies::ProxyError,
    },
}

/// A daemon that has its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    proxies: Proxies,
    apis: Arc<Apis>,
    events: Events,
    demand: Demand,
    recorder: Recorder,
    recording: Recording,
    made: Option<Token>,
    containers: Option<ContainerFaults>,
}

/// Events of the data path that wait to be told; more are counted as lost.
const EVENTS: usize = 8192;

/// How long requests that are under way may take when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);
/// The pause after a failure to accept.
const PAUSE: Duration = Duration::from_millis(20);

impl Server {
    /// Takes the address of the API.
    pub async fn bind(config: ServerConfig) -> Result<Server, ServeError> {
        let ServerConfig { host, port, seed, compat, metrics, state, token, containers } = config;
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        let text = if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let resolved = listen::resolve(&text).await;
        let address = resolved.map_err(|source| ServeError::Host { host, port, source })?;
        let bind = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let demand = Demand::default();
        let events = Events::new(demand.clone());
        let (recorder, recording) = Recorder::on_demand(RunClock::start(), EVENTS, demand.clone());
        let proxies = Proxies::new(seed, recorder.clone(), compat, events.clone(), state);
        let reach = if containers.is_some() { Reach::Containers } else { Reach::Proxies };
        let guard = Guard::new(address.ip(), reach, token).map_err(bind)?;
        let made = guard.made().cloned();
        let containers =
            containers.map(|base| ContainerFaults::new(base, seed, events.clone(), proxies.book()));
        let toxiproxy = Api::new(proxies.clone(), compat, metrics, seed);
        let native = NativeApi::new(proxies.clone(), events.clone(), guard, containers.clone());
        let apis = Arc::new(Apis { toxiproxy, native, answers: Answers::default() });
        Ok(Server { listener, address, proxies, apis, events, demand, recorder, recording, made, containers })
    }

    /// The token of the native API, if one had to be made: whoever starts the daemon must tell it.
    pub fn made_token(&self) -> Option<&Token> {
        self.made.as_ref()
    }

    /// The address of the API, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The proxies behind the API.
    pub fn proxies(&self) -> Proxies {
        self.proxies.clone()
    }

    /// Makes the proxies of a configuration; stops at the first that cannot be made.
    pub async fn populate(&self, specs: Vec<ProxySpec>) -> Result<(), ServeError> {
        for spec in specs {
            let name = spec.name.clone();
            self.proxies.put(spec).await.map_err(|source| ServeError::Proxy { name, source })?;
        }
        Ok(())
    }

    /// Serves until `shutdown`, then finishes requests that are under way, takes all faults on containers back, ends all
    /// proxies and returns those faults on containers that may not be taken back whole.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Vec<NotTakenBack> {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let clients = Clients::default();
        let mut helpers = JoinSet::new();
        helpers.spawn(murphy_core::boxed(self.proxies.clone().watch_leases()));
        let (events, recording, over) = (self.events.clone(), self.recording, stop.clone());
        let history = self.proxies.book();
        let teller = std::thread::Builder::new().name("events".into());
        // Without the thread there are no traffic events, and everything else goes on.
        let teller = teller.spawn(move || tell(recording, &events, &history, &over)).ok();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = clients.accept(&self.listener) => accepted,
            };
            match accepted {
                Ok(client) => tasks.talk(client, Arc::clone(&self.apis)),
                // Descriptors may come back at any time; the listener stays.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        drop(self.listener);
        stop.cancel();
        // Streams end first: they would be waited for.
        self.events.close();
        self.proxies.release();
        let left = match &self.containers {
            Some(containers) => containers.end().await,
            None => Vec::new(),
        };
        tasks.end(GRACE).await;
        self.proxies.end().await;
        // One last event wakes the thread, which then sees that it is over.
        self.demand.set(1);
        self.recorder.record(EventKind::RunEnded);
        if let Some(teller) = teller {
            let _ = tokio::task::spawn_blocking(move || teller.join()).await;
        }
        left
    }
}

/// Tells events of the data path to those who listen and to the history, until it is over.
///
/// Where nobody listens they are gathered for a moment: to wake this thread for each is most of what one costs the data path.
fn tell(mut recording: Recording, events: &Events, history: &History, over: &CancellationToken) {
    const PATIENCE: Duration = Duration::from_secs(3600);
    const GATHERED: Duration = Duration::from_millis(20);
    let mut patience = PATIENCE;
    while let Ok(event) = recording.next(patience) {
        if over.is_cancelled() {
            return;
        }
        patience = match event {
            Some(event) => {
                history.on(&event);
                events.tell_traffic(&event);
                if events.is_heard() { PATIENCE } else { Duration::ZERO }
            }
            None => {
                if patience.is_zero() {
                    std::thread::park_timeout(GATHERED);
                }
                PATIENCE
            }
        };
    }
}
