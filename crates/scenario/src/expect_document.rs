//! What a file says must hold: `expect:`, sentences by the name of what they are about.

use murphy_core::Served;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::table::Table;

/// What must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectDoc {
    pub(crate) recovery: Option<String>,
    pub(crate) isolation: Option<Vec<String>>,
    pub(crate) subjects: Table<RulesDoc>,
}

impl<'de> Deserialize<'de> for ExpectDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExpectDoc, D::Error> {
        deserializer.deserialize_map(ExpectVisitor)
    }
}

struct ExpectVisitor;

impl<'de> Visitor<'de> for ExpectVisitor {
    type Value = ExpectDoc;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a block of expectations (`browse: { success: \">= 99%\" }`)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExpectDoc, A::Error> {
        let mut expect = ExpectDoc::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "recovery" => expect.recovery = map.next_value()?,
                "isolation" => expect.isolation = map.next_value()?,
                _ => expect.subjects.0.push((key, map.next_value()?)),
            }
        }
        Ok(expect)
    }
}

impl JsonSchema for ExpectDoc {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "properties": {
                "recovery": {
                    "type": "string",
                    "description": "After the last fault, users are served as before within this time: `<= 10s`",
                },
                "isolation": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Loads that must not notice what happens to the others",
                },
            },
            "additionalProperties": generator.subschema_for::<RulesDoc>(),
        })
    }
}

/// What must hold of a load, a probe or an edge.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "rules, as `{ success: \">= 99%\", p99: \"<= 600ms\" }`"
)]
#[schemars(rename = "Rules")]
pub(crate) struct RulesDoc {
    /// Load: the share of good answers during the fault, `>= 99%` or `within 1% of baseline`.
    pub(crate) success: Option<String>,
    /// Load: answers that count as good beside fresh ones.
    pub(crate) may: Option<Vec<Served>>,
    /// Load: half of all requests end within this, as `<= 100ms`.
    pub(crate) p50: Option<String>,
    /// Load: 90 of 100 requests end within this, as `<= 300ms`.
    pub(crate) p90: Option<String>,
    /// Load: 95 of 100 requests end within this, as `<= 400ms`.
    pub(crate) p95: Option<String>,
    /// Load: 99 of 100 requests end within this, as `<= 600ms`.
    pub(crate) p99: Option<String>,
    /// Load: 999 of 1000 requests end within this, as `<= 2s`.
    #[serde(rename = "p99.9")]
    #[schemars(rename = "p99.9")]
    pub(crate) p99_9: Option<String>,
    /// Probe: true, every answer must be good.
    pub(crate) always: Option<bool>,
    /// Probe: `good`, every answer in the baseline must be.
    pub(crate) before: Option<String>,
    /// Probe: `good`, every answer while a fault is in the world must be.
    pub(crate) during: Option<String>,
    /// Probe: `good`, every answer once the last fault is gone must be, or `good within 5s`, from then on.
    pub(crate) after: Option<String>,
    /// Edge: the caller gives up on a call within this, as `<= 500ms`.
    pub(crate) timeout: Option<String>,
    /// Edge: tries for one call, the first included, as `<= 3`.
    pub(crate) attempts: Option<String>,
    /// Edge: calls for each user request relative to the baseline, as `<= 1.2`.
    pub(crate) amplification: Option<String>,
    /// Edge: `opens`, the caller stops calling for a while, or `opens within 2s`, that soon after the first failure.
    pub(crate) breaker: Option<String>,
    /// Edge: the breaker opens after so many failed calls at most, as `<= 10`.
    pub(crate) calls_to_open: Option<String>,
    /// Edge: a caller whose breaker is open makes no call for so long between two tries, as `>= 5s`.
    pub(crate) half_open_every: Option<String>,
    /// Edge: after the fault, a caller whose breaker had opened calls as before within this, as `<= 10s`.
    pub(crate) closes: Option<String>,
    /// Edge: the caller has no more calls than this in flight at once, as `<= 20`.
    pub(crate) pool: Option<String>,
    /// Edge: `grows`, the waits between tries grow.
    pub(crate) back_off: Option<String>,
    /// Edge: `present`, the waits between tries are drawn at random.
    pub(crate) jitter: Option<String>,
    /// Edge: `spread`, connections do not come back all at once after the fault.
    pub(crate) reconnect: Option<String>,
    /// Edge: `none`, no connection stays behind after a fault.
    pub(crate) leak: Option<String>,
    /// Edge with `instance-of`: `ejects`, the caller goes to the other instances while this one is sick.
    pub(crate) failover: Option<String>,
    /// Load: users who are not served as before get any answer, an error included, within this, as `<= 2s`.
    pub(crate) fail_fast: Option<String>,
    /// Load: `at once`, under too much load some are refused at once while the others are served.
    pub(crate) shedding: Option<String>,
    /// Load with a `ramp`: so many requests a second are served, as `>= 100/s`.
    pub(crate) capacity: Option<String>,
    /// Load: `soft`, users do not need what is broken; `as declared`, they need no more than its `depends-on` says.
    pub(crate) dependency: Option<String>,
    /// Load: `none`, the load does not keep the service down once the fault is gone (needs `phases: { quiet: 180s }`).
    pub(crate) metastability: Option<String>,
    /// Load: degraded answers are at most so old, as `<= 60s`.
    pub(crate) staleness: Option<String>,
    /// Load with a `ledger`: `none`, no write that was acknowledged is gone.
    pub(crate) lost: Option<String>,
    /// Load with a `ledger`: `none`, no write is kept more often than it was sent.
    pub(crate) duplicates: Option<String>,
    /// Load with a `ledger` that asks for `dead-letters`: so many acknowledged writes at most end there, as `<= 3`.
    pub(crate) dead_letters: Option<String>,
    /// Probe: turns bad within this time of the fault, and good again after it, as `<= 10s`.
    pub(crate) follows: Option<String>,
    /// Probe: of a service that is started while a dependency is down: good within this time of the start, as `<= 30s`.
    pub(crate) start_up: Option<String>,
}
