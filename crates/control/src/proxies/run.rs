//! Starting and stopping one proxy, under the turn of the set. Takes the address, serves in a task that the set owns.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use murphy_core::{Chance, Directions, EdgeName, FaultId, Span};
use murphy_faults::{Drop as DropFault, Effect, FaultSpec};
use murphy_proxy::{Armed, BindError, EdgeTls, Limits, Proxy, ProxyConfig};
use tokio_util::sync::CancellationToken;

use crate::listen;
use crate::toxiproxy::armed;
use crate::traffic::Labels;

use super::error::ProxyError;
use super::set::Proxies;
use super::slot::{Running, Slot};

impl Proxies {
    /// Starts a proxy under the turn, if it does not run.
    pub(super) async fn start(&self, name: &str, address: SocketAddr) -> Result<(), ProxyError> {
        let Some(slot) = self.slots().get(name).filter(|slot| slot.running.is_none()).map(|slot| Slot {
            listen: slot.listen.clone(),
            upstream: slot.upstream.clone(),
            protocol: slot.protocol,
            tls: slot.tls.clone(),
            toxics: Vec::new(),
            faults: Vec::new(),
            running: None,
            starts: slot.starts,
            watched: slot.watched.clone(),
        }) else {
            return Ok(());
        };
        let bound = self.bind(name, address, &slot).await?;
        if let Some(slot) = self.slots().get_mut(name) {
            self.serve(name, slot, bound);
        }
        Ok(())
    }

    /// What a proxy is called in the events of the data path.
    pub(super) fn edge(&self, name: &str) -> EdgeName {
        EdgeName::new(name).unwrap_or_else(|_| {
            let hash = self.shared.seed.derive(name, 0);
            EdgeName::new(&format!("proxy-{:016x}", hash.0)).expect("a hash is a name")
        })
    }

    /// Takes the address. Returns at once: it is an address, not a name.
    pub(super) async fn bind(
        &self,
        name: &str,
        address: SocketAddr,
        slot: &Slot,
    ) -> Result<Proxy, ProxyError> {
        let edge = self.edge(name);
        let reachable = upstream(&slot.upstream);
        let tls = match &slot.tls {
            None => EdgeTls::default(),
            Some(settings) => EdgeTls::open(settings, &self.shared.state, &slot.upstream)
                .map_err(|error| ProxyError::Tls { why: error.to_string() })?,
        };
        let config = |listen: SocketAddr| ProxyConfig {
            protocol: slot.protocol,
            name: edge.clone(),
            listen: listen.to_string(),
            upstream: reachable.unwrap_or(NOWHERE).to_owned(),
            tls: tls.clone(),
            seed: self.shared.seed.derive(name, slot.starts),
            recorder: self.shared.recorder.also_on_demand(slot.watched.clone()),
            limits: Limits { dial_timeout: Span::from_secs(120), ..Limits::default() },
        };
        let mut bound = Proxy::bind(config(address)).await;
        // A machine without IPv6 has every address of IPv4 all the same.
        if address.ip() == IPV6_ALL
            && matches!(bound, Err(BindError::System { .. } | BindError::Foreign { .. }))
        {
            let every = SocketAddr::from(([0, 0, 0, 0], address.port()));
            bound = Proxy::bind(config(every)).await;
        }
        let bound = bound.map_err(|error| ProxyError::Bind { address, why: why(&error) })?;
        let proxy = bound.on_each_processor();
        if reachable.is_none()
            && let Some(fault) = closes_on_arrival()
        {
            proxy.handle().arm(fault);
        }
        Ok(proxy)
    }

    /// Serves a proxy that has its address, in a task of its own.
    pub(super) fn serve(&self, name: &str, slot: &mut Slot, proxy: Proxy) {
        let handle = proxy.handle();
        for toxic in &slot.toxics {
            // Checked when it was put there; what is neutral needs no fault.
            if let Ok(Some(fault)) = armed(toxic, self.shared.compat) {
                handle.arm(fault);
            }
        }
        for fault in &slot.faults {
            handle.arm(fault.armed());
        }
        let stop = CancellationToken::new();
        slot.listen = proxy.local_addr().to_string();
        slot.starts += 1;
        slot.running = Some(Running { handle: handle.clone(), stop: stop.clone() });
        let labels =
            Labels { proxy: name.to_owned(), listener: slot.listen.clone(), upstream: slot.upstream.clone() };
        let account = self.shared.ledger.open(labels, handle);
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(murphy_core::boxed(async move {
            proxy.serve(stop.cancelled_owned()).await;
            shared.ledger.close(account);
        }));
    }

    /// Stops a proxy under the turn, if it runs. Its port is free when this returns; its connections end by themselves.
    pub(super) async fn halt(&self, name: &str) {
        let Some(running) = self.slots().get_mut(name).and_then(|slot| slot.running.take()) else { return };
        running.stop.cancel();
        running.handle.closed().await;
    }
}

const IPV6_ALL: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Never dialled: a proxy without a usable upstream closes its connections as they come.
const NOWHERE: &str = "127.0.0.1:9";

/// An upstream that can be dialled.
fn upstream(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let usable = !host.is_empty() && !bare_v6 && port.parse::<u16>().is_ok_and(|port| port != 0);
    usable.then_some(text)
}

/// Toxiproxy takes any text as upstream; its clients are accepted and closed. This does the same.
fn closes_on_arrival() -> Option<Armed> {
    let Effect::Edge(effect) = DropFault::default().effect() else { return None };
    let id = FaultId::new("upstream").ok()?;
    Some(Armed { id, effect, directions: Directions::ToUpstream, chance: Chance::ALWAYS })
}

fn why(error: &BindError) -> String {
    match error {
        BindError::Taken { .. } => "address already in use".to_owned(),
        BindError::Forbidden { .. } => "permission denied".to_owned(),
        BindError::Foreign { .. } => "cannot assign requested address".to_owned(),
        BindError::System { source, .. }
        | BindError::Timer { source, .. }
        | BindError::Lookup { source, .. } => listen::system_text(source),
        other => other.to_string(),
    }
}
