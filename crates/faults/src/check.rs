//! Findings about a fault's settings: which field, what is wrong, what to write instead.
//!
//! A check reports; it must never panic and never stop at the first finding.

use std::time::Duration;

use murphy_core::Span;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field in question; `None` for the fault as a whole.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// All findings about one fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// No findings yet.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Reports a field.
    pub fn field(&mut self, field: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Problem { field: Some(field), message: message.into(), help: help.into() });
    }

    /// Reports the fault as a whole.
    pub fn whole(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Problem { field: None, message: message.into(), help: help.into() });
    }

    /// Reports a time that no run can last.
    pub fn not_absurd(&mut self, field: &'static str, span: Span) {
        const LONGEST: Duration = Duration::from_secs(24 * 3600);
        if span.as_duration() > LONGEST {
            self.field(field, format!("{span} is longer than a day"), "write a time of at most 24h");
        }
    }

    /// The findings, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}
