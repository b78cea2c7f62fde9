//! An edge that sits in on the calls of a running caller: what it is made of, the redirect of the caller's calls to the
//! dependency into a proxy, and why that cannot be. Nothing is put up here: that is for the task that takes it back.

mod sitting;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use murphy_core::{EdgeName, Protocol, Recorder, Seed, Undo};
use murphy_netns::{
    Destinations, Intercept, LeaseTerm, NetFault, Netns, NetnsError, OpenConnections as Open, Plan,
    ProxyPorts, ResolveError, TableName,
};
use murphy_proxy::{BindError, EdgeTls};
use murphy_scenario::{Address, Caller, OpenConnections};

pub(crate) use self::sitting::{begin_to_sit, sit_in};
use crate::callers::{CallerError, Found, Whose};
use crate::lock::LockError;
use crate::undo_log::UndoLogError;

/// What an intercepted edge is made of.
#[derive(Debug, Clone)]
pub(crate) struct Interception {
    pub(crate) edge: EdgeName,
    pub(crate) protocol: Protocol,
    pub(crate) tls: EdgeTls,
    pub(crate) from: Whose,
    pub(crate) to: Dialled,
    pub(crate) open: OpenConnections,
    pub(crate) seed: Seed,
    /// Where its proxies tell of calls.
    pub(crate) calls: Recorder,
}

/// What callers dial.
#[derive(Debug, Clone)]
pub(crate) enum Dialled {
    /// One address.
    Address(Address),
    /// Any TCP port of these.
    Peers(Vec<Caller>),
}

impl Interception {
    /// The redirect, prepared. Touches nothing.
    async fn plan(
        &self,
        netns: &Netns,
        destinations: &BTreeSet<SocketAddr>,
        proxy: ProxyPorts,
        table: TableName,
    ) -> Result<Plan, NetnsError> {
        let reachable = reachable(destinations, proxy);
        let destinations = match self.to {
            Dialled::Address(_) => Destinations::Endpoints(reachable),
            Dialled::Peers(_) => Destinations::Hosts(reachable.iter().map(SocketAddr::ip).collect()),
        };
        let open = match self.open {
            OpenConnections::Cut => Open::Cut,
            OpenConnections::Leave => Open::Keep,
        };
        let fault = NetFault::Intercept(Intercept { destinations, proxy, open });
        let note = format!("murphy: edge {}", self.edge);
        netns.plan(fault, table, &note, LeaseTerm::default()).await
    }
}

/// Looks whether one caller could be sat in on: the addresses of the destination as it gets them, and how the redirect to a
/// proxy would be taken back. Touches nothing.
pub(crate) async fn look_in(
    what: &Interception,
    caller: Found,
    run: &str,
    ordinal: u32,
) -> Result<(Vec<String>, Undo), SitError> {
    let Found { name, namespace, .. } = caller;
    let netns_said = |source| SitError::Netns { caller: name.clone(), source };
    let netns = Netns::enter(namespace.process).await.map_err(netns_said)?;
    let destinations = match &what.to {
        Dialled::Address(to) => addresses(&netns, to)
            .await
            .map_err(|source| SitError::Resolve { caller: name.clone(), source })?,
        Dialled::Peers(_) => BTreeSet::new(),
    };
    // Any port: there is no proxy yet.
    let ports = ProxyPorts { v4: Some(1), v6: Some(1) };
    let plan = what.plan(&netns, &destinations, ports, TableName::new(run, ordinal)).await;
    Ok((destinations.iter().map(shown).collect(), plan.map_err(netns_said)?.undo()))
}

/// Why Murphy cannot sit in on a caller.
#[derive(Debug, thiserror::Error)]
pub enum SitError {
    /// Nobody is there.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The callers ended while they were looked at.
    #[error("no caller of edge {edge} is running")]
    Nobody {
        /// Which edge.
        edge: EdgeName,
    },
    /// The dependency has no address there.
    #[error("{caller}: {source}")]
    Resolve {
        /// As this caller asked.
        caller: String,
        /// What came of it.
        source: ResolveError,
    },
    /// The namespace said no.
    #[error("{caller}: {source}")]
    Netns {
        /// Whose network it is.
        caller: String,
        /// What it said.
        source: NetnsError,
    },
    /// The proxy cannot listen there.
    #[error("{caller}: {source}")]
    Bind {
        /// In whose network.
        caller: String,
        /// Why not.
        source: BindError,
    },
    /// No undo can be put on disk, so nothing is done.
    #[error(transparent)]
    UndoLog(#[from] UndoLogError),
    /// Another run has it in hand.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Without the port where all are meant.
fn shown(destination: &SocketAddr) -> String {
    match destination.port() {
        0 => destination.ip().to_string(),
        _ => destination.to_string(),
    }
}

/// The addresses of the destination as the caller gets them.
async fn addresses(netns: &Netns, to: &Address) -> Result<BTreeSet<SocketAddr>, ResolveError> {
    let found = netns.resolve(to.host()).await?;
    Ok(murphy_core::gathered(found.into_iter().map(|ip| SocketAddr::new(ip.to_canonical(), to.port()))))
}

/// Those for which the proxy has a port: without IPv6 in there, none of its addresses can be dialled anyway.
fn reachable(addresses: &BTreeSet<SocketAddr>, ports: ProxyPorts) -> BTreeSet<SocketAddr> {
    murphy_core::gathered(addresses.iter().copied().filter(|address| address.is_ipv4() || ports.v6.is_some()))
}
