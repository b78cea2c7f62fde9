//! `drop`: the connection ends in order, by FIN, as when a server closes or a load balancer drains.

use murphy_core::{Size, Span};
use murphy_proxy::{EdgeEffect, EffectFactory, Ending, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::trigger::Trigger;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Closes connections with a FIN to both sides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drop {
    /// How long a connection lives, counted from its beginning or from the beginning of the fault, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How many bytes pass before it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<Size>,
}

impl FaultSpec for Drop {
    const NAME: &'static str = "drop";
    const ABOUT: &'static str = "Connections close with a FIN, also idle ones and those already open.";
    const EXAMPLE: &'static str = "{ drop: { after-bytes: 10kB } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("after");

    fn text(&self) -> String {
        format!("drop{}", Trigger::text(self.after, self.after_bytes))
    }

    fn check(&self, problems: &mut Problems) {
        Trigger::check(self.after, problems);
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Drop {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Breaker::new(Trigger::new(self.after, self.after_bytes), Ending::Close))
    }
}
