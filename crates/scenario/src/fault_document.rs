//! What a file says about a fault, as it is written: what breaks, on whom, and when. Nothing is decided here: which of
//! these keys go together is checked when the plan is made.

use murphy_core::{Chance, Directions, Span};
use murphy_faults::{ContainerTarget, Fault, Match, Which};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::names::Names;
use crate::table::Table;
use crate::trigger_document::{AfterDoc, WhenDoc};

/// One fault, where and when.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a fault, as `{ edge: NAME, inject: { latency: 800ms } }`"
)]
#[schemars(rename = "FaultStep")]
pub(crate) struct FaultDoc {
    /// Its name in reports; the kind of fault and a number if left out: `latency-1`.
    pub(crate) name: Option<String>,
    /// The edge that it sits on.
    pub(crate) edge: Option<String>,
    /// The service that it acts on, one that Murphy started.
    pub(crate) service: Option<String>,
    /// The processes that it acts on, whoever started them.
    pub(crate) process: Option<ProcessDoc>,
    /// The containers that it acts on. With a `stack`, only containers of the stack are meant unless `project` is given.
    pub(crate) container: Option<ContainerTarget>,
    /// The stretch of network that it acts on. Needs root.
    pub(crate) network: Option<NetworkDoc>,
    /// The machine that it acts on: `this`, the one that Murphy runs on.
    pub(crate) host: Option<HostDoc>,
    /// What happens.
    #[schemars(required, schema_with = "a_fault")]
    pub(crate) inject: Option<Fault>,
    /// Which ways it sits on; `to-client` (answers) if left out.
    pub(crate) direction: Option<Directions>,
    /// The share of connections that it touches; all if left out.
    pub(crate) chance: Option<Chance>,
    /// Start, from the beginning of the fault phase; 0s if left out. With `after` or `when`: from then on it waits.
    pub(crate) at: Option<Span>,
    /// It begins only when so many calls have passed on an edge: `{ edge: db, nth: 3 }`.
    pub(crate) after: Option<AfterDoc>,
    /// It begins only when a probe says so: `{ probe: ready, is: failing }`.
    pub(crate) when: Option<WhenDoc>,
    /// Length; to the end of the fault phase if left out.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<Span>,
    /// Again and again: time from one start to the next, to the end of the fault phase. Needs `for`.
    pub(crate) every: Option<Span>,
    /// Settings that change while it lasts, on an edge: `{ delay: { from: 50ms, to: 2s, over: 20s } }`.
    pub(crate) ramp: Option<Table<RampDoc>>,
    /// Requests that are meant, on an edge with `protocol: http`; all if left out.
    #[serde(rename = "match")]
    pub(crate) matches: Option<Match>,
    /// Which of these requests are touched; all if left out.
    pub(crate) which: Option<Which>,
}

/// Processes of this machine, by one of `pid`, `name` and `command`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "processes, as `{ name: redis-server }`")]
#[schemars(rename = "Process")]
pub(crate) struct ProcessDoc {
    /// By number.
    pub(crate) pid: Option<u32>,
    /// By the whole name of the program.
    pub(crate) name: Option<String>,
    /// By the command line: a part of it, or a glob over the whole.
    pub(crate) command: Option<String>,
}

/// A machine.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Host")]
pub(crate) enum HostDoc {
    /// The one that Murphy runs on.
    This,
}

/// A setting of a fault that changes in even steps.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a ramp, as `{ from: 50ms, to: 2s, over: 20s }`"
)]
#[schemars(rename = "Ramp")]
pub(crate) struct RampDoc {
    /// The first value; what `inject` says if left out.
    pub(crate) from: Option<serde_json::Value>,
    /// The last value, which stays to the end.
    #[schemars(required, with = "serde_json::Value")]
    pub(crate) to: Option<serde_json::Value>,
    /// The time from one to the other, from the fault's start; as long as it lasts if left out.
    pub(crate) over: Option<Span>,
}

/// A stretch of network: `between` groups both ways, one way `from` some `to` others, or all that leaves `of` some.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a stretch of network, as `{ between: [web, db] }`"
)]
#[schemars(rename = "Network")]
pub struct NetworkDoc {
    /// Groups that shall not reach each other: `[web, db]`, `[[web, worker], db]`. What is in one group still does.
    pub(crate) between: Option<Vec<Names>>,
    /// Those whose packets are meant, on their way to `to` only.
    pub(crate) from: Option<Names>,
    /// Those that the packets go to.
    pub(crate) to: Option<Names>,
    /// Those of which everything that leaves them is meant.
    pub(crate) of: Option<Names>,
}

/// By reference, so that the long list of faults is in the schema once.
fn a_fault(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<Fault>()
}
