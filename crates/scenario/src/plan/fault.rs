//! Faults of a plan: what each sits on, when, and what it becomes while it lasts. Secrets among their settings are masked
//! wherever they are written.

use std::collections::BTreeMap;

use murphy_core::{Chance, Directions, EdgeName, FaultBrief, FaultId, ServiceName, Span};
use murphy_faults::{ContainerTarget, Fault, Match, Place, Which};
use serde::Serialize;

use super::Trigger;
use crate::secret;
use crate::stretch::Stretch;

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
    /// What it waits for; it begins by itself if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Start, from the beginning of the fault phase; of one that waits, from when on.
    pub at: Span,
    /// Length; `at` and this together never exceed the fault phase. One that waited ends with it at the latest.
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
    /// The machine that Murphy runs on.
    Host,
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
            FaultTarget::Host => Place::Host,
        }
    }
}

impl FaultStep {
    /// The settings as text; of one that changes, `50ms to 2s`.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = secret::masked_settings(&self.fault);
        if let Some(last) = self.ramp.stages.last() {
            for (name, last) in secret::masked_settings(&last.fault) {
                let first = settings.entry(name).or_insert_with(|| last.clone());
                if *first != last {
                    *first = format!("{first} to {last}");
                }
            }
        }
        let share = self.share().map(|share| (FaultBrief::SHARE.to_owned(), share.to_string()));
        settings.extend(share);
        settings
    }

    /// The share of calls that it hits, by chance; `None` if it is not left to chance, or never was on calls.
    fn share(&self) -> Option<Chance> {
        let FaultTarget::Edge { chance, which, .. } = &self.target else { return None };
        let share = if self.fault.acts_on_requests() { which.chance? } else { *chance };
        (share != Chance::ALWAYS).then_some(share)
    }

    /// The fault with its main settings and the requests or the share of connections that it is for: `abort 503, the first 3 of POST
    /// /charge`, `reset, 20% of connections`.
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
        if let Some(share) = self.share().filter(|_| !self.fault.acts_on_requests()) {
            text.push_str(&format!(", {share} of connections"));
        }
        text
    }
}
