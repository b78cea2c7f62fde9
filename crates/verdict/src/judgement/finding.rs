//! What a detector found, as it is told to others. It never says whether that was wished for: that is a row's to say.

use std::collections::BTreeMap;
use std::fmt;

use murphy_core::Subject;
use serde::Serialize;

use super::{Detector, Reading};

/// What users can do without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyClass {
    /// They are served as before.
    Soft,
    /// Fewer are.
    Degraded,
    /// Most are not.
    Hard,
}

impl DependencyClass {
    /// Of a dependency that is not soft, by the upper end of the share that is served without it.
    pub(crate) fn harmed(high: f64) -> DependencyClass {
        if high < 0.5 { DependencyClass::Hard } else { DependencyClass::Degraded }
    }
}

impl fmt::Display for DependencyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DependencyClass::Soft => "soft",
            DependencyClass::Degraded => "degraded",
            DependencyClass::Hard => "hard",
        })
    }
}

/// What a detector says. Kept apart from any expectation: a fact is never right or wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there, with these parameters.
    Present {
        /// Name → reading.
        params: BTreeMap<String, Reading>,
    },
    /// It is not there, as far as the stimulus reached.
    Absent {
        /// Name → reading: how far was looked.
        params: BTreeMap<String, Reading>,
    },
    /// Could be either way.
    Inconclusive {
        /// Why.
        why: String,
        /// What would tell.
        settle: String,
        /// What was measured all the same. Name → reading.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<String, Reading>,
    },
    /// The question does not arise.
    NotApplicable {
        /// Why.
        why: String,
    },
}

/// A fact about a load or an edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Who found it.
    pub detector: Detector,
    /// About what.
    pub subject: Subject,
    /// What.
    pub state: State,
    /// In a sentence.
    pub text: String,
}

impl Finding {
    /// The share that is answered after the fault, of a load that keeps failing.
    pub(crate) const KEPT: &'static str = "after";

    /// How many of a load's acknowledged writes stand with the dead letters.
    pub(crate) const DEAD_LETTERED: &'static str = "dead-lettered";

    /// The word for users who need what their load does not declare, or declares soft.
    pub(crate) const HIDDEN: &'static str = "hidden";

    /// How what users need stands to what their load declares, where that is told: `hidden`, `as declared`, or `not needed` though
    /// declared hard.
    pub fn declared(&self) -> Option<&str> {
        let declared = self.param("declared").filter(|_| self.detector == Detector::Dependency);
        declared.map(|declared| declared.text.as_str())
    }

    /// A parameter of a finding that has some.
    pub fn param(&self, name: &str) -> Option<&Reading> {
        match &self.state {
            State::Present { params } | State::Absent { params } | State::Inconclusive { params, .. } => {
                params.get(name)
            }
            State::NotApplicable { .. } => None,
        }
    }

    /// True if a load is down for good, whether it is sent or not: no metastability, and worse.
    pub(crate) fn is_stuck(&self) -> bool {
        let outcome = self.param("outcome").filter(|_| self.detector == Detector::Metastability);
        matches!(self.state, State::Absent { .. }) && outcome.is_some_and(|outcome| outcome.text == "stuck")
    }

    /// True if data is lost: writes that were acknowledged are gone.
    pub fn is_data_loss(&self) -> bool {
        self.detector == Detector::Lost && self.is_present()
    }

    /// True if it is there.
    pub fn is_present(&self) -> bool {
        matches!(self.state, State::Present { .. })
    }

    /// What the users of a load can do without the dependency that was broken, where it is told.
    pub fn class(&self) -> Option<DependencyClass> {
        let high = self.param("success").and_then(|success| success.high);
        match (self.detector, &self.state) {
            (Detector::Dependency, State::Absent { .. }) => Some(DependencyClass::Soft),
            (Detector::Dependency, State::Present { .. }) => Some(DependencyClass::harmed(high?)),
            _ => None,
        }
    }

    /// True if the users of a load go on failing after the fault and it does not get better: metastable, or broken for good.
    pub fn keeps_failing(&self) -> bool {
        self.detector == Detector::Metastability && !self.is_present() && self.param(Finding::KEPT).is_some()
    }
}
