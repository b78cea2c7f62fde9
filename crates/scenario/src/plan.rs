//! A checked scenario with nothing left to decide: what a run does, in the types that carry it out. It never holds a
//! text that still has to be parsed, except patterns that are known to compile.
//!
//! A plan is written to the run directory. Values that look like secrets are masked there (see `secret`), so a plan
//! that was read from disk is for people and reports, not for a second run.

mod brief;
mod capture;
mod fault;
mod given;
mod question;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use murphy_core::{
    Chance, EdgeName, Expectation, Frequency, Learn, LoadName, Need, PhaseLengths, ProbeName, Protocol,
    Purpose, RateRamp, Secrets, Seed, ServiceName, Span,
};
use murphy_tls::TlsSettings;
use serde::Serialize;

use crate::address::Address;
use crate::caller::{Caller, OpenConnections};
use crate::secret;
use crate::status::StatusSet;

pub use capture::{Capture, CaptureFrom};
pub use fault::{FaultStep, FaultTarget, ProcessSelector, Ramp, RampStage};
pub use given::{Given, Sight};
pub use question::{ContainerQuestion, HeaderTest, HttpRequest, Login, Question, command_text};
pub use trigger::{Counted, ProbeState, Trigger};

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

/// The calls between a caller and a dependency, on which faults can sit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgePlan {
    /// Its name.
    pub name: EdgeName,
    /// How Murphy gets between the two.
    pub route: Route,
    /// What travels.
    pub protocol: Protocol,
    /// On which sides TLS is spoken, with files relative to the scenario's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The dependency of which the callee is one of several instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_of: Option<ServiceName>,
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

    /// On whose calls Murphy sits in; `None` for whoever dials its listener.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Route::Listen { .. } => None,
            Route::Intercept { from, .. } => Some(from),
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
    /// How they are raised in the fault phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<RateRamp>,
    /// How arrivals are spread in time.
    pub arrivals: Arrivals,
    /// The sender's own limit on one request.
    pub timeout: Span,
    /// Statuses that count as success.
    pub expect_status: StatusSet,
    /// Requests in flight at which further ones are dropped, and counted as such.
    pub in_flight_max: u32,
    /// Where what is written is read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerPlan>,
    /// What its users need; `None` if that is not declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<BTreeMap<EdgeName, Need>>,
}

/// Where the writes of a load are read back, when it is over and everything is taken back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LedgerPlan {
    /// What is asked for all of them.
    pub read: Question,
    /// What is asked for those that were given up and put aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Question>,
    /// What is asked for those that are queued still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<Question>,
    /// Time between two readings, which must be the same.
    pub settle: Span,
    /// How long acknowledged writes are waited for.
    pub within: Span,
}

impl LedgerPlan {
    /// All that is asked.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        std::iter::once(&self.read).chain(&self.dead_letters).chain(&self.queued)
    }

    /// What is asked, for people.
    pub fn text(&self) -> String {
        let more = |what: &str, question: Option<&Question>| {
            question.map_or_else(String::new, |question| format!(", {what} by {}", question.text()))
        };
        let (dead, queued) = (self.dead_letters.as_ref(), self.queued.as_ref());
        format!("{}{}{}", self.read.text(), more("dead letters", dead), more("what is queued", queued))
    }
}

impl LoadPlan {
    /// The reference that stands for the id of each request: `order.id`.
    pub fn own_id(&self) -> String {
        own_id(self.name.as_str())
    }

    /// How many requests are due so long from the beginning of the fault phase on, on average.
    pub(crate) fn due_in_fault(&self, length: Span) -> f64 {
        let length = length.as_secs_f64();
        let Some(ramp) = self.ramp else { return self.rate.as_per_second() * length };
        let every = ramp.every.as_secs_f64();
        let mut left = length;
        let mut due = 0.0;
        for rate in ramp.rates(self.rate) {
            let step = left.min(every);
            due += rate.as_per_second() * step;
            left -= step;
        }
        due + ramp.to.as_per_second() * left
    }

    /// What must be captured before it can be sent; its own ids are none of that.
    pub fn needs(&self) -> BTreeSet<String> {
        let mut needs = self.request.needs();
        if self.ledger.is_some() {
            needs.remove(&self.own_id());
        }
        needs
    }
}

/// The reference that stands for the id of each request of a load.
pub(crate) fn own_id(load: &str) -> String {
    format!("{load}.id")
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
    /// What is kept of its answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capture: Vec<Capture>,
}

/// What a stop condition watches.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum AbortWhen {
    /// Fewer users are served well.
    Success {
        /// Of this load.
        load: LoadName,
        /// The share of good answers below which it counts.
        below: Chance,
    },
    /// No answer is good.
    Failing {
        /// Of this probe.
        probe: ProbeName,
    },
}

impl AbortWhen {
    /// The name of what is watched.
    pub fn name(&self) -> &str {
        match self {
            AbortWhen::Success { load, .. } => load.as_str(),
            AbortWhen::Failing { probe } => probe.as_str(),
        }
    }
}

/// A stop condition: when it holds, everything is taken back at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AbortRule {
    /// What is watched, and what must not be.
    pub when: AbortWhen,
    /// For how long it must stay so.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// As the author wrote it.
    pub text: String,
}

impl AbortRule {
    /// Fewer answers of a load than this, in the time that a condition has to hold for, decide nothing.
    pub const ENOUGH: usize = 5;
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
        serde_json::to_string_pretty(&self.to_value()?)
    }

    /// Several as one list, in the same way.
    ///
    /// # Errors
    /// As `serde_json`; it never happens.
    pub fn list_to_json<'p>(plans: impl Iterator<Item = &'p Plan>) -> Result<String, serde_json::Error> {
        let values = plans.map(Plan::to_value).collect::<Result<Vec<_>, _>>()?;
        serde_json::to_string_pretty(&values)
    }

    fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        self.secrets.hide_json(&mut value);
        Ok(value)
    }
}
