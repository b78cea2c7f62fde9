//! What a scenario file says, as it is written: the shape of the YAML, and the source of its JSON Schema.
//!
//! Nothing is decided here. A key that must be written is optional in these types where several can be missing at
//! once, so that all of them are reported together; the schema says that it must be written.

use std::collections::BTreeMap;

use murphy_core::{Frequency, Learn, Need, Protocol, Seed, Span};
use murphy_tls::TlsSettings;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::address::Address;
use crate::caller::OpenConnections;
use crate::expect_document::ExpectDoc;
use crate::fault_document::FaultDoc;
use crate::plan::Arrivals;
use crate::profile::Profile;
use crate::question_document::{ProbeDoc, QuestionDoc};
use crate::rate_ramp_document::RateRampDoc;
use crate::status::StatusSet;
use crate::table::Table;

/// A Murphy scenario: what runs, what users do, what breaks and what must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a scenario: a block of keys like `name: …`"
)]
#[schemars(title = "Murphy scenario", rename = "Scenario")]
pub(crate) struct Document {
    /// Version of the scenario language: 1.
    #[schemars(required, range(min = 1, max = 1))]
    pub(crate) murphy: Option<u32>,
    /// What is claimed, in a sentence: the headline of every report.
    #[schemars(required, with = "String")]
    pub(crate) name: Option<String>,
    /// Other files with sections of a scenario, relative to this file. What this file says itself wins over theirs, key by
    /// key; lists are joined, theirs first. `murphy` and `name` need not stand in them.
    #[expect(dead_code, reason = "read before the document is: their sections are merged by then")]
    pub(crate) include: Option<Texts>,
    /// Root of all choices. The same file has the same seed in every run; if it is left out, one is made of the name.
    pub(crate) seed: Option<Seed>,
    /// Ready-made phase lengths: quick (1s, 5s, 5s, 5s), ci (5s, 20s, 30s, 30s; the default) or release (10s, 60s,
    /// 90s, 120s) of warm-up, baseline, fault and recovery.
    pub(crate) profile: Option<Profile>,
    /// Phase lengths; each wins over the profile's.
    pub(crate) phases: Option<PhasesDoc>,
    /// Names of variables whose values stand in no report, besides those whose names tell (token, password, secret …).
    #[serde(default)]
    #[expect(dead_code, reason = "read before the document is: the values are filled in by then")]
    pub(crate) secrets: Vec<String>,
    /// Containers of a compose project: brought up and taken down by Murphy, or running already.
    pub(crate) stack: Option<StackDoc>,
    /// Values for `${NAME}`, as `{ delay: [100ms, 1s] }`: every combination is a scenario of its own.
    #[serde(default)]
    #[expect(dead_code, reason = "read before the document is: each combination makes one")]
    pub(crate) matrix: BTreeMap<String, Vec<serde_json::Value>>,
    /// Processes that Murphy starts and stops, by name.
    #[serde(default)]
    pub(crate) services: Table<ServiceDoc>,
    /// The calls on which faults can sit, by name.
    #[serde(default)]
    pub(crate) edges: Table<EdgeDoc>,
    /// What users do, by name. Open loop: a slow service does not slow the sender.
    #[serde(default)]
    pub(crate) load: Table<LoadDoc>,
    /// Questions asked of the system now and then, by name.
    #[serde(default)]
    pub(crate) probes: Table<ProbeDoc>,
    /// What breaks, where and when.
    #[serde(default)]
    pub(crate) faults: Vec<FaultDoc>,
    /// True: a run that breaks nothing, to see that all holds without a fault. A run without `faults` that is none is
    /// inconclusive.
    pub(crate) control: Option<bool>,
    /// What must hold, by the name of a load, a probe or an edge; `recovery` and `isolation` are about the run.
    #[serde(default)]
    pub(crate) expect: ExpectDoc,
    /// Stop conditions, as `LOAD success < 20% for 10s` or `PROBE failing for 10s`: everything is taken back at once.
    #[serde(default)]
    pub(crate) abort_if: Vec<String>,
    /// `all` prints every fact found, with an `expect:` block to paste.
    #[serde(default)]
    pub(crate) learn: Learn,
}

/// Phase lengths; each wins over the profile's.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "phase lengths, as `{ baseline: 20s, fault: 30s }`"
)]
#[schemars(rename = "Phases")]
pub(crate) struct PhasesDoc {
    /// Load runs, nothing is counted.
    pub(crate) warm_up: Option<Span>,
    /// The healthy state that all else is compared with.
    pub(crate) baseline: Option<Span>,
    /// Faults are in the world.
    pub(crate) fault: Option<Span>,
    /// Faults are gone.
    pub(crate) recovery: Option<Span>,
    /// If fewer than half of the users are served at the end of recovery and it does not get better, all load is stopped until
    /// one request of each load, sent alone, is answered well, at most for this long: `180s`. The load goes on if left out.
    pub(crate) quiet: Option<Span>,
    /// The full load once more, after `quiet`; for as long as recovery if left out.
    pub(crate) again: Option<Span>,
}

/// A compose project: its files, or the name of one that runs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a stack, as `{ compose: compose.yaml, up: true }` or `{ project: shop }`"
)]
#[schemars(rename = "Stack")]
pub(crate) struct StackDoc {
    /// The compose file, relative to this file; several if they are merged.
    pub(crate) compose: Option<Texts>,
    /// The project's name; with `compose`, the one that compose itself would choose if left out.
    pub(crate) project: Option<String>,
    /// True: Murphy brings it up before the run. False, as if left out: it runs already.
    pub(crate) up: Option<bool>,
    /// False: what was brought up stays up after the run. It is taken down if left out.
    pub(crate) down: Option<bool>,
    /// The time that it has to become healthy; 60s if left out.
    pub(crate) wait: Option<Span>,
    /// Variables for the compose file.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

impl JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] })
    }
}

/// A process that Murphy starts and stops.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a service, as `{ run: [program, argument] }`"
)]
#[schemars(rename = "Service")]
pub(crate) struct ServiceDoc {
    /// Program and arguments. A first word `murphy` means this binary.
    #[schemars(required, with = "Vec<String>", length(min = 1))]
    pub(crate) run: Option<Vec<String>>,
    /// Working directory, relative to this file.
    pub(crate) dir: Option<String>,
    /// Variables added to the environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// When it counts as up; as soon as its process exists if left out.
    pub(crate) ready: Option<QuestionDoc>,
    /// The time it has to become ready; 10s if left out.
    pub(crate) within: Option<Span>,
}

/// The calls between a caller and a dependency: `listen` and `to`, or `from` and `to`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "an edge, as `{ listen: HOST:PORT, to: HOST:PORT }`"
)]
#[schemars(rename = "Edge")]
pub(crate) struct EdgeDoc {
    /// Where Murphy listens; callers are configured to dial this.
    pub(crate) listen: Option<Address>,
    /// On whose calls Murphy sits in, without a change of its configuration: a service of the stack with all its
    /// replicas, a container, a service that Murphy starts in another network, or `pid:4711`. Needs root.
    pub(crate) from: Option<String>,
    /// With `from`: what becomes of connections that are open at the start; `cut` if left out.
    pub(crate) open_connections: Option<OpenConnections>,
    /// The dependency.
    #[schemars(required, with = "Address")]
    pub(crate) to: Option<Address>,
    /// What travels; tcp if left out.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// On which sides TLS is spoken; on none if left out. Without it TLS passes through untouched.
    pub(crate) tls: Option<TlsSettings>,
    /// The dependency of which `to` is one of several instances; the edges to the others of them say the same.
    pub(crate) instance_of: Option<String>,
}

/// One stream of user requests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a load, as `{ http: GET http://…, rate: 30/s }`"
)]
#[schemars(rename = "Load")]
pub(crate) struct LoadDoc {
    /// The request: `GET http://127.0.0.1:8000/cart/7`, or only the URL.
    #[schemars(required, with = "String")]
    pub(crate) http: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A body, sent as JSON.
    pub(crate) json: Option<serde_json::Value>,
    /// A body, sent as it is.
    pub(crate) body: Option<String>,
    /// Arrivals: `30/s`.
    #[schemars(required, with = "Frequency")]
    pub(crate) rate: Option<Frequency>,
    /// How the rate is raised in the fault phase, as `{ to: 200/s, by: 1.25, every: 20s }`; before and after it is `rate`.
    pub(crate) ramp: Option<RateRampDoc>,
    /// How arrivals are spread in time.
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    /// The sender's own limit on one request; 5s if left out.
    pub(crate) timeout: Option<Span>,
    /// Statuses that count as success; 2xx if left out.
    pub(crate) expect_status: Option<StatusSet>,
    /// Requests in flight at which further ones are dropped, and counted; 10000 if left out.
    pub(crate) in_flight_max: Option<u32>,
    /// Where what these requests wrote is read back after the run; each puts its `${LOAD.id}` into what it writes.
    pub(crate) ledger: Option<LedgerDoc>,
    /// What its users need, by edge, as `{ db: hard, cache: soft }`: `hard`, they are not served without it; `soft`, they are. An
    /// edge that is left out is not needed. Held against what is measured.
    pub(crate) depends_on: Option<Table<Need>>,
}

/// Where writes are read back, when the load is over and everything is taken back.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a ledger, as `{ read: { http: http://127.0.0.1:8000/orders } }`"
)]
#[schemars(rename = "Ledger")]
pub(crate) struct LedgerDoc {
    /// What is asked for all that was written, past all that is broken. The ids are looked for in the answer, whatever its form.
    #[schemars(required, with = "QuestionDoc")]
    pub(crate) read: Option<QuestionDoc>,
    /// What is asked, with the keys of `read`, for the writes that a consumer gave up and put aside: dead letters. None of them is lost.
    pub(crate) dead_letters: Option<QuestionDoc>,
    /// What is asked, with the keys of `read`, for the writes that are queued still, those that are pending included. None of them is lost.
    pub(crate) queued: Option<QuestionDoc>,
    /// Time between two readings, which must be the same; 5s if left out.
    pub(crate) settle: Option<Span>,
    /// How long acknowledged writes, and a queue that is not empty, are waited for; 60s if left out.
    pub(crate) within: Option<Span>,
}
