//! `partition`: two sides of a network that do not reach each other, as when a cable is cut or a rule is wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NetworkAction;
use crate::spec::{Effect, FaultSpec, Place};

/// Lets no packet through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partition {}

impl FaultSpec for Partition {
    const NAME: &'static str = "partition";
    const ABOUT: &'static str =
        "No packet passes: neither an answer nor a refusal comes, and open connections hang.";
    const EXAMPLE: &'static str = "partition";
    const PLACE: Place = Place::Network;

    fn text(&self) -> String {
        "partition".to_owned()
    }

    fn effect(&self) -> Effect {
        Effect::Network(NetworkAction::Partition)
    }
}
