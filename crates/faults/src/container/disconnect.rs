//! `disconnect`: a container that is off its network while its processes go on.

use murphy_docker::{Action, Networks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Takes the container off the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disconnect {
    /// The network, by its full name or by the one that the compose file has for it; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl FaultSpec for Disconnect {
    const NAME: &'static str = "disconnect";
    const ABOUT: &'static str = "Takes the container off a network, or off all; it is put back with its aliases and addresses on lift.";
    const EXAMPLE: &'static str = "{ disconnect: { network: back } }";
    const PLACE: Place = Place::Container;
    const SHORTHAND: Option<&'static str> = Some("network");

    fn text(&self) -> String {
        match &self.network {
            Some(network) => format!("disconnect from {network}"),
            None => "disconnect".to_owned(),
        }
    }

    fn check(&self, problems: &mut Problems) {
        if self.network.as_ref().is_some_and(|network| network.trim().is_empty()) {
            problems.field("network", "`network` is empty", "write a network's name, or `disconnect` alone");
        }
    }

    fn effect(&self) -> Effect {
        let networks = self.network.clone().map_or(Networks::All, Networks::One);
        Effect::Container(Action::Disconnect(networks))
    }
}
