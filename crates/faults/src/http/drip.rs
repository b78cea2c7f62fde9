//! `drip`: an answer that begins at once and comes in drops, as from a service that streams from a slow disk. A timeout on
//! the first byte does not notice it.

use murphy_core::{Rate, Size};
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{HttpEffect, HttpStep, Then};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// The body comes at a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drip {
    /// The rate, for each answer.
    pub rate: Rate,
    /// After so many bytes of the body nothing more comes, and the connection stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_after: Option<Size>,
}

impl FaultSpec for Drip {
    const NAME: &'static str = "drip";
    const ABOUT: &'static str = "The body of an answer comes in drops, and may stop halfway.";
    const EXAMPLE: &'static str = "{ drip: { rate: 100B/s, stall-after: 1kB } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("rate");

    fn text(&self) -> String {
        let stall = self.stall_after.map(|bytes| format!(", stall after {bytes}")).unwrap_or_default();
        format!("drip {}{stall}", self.rate)
    }

    fn check(&self, problems: &mut Problems) {
        if self.rate.as_bytes_per_sec() == 0 {
            problems.field("rate", "at this rate no body ever comes", "write a rate above 0, or `hang`");
        }
    }

    fn effect(&self) -> Effect {
        let stall =
            self.stall_after.map(|after| HttpStep::Cut { after: after.as_bytes(), then: Then::Stall });
        let steps: Vec<HttpStep> = std::iter::once(HttpStep::Pace(self.rate)).chain(stall).collect();
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(steps)))
    }
}
