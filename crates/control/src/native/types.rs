//! What is answered below `/v1`. Plain data; the OpenAPI document is made of these types and of the orders.

use std::time::Duration;

use murphy_core::{Chance, Directions, FaultId, LeaseName, Protocol, RuleSetName, Span};
use murphy_faults::{Fault, Match, Which};
use murphy_proxy::{Decision, MeterSnapshot, Stage};
use murphy_tls::TlsSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::TallyDoc;
use crate::proxies::{LeaseState, LiveConnection, ProxySpec, Source, StandingFault};
use crate::toxiproxy::Translated;

/// As precise as a reader can use it.
pub(crate) fn in_millis(time: Duration) -> Span {
    Span::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn no_match(matching: &Match) -> bool {
    matching.is_empty()
}

/// The daemon.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VersionDoc {
    /// Murphy's version.
    pub murphy: String,
    /// The version of Toxiproxy whose API is answered beside this one.
    pub toxiproxy: String,
}

/// What has passed through a proxy since it was started.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TrafficDoc {
    /// Connections accepted.
    pub accepted: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connections whose dependency could not be reached.
    pub dial_failed: u64,
    /// Failures to accept.
    pub accept_failed: u64,
    /// Bytes read from callers.
    pub from_client: u64,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes read from the dependency.
    pub from_upstream: u64,
    /// Bytes delivered to callers.
    pub to_client: u64,
}

impl From<MeterSnapshot> for TrafficDoc {
    fn from(meter: MeterSnapshot) -> TrafficDoc {
        TrafficDoc {
            accepted: meter.accepted,
            open: meter.open,
            dial_failed: meter.dial_failed,
            accept_failed: meter.accept_failed,
            from_client: meter.from_client,
            to_upstream: meter.to_upstream,
            from_upstream: meter.from_upstream,
            to_client: meter.to_client,
        }
    }
}

/// A proxy.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProxyDoc {
    /// Its name.
    pub name: String,
    /// Where it listens, with the port that was picked.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Whether it listens.
    pub enabled: bool,
    /// The names of its toxics, which the API of Toxiproxy put there.
    pub toxics: Vec<String>,
    /// The same toxics in the words of the catalogue; without those that change nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub toxic_faults: Vec<ToxicDoc>,
    /// Its faults, in the order in which bytes pass them.
    pub faults: Vec<FaultDoc>,
    /// What has passed; none while it has not run.
    pub traffic: Option<TrafficDoc>,
}

/// A toxic as a fault of the catalogue.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ToxicDoc {
    /// Its name.
    pub name: String,
    /// What happens.
    pub inject: Fault,
    /// The same in words.
    pub text: String,
    /// On which ways.
    pub directions: Directions,
    /// On which share of connections.
    pub chance: Chance,
}

impl ToxicDoc {
    /// Of a toxic and what it is in the words of the catalogue.
    pub fn new(name: String, translated: Translated) -> ToxicDoc {
        let Translated { fault, directions, chance } = translated;
        ToxicDoc { name, text: fault.text(), inject: fault, directions, chance }
    }
}

impl ProxyDoc {
    /// Of its parts.
    pub fn new(
        spec: ProxySpec,
        toxic_faults: Vec<ToxicDoc>,
        faults: Vec<FaultDoc>,
        traffic: Option<MeterSnapshot>,
    ) -> ProxyDoc {
        ProxyDoc {
            name: spec.name,
            listen: spec.listen,
            upstream: spec.upstream,
            protocol: spec.protocol,
            tls: spec.tls,
            enabled: spec.enabled,
            toxics: spec.toxics.into_iter().map(|toxic| toxic.name).collect(),
            toxic_faults,
            faults,
            traffic: traffic.map(TrafficDoc::from),
        }
    }
}

/// A fault that stands on a proxy.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FaultDoc {
    /// Its name.
    pub name: FaultId,
    /// What happens.
    pub inject: Fault,
    /// The same in words.
    pub text: String,
    /// On which ways.
    pub directions: Directions,
    /// On which share of connections.
    pub chance: Chance,
    /// The requests that are meant, if not all.
    #[serde(default, rename = "match", skip_serializing_if = "no_match")]
    pub matching: Box<Match>,
    /// Which of these are touched, if not all.
    #[serde(default, skip_serializing_if = "Which::is_empty")]
    pub which: Which,
    /// It ends by itself after this time.
    pub ends_in: Option<Span>,
    /// It ends with this lease.
    pub lease: Option<LeaseName>,
    /// It is one of this set.
    pub set: Option<RuleSetName>,
    /// What it has done.
    pub tally: TallyDoc,
}

impl FaultDoc {
    /// Of a fault and what it has done.
    pub fn new(fault: StandingFault, tally: TallyDoc, now: std::time::Instant) -> FaultDoc {
        FaultDoc {
            name: fault.name,
            text: fault.plan.fault.text(),
            inject: fault.plan.fault,
            directions: fault.plan.directions,
            chance: fault.plan.chance,
            matching: fault.plan.matching,
            which: fault.plan.which,
            ends_in: fault.owner.ends.map(|ends| in_millis(ends.saturating_duration_since(now))),
            lease: fault.owner.lease,
            set: fault.owner.set,
            tally,
        }
    }
}

/// A fault of a set, with its proxy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RuleDoc {
    /// On which proxy.
    pub proxy: String,
    /// The fault.
    pub fault: FaultDoc,
}

/// A set of rules that stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RuleSetDoc {
    /// Its name.
    pub name: RuleSetName,
    /// Its rules.
    pub rules: Vec<RuleDoc>,
}

/// A lease.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeaseDoc {
    /// Its name.
    pub name: LeaseName,
    /// It ends after this time; none while a connection holds it.
    pub ends_in: Option<Span>,
}

impl From<(LeaseName, LeaseState)> for LeaseDoc {
    fn from((name, state): (LeaseName, LeaseState)) -> LeaseDoc {
        let ends_in = match state {
            LeaseState::EndsIn(time) => Some(in_millis(time)),
            LeaseState::Held => None,
        };
        LeaseDoc { name, ends_in }
    }
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StageDoc {
    /// Accepted; the dependency has not been reached yet.
    Opening,
    /// Both sides are there.
    Carried,
}

/// What a fault or a toxic decided.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DecisionDoc {
    /// The fault, if it is one of this API.
    pub fault: Option<String>,
    /// The toxic, if it is one of the API of Toxiproxy.
    pub toxic: Option<String>,
    /// Whether it acts on the connection.
    pub acts: bool,
}

/// An open connection.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ConnectionDoc {
    /// Its number on its proxy, from 1.
    pub conn: u64,
    /// The caller's address.
    pub peer: String,
    /// Time since it was accepted.
    pub age: Span,
    /// How far it has come.
    pub stage: StageDoc,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to the caller.
    pub to_client: u64,
    /// What each fault and toxic decided of it, in the order in which bytes pass them.
    pub decisions: Vec<DecisionDoc>,
}

impl From<LiveConnection> for ConnectionDoc {
    fn from(live: LiveConnection) -> ConnectionDoc {
        let decided = |(source, decision): (Source, Decision)| {
            let (fault, toxic) = match source {
                Source::Fault(name) => (Some(name), None),
                Source::Toxic(name) => (None, Some(name)),
                Source::Proxy => (None, None),
            };
            DecisionDoc { fault, toxic, acts: decision == Decision::Acts }
        };
        let connection = live.connection;
        ConnectionDoc {
            conn: connection.conn.0,
            peer: connection.peer.to_string(),
            age: in_millis(connection.age.as_duration()),
            stage: match connection.stage {
                Stage::Opening => StageDoc::Opening,
                Stage::Carried => StageDoc::Carried,
            },
            to_upstream: connection.to_upstream,
            to_client: connection.to_client,
            decisions: live.decisions.into_iter().map(decided).collect(),
        }
    }
}
