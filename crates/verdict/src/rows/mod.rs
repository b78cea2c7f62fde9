//! One answer for each expectation. An interval that lies wholly on one side of its bound decides; one that straddles it
//! is inconclusive and says what would settle it. Gates are applied afterwards, in `judge`.

mod breaker;
mod edge;
mod facts;
mod fail_fast;
mod isolation;
mod latency;
mod probe;
mod recovery;
mod success;

use murphy_core::{Answer, EdgeName, Expectation, LoadName, Rule, RunBrief, Subject};

use crate::judgement::{Detector, Finding, Gate, GateId, Reading, RowKind};
use crate::phase::RunView;

pub(crate) use latency::{latency_of, reading as latency_reading};
pub(crate) use recovery::{Recovered, recovered, restored, without_errors};
pub(crate) use success::success_of;

/// What all rows look at.
pub(crate) struct Case<'a> {
    pub run: &'a RunView<'a>,
    pub brief: &'a RunBrief,
    pub gates: &'a [Gate],
    pub findings: &'a [Finding],
}

impl Case<'_> {
    pub fn gate_holds(&self, id: GateId) -> bool {
        self.gates.iter().all(|gate| gate.id != id || gate.holds)
    }

    pub fn finding(&self, detector: crate::judgement::Detector, edge: &EdgeName) -> Option<&Finding> {
        let subject = Subject::Edge(edge.clone());
        self.findings.iter().find(|finding| finding.detector == detector && finding.subject == subject)
    }
}

/// A row before gates.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub kind: RowKind,
    pub label: String,
    pub baseline: Option<Reading>,
    pub during: Option<Reading>,
    pub after: Option<Reading>,
    pub answer: Answer,
    pub rule: String,
    pub reason: String,
    pub settle: Option<String>,
    /// How likely data like these are if the bound holds; for a failed row, against chance among many.
    pub p: Option<f64>,
}

impl Draft {
    fn new(kind: RowKind, label: impl Into<String>, rule: impl Into<String>) -> Draft {
        Draft {
            kind,
            label: label.into(),
            baseline: None,
            during: None,
            after: None,
            answer: Answer::Inconclusive,
            rule: rule.into(),
            reason: String::new(),
            settle: None,
            p: None,
        }
    }

    fn pass(mut self, reason: impl Into<String>) -> Draft {
        (self.answer, self.reason) = (Answer::Pass, reason.into());
        self
    }

    fn fail(mut self, reason: impl Into<String>) -> Draft {
        (self.answer, self.reason) = (Answer::Fail, reason.into());
        self
    }

    fn open(mut self, reason: impl Into<String>, settle: impl Into<String>) -> Draft {
        (self.answer, self.reason, self.settle) = (Answer::Inconclusive, reason.into(), Some(settle.into()));
        self
    }
}

/// The row of one expectation.
pub(crate) fn row(case: &Case<'_>, expectation: &Expectation) -> Draft {
    let want = expectation.text.as_str();
    match (&expectation.subject, &expectation.rule) {
        (Subject::Load(load), Rule::Success { rule, may }) => success::row(case, load, *rule, may, want),
        (Subject::Load(load), Rule::Latency { quantile, at_most }) => {
            latency::row(case, load, *quantile, *at_most, want)
        }
        (Subject::Probe(probe), Rule::Always) => probe::always(case, probe, want),
        (Subject::Probe(probe), Rule::Good { part, after }) => probe::good(case, probe, *part, *after, want),
        (subject, Rule::Recovery { at_most }) => recovery::row(case, only_load(subject), *at_most, want),
        (Subject::Edge(name), Rule::Timeout { at_most }) => edge::timeout(case, name, *at_most, want),
        (Subject::Edge(name), Rule::Attempts { at_most }) => edge::attempts(case, name, *at_most, want),
        (Subject::Edge(name), Rule::Amplification { at_most }) => {
            edge::amplification(case, name, *at_most, want)
        }
        (Subject::Edge(name), Rule::Pool { at_most }) => edge::pool(case, name, *at_most, want),
        (Subject::Edge(name), Rule::BreakerOpens) => edge::breaker(case, name, want),
        (Subject::Edge(name), Rule::BreakerOpensWithin { at_most }) => {
            breaker::opens_within(case, name, *at_most, want)
        }
        (Subject::Edge(name), Rule::CallsToOpen { at_most }) => {
            breaker::calls_to_open(case, name, *at_most, want)
        }
        (Subject::Edge(name), Rule::HalfOpenEvery { at_least }) => {
            breaker::half_open_every(case, name, *at_least, want)
        }
        (Subject::Edge(name), Rule::BreakerCloses { at_most }) => breaker::closes(case, name, *at_most, want),
        (_, Rule::Isolation { loads }) => isolation::row(case, loads),
        (subject @ Subject::Edge(_), Rule::BackOffGrows) => facts::back_off(case, subject, want),
        (subject @ Subject::Edge(_), Rule::Jitter | Rule::ReconnectsSpread | Rule::NoLeak | Rule::Ejects)
        | (subject @ Subject::Load(_), Rule::Sheds | Rule::Soft | Rule::NoneLost | Rule::NoneTwice) => {
            match asked(&expectation.rule) {
                Some(asked) => facts::row(case, subject, &asked, want),
                None => Draft::new(kind_of(&expectation.rule), expectation.id.clone(), "").open("", ""),
            }
        }
        (subject @ Subject::Load(_), Rule::AsDeclared) => facts::as_declared(case, subject, want),
        (Subject::Load(load), Rule::NotMetastable) => facts::metastability(case, load, want),
        (Subject::Load(load), Rule::FailFast { at_most }) => fail_fast::row(case, load, *at_most, want),
        (subject @ Subject::Load(_), Rule::Staleness { at_most }) => {
            facts::staleness(case, subject, *at_most, want)
        }
        (subject @ Subject::Load(_), Rule::DeadLetters { at_most }) => {
            facts::dead_letters(case, subject, *at_most, want)
        }
        (subject @ Subject::Load(_), Rule::Capacity { at_least }) => {
            facts::capacity(case, subject, *at_least, want)
        }
        (subject @ Subject::Probe(_), Rule::Follows { at_most }) => {
            facts::follows(case, subject, *at_most, want)
        }
        (subject @ Subject::Probe(_), Rule::StartUp { at_most }) => {
            facts::start_up(case, subject, *at_most, want)
        }
        (_, rule) => Draft::new(kind_of(rule), expectation.id.clone(), "the rule does not fit its subject")
            .open("the rule does not fit its subject", "correct the scenario"),
    }
}

/// Rules that are a detector's answer; `None` for all others.
fn asked(rule: &Rule) -> Option<facts::Asked> {
    use facts::{Asked, Wish};
    let (detector, wish, rule_text, shown) = match rule {
        Rule::Jitter => (
            Detector::Jitter,
            Wish::Present,
            "pass if the waits at one place of the sequence differ by more than 5%, and by more than the machine's timing",
            "variation",
        ),
        Rule::ReconnectsSpread => (
            Detector::Reconnect,
            Wish::Absent,
            "fail if ten or more connections come back, half of them within one second, in a burst that chance does not make",
            "in-one-second",
        ),
        Rule::NoLeak => (
            Detector::Leak,
            Wish::Absent,
            "fail if the number of open connections climbs with each of four or more faults",
            "after",
        ),
        Rule::Ejects => (
            Detector::Failover,
            Wish::Present,
            "pass if the calls to a sick instance fall to a fifth of its share or less in a window of 5s or more, and the \
             other instances are called in its place",
            "time",
        ),
        Rule::Sheds => (
            Detector::Shedding,
            Wish::Present,
            "pass if 5% or more are refused with 429 or 503 at once, while others are served",
            "refused",
        ),
        Rule::Soft => (
            Detector::Dependency,
            Wish::Absent,
            "pass if the success rate drops by less than 2 points (Newcombe)",
            "success",
        ),
        Rule::NoneLost => (
            Detector::Lost,
            Wish::Absent,
            "fail if a write that was acknowledged is not found when all is over",
            "lost",
        ),
        Rule::NoneTwice => (
            Detector::Duplicates,
            Wish::Absent,
            "fail if a write is found more often than it was sent when all is over",
            "duplicates",
        ),
        _ => return None,
    };
    Some(Asked { kind: kind_of(rule), detector, wish, rule: rule_text, shown })
}

fn only_load(subject: &Subject) -> Option<&LoadName> {
    match subject {
        Subject::Load(load) => Some(load),
        Subject::Probe(_) | Subject::Edge(_) | Subject::Run => None,
    }
}

pub(crate) fn kind_of(rule: &Rule) -> RowKind {
    match rule {
        Rule::Success { .. } => RowKind::Success,
        Rule::Latency { .. } => RowKind::Latency,
        Rule::Always => RowKind::Always,
        Rule::Good { .. } => RowKind::Good,
        Rule::Recovery { .. } => RowKind::Recovery,
        Rule::Timeout { .. } => RowKind::Timeout,
        Rule::Attempts { .. } => RowKind::Attempts,
        Rule::Amplification { .. } => RowKind::Amplification,
        Rule::BreakerOpens | Rule::BreakerOpensWithin { .. } => RowKind::Breaker,
        Rule::CallsToOpen { .. } => RowKind::CallsToOpen,
        Rule::HalfOpenEvery { .. } => RowKind::HalfOpenEvery,
        Rule::BreakerCloses { .. } => RowKind::Closes,
        Rule::Pool { .. } => RowKind::Pool,
        Rule::Isolation { .. } => RowKind::Isolation,
        Rule::BackOffGrows => RowKind::BackOff,
        Rule::Jitter => RowKind::Jitter,
        Rule::ReconnectsSpread => RowKind::Reconnect,
        Rule::NoLeak => RowKind::Leak,
        Rule::Ejects => RowKind::Failover,
        Rule::Sheds => RowKind::Shedding,
        Rule::Capacity { .. } => RowKind::Capacity,
        Rule::Soft | Rule::AsDeclared => RowKind::Dependency,
        Rule::NotMetastable => RowKind::Metastability,
        Rule::FailFast { .. } => RowKind::FailFast,
        Rule::Staleness { .. } => RowKind::Staleness,
        Rule::Follows { .. } => RowKind::Follows,
        Rule::StartUp { .. } => RowKind::StartUp,
        Rule::NoneLost => RowKind::Lost,
        Rule::NoneTwice => RowKind::Duplicates,
        Rule::DeadLetters { .. } => RowKind::DeadLetters,
    }
}
