//! `slow-open`: a connection is accepted and then takes long to work, as with an overloaded accept queue behind a
//! load balancer.

use murphy_core::Span;
use murphy_proxy::EdgeEffect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// The dependency is dialled late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlowOpen {
    /// The time between accepting a caller and dialling the dependency for it.
    pub delay: Span,
}

impl FaultSpec for SlowOpen {
    const NAME: &'static str = "slow-open";
    const ABOUT: &'static str = "New connections are accepted, and reach the dependency only after a time.";
    const EXAMPLE: &'static str = "{ slow-open: { delay: 2s } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("delay");

    fn text(&self) -> String {
        format!("slow-open {}", self.delay)
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("delay", self.delay);
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::open_late(self.delay))
    }
}
