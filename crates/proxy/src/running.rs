//! A proxy for a test: takes a free port of loopback, serves in a task of its own, ends when it is dropped.

use std::net::SocketAddr;
use std::ops::Deref;

use murphy_core::{EdgeName, Protocol, Recorder, Seed};
use tokio::task::JoinSet;

use crate::bind::BindError;
use crate::handle::ProxyHandle;
use crate::listener::{Proxy, ProxyConfig};
use crate::shared::Limits;
use crate::tls::EdgeTls;

/// A proxy that is served. Everything that a [`ProxyHandle`] can do can be done to it. Dropping it ends its connections.
pub struct RunningProxy {
    address: SocketAddr,
    handle: ProxyHandle,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Serves a proxy on a free port of loopback in front of `upstream`, a `host:port`. All choices follow from the seed.
    /// Needs a tokio runtime with I/O; records no events.
    pub async fn in_front_of(upstream: &str, seed: Seed) -> Result<RunningProxy, BindError> {
        let proxy = Proxy::bind(ProxyConfig {
            name: EdgeName::new("proxy").expect("a name"),
            protocol: Protocol::Tcp,
            listen: "127.0.0.1:0".to_owned(),
            upstream: upstream.to_owned(),
            tls: EdgeTls::default(),
            seed,
            recorder: Recorder::disabled(),
            limits: Limits::default(),
        })
        .await?;
        let (address, handle) = (proxy.local_addr(), proxy.handle());
        let mut task = JoinSet::new();
        task.spawn(murphy_core::boxed(proxy.serve(std::future::pending())));
        Ok(RunningProxy { address, handle, _task: task })
    }
}

impl RunningProxy {
    /// The address that callers dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Deref for RunningProxy {
    type Target = ProxyHandle;

    fn deref(&self) -> &ProxyHandle {
        &self.handle
    }
}
