//! What is sent below `/v1`: what shall be made, changed or put on. Plain data that checks nothing: whether it can be
//! done is said elsewhere. The OpenAPI document is made of these types too.

use murphy_core::{Chance, Directions, EdgeName, FaultId, LeaseName, Protocol, Span};
use murphy_faults::{Fault, Match, Which};
use murphy_tls::TlsSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn yes() -> bool {
    true
}

fn any_port() -> String {
    "127.0.0.1:0".to_owned()
}

fn always() -> Chance {
    Chance::ALWAYS
}

/// A proxy to be made.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewProxy {
    /// Its name, unique in the daemon.
    pub name: EdgeName,
    /// Where it listens: an IP address or `localhost`, and a port; port 0 picks a free one.
    #[serde(default = "any_port")]
    pub listen: String,
    /// Where it connects to: `host:port`.
    pub upstream: String,
    /// What is spoken: `tcp` for bytes; `http` reads requests, so that faults can be put on them.
    #[serde(default)]
    pub protocol: Protocol,
    /// On which sides TLS is spoken: `both`, `terminate`, `originate`, or an object with more. Without it TLS passes
    /// through. Files are read by the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Whether it listens.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// What is to be changed of a proxy; what is left out stays. Another address or upstream ends all its connections.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProxyPatch {
    /// Where it shall listen.
    pub listen: Option<String>,
    /// Where it shall connect to.
    pub upstream: Option<String>,
    /// Whether it shall listen. Off: callers are refused, and open connections end.
    pub enabled: Option<bool>,
}

/// A fault to be put on a proxy, for open connections too.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultOrder {
    /// What happens: a fault on connections or on requests, with its settings.
    pub inject: Fault,
    /// On which ways.
    #[serde(default)]
    pub directions: Directions,
    /// On which share of connections; drawn once for each.
    #[serde(default = "always")]
    pub chance: Chance,
    /// The requests that are meant, for a fault on requests; all if left out.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Which of these requests are touched; all if left out.
    #[serde(default)]
    pub which: Which,
    /// It ends by itself after this time.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// It ends with this lease.
    pub lease: Option<LeaseName>,
}

/// A fault with its name.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewFault {
    /// Its name, unique on the proxy; the fault's own name if left out.
    pub name: Option<FaultId>,
    /// What happens: a fault on connections or on requests, with its settings.
    pub inject: Fault,
    /// On which ways.
    #[serde(default)]
    pub directions: Directions,
    /// On which share of connections; drawn once for each.
    #[serde(default = "always")]
    pub chance: Chance,
    /// The requests that are meant, for a fault on requests; all if left out.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Which of these requests are touched; all if left out.
    #[serde(default)]
    pub which: Which,
    /// It ends by itself after this time.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// It ends with this lease.
    pub lease: Option<LeaseName>,
}

/// One fault of a set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// On which proxy.
    pub proxy: String,
    /// Its name there; `SET.FAULT` if left out.
    pub name: Option<FaultId>,
    /// What happens: a fault on connections or on requests, with its settings.
    pub inject: Fault,
    /// On which ways.
    #[serde(default)]
    pub directions: Directions,
    /// On which share of connections; drawn once for each.
    #[serde(default = "always")]
    pub chance: Chance,
    /// The requests that are meant, for a fault on requests; all if left out.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Which of these requests are touched; all if left out.
    #[serde(default)]
    pub which: Which,
}

/// A set of rules, to be put on together or not at all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleSetOrder {
    /// All rules of the set. Those that were there and are not given are taken off.
    pub rules: Vec<Rule>,
    /// All end by themselves after this time.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// All end with this lease.
    pub lease: Option<LeaseName>,
}

/// A lease to be made or renewed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LeaseOrder {
    /// It ends after this time unless it is renewed: 10ms to 24h.
    #[serde(rename = "for")]
    pub lasts: Span,
}
