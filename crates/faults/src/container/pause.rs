//! `pause`: a container whose processes all stand still, as in a stuck disk or a frozen machine.

use murphy_docker::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Place};

/// Freezes the container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {}

impl FaultSpec for Pause {
    const NAME: &'static str = "pause";
    const ABOUT: &'static str = "Freezes all processes of the container: its sockets stay open and nothing answers; unpaused on lift.";
    const EXAMPLE: &'static str = "pause";
    const PLACE: Place = Place::Container;

    fn text(&self) -> String {
        "pause".to_owned()
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Pause)
    }
}
