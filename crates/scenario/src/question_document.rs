//! What a file says about questions: of probes, and of services that start.

use std::collections::BTreeMap;

use murphy_core::Span;
use murphy_faults::ContainerTarget;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::address::Address;
use crate::container_state::{ContainerState, Health};
use crate::plan::ContainerQuestion;
use crate::status::StatusSet;

/// A question with one of `http`, `tcp`, `command`, `redis` and `postgres`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a question, as `{ http: http://… }`")]
#[schemars(rename = "Question")]
pub(crate) struct QuestionDoc {
    /// A request: `GET http://127.0.0.1:8000/ready`, or only the URL.
    pub(crate) http: Option<String>,
    /// A connection: `127.0.0.1:6379`.
    pub(crate) tcp: Option<Address>,
    /// A command: program and arguments. Exit code 0 means yes.
    pub(crate) command: Option<Vec<String>>,
    /// A Redis server, `127.0.0.1:6379`, that is sent a command. Any reply but an error means yes, if no `reply` is given.
    pub(crate) redis: Option<Address>,
    /// The command for `redis`: `[GET, "cart:7"]`; `[PING]` if left out.
    pub(crate) send: Option<Vec<String>>,
    /// A PostgreSQL server, `127.0.0.1:5432`, that is asked a `query`; without TLS.
    pub(crate) postgres: Option<Address>,
    /// The query for `postgres`: `select count(*) from orders`.
    pub(crate) query: Option<String>,
    /// Who asks `redis` or `postgres`; for `postgres`, `postgres` if left out.
    pub(crate) user: Option<String>,
    /// The password for `redis` or `postgres`: `${DB_PASSWORD}`.
    pub(crate) password: Option<String>,
    /// The database of `redis` (a number) or `postgres`; the user's own if left out.
    pub(crate) database: Option<String>,
    /// What the reply of `redis` or `postgres` must be: a text, a number, or compared, as `">= 1"`. A reply of several parts is
    /// written with `|` between columns and a line for each row or entry; nothing at all is `nil`.
    pub(crate) reply: Option<serde_json::Value>,
    /// Headers of the request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Statuses that mean yes; 2xx if left out.
    pub(crate) status: Option<StatusSet>,
    /// Regular expressions that headers of the answer must contain, by name: `{ cache-control: no-store }`. Each must be there.
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
    /// A regular expression that the answer's body must contain.
    pub(crate) body: Option<String>,
    /// What the answer's JSON must say, by place: `{ $.status: ok, "$.queue[0].depth": "<= 10" }`.
    #[serde(default)]
    pub(crate) json: BTreeMap<String, serde_json::Value>,
    /// A regular expression that the output of `command`, or the reply of `redis` or `postgres`, must contain.
    #[serde(rename = "match")]
    pub(crate) matches: Option<String>,
    /// Only of a probe.
    #[serde(skip)]
    pub(crate) container: Option<ContainerQuestion>,
}

/// A question asked now and then, with one of `http`, `tcp`, `command`, `redis`, `postgres` and `container`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a probe, as `{ http: http://…, every: 1s }`"
)]
#[schemars(rename = "Probe")]
pub(crate) struct ProbeDoc {
    /// A request: `GET http://127.0.0.1:8000/ready`, or only the URL.
    pub(crate) http: Option<String>,
    /// A connection: `127.0.0.1:6379`.
    pub(crate) tcp: Option<Address>,
    /// A command: program and arguments. Exit code 0 means yes.
    pub(crate) command: Option<Vec<String>>,
    /// A Redis server, `127.0.0.1:6379`, that is sent a command. Any reply but an error means yes, if no `reply` is given.
    pub(crate) redis: Option<Address>,
    /// The command for `redis`: `[GET, "cart:7"]`; `[PING]` if left out.
    pub(crate) send: Option<Vec<String>>,
    /// A PostgreSQL server, `127.0.0.1:5432`, that is asked a `query`; without TLS.
    pub(crate) postgres: Option<Address>,
    /// The query for `postgres`: `select count(*) from orders`.
    pub(crate) query: Option<String>,
    /// Who asks `redis` or `postgres`; for `postgres`, `postgres` if left out.
    pub(crate) user: Option<String>,
    /// The password for `redis` or `postgres`: `${DB_PASSWORD}`.
    pub(crate) password: Option<String>,
    /// The database of `redis` (a number) or `postgres`; the user's own if left out.
    pub(crate) database: Option<String>,
    /// What the reply of `redis` or `postgres` must be: a text, a number, or compared, as `">= 1"`. A reply of several parts is
    /// written with `|` between columns and a line for each row or entry; nothing at all is `nil`.
    pub(crate) reply: Option<serde_json::Value>,
    /// Headers of the request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Statuses that mean yes; 2xx if left out.
    pub(crate) status: Option<StatusSet>,
    /// Regular expressions that headers of the answer must contain, by name: `{ cache-control: no-store }`. Each must be there.
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
    /// A regular expression that the answer's body must contain.
    pub(crate) body: Option<String>,
    /// What the answer's JSON must say, by place: `{ $.status: ok, "$.queue[0].depth": "<= 10" }`.
    #[serde(default)]
    pub(crate) json: BTreeMap<String, serde_json::Value>,
    /// A regular expression that the output of `command`, or the reply of `redis` or `postgres`, must contain.
    #[serde(rename = "match")]
    pub(crate) matches: Option<String>,
    /// Containers, as in a fault: `{ service: worker }`. All of them must be as expected, and there must be one. With a
    /// `stack`, only containers of the stack are meant unless `project` is given.
    pub(crate) container: Option<ContainerTarget>,
    /// What each container must be doing; `running` if left out.
    pub(crate) state: Option<ContainerState>,
    /// What each container's own health check must say.
    pub(crate) health: Option<Health>,
    /// A regular expression that a line must match which one of the containers wrote since the run began.
    pub(crate) log: Option<String>,
    /// A regular expression that no line may match which one of the containers wrote since the question before.
    pub(crate) log_not: Option<String>,
    /// What is kept of each good answer, by name; `${PROBE.NAME}` stands for it in other probes and in loads.
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, CaptureDoc>,
    /// Time between two questions; 1s if left out.
    pub(crate) every: Option<Span>,
    /// The time an answer may take; 2s if left out.
    pub(crate) within: Option<Span>,
}

/// A part of an answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a part of an answer, as `{ json: $.id }`"
)]
#[schemars(rename = "Capture")]
pub(crate) struct CaptureDoc {
    /// A place in the JSON of an answer to `http`: `$.items[0].id`. The first value there is taken.
    pub(crate) json: Option<String>,
    /// A header of an answer to `http`.
    pub(crate) header: Option<String>,
    /// A regular expression, of which the first group is taken: of the place or header, else of the answer's body, of a
    /// command's output or of a reply.
    #[serde(rename = "match")]
    pub(crate) matches: Option<String>,
}

impl ProbeDoc {
    /// The question alone.
    pub(crate) fn question(&self) -> QuestionDoc {
        QuestionDoc {
            http: self.http.clone(),
            tcp: self.tcp.clone(),
            command: self.command.clone(),
            redis: self.redis.clone(),
            send: self.send.clone(),
            postgres: self.postgres.clone(),
            query: self.query.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            database: self.database.clone(),
            reply: self.reply.clone(),
            container: self.container.clone().map(|container| ContainerQuestion {
                container,
                state: self.state.unwrap_or_default(),
                health: self.health,
                log: self.log.clone(),
                log_not: self.log_not.clone(),
            }),
            headers: self.headers.clone(),
            status: self.status.clone(),
            header: self.header.clone(),
            body: self.body.clone(),
            json: self.json.clone(),
            matches: self.matches.clone(),
        }
    }
}
