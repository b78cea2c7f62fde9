//! The run with nothing broken that ends an exploration: whether all was still as at its beginning.

use serde::Serialize;

/// How the last run with nothing broken stands to the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Closing {
    /// Users were served as the first time.
    AsFirst,
    /// They were not: what was seen in between may be due to that.
    Drifted {
        /// What has changed, one sentence each.
        how: Vec<String>,
    },
    /// There is no such run to be held against the first.
    NotRun {
        /// Why.
        why: String,
    },
}

impl Closing {
    /// Why the whole is inconclusive, in a line; `None` if it is not for this.
    pub fn doubt(&self) -> Option<String> {
        match self {
            Closing::AsFirst => None,
            Closing::Drifted { .. } | Closing::NotRun { .. } => Some(self.text()),
        }
    }

    /// In a line.
    pub(crate) fn text(&self) -> String {
        let text = match self {
            Closing::AsFirst => "as the first time".to_owned(),
            Closing::Drifted { how } => format!(
                "not as the first time: {}; what was seen in between may be due to that: inconclusive",
                how.join("; ")
            ),
            Closing::NotRun { why } => format!("not run: {why}: inconclusive"),
        };
        format!("nothing broken, once more at the end: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_with_what_it_means() {
        let drifted = Closing::Drifted { how: vec!["browse is slow".into(), "no call on db".into()] };
        let text = drifted.text();
        assert!(text.contains("not as the first time: browse is slow; no call on db; "), "{text}");
        assert!(text.ends_with("inconclusive"), "{text}");
        assert_eq!((drifted.doubt(), Closing::AsFirst.doubt()), (Some(text), None));
        assert_eq!(serde_json::to_value(&drifted).unwrap()["is"], "drifted");
        assert_eq!(serde_json::to_value(Closing::AsFirst).unwrap()["is"], "as-first");
    }
}
