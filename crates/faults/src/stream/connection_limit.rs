//! `connection-limit`: the dependency serves only so many connections, which shows how a pool behaves under pressure.

use murphy_proxy::{EdgeEffect, Overflow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// What happens to callers beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// They are reset at once.
    #[default]
    Refuse,
    /// They wait until another connection ends.
    Queue,
}

/// At most so many connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConnectionLimit {
    /// The most connections at a time, those open before the fault included.
    pub max: u32,
    /// What happens to others.
    #[serde(default)]
    pub then: Beyond,
}

impl FaultSpec for ConnectionLimit {
    const NAME: &'static str = "connection-limit";
    const ABOUT: &'static str = "At most so many connections at a time; others are reset or wait.";
    const EXAMPLE: &'static str = "{ connection-limit: { max: 10, then: queue } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("max");

    fn text(&self) -> String {
        let then = if self.then == Beyond::Refuse { "refuse" } else { "queue" };
        format!("connection-limit {}, then {then}", self.max)
    }

    fn check(&self, problems: &mut Problems) {
        if self.max == 0 && self.then == Beyond::Refuse {
            problems.whole("a limit of no connections refuses all", "write `refuse`, which says so");
        }
    }

    fn effect(&self) -> Effect {
        let then = match self.then {
            Beyond::Refuse => Overflow::Reset,
            Beyond::Queue => Overflow::Wait,
        };
        Effect::Edge(EdgeEffect::Crowd { max: u64::from(self.max), then })
    }
}
