//! A checked scenario with nothing left to decide: what a run does, in the types that carry it out. It never holds a
//! text that still has to be parsed, except patterns that are known to compile.
//!
//! A plan is written to the run directory. Values that look like secrets are masked there (see `secret`), so a plan
//! that was read from disk is for people and reports, not for a second run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use murphy_core::{
    Chance, Directions, EdgeBrief, EdgeName, Expectation, FaultBrief, FaultId, Frequency, JsonPath, JsonTest,
    Learn, LoadBrief, LoadName, PhaseLengths, ProbeBrief, ProbeName, Protocol, Purpose, RunBrief, Secrets,
    Seed, ServiceBrief, ServiceName, Span, Timestamp,
};
use murphy_faults::{ContainerTarget, Fault, Match, Place, Which};
use serde::Serialize;

use crate::address::Address;
use crate::caller::{Caller, OpenConnections};
use crate::container_state::{ContainerState, Health};
use crate::secret;
use crate::status::StatusSet;
use crate::stretch::Stretch;

/// A run, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// The scenario's `name`.
    pub name: String,
    /// The file it was read from, as given; empty for an embedded one.
    pub source: String,
    /// Root of all choices.
    pub seed: Seed,
    /// How long each phase lasts.
    pub phases: PhaseLengths,
    /// Containers that are watched, and perhaps brought up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackPlan>,
    /// Services that Murphy starts, in file order: the order of starting.
    pub services: Vec<ServicePlan>,
    /// Edges, in file order.
    pub edges: Vec<EdgePlan>,
    /// Streams of user requests, in file order.
    pub loads: Vec<LoadPlan>,
    /// Probes, in file order.
    pub probes: Vec<ProbePlan>,
    /// Faults, in file order.
    pub faults: Vec<FaultStep>,
    /// What is asserted, in file order.
    pub expectations: Vec<Expectation>,
    /// Stop conditions.
    pub abort_if: Vec<AbortRule>,
    /// What to print beyond the assertions.
    pub learn: Learn,
    /// What the run is for.
    pub purpose: Purpose,
    /// What was filled in and must stand in nothing that is written.
    #[serde(skip)]
    pub secrets: Secrets,
}

/// A compose project.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StackPlan {
    /// Compose files, relative to the scenario's file; empty for a project that runs already and is known by its name.
    pub compose: Vec<PathBuf>,
    /// The project's name; the one that compose would choose if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whose it is.
    pub keep: StackKeep,
    /// The time that it has to become healthy.
    pub wait: Span,
    /// Variables for the compose file.
    #[serde(serialize_with = "secret::masked")]
    pub env: BTreeMap<String, String>,
}

/// Who brings a stack up and takes it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackKeep {
    /// It runs already, and stays.
    Found,
    /// Murphy brings it up, and it stays.
    Left,
    /// Murphy brings it up and takes it down.
    TakenDown,
}

impl StackPlan {
    /// What it is, for people.
    pub fn text(&self) -> String {
        match (&self.project, self.compose.first()) {
            (Some(project), _) => format!("compose project {project}"),
            (None, Some(file)) => format!("compose file {}", file.display()),
            (None, None) => "compose project".to_owned(),
        }
    }
}

/// A service that Murphy starts and stops.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServicePlan {
    /// Its name.
    pub name: ServiceName,
    /// Program and arguments, never empty. A first word `murphy` means the running binary itself.
    #[serde(serialize_with = "secret::masked_argv")]
    pub run: Vec<String>,
    /// Working directory, relative to the scenario's file; that file's directory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Variables added to Murphy's own environment.
    #[serde(serialize_with = "secret::masked")]
    pub env: BTreeMap<String, String>,
    /// When it counts as up; as soon as its process exists if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Question>,
    /// The time it has to become ready.
    pub within: Span,
}

/// Something that can be asked and answered with yes or no.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// A request; yes is an answer with one of these statuses and a body that matches.
    Http {
        /// The request.
        request: HttpRequest,
        /// Statuses that mean yes.
        status: StatusSet,
        /// A pattern (syntax of the `regex` crate, known to compile) that the body must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// What the body's JSON must say; every value at the place, and there must be one.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        json: Vec<(JsonPath, JsonTest)>,
    },
    /// A connection; yes is an accepted one.
    Tcp {
        /// Where to.
        address: Address,
    },
    /// A command; yes is exit code 0 and standard output that matches.
    Command {
        /// Program and arguments, never empty.
        #[serde(serialize_with = "secret::masked_argv")]
        argv: Vec<String>,
        /// A pattern (known to compile) that standard output, without its last line break, must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A command for Redis; yes is a reply that is no error and is as expected.
    Redis {
        /// The server.
        address: Address,
        /// Who asks; a database is a number here.
        login: Login,
        /// The command, never empty.
        #[serde(serialize_with = "secret::masked_argv")]
        send: Vec<String>,
        /// What the reply must be.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<JsonTest>,
        /// A pattern (known to compile) that the reply must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A query to PostgreSQL; yes is a result that is as expected.
    Postgres {
        /// The server.
        address: Address,
        /// Who asks.
        login: Login,
        /// The query, not blank.
        query: String,
        /// What the result must be.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<JsonTest>,
        /// A pattern (known to compile) that the result must contain.
        #[serde(skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A look at containers.
    Container(ContainerQuestion),
}

/// What is asked of containers; yes if there are some, and all are as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerQuestion {
    /// Which ones; all that match are meant.
    pub container: ContainerTarget,
    /// What each must be doing.
    pub state: ContainerState,
    /// What the health check of each must say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// A pattern (known to compile) that a line of one of them must match, written since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// A pattern (known to compile) that no line of any may match, written since the question before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_not: Option<String>,
}

impl ContainerQuestion {
    /// `service:worker is running and healthy`, for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} is {}", self.container, self.state);
        if let Some(health) = self.health {
            text += &format!(" and {health}");
        }
        if let Some(pattern) = &self.log {
            text += &format!(", wrote /{pattern}/");
        }
        if let Some(pattern) = &self.log_not {
            text += &format!(", does not write /{pattern}/");
        }
        text
    }
}

/// Who asks a server, and in which of its databases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "secret::hidden")]
    pub password: Option<String>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// One HTTP request, complete.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpRequest {
    /// `GET`, `POST` …, in capitals.
    pub method: String,
    /// An `http://` URL of ASCII characters, without a fragment.
    #[serde(serialize_with = "secret::masked_url")]
    pub url: String,
    /// Header names in small letters, with their values.
    #[serde(serialize_with = "secret::masked")]
    pub headers: BTreeMap<String, String>,
    /// The body, if one is sent.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "secret::body_length")]
    pub body: Option<Vec<u8>>,
}

impl HttpRequest {
    /// `GET http://127.0.0.1:8000/cart/7`, for people; a password in the URL is masked.
    pub fn text(&self) -> String {
        format!("{} {}", self.method, secret::mask_url(&self.url))
    }
}

/// The calls between a caller and a dependency, on which faults can sit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgePlan {
    /// Its name.
    pub name: EdgeName,
    /// How Murphy gets between the two.
    pub route: Route,
    /// What travels.
    pub protocol: Protocol,
}

/// How Murphy gets between a caller and a dependency.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Callers dial `listen`; Murphy dials `to`.
    Listen {
        /// Where Murphy listens.
        listen: Address,
        /// What Murphy dials.
        to: Address,
    },
    /// Murphy sits in on the calls of a running service; the caller's configuration is not touched.
    Intercept {
        /// The caller.
        from: Caller,
        /// What the caller dials.
        to: Address,
        /// What becomes of its connections that are open already.
        open_connections: OpenConnections,
    },
}

impl Route {
    /// The dependency's address.
    pub fn to(&self) -> &Address {
        match self {
            Route::Listen { to, .. } | Route::Intercept { to, .. } => to,
        }
    }
}

/// One stream of user requests: open loop, so a slow service does not slow the sender.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadPlan {
    /// Its name.
    pub name: LoadName,
    /// What is sent.
    pub request: HttpRequest,
    /// Arrivals.
    pub rate: Frequency,
    /// How arrivals are spread in time.
    pub arrivals: Arrivals,
    /// The sender's own limit on one request.
    pub timeout: Span,
    /// Statuses that count as success.
    pub expect_status: StatusSet,
    /// Requests in flight at which further ones are dropped, and counted as such.
    pub in_flight_max: u32,
}

/// How arrivals are spread in time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// As of many independent users: exponential gaps.
    #[default]
    Poisson,
    /// Equal gaps.
    Constant,
}

/// A question asked of the system now and then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbePlan {
    /// Its name.
    pub name: ProbeName,
    /// What is asked.
    pub question: Question,
    /// Time between two questions.
    pub every: Span,
    /// The time an answer may take.
    pub within: Span,
}

/// One fault, where and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultStep {
    /// Its identity in this run.
    pub id: FaultId,
    /// What it sits on.
    pub target: FaultTarget,
    /// What it does.
    #[serde(serialize_with = "secret::masked_fault")]
    pub fault: Fault,
    /// What it becomes while it lasts; nothing else if empty.
    #[serde(skip_serializing_if = "Ramp::is_empty")]
    pub ramp: Ramp,
    /// Start, from the beginning of the fault phase.
    pub at: Span,
    /// Length; `at` and this together never exceed the fault phase.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// The entry of the file's list that it comes from, counted from 0.
    #[serde(skip)]
    pub entry: usize,
    /// Which time it is of a fault that comes again and again, counted from 1.
    #[serde(skip)]
    pub turn: usize,
}

/// What a fault becomes while it lasts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Ramp {
    /// In the order of time.
    pub stages: Vec<RampStage>,
}

/// A fault from a time on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RampStage {
    /// From the fault's start.
    pub after: Span,
    /// What it does from then on: the same fault with other settings.
    pub fault: Fault,
}

impl Ramp {
    /// True if the fault stays as it is.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }
}

/// What a fault sits on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultTarget {
    /// The calls on an edge.
    Edge {
        /// Which edge.
        edge: EdgeName,
        /// Which ways.
        directions: Directions,
        /// The share of connections that it touches.
        chance: Chance,
        /// The requests that are meant, if it acts on requests.
        #[serde(rename = "match", skip_serializing_if = "no_match")]
        matching: Box<Match>,
        /// Which of these it touches.
        #[serde(skip_serializing_if = "Which::is_empty")]
        which: Which,
    },
    /// A process that Murphy started.
    Service {
        /// Which service.
        service: ServiceName,
    },
    /// Processes of this machine, whoever started them.
    Process {
        /// Which.
        process: ProcessSelector,
    },
    /// A stretch of network.
    Network {
        /// Which.
        network: Stretch,
    },
    /// Containers.
    Container {
        /// Which.
        container: ContainerTarget,
    },
}

/// How processes are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessSelector {
    /// By number.
    Pid(i32),
    /// By the whole name of the program.
    Name(String),
    /// By a part of the command line, or a glob over the whole.
    Command(String),
}

impl std::fmt::Display for ProcessSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProcessSelector::Pid(pid) => write!(f, "process {pid}"),
            ProcessSelector::Name(name) => write!(f, "process {name}"),
            ProcessSelector::Command(command) => write!(f, "process `{}`", secret::mask_url(command)),
        }
    }
}

fn no_match(matching: &Match) -> bool {
    matching.is_empty()
}

impl FaultTarget {
    /// The kind of place.
    pub fn place(&self) -> Place {
        match self {
            FaultTarget::Edge { .. } => Place::Edge,
            FaultTarget::Service { .. } | FaultTarget::Process { .. } => Place::Process,
            FaultTarget::Container { .. } => Place::Container,
            FaultTarget::Network { .. } => Place::Network,
        }
    }
}

/// A stop condition: when it holds, everything is taken back at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AbortRule {
    /// Whose success is watched.
    pub load: LoadName,
    /// The share of good answers below which it counts.
    pub success_below: Chance,
    /// For how long it must stay below.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// As the author wrote it.
    pub text: String,
}

impl Question {
    /// What is asked, in one line, for people.
    pub fn text(&self) -> String {
        match self {
            Question::Http { request, .. } => request.text(),
            Question::Tcp { address } => format!("connect {address}"),
            Question::Command { argv, .. } => command_text(argv),
            Question::Redis { address, send, .. } => format!("{} on {address}", command_text(send)),
            Question::Postgres { address, query, .. } => format!("{} on {address}", query.trim()),
            Question::Container(question) => question.text(),
        }
    }
}

/// A command as a person would type it, for messages: words with blanks or quotes are quoted, secrets masked.
pub fn command_text(argv: &[String]) -> String {
    let word = |word: &String| {
        let plain =
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c));
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    secret::mask_argv(argv).iter().map(word).collect::<Vec<_>>().join(" ")
}

impl FaultStep {
    /// The settings as text; of one that changes, `50ms to 2s`.
    fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = secret::masked_settings(&self.fault);
        if let Some(last) = self.ramp.stages.last() {
            for (name, last) in secret::masked_settings(&last.fault) {
                let first = settings.entry(name).or_insert_with(|| last.clone());
                if *first != last {
                    *first = format!("{first} to {last}");
                }
            }
        }
        settings
    }

    /// The fault with its main settings and the requests that it is for: `abort 503, the first 3 of POST /charge`.
    pub fn text(&self) -> String {
        let mut text = self.fault.text();
        if let Some(RampStage { after, fault }) = self.ramp.stages.last() {
            text.push_str(&format!(" to {} within {after}", fault.text()));
        }
        if let FaultTarget::Edge { matching, which, .. } = &self.target {
            match (which.is_empty(), matching.is_empty()) {
                (true, true) => {}
                (false, true) => text.push_str(&format!(", {} of all requests", which.text())),
                (true, false) => text.push_str(&format!(", on {}", matching.text())),
                (false, false) => text.push_str(&format!(", {} of {}", which.text(), matching.text())),
            }
        }
        text
    }
}

impl Plan {
    /// As JSON for people and for the run's directory, without secrets.
    ///
    /// # Errors
    /// As `serde_json`; it never happens.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        if self.secrets.is_empty() {
            return serde_json::to_string_pretty(self);
        }
        let mut value = serde_json::to_value(self)?;
        self.secrets.hide_json(&mut value);
        serde_json::to_string_pretty(&value)
    }

    /// The first event of the journal. `murphy` is the binary's version, `again` the command that repeats the run.
    pub fn brief(&self, murphy: &str, again: &str, started: Timestamp) -> RunBrief {
        RunBrief {
            format: RunBrief::FORMAT,
            murphy: murphy.to_owned(),
            scenario: self.name.clone(),
            source: self.source.clone(),
            again: again.to_owned(),
            seed: self.seed,
            started,
            phases: self.phases,
            services: self
                .services
                .iter()
                .map(|service| ServiceBrief {
                    name: service.name.clone(),
                    command: command_text(&service.run),
                })
                .collect(),
            edges: self.edges.iter().map(|edge| self.edge_brief(edge)).collect(),
            loads: self
                .loads
                .iter()
                .map(|load| LoadBrief {
                    name: load.name.clone(),
                    what: load.request.text(),
                    rate: load.rate,
                    timeout: load.timeout,
                })
                .collect(),
            probes: self
                .probes
                .iter()
                .map(|probe| ProbeBrief {
                    name: probe.name.clone(),
                    what: probe.question.text(),
                    every: probe.every,
                })
                .collect(),
            faults: self.faults.iter().map(|step| self.fault_brief(step)).collect(),
            expectations: self.expectations.clone(),
            learn: self.learn,
            purpose: self.purpose,
        }
    }

    fn edge_brief(&self, edge: &EdgePlan) -> EdgeBrief {
        let from = match &edge.route {
            Route::Listen { .. } => None,
            Route::Intercept { from, .. } => Some(from.to_string()),
        };
        EdgeBrief {
            name: edge.name.clone(),
            from,
            to: self.name_of(edge.route.to()),
            protocol: edge.protocol,
        }
    }

    fn fault_brief(&self, step: &FaultStep) -> FaultBrief {
        FaultBrief {
            id: step.id.clone(),
            name: step.fault.name().to_owned(),
            text: step.text(),
            settings: step.settings(),
            edge: match &step.target {
                FaultTarget::Edge { edge, .. } => Some(edge.clone()),
                _ => None,
            },
            on: self.place_of(&step.target),
            at: step.at,
            lasts: step.lasts,
        }
    }

    /// What a fault sits on, for people: `web → redis:6379`, `payments`, `process redis`.
    pub fn place_of(&self, target: &FaultTarget) -> String {
        match target {
            FaultTarget::Service { service } => format!("process {service}"),
            FaultTarget::Process { process } => process.to_string(),
            FaultTarget::Container { container } => format!("container {container}"),
            FaultTarget::Network { network } => network.to_string(),
            FaultTarget::Edge { edge: name, .. } => {
                match self.edges.iter().find(|edge| edge.name == *name).map(|edge| &edge.route) {
                    Some(Route::Intercept { from, to, .. }) => format!("{from} → {}", self.name_of(to)),
                    Some(Route::Listen { .. }) | None => name.to_string(),
                }
            }
        }
    }

    /// The service that answers its ready check at this address, else the address.
    fn name_of(&self, address: &Address) -> String {
        let answers = |service: &&ServicePlan| match &service.ready {
            Some(
                Question::Tcp { address: ready }
                | Question::Redis { address: ready, .. }
                | Question::Postgres { address: ready, .. },
            ) => ready.overlaps(address),
            Some(Question::Http { request, .. }) => {
                crate::url::address_of(&request.url).is_some_and(|ready| ready.overlaps(address))
            }
            Some(Question::Command { .. } | Question::Container(_)) | None => false,
        };
        match self.services.iter().find(answers) {
            Some(service) => service.name.to_string(),
            None => address.to_string(),
        }
    }
}
