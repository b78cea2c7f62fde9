//! `stop`: a container that is shut down in order, as in a deployment or a scale-down, and comes back on lift.

use murphy_core::Span;
use murphy_docker::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Stops the container in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stop {
    /// Time between the container's stop signal and SIGKILL, rounded up to whole seconds.
    #[serde(default = "super::usual_grace")]
    pub grace: Span,
}

impl FaultSpec for Stop {
    const NAME: &'static str = "stop";
    const ABOUT: &'static str =
        "Stops the container in order: its stop signal, then SIGKILL after the grace; started again on lift.";
    const EXAMPLE: &'static str = "{ stop: { grace: 10s } }";
    const PLACE: Place = Place::Container;
    const SHORTHAND: Option<&'static str> = Some("grace");

    fn text(&self) -> String {
        format!("stop within {}", self.grace)
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("grace", self.grace);
    }

    fn effect(&self) -> Effect {
        Effect::Container(Action::Stop { grace: self.grace })
    }
}
