//! `delay`: the answer comes later: its head, or its body after its head.

use murphy_core::Span;
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{HttpEffect, HttpStep, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// The whole answer.
    #[default]
    Headers,
    /// The body; status and headers come in time.
    Body,
}

/// Answers come late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delay {
    /// The time that is added to what the service takes.
    pub delay: Span,
    /// Up to so much more or less, evenly spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// What waits.
    #[serde(default)]
    pub before: Before,
}

impl FaultSpec for Delay {
    const NAME: &'static str = "delay";
    const ABOUT: &'static str = "Answers come late: the whole answer, or its body after its headers.";
    const EXAMPLE: &'static str = "{ delay: { delay: 800ms, jitter: 100ms } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("delay");

    fn text(&self) -> String {
        let jitter = self.jitter.map(|jitter| format!(" ± {jitter}")).unwrap_or_default();
        let what = if self.before == Before::Body { " before the body" } else { "" };
        format!("delay {}{jitter}{what}", self.delay)
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("delay", self.delay);
        if self.jitter.is_some_and(|jitter| jitter > self.delay) {
            let help = format!("write at most `jitter: {}`", self.delay);
            problems.field("jitter", "an answer cannot come before it was given", help);
        }
    }

    fn effect(&self) -> Effect {
        let before = match self.before {
            Before::Headers => Part::Head,
            Before::Body => Part::Body,
        };
        let (base, jitter) = (self.delay.as_duration(), self.jitter.unwrap_or(Span::ZERO).as_duration());
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![HttpStep::Wait { before, base, jitter }])))
    }
}
