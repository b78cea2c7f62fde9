//! `remove`: a container that is gone, with its name and its addresses, as on a machine that was lost.

use murphy_docker::{Action, Removal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Place};

/// Takes the container away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remove {
    /// How far it goes.
    #[serde(default)]
    pub how: Removal,
}

impl FaultSpec for Remove {
    const NAME: &'static str = "remove";
    const ABOUT: &'static str = "Takes the container away: killed, its name and addresses free; it comes back with its files on lift.";
    const EXAMPLE: &'static str = "{ remove: { how: set-aside } }";
    const PLACE: Place = Place::Container;
    const SHORTHAND: Option<&'static str> = Some("how");

    fn text(&self) -> String {
        match self.how {
            Removal::SetAside => "remove".to_owned(),
            Removal::ForGood => "remove for good".to_owned(),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Remove(self.how))
    }
}
