//! What a fault may wait for, as it is written: something that is seen while the scenario runs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::plan::{Counted, ProbeState};

/// A number of calls on an edge: `{ edge: db, nth: 3 }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "what comes first, as `{ edge: db, nth: 3 }`"
)]
#[schemars(rename = "After")]
pub(crate) struct AfterDoc {
    /// The edge that is watched; the fault may sit elsewhere.
    #[schemars(required, with = "String")]
    pub(crate) edge: Option<String>,
    /// The call after which the fault begins, counted from 1 within the fault phase, from the fault's `at` on.
    #[schemars(required, with = "u32", range(min = 1))]
    pub(crate) nth: Option<u32>,
    /// What is counted; `calls` if left out.
    #[serde(default)]
    pub(crate) of: Counted,
}

/// What a probe says: `{ probe: ready, is: failing }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "what a probe says, as `{ probe: ready, is: failing }`"
)]
#[schemars(rename = "When")]
pub(crate) struct WhenDoc {
    /// The probe that is watched.
    #[schemars(required, with = "String")]
    pub(crate) probe: Option<String>,
    /// The answer with which the fault begins: the first such one in the fault phase, from the fault's `at` on.
    #[schemars(required, with = "ProbeState")]
    pub(crate) is: Option<ProbeState>,
}
