//! What a judge has to know of a plan: the first event of every journal. A finished run can be judged from this and the
//! events alone, without the scenario file and without the services.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    EdgeName, Expectation, FaultId, Frequency, LoadName, ProbeName, RateRamp, Seed, ServiceName, Span,
    Timestamp,
};

/// The stages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Load runs, nothing is counted: pools fill, code gets warm.
    WarmUp,
    /// The healthy state that all else is compared with.
    Baseline,
    /// Faults are in the world.
    Fault,
    /// Faults are gone; does the service come back?
    Recovery,
    /// It did not: all user load is stopped, so that what its own load holds down can get up.
    Quiet,
    /// The full load once more, after that.
    Again,
}

impl Phase {
    /// Those of every run, in order. The two others come only to a service that did not recover.
    pub const PLANNED: [Phase; 4] = [Phase::WarmUp, Phase::Baseline, Phase::Fault, Phase::Recovery];

    /// The name used in YAML and reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::WarmUp => "warm-up",
            Phase::Baseline => "baseline",
            Phase::Fault => "fault",
            Phase::Recovery => "recovery",
            Phase::Quiet => "quiet",
            Phase::Again => "again",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How long each phase lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PhaseLengths {
    /// Discarded start.
    pub warm_up: Span,
    /// Healthy reference.
    pub baseline: Span,
    /// With faults.
    pub fault: Span,
    /// After the faults.
    pub recovery: Span,
    /// Without load, at the most, where users are still badly served by then; zero if that is not tried.
    #[serde(default, skip_serializing_if = "is_none")]
    pub quiet: Span,
    /// With the full load once more, after that.
    #[serde(default, skip_serializing_if = "is_none")]
    pub again: Span,
}

fn is_none(length: &Span) -> bool {
    length.is_zero()
}

impl PhaseLengths {
    /// The length of one phase.
    pub fn of(&self, phase: Phase) -> Span {
        match phase {
            Phase::WarmUp => self.warm_up,
            Phase::Baseline => self.baseline,
            Phase::Fault => self.fault,
            Phase::Recovery => self.recovery,
            Phase::Quiet => self.quiet,
            Phase::Again => self.again,
        }
    }

    /// The phases of every run together.
    pub fn planned(&self) -> Span {
        Phase::PLANNED.iter().map(|phase| self.of(*phase).as_duration()).sum::<std::time::Duration>().into()
    }

    /// All phases together, at the most.
    pub fn total(&self) -> Span {
        [self.warm_up, self.baseline, self.fault, self.recovery, self.quiet, self.again]
            .iter()
            .map(|length| length.as_duration())
            .sum::<std::time::Duration>()
            .into()
    }
}

/// What travels on an edge, as far as Murphy takes notice of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Bytes.
    #[default]
    Tcp,
    /// HTTP/1.1 or h2c.
    Http,
    /// Redis: a label of scenarios; such an edge is carried, broken and counted as with `tcp`.
    Redis,
    /// PostgreSQL: a label of scenarios; such an edge is carried, broken and counted as with `tcp`.
    Postgres,
}

/// How much users need a dependency, as the scenario's author declares it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// They are served without it.
    Soft,
    /// They are not.
    Hard,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Need::Soft => "soft",
            Need::Hard => "hard",
        })
    }
}

/// A load, as far as a judge must know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBrief {
    /// Its name.
    pub name: LoadName,
    /// Method and URL, as printed.
    pub what: String,
    /// Planned arrivals.
    pub rate: Frequency,
    /// How they are raised in the fault phase; `None` for one rate throughout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<RateRamp>,
    /// The sender's own limit on one request.
    pub timeout: Span,
    /// What is asked for the writes that are kept, as printed; `None` if they are not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// What its users need; `None` if that is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<BTreeMap<EdgeName, Need>>,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeBrief {
    /// Its name.
    pub name: EdgeName,
    /// Who calls, where known: a service's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who is called: a service's name or an address.
    pub to: String,
    /// What travels.
    pub protocol: Protocol,
    /// The dependency of which the callee is one of several instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_of: Option<String>,
}

/// A fault, as far as a judge must know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultBrief {
    /// Its identity in this run.
    pub id: FaultId,
    /// The catalogue's name: `latency`.
    pub name: String,
    /// The fault with its main settings, as printed: `latency 800ms`.
    pub text: String,
    /// The settings, as text: `delay` → `800ms`.
    pub settings: BTreeMap<String, String>,
    /// The edge it sits on, if it sits on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<EdgeName>,
    /// What it acts on, as printed: `web → redis`, or `process redis`.
    pub on: String,
    /// What it waits for, as printed: `after call 3 on db`. It begins by itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Start, from the beginning of the fault phase; of one that waits, from when on.
    pub at: Span,
    /// Length.
    #[serde(rename = "for")]
    pub lasts: Span,
}

impl FaultBrief {
    /// The setting of a fault on an edge that hits only some calls, by chance: the share of them, as `20%`. Where it is not there, all
    /// calls that are meant are hit.
    pub const SHARE: &str = "chance";
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeBrief {
    /// Its name.
    pub name: ProbeName,
    /// What is asked, as printed.
    pub what: String,
    /// Time between two questions.
    pub every: Span,
}

/// A service that Murphy starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceBrief {
    /// Its name.
    pub name: ServiceName,
    /// The command, as printed.
    pub command: String,
}

/// The first event of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunBrief {
    /// Version of the journal's form; a reader refuses one that it does not know.
    pub format: u32,
    /// Murphy's own version.
    pub murphy: String,
    /// The scenario's `name`.
    pub scenario: String,
    /// The file it was read from, as given on the command line; empty for an embedded one.
    pub source: String,
    /// The command that repeats the run.
    pub again: String,
    /// Root of all choices.
    pub seed: Seed,
    /// Wall time of the beginning.
    pub started: Timestamp,
    /// Planned phases.
    pub phases: PhaseLengths,
    /// Services that Murphy starts.
    pub services: Vec<ServiceBrief>,
    /// Edges.
    pub edges: Vec<EdgeBrief>,
    /// Loads.
    pub loads: Vec<LoadBrief>,
    /// Probes.
    pub probes: Vec<ProbeBrief>,
    /// Faults.
    pub faults: Vec<FaultBrief>,
    /// What the scenario asserts.
    pub expectations: Vec<Expectation>,
    /// What to print beyond that.
    #[serde(default, skip_serializing_if = "Learn::is_none")]
    pub learn: Learn,
    /// What the run is for.
    #[serde(default, skip_serializing_if = "Purpose::is_experiment")]
    pub purpose: Purpose,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To see what happens when something breaks. A run that breaks nothing answers nothing.
    #[default]
    Experiment,
    /// To see that all holds while nothing is broken.
    Control,
}

impl Purpose {
    /// True for the ordinary case, which is left out of the journal.
    pub fn is_experiment(&self) -> bool {
        *self == Purpose::Experiment
    }
}

/// What to print beyond the assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Learn {
    /// Nothing.
    #[default]
    None,
    /// Every fact found, with an `expect:` block to paste.
    All,
}

impl Learn {
    /// True for the ordinary case, which is left out of the journal.
    pub fn is_none(&self) -> bool {
        *self == Learn::None
    }
}

impl RunBrief {
    /// The journal form that this build writes and reads.
    pub const FORMAT: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_leaves_out_the_phases_that_a_service_which_recovers_never_sees() {
        let of = Span::from_secs;
        let phases = PhaseLengths {
            warm_up: of(1),
            baseline: of(20),
            fault: of(30),
            recovery: of(60),
            quiet: of(180),
            again: of(60),
        };
        assert_eq!((phases.planned(), phases.total()), (of(111), of(351)));
    }
}
