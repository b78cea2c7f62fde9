//! What a fault waits for before it begins: something that is seen while the scenario runs.

use std::fmt;

use murphy_core::{EdgeName, ProbeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// An edge has had so many calls.
    After {
        /// Which edge.
        edge: EdgeName,
        /// So many, from 1.
        nth: u32,
        /// Of what.
        of: Counted,
    },
    /// A probe is answered in this way.
    When {
        /// Which probe.
        probe: ProbeName,
        /// In which way.
        is: ProbeState,
    },
}

/// What is counted on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Calls that are over: requests on an edge that reads HTTP, else a caller's burst of bytes with its answer.
    #[default]
    Calls,
    /// Connections that were accepted.
    Connections,
}

impl Counted {
    /// One of them, for people.
    pub fn one(self) -> &'static str {
        match self {
            Counted::Calls => "call",
            Counted::Connections => "connection",
        }
    }
}

/// How a probe is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// Not as it expects, or not at all.
    Failing,
    /// As it expects.
    Passing,
}

impl fmt::Display for ProbeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeState::Failing => "failing",
            ProbeState::Passing => "passing",
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::After { edge, nth, of } => write!(f, "after {} {nth} on {edge}", of.one()),
            Trigger::When { probe, is } => write!(f, "when probe {probe} is {is}"),
        }
    }
}
