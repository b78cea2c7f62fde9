//! What was done to a daemon's proxies and to containers, as it is told.

use murphy_core::{Chance, Directions, Protocol, Span};
use murphy_faults::{Fault, Match, Which};
use murphy_tls::TlsSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::callers::CallsDoc;

/// A proxy on which something stood, as it was then.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProxySeen {
    /// Its name.
    pub name: String,
    /// Where it listened.
    pub listen: String,
    /// Where it connected to.
    pub upstream: String,
    /// What was spoken.
    pub protocol: Protocol,
    /// On which sides TLS was spoken; none where it passed through.
    pub tls: Option<TlsSettings>,
}

/// To whom something was done.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum DoneOn {
    /// To what passes a proxy.
    Proxy(ProxySeen),
    /// To a container.
    Container(String),
    /// To the network between some and others.
    Between {
        /// Some.
        some: Vec<String>,
        /// The others.
        others: Vec<String>,
    },
}

/// Something that stood.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StoodDoc {
    /// What it was called: a fault by its name, a toxic as `toxic NAME`, a proxy that was switched off as `off`.
    pub name: String,
    /// What happened.
    pub inject: Fault,
    /// On which ways.
    pub directions: Directions,
    /// On which share of connections.
    pub chance: Chance,
    /// The requests that were meant, if not all.
    #[serde(default, rename = "match", skip_serializing_if = "is_all")]
    pub matching: Box<Match>,
    /// Which of these were touched, if not all.
    #[serde(default, skip_serializing_if = "Which::is_empty")]
    pub which: Which,
}

/// Something that was done.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DeedDoc {
    /// To whom.
    pub on: DoneOn,
    /// What.
    pub stood: StoodDoc,
    /// From this time of the daemon.
    pub from: Span,
    /// Until that; none while it stands.
    pub until: Option<Span>,
}

/// All that was done.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryDoc {
    /// How long the daemon has run.
    pub now: Span,
    /// What was done, in the order in which it began. An edit ends one and begins another.
    pub deeds: Vec<DeedDoc>,
    /// So many of the oldest are forgotten.
    pub forgotten: u64,
    /// What was done and cannot be told here, in words.
    pub left_out: Vec<String>,
    /// How the callers of the proxies behave on which something stood: at most 64.
    pub calls: Vec<CallsDoc>,
}

fn is_all(matching: &Match) -> bool {
    matching.is_empty()
}

impl StoodDoc {
    /// One that is for all that passes.
    pub(crate) fn plain(name: String, inject: Fault) -> StoodDoc {
        StoodDoc {
            name,
            inject,
            directions: Directions::default(),
            chance: Chance::ALWAYS,
            matching: Box::default(),
            which: Which::default(),
        }
    }
}
