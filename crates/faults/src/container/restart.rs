//! `restart`: a container that goes away and comes back at once, as in a rolling update.

use murphy_core::Span;
use murphy_docker::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Stops the container and starts it again at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Restart {
    /// Time between the container's stop signal and SIGKILL, rounded up to whole seconds.
    #[serde(default = "super::usual_grace")]
    pub grace: Span,
}

impl FaultSpec for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str =
        "Stops the container in order and starts it again at once; what it held in memory is gone.";
    const EXAMPLE: &'static str = "{ restart: { grace: 10s } }";
    const PLACE: Place = Place::Container;
    const SHORTHAND: Option<&'static str> = Some("grace");

    fn text(&self) -> String {
        format!("restart within {}", self.grace)
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("grace", self.grace);
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Restart { grace: self.grace })
    }
}
