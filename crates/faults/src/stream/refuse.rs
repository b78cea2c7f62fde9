//! `refuse`: nobody listens, as while a service restarts. Callers get ECONNREFUSED; open connections go on.

use murphy_proxy::EdgeEffect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Place};

/// Refuses new connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refuse {}

impl FaultSpec for Refuse {
    const NAME: &'static str = "refuse";
    const ABOUT: &'static str = "New connections are refused, for the port is closed; it is open again on lift. Open connections go on.";
    const EXAMPLE: &'static str = "refuse";
    const PLACE: Place = Place::Edge;

    fn text(&self) -> String {
        "refuse".to_owned()
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::Refuse)
    }
}
