//! `reset`: the connection breaks with a RST, as when a process dies or a firewall drops its state.

use murphy_core::{Size, Span};
use murphy_proxy::{EdgeEffect, EffectFactory, Ending, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::trigger::Trigger;
use crate::check::Problems;
use crate::network::NetworkAction;
use crate::spec::{Effect, FaultSpec, Place};

/// Breaks connections with a RST to both sides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reset {
    /// How long a connection lives, counted from its beginning or from the beginning of the fault, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How many bytes pass before it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<Size>,
}

impl FaultSpec for Reset {
    const NAME: &'static str = "reset";
    const ABOUT: &'static str = "Connections break with a RST, also idle ones and those already open.";
    const EXAMPLE: &'static str = "{ reset: { after: 2s } }";
    const PLACE: Place = Place::Edge;
    const ALSO: &'static [Place] = &[Place::Network];
    const SHORTHAND: Option<&'static str> = Some("after");

    fn text(&self) -> String {
        format!("reset{}", Trigger::text(self.after, self.after_bytes))
    }

    fn check(&self, problems: &mut Problems) {
        Trigger::check(self.after, problems);
    }

    fn check_on(&self, place: Place, problems: &mut Problems) {
        let fields = [("after", self.after.is_some()), ("after-bytes", self.after_bytes.is_some())];
        for (field, _) in fields.into_iter().filter(|(_, given)| *given && place == Place::Network) {
            problems.field(field, "on a network every connection is reset at once", "remove it");
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }

    fn effect_on(&self, place: Place) -> Option<Effect> {
        match place {
            Place::Edge => Some(self.effect()),
            Place::Network => Some(Effect::Network(NetworkAction::Reset)),
            Place::Process | Place::Container | Place::Host => None,
        }
    }
}

impl EffectFactory for Reset {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Breaker::new(Trigger::new(self.after, self.after_bytes), Ending::Reset))
    }
}
