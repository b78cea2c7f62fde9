//! `stale-keep-alive`: a kept-alive connection closes just as the next request comes, as when the service's idle time is a
//! little shorter than its caller's. A caller must ask again on a new connection, and may only where that is safe.

use murphy_proxy::http::{HttpEffect, HttpStep};
use murphy_proxy::{EdgeEffect, Ending};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Grain, Place};

/// Closes a connection that is used again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaleKeepAlive {}

impl FaultSpec for StaleKeepAlive {
    const NAME: &'static str = "stale-keep-alive";
    const ABOUT: &'static str =
        "A kept-alive connection closes as the next request comes on it. First requests pass.";
    const EXAMPLE: &'static str = "stale-keep-alive";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;

    fn text(&self) -> String {
        Self::NAME.to_owned()
    }

    fn effect(&self) -> Effect {
        let step = HttpStep::BreakReused { how: Ending::Close };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
