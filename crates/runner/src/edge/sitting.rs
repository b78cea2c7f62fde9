//! Sits in on callers: enters the caller's network, opens the proxy there, redirects the caller's calls to the dependency
//! into it, and keeps that up while callers and addresses change.
//!
//! The redirect is a lease of the kernel's, and its undo is on disk before it is made. What is put up here is taken back by the
//! same task, whatever ends it; it must never be left to a `drop` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use murphy_core::{EdgeName, EventKind, Recorder, Undo, UndoId};
use murphy_host as host;
use murphy_netns::{Lease, Netns, ProxyPorts};
use murphy_proxy::{BindError, EdgeHands, Limits, Proxy, ProxyConfig};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Dialled, Interception, SitError, addresses, reachable, shown};
use crate::RunError;
use crate::callers::Found;
use crate::ground::NamespaceGround;
use crate::peers::Peers;
use crate::site::Site;

/// How often callers and addresses are looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Connections that one proxy of an edge numbers before the next proxy's numbers begin: numbers stay below 2^53, which
/// any reader of JSON can hold.
const NUMBERS: u64 = 1 << 40;

/// Begins to sit in, as one of `tasks`: that task takes it back, and is there before anything is done, so that whatever ends
/// the one who asks leaves nothing.
pub(crate) async fn begin_to_sit(
    tasks: &TaskTracker,
    site: Arc<Site>,
    what: Interception,
    hands: EdgeHands,
    close: CancellationToken,
) -> Result<(), RunError> {
    let edge = what.edge.clone();
    let failed = |why: String| RunError::SitIn { edge, why };
    let (ready, is_ready) = oneshot::channel();
    tasks.spawn(murphy_core::boxed(sit_in(site, what, hands, close, ready)));
    match is_ready.await {
        Ok(begun) => begun.map(drop).map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed("its task has ended".into())),
    }
}

/// Sits in until `close`. Says by `ready` that all callers are sat in on, and how many, or why not; then it takes back what
/// it had begun. To be run as a task of its own, which nobody aborts.
pub(crate) async fn sit_in(
    site: Arc<Site>,
    what: Interception,
    hands: EdgeHands,
    close: CancellationToken,
    ready: oneshot::Sender<Result<usize, SitError>>,
) {
    let mut sitting = Sitting {
        site,
        what,
        hands,
        seats: BTreeMap::new(),
        proxies: JoinSet::new(),
        opened: AtomicU64::new(0),
        told: BTreeMap::new(),
        peers: Peers::default(),
    };
    let first = sitting.first().await;
    let begun = first.is_ok();
    // Nobody waits any more if the run was stopped meanwhile; then `close` comes as well.
    let _ = ready.send(first.map(|()| sitting.seats.len()));
    while begun && tokio::time::timeout(LOOK_AGAIN, close.cancelled()).await.is_err() {
        sitting.follow().await;
    }
    sitting.leave().await;
}

/// One caller that is sat in on.
#[derive(Debug)]
struct Seat {
    name: String,
    netns: Netns,
    lease: Lease,
    undo: (UndoId, Undo),
    stop: CancellationToken,
    destinations: BTreeSet<SocketAddr>,
    ports: ProxyPorts,
    lapses: u64,
}

struct Sitting {
    site: Arc<Site>,
    what: Interception,
    hands: EdgeHands,
    /// By the inode of the network.
    seats: BTreeMap<u64, Seat>,
    proxies: JoinSet<()>,
    opened: AtomicU64,
    /// What was said last of a caller that cannot be sat in on, by its process: said once.
    told: BTreeMap<i32, String>,
    peers: Peers,
}

impl Sitting {
    /// The first look, at which every caller must be sat in on.
    async fn first(&mut self) -> Result<(), SitError> {
        let found = self.site.callers.look(&self.what.from).await?.found;
        if found.is_empty() {
            return Err(SitError::Nobody { edge: self.what.edge.clone() });
        }
        for caller in found {
            self.sit(caller).await?;
        }
        Ok(())
    }

    /// Sits in on callers that have come, leaves those that are gone, follows the addresses of the destination.
    async fn follow(&mut self) {
        // An engine that does not answer, or nobody there at present: what stands is kept.
        let found = self.site.callers.look(&self.what.from).await.unwrap_or_default().found;
        let present: BTreeSet<u64> = murphy_core::gathered(found.iter().map(|caller| caller.namespace.inode));
        if !present.is_empty() {
            let gone: Vec<u64> =
                self.seats.keys().copied().filter(|inode| !present.contains(inode)).collect();
            for inode in gone {
                if let Some(seat) = self.seats.remove(&inode) {
                    let network = seat.netns.identity();
                    let pid = network.process.pid;
                    let is_there = host::is_alive(&network.process);
                    self.bypassed(
                        &seat.name,
                        match is_there {
                            true => format!("process {pid} is not among those that are meant any more"),
                            false => format!("process {pid}, whose network it was, is gone"),
                        },
                    );
                    end(&self.site, seat).await;
                    if !is_there {
                        self.site.release(network);
                    }
                }
            }
        }
        for caller in found
            .into_iter()
            .filter(|caller| !self.seats.contains_key(&caller.namespace.inode))
            .collect::<Vec<_>>()
        {
            let (pid, name) = (caller.namespace.process.pid, caller.name.clone());
            match self.sit(caller).await {
                Ok(()) => drop(self.told.remove(&pid)),
                Err(error) => {
                    let why = error.to_string();
                    if self.told.insert(pid, why.clone()).as_ref() != Some(&why) {
                        self.bypassed(&name, why);
                    }
                }
            }
        }
        for inode in self.seats.keys().copied().collect::<Vec<_>>() {
            self.follow_addresses(inode).await;
        }
    }

    async fn follow_addresses(&mut self, inode: u64) {
        let Some((netns, name)) = self.seats.get(&inode).map(|seat| (seat.netns.clone(), seat.name.clone()))
        else {
            return;
        };
        // A name that has no address at present (its container is down) keeps those that it had.
        let now = self.addresses(&netns, &name).await.ok();
        let Some(seat) = self.seats.get_mut(&inode) else { return };
        let status = seat.lease.status();
        let lapses = std::mem::replace(&mut seat.lapses, status.lapses);
        let lapsed = (status.lapses > lapses).then(|| seat.name.clone());
        if let Some(now) = now
            && now != seat.destinations
        {
            let reachable = reachable(&now, seat.ports);
            if seat.lease.set_addresses(reachable).await.is_ok() {
                seat.destinations = now;
                tell(&self.site.recorder, &self.what.edge, seat);
            }
        }
        if let Some(name) = lapsed {
            self.bypassed(
                &name,
                "its redirect was renewed too late: calls went past murphy for a moment".into(),
            );
        }
    }

    async fn sit(&mut self, caller: Found) -> Result<(), SitError> {
        // Two redirects of one caller's calls would be each in the other's way, and each run would judge the other's faults.
        self.site.lock(&caller)?;
        let Found { name, namespace, .. } = caller;
        let netns_said = |source| SitError::Netns { caller: name.clone(), source };
        let netns = Netns::enter(namespace.process).await.map_err(netns_said)?;
        let destinations = self.addresses(&netns, &name).await?;
        let proxy =
            self.proxy_in(&netns).await.map_err(|source| SitError::Bind { caller: name.clone(), source })?;
        let address = proxy.local_addr();
        let port = Some(address.port());
        let ports = ProxyPorts { v4: port, v6: port.filter(|_| address.is_ipv6()) };
        let plan = self.what.plan(&netns, &destinations, ports, self.site.table()).await;
        let plan = plan.map_err(netns_said)?;
        let undo = plan.undo();
        let id = self.site.log.due(None, &undo)?;
        let stop = CancellationToken::new();
        let handle = proxy.handle();
        self.proxies.spawn(murphy_core::boxed(proxy.serve(stop.clone().cancelled_owned())));
        let lease = match plan.apply().await {
            Ok(lease) => lease,
            Err(error) => {
                stop.cancel();
                // It may have been done in part: the undo finds out.
                let _ = self.site.take_back(id, undo).await;
                return Err(netns_said(error));
            }
        };
        self.hands.add(handle);
        let seat = Seat { name, netns, lease, undo: (id, undo), stop, destinations, ports, lapses: 0 };
        tell(&self.site.recorder, &self.what.edge, &seat);
        self.seats.insert(namespace.inode, seat);
        Ok(())
    }

    /// On the loopback in there, for both families where there is IPv6.
    async fn proxy_in(&self, netns: &Netns) -> Result<Proxy, BindError> {
        let config = |listen: &str| ProxyConfig {
            name: self.what.edge.clone(),
            protocol: self.what.protocol,
            listen: listen.to_owned(),
            upstream: match &self.what.to {
                Dialled::Address(to) => to.to_string(),
                // Nobody is there: only calls that were redirected are dialled on.
                Dialled::Peers(_) => "127.0.0.1:1".to_owned(),
            },
            tls: self.what.tls.clone(),
            seed: self.what.seed,
            recorder: self.what.calls.clone(),
            limits: Limits::default(),
        };
        let ground = Arc::new(NamespaceGround::of(netns.clone()));
        let proxy = match Proxy::bind_on(config("[::]:0"), Arc::<NamespaceGround>::clone(&ground)).await {
            Ok(proxy) => proxy,
            Err(_) => Proxy::bind_on(config("127.0.0.1:0"), ground).await?,
        };
        Ok(proxy.on_each_processor().numbered_from(self.opened.fetch_add(1, Ordering::Relaxed) * NUMBERS))
    }

    /// The addresses of the destination as this caller gets them; of whole machines with port 0.
    async fn addresses(&mut self, netns: &Netns, name: &str) -> Result<BTreeSet<SocketAddr>, SitError> {
        match &self.what.to {
            Dialled::Address(to) => addresses(netns, to)
                .await
                .map_err(|source| SitError::Resolve { caller: name.to_owned(), source }),
            Dialled::Peers(peers) => {
                let peers = self.site.callers.find_all(peers).await?;
                let found = self.peers.addresses(&peers).await?;
                Ok(found.into_iter().map(|ip| SocketAddr::new(ip.to_canonical(), 0)).collect())
            }
        }
    }

    fn bypassed(&self, caller: &str, why: String) {
        let edge = self.what.edge.clone();
        self.site.recorder.record(EventKind::EdgeBypassed { edge, caller: caller.to_owned(), why });
    }

    /// Takes everything back and waits until it is done.
    async fn leave(mut self) {
        for seat in std::mem::take(&mut self.seats).into_values() {
            end(&self.site, seat).await;
        }
        while self.proxies.join_next().await.is_some() {}
    }
}

/// The redirect first, so that no call comes to a proxy that has closed.
async fn end(site: &Site, seat: Seat) {
    let Seat { lease, undo: (id, undo), stop, .. } = seat;
    // A failure is seen by the undo, which looks for the table itself.
    let _ = lease.lift().await;
    // A failure is kept by the site.
    let _ = site.take_back(id, undo).await;
    stop.cancel();
}

fn tell(recorder: &Recorder, edge: &EdgeName, seat: &Seat) {
    recorder.record(EventKind::EdgeIntercepted {
        edge: edge.clone(),
        caller: seat.name.clone(),
        pid: seat.netns.identity().process.pid,
        destinations: seat.destinations.iter().map(shown).collect(),
        cut: seat.lease.status().cut,
    });
}
