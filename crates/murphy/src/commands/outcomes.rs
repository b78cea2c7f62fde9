//! What became of scenarios, for a program: what `run` and `demo` share. It must never leave one out: a scenario that was
//! not carried out is no pass.

use std::path::Path;

use murphy_report::{Came, Outcome};
use murphy_verdict::Judgement;
use serde::Serialize;

/// One scenario, as far as it came.
#[derive(Debug, Serialize)]
#[serde(tag = "came", rename_all = "kebab-case")]
pub enum Told<'a> {
    /// To a judgement.
    Judged {
        /// Its `name`.
        scenario: &'a str,
        /// Its file; empty for an embedded one.
        source: &'a str,
        /// The run's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// As `murphy report RUN --output json` prints it.
        judgement: &'a Judgement,
    },
    /// Nothing was begun, or nothing is left of it.
    NotCarriedOut {
        /// Its `name`.
        scenario: &'a str,
        /// Its file; empty for an embedded one.
        source: &'a str,
        /// The run's directory, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// Why.
        why: &'a str,
    },
    /// It was not its turn.
    NotRun {
        /// Its `name`.
        scenario: &'a str,
        /// Its file; empty for an embedded one.
        source: &'a str,
        /// Why.
        why: &'a str,
    },
}

impl<'a> Told<'a> {
    /// Of an outcome and the run's directory.
    pub fn of(outcome: &'a Outcome, run: Option<&Path>) -> Told<'a> {
        let Outcome { scenario, source, came } = outcome;
        let run = run.map(|path| path.display().to_string());
        match came {
            Came::Judged { judgement, .. } => Told::Judged { scenario, source, run, judgement },
            Came::NotCarriedOut { why } => Told::NotCarriedOut { scenario, source, run, why },
            Came::NotRun { why } => Told::NotRun { scenario, source, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    #[test]
    fn none_is_left_out_however_far_it_came() {
        let outcome = |came| Outcome { scenario: "shop".into(), source: "s.yaml".into(), came };
        let judgement = Box::new(murphy_verdict::judge(&[]));
        let judged = serde_json::to_value(&judgement).unwrap();
        let dir = PathBuf::from("murphy-runs/1");
        for (came, wanted) in [
            (
                Came::Judged { judgement, timeline: Box::default() },
                json!({ "came": "judged", "run": "murphy-runs/1", "judgement": judged }),
            ),
            (
                Came::NotCarriedOut { why: "no service".into() },
                json!({ "came": "not-carried-out", "run": "murphy-runs/1", "why": "no service" }),
            ),
            (Came::NotRun { why: "--fail-fast".into() }, json!({ "came": "not-run", "why": "--fail-fast" })),
        ] {
            let told = serde_json::to_value(Told::of(&outcome(came), Some(&dir))).unwrap();
            let mut all = json!({ "scenario": "shop", "source": "s.yaml" });
            all.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
            assert_eq!(told, all);
        }
        let without = outcome(Came::NotCarriedOut { why: String::new() });
        assert_eq!(serde_json::to_value(Told::of(&without, None)).unwrap().get("run"), None);
    }
}
