//! `rate-limit`: what comes above a rate is answered with 429 and `Retry-After`, as by a gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::http::StatusCode;
use murphy_core::{Frequency, Span};
use murphy_proxy::EdgeEffect;
use murphy_proxy::http::{HttpEffect, HttpStep, Limiter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Grain, Place};

/// Refuses what is above a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateLimit {
    /// Requests that pass, for the edge as a whole.
    pub rate: Frequency,
    /// So many may come at once; one if left out.
    #[serde(default = "one")]
    pub burst: u64,
    /// The status of the others.
    #[serde(default = "too_many")]
    pub status: u16,
    /// When they are told to ask again, in whole seconds.
    #[serde(default = "a_second")]
    pub retry_after: Span,
}

fn one() -> u64 {
    1
}

fn too_many() -> u16 {
    429
}

fn a_second() -> Span {
    Span::from_secs(1)
}

impl FaultSpec for RateLimit {
    const NAME: &'static str = "rate-limit";
    const ABOUT: &'static str = "Requests above a rate are answered with 429 and Retry-After.";
    const EXAMPLE: &'static str = "{ rate-limit: { rate: 10/s, burst: 5, retry-after: 2s } }";
    const PLACE: Place = Place::Edge;
    const GRAIN: Grain = Grain::Requests;
    const SHORTHAND: Option<&'static str> = Some("rate");

    fn text(&self) -> String {
        format!("rate-limit {}, else {} with Retry-After {}", self.rate, self.status, self.retry_after)
    }

    fn check(&self, problems: &mut Problems) {
        reply::check_status(self.status, problems);
        reply::check_retry_after(Some(self.retry_after), problems);
        if self.burst == 0 {
            problems.field(
                "burst",
                "with a burst of 0 nothing passes",
                "write at least `burst: 1`, or `abort: 429`",
            );
        }
    }

    fn effect(&self) -> Effect {
        let status = reply::status(self.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        let answer = reply::answer(status, &BTreeMap::new(), Some(self.retry_after), None);
        let limiter = Arc::new(Limiter::new(self.rate.as_per_second(), self.burst));
        let step = HttpStep::Ration { limiter, answer: Arc::new(answer) };
        Effect::Edge(EdgeEffect::Http(HttpEffect::new(vec![step])))
    }
}
