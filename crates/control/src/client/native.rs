//! The calls of the native API, with the types that the daemon itself reads and writes.

use hyper::Method;
use murphy_core::{ConnId, Span};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::history::HistoryDoc;
use crate::native::{ConnectionDoc, FaultDoc, FaultOrder, NewFault, NewProxy, ProxyDoc, ProxyPatch};

use super::connection::{Client, ClientError, Listening, path};

/// More than a daemon needs to answer once more.
const UNTIL_HELD: Span = Span::from_secs(30);

impl Client {
    /// All proxies with their faults, by name.
    pub async fn proxies(&self) -> Result<Vec<ProxyDoc>, ClientError> {
        self.ask(&path(&["v1", "proxies"])).await
    }

    /// One proxy with its faults.
    pub async fn proxy(&self, proxy: &str) -> Result<ProxyDoc, ClientError> {
        self.ask(&path(&["v1", "proxies", proxy])).await
    }

    /// Makes a proxy. It listens when the answer is there.
    pub async fn add_proxy(&self, order: &NewProxy) -> Result<ProxyDoc, ClientError> {
        self.tell(Method::POST, &path(&["v1", "proxies"]), order).await
    }

    /// Changes a proxy; what is not given stays.
    pub async fn change_proxy(&self, proxy: &str, patch: &ProxyPatch) -> Result<ProxyDoc, ClientError> {
        self.tell(Method::PATCH, &path(&["v1", "proxies", proxy]), patch).await
    }

    /// Takes a proxy away, with its faults.
    pub async fn remove_proxy(&self, proxy: &str) -> Result<(), ClientError> {
        self.exchange(Method::DELETE, &path(&["v1", "proxies", proxy]), String::new()).await.map(|_| ())
    }

    /// One fault, with what it has done.
    pub async fn fault(&self, proxy: &str, fault: &str) -> Result<FaultDoc, ClientError> {
        self.ask(&path(&["v1", "proxies", proxy, "faults", fault])).await
    }

    /// Puts a fault on a proxy; its name must be free.
    pub async fn add_fault(&self, proxy: &str, order: &NewFault) -> Result<FaultDoc, ClientError> {
        self.tell(Method::POST, &path(&["v1", "proxies", proxy, "faults"]), order).await
    }

    /// Puts a fault on a proxy in the place of the one with its name: count and draws stay.
    pub async fn put_fault(
        &self,
        proxy: &str,
        fault: &str,
        order: &FaultOrder,
    ) -> Result<FaultDoc, ClientError> {
        self.tell(Method::PUT, &path(&["v1", "proxies", proxy, "faults", fault]), order).await
    }

    /// Takes a fault off a proxy.
    pub async fn lift_fault(&self, proxy: &str, fault: &str) -> Result<(), ClientError> {
        let path = path(&["v1", "proxies", proxy, "faults", fault]);
        self.exchange(Method::DELETE, &path, String::new()).await.map(|_| ())
    }

    /// The open connections of a proxy behind `after` (0 for all), oldest first: as many as one answer holds, which is
    /// [`MOST_CONNECTIONS`](crate::MOST_CONNECTIONS).
    pub async fn connections(&self, proxy: &str, after: ConnId) -> Result<Vec<ConnectionDoc>, ClientError> {
        let path = path(&["v1", "proxies", proxy, "connections"]);
        self.ask(&format!("{path}?after={after}")).await
    }

    /// What was done to it so far, with its times.
    pub async fn history(&self) -> Result<HistoryDoc, ClientError> {
        self.ask(&path(&["v1", "history"])).await
    }

    /// Everything that happens from now on.
    pub async fn events(&self) -> Result<Listening, ClientError> {
        self.open(&path(&["v1", "events"])).await
    }

    /// A new lease that ends with the stream that is handed out.
    pub async fn hold_lease(&self, lease: &str) -> Result<Listening, ClientError> {
        // Its time counts only until it is held.
        let order = format!("{{\"for\":\"{UNTIL_HELD}\"}}");
        self.exchange(Method::PUT, &path(&["v1", "leases", lease]), order).await?;
        self.open(&path(&["v1", "leases", lease, "hold"])).await
    }

    /// Ends a lease, with all faults that it keeps.
    pub async fn end_lease(&self, lease: &str) -> Result<(), ClientError> {
        self.exchange(Method::DELETE, &path(&["v1", "leases", lease]), String::new()).await.map(|_| ())
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let bytes = self.exchange(Method::GET, path, String::new()).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.odd(&error))
    }

    async fn tell<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_string(order).map_err(|error| self.odd(&error))?;
        let bytes = self.exchange(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.odd(&error))
    }
}
