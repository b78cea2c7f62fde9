//! Why something cannot be done to a proxy or to what sits on it.

use std::net::SocketAddr;

use murphy_core::FaultId;

use crate::listen::ListenError;
use crate::toxiproxy::Nonsense;

/// Why something cannot be done to a proxy or a toxic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// A fault on handshakes, on a proxy whose callers shake hands with the dependency.
    #[error(
        "`{fault}` acts on TLS handshakes, and proxy `{proxy}` passes them through; make it with `\"tls\": \"both\"`, or \
         `\"terminate\"` if its upstream speaks no TLS"
    )]
    NotTls {
        /// The proxy.
        proxy: String,
        /// The fault.
        fault: &'static str,
    },
    /// TLS cannot be set up.
    #[error("tls: {why}")]
    Tls {
        /// Why, and what to do.
        why: String,
    },
    /// No proxy has the name.
    #[error("proxy not found")]
    NoProxy,
    /// Another proxy has the name.
    #[error("proxy already exists")]
    ProxyExists,
    /// No toxic of the proxy has the name.
    #[error("toxic not found")]
    NoToxic,
    /// Another toxic of the proxy has the name.
    #[error("toxic already exists")]
    ToxicExists,
    /// No fault of the proxy has the name.
    #[error("fault not found")]
    NoFault,
    /// Another fault of the proxy has the name.
    #[error("fault already exists")]
    FaultExists,
    /// The proxy carries bytes, and the fault acts on requests.
    #[error(
        "`{fault}` acts on requests, and proxy `{proxy}` does not read them; make it with `\"protocol\": \"http\"`"
    )]
    NotHttp {
        /// The proxy.
        proxy: String,
        /// The fault.
        fault: &'static str,
    },
    /// A rule names a proxy that is not there.
    #[error("rule {rule}: there is no proxy `{proxy}`")]
    RuleWithoutProxy {
        /// Which rule, from 1.
        rule: usize,
        /// The name.
        proxy: String,
    },
    /// A rule names a fault that another set, or nobody's set, has.
    #[error("rule {rule}: proxy `{proxy}` has a fault `{fault}` that is not of this set")]
    RuleTaken {
        /// Which rule, from 1.
        rule: usize,
        /// The proxy.
        proxy: String,
        /// The fault.
        fault: FaultId,
    },
    /// No set of rules has the name.
    #[error("rule set not found")]
    NoRules,
    /// No lease has the name, or it has run out.
    #[error("lease not found")]
    NoLease,
    /// Somebody holds the lease by a connection already.
    #[error("lease is held by another connection")]
    LeaseHeld,
    /// There are as many as a daemon keeps.
    #[error("there are {most} {what} already, which is the most; take some away first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// The faults of all proxies are longer together than a daemon keeps.
    #[error(
        "the faults on all proxies would have {bytes} bytes as JSON, and {most} is the most; take some away first, or write \
         shorter ones"
    )]
    TooMuchText {
        /// How many.
        bytes: usize,
        /// The most.
        most: usize,
    },
    /// A number of a toxic that cannot be meant.
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    /// The address to listen on cannot be read, when comparing it with the one that is there.
    #[error(transparent)]
    Address(#[from] ListenError),
    /// The address to listen on cannot be read, when starting.
    #[error("listen tcp: {0}")]
    Listen(ListenError),
    /// The address cannot be had.
    #[error("listen tcp {address}: bind: {why}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
}
