//! `lose-response`: the request reaches the service, which does its work, and its answer does not reach the caller. Whoever
//! asks again without an idempotency key does the work twice.

use murphy_proxy::http::{HttpEffect, HttpStep, When};
use murphy_proxy::{EdgeEffect, Ending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Grain, Place};

/// What the caller meets instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Instead {
    /// A RST.
    #[default]
    Reset,
    /// The connection closes.
    Close,
    /// Nothing, until the fault is lifted.
    Hang,
}

/// Loses answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoseResponse {
    /// What the caller meets instead.
    #[serde(default)]
    pub instead: Instead,
}

impl FaultSpec for LoseResponse {
    const NAME: &'static str = "lose-response";
    const ABOUT: &'static str =
        "The service does its work, and its answer is lost: who asks again may do it twice.";
    const EXAMPLE: &'static str = "lose-response";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("instead");

    fn text(&self) -> String {
        let instead = match self.instead {
            Instead::Reset => "reset",
            Instead::Close => "close",
            Instead::Hang => "hang",
        };
        format!("lose-response, {instead} instead")
    }

    fn effect(&self) -> Effect {
        let when = When::AfterUpstream;
        let step = match self.instead {
            Instead::Reset => HttpStep::Break { when, how: Ending::Reset },
            Instead::Close => HttpStep::Break { when, how: Ending::Close },
            Instead::Hang => HttpStep::Withhold { when },
        };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
