//! What is to be seen of a proxy by hand at one moment, and at the end: data, for people (`sight_text`) and for programs. It must
//! never say more than was counted.

use murphy_core::{Chance, Directions, Protocol, Seed, Span, Tally};
use murphy_faults::{Fault, Match, Which};
use murphy_tls::TlsSettings;
use serde::Serialize;

use crate::attach::AttachedSeen;
use crate::calls::CallsSeen;
use crate::seat::Switch;

/// One fault at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultSeen {
    /// Its number: the key that switches it.
    pub number: usize,
    /// In words.
    pub text: String,
    /// With all its settings.
    pub fault: Fault,
    /// Whether it stands.
    pub switch: Switch,
    /// When it stood, counted from the beginning; the end is open while it stands.
    pub stood: Vec<Stretch>,
    /// What it did.
    pub tally: Tally,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stretch {
    /// The beginning.
    pub from: Span,
    /// The end, if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
}

/// What is to be seen at one moment, and at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sight {
    /// Where callers dial, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where it dials.
    pub upstream: String,
    /// Whose calls it sits in on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<AttachedSeen>,
    /// Root of all choices.
    pub seed: Seed,
    /// The ways on which faults sit.
    pub directions: Directions,
    /// The share of connections, and for faults on requests of requests, that they act on.
    pub chance: Chance,
    /// What is spoken.
    pub protocol: Protocol,
    /// On which sides TLS is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The requests that faults on requests are for.
    #[serde(rename = "match", skip_serializing_if = "Match::is_empty")]
    pub matching: Match,
    /// Which of these they act on.
    #[serde(skip_serializing_if = "Which::is_empty")]
    pub which: Which,
    /// Time since the beginning.
    pub elapsed: Span,
    /// Connections so far.
    pub connections: u64,
    /// Of these, still open.
    pub open: u64,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to callers.
    pub to_client: u64,
    /// The calls.
    pub calls: CallsSeen,
    /// Ended calls a second since the last look.
    pub rate: f64,
    /// The faults.
    pub faults: Vec<FaultSeen>,
}
