//! A load's `ramp:` as it is written.

use murphy_core::{Frequency, Span};
use schemars::JsonSchema;
use serde::Deserialize;

/// A rate that is raised step by step in the fault phase, to see how much a service can serve.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a ramp, as `{ to: 200/s, by: 1.25, every: 20s }`"
)]
#[schemars(rename = "RateRamp")]
pub(crate) struct RateRampDoc {
    /// The last rate, which stays to the end of the fault phase.
    #[schemars(required, with = "Frequency")]
    pub(crate) to: Option<Frequency>,
    /// The factor from one step to the next, the first from `rate`; 1.25 if left out.
    pub(crate) by: Option<f64>,
    /// How long each step lasts; 20s if left out.
    pub(crate) every: Option<Span>,
}
