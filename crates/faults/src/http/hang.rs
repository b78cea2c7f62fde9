//! `hang`: requests are accepted and never answered. A caller that gives up is recorded, and its giving up reaches the
//! service if the request did. Lifted, the requests that still wait go on.

use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{HttpEffect, HttpStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::abort::Moment;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// Never answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hang {
    /// Whether the service learns of the request.
    #[serde(default)]
    pub when: Moment,
}

impl FaultSpec for Hang {
    const NAME: &'static str = "hang";
    const ABOUT: &'static str = "Requests are accepted and not answered until the fault is lifted.";
    const EXAMPLE: &'static str = "hang";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("when");

    fn text(&self) -> String {
        format!("hang{}", self.when.suffix())
    }

    fn effect(&self) -> Effect {
        let step = HttpStep::Withhold { when: self.when.when() };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
