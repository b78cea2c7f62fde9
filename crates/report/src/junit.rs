//! The verdict as JUnit XML, for the test tabs of CI systems: one suite a scenario, one case an expectation.
//!
//! Three ways of not passing are told apart: `failure` is an expectation that does not hold, `error` is a run that could
//! not be carried out or taken back, `skipped` is what could not be told. The last case of every suite, `run`, is about the
//! run itself, so that a scenario that asserts nothing is seen too.

use std::time::Duration;

use murphy_core::Answer;
use murphy_verdict::{GateId, Judgement, Reading, Row, RunEnd};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::outcome::{Came, Outcome};

/// Why outcomes have no JUnit form; none of this build is known to have none.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the judgement as JUnit XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The outcomes of one invocation, in order, as one XML document.
pub fn junit(outcomes: &[Outcome]) -> Result<String, JunitError> {
    let mut report = Report::new("murphy");
    for outcome in outcomes {
        report.add_test_suite(suite(outcome));
    }
    Ok(report.to_string()?)
}

fn suite(outcome: &Outcome) -> TestSuite {
    let mut suite = TestSuite::new(outcome.scenario.as_str());
    // The attributes that the library does not know are in the forms of Ant and Jenkins alike.
    match &outcome.came {
        Came::Judged { judgement, .. } => {
            let took = judgement.run.took.as_duration();
            suite.set_time(took);
            if let Some(started) = &judgement.run.started {
                suite.extra.insert("timestamp".into(), started.as_str().trim_end_matches('Z').into());
            }
            suite.add_property(Property::new("verdict", judgement.verdict.to_string()));
            suite.add_property(Property::new("source", outcome.source.as_str()));
            if let Some(seed) = judgement.run.seed {
                suite.add_property(Property::new("seed", seed.to_string()));
            }
            suite.add_property(Property::new("again", judgement.run.again.as_str()));
            for row in &judgement.rows {
                add(&mut suite, &outcome.scenario, &row.id, took, asserted(row, judgement));
            }
            add(&mut suite, &outcome.scenario, "run", took, whole(judgement));
        }
        Came::NotCarriedOut { why } => {
            let status = bad(NonSuccessKind::Error, "could-not-be-carried-out", why, why);
            add(&mut suite, &outcome.scenario, "run", Duration::ZERO, status);
        }
        Came::NotRun { why } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str()).set_type("not-run");
            add(&mut suite, &outcome.scenario, "run", Duration::ZERO, status);
        }
    }
    let skipped =
        suite.test_cases.iter().filter(|case| matches!(case.status, TestCaseStatus::Skipped { .. })).count();
    suite.extra.insert("skipped".into(), skipped.to_string().into());
    suite
}

fn add(suite: &mut TestSuite, scenario: &str, id: &str, took: Duration, status: TestCaseStatus) {
    let mut case = TestCase::new(id, status);
    // A dot would be read as the end of a package's name.
    case.set_classname(scenario.replace('.', "\u{b7}")).set_time(took);
    suite.add_test_case(case);
}

fn bad(kind: NonSuccessKind, class: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_type(class).set_description(text);
    status
}

fn skipped(class: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message).set_type(class).set_description(text);
    status
}

fn asserted(row: &Row, judgement: &Judgement) -> TestCaseStatus {
    let during = row.during.as_ref().map_or_else(String::new, |reading| format!("{}; ", reading.text));
    let text = story(row, judgement);
    match (row.answer, &judgement.run.end) {
        (Answer::Pass, _) => TestCaseStatus::success(),
        (Answer::Fail, _) => bad(
            NonSuccessKind::Failure,
            "not-graceful",
            &format!("{}: {during}{}", row.label, row.reason),
            &text,
        ),
        (Answer::Inconclusive, RunEnd::Failed { why }) => {
            bad(NonSuccessKind::Error, "could-not-be-carried-out", why, &text)
        }
        (Answer::Inconclusive, _) => {
            skipped("inconclusive", &format!("{}: {during}{}", row.label, row.reason), &text)
        }
    }
}

/// Everything that is known of a row, a line each.
fn story(row: &Row, judgement: &Judgement) -> String {
    let mut lines = vec![format!("{}: want {}", row.label, row.want)];
    let mut reading = |phase: &str, reading: &Option<Reading>| {
        if let Some(reading) = reading {
            lines.push(format!("  {phase:<9} {} (n = {})", reading.text, reading.n));
        }
    };
    reading("baseline", &row.baseline);
    reading("during", &row.during);
    reading("after", &row.after);
    lines.push(format!("rule: {}", row.rule));
    lines.push(format!("decided by: {}", row.reason));
    for why in judgement.why.iter().filter(|why| why.row == row.id) {
        lines.push(format!("why: {}", why.mechanism));
        lines.push(format!("change: {}", why.change));
    }
    if let Some(settle) = &row.settle {
        lines.push(format!("would tell: {settle}"));
    }
    if !judgement.run.again.is_empty() {
        lines.push(format!("again: {}", judgement.run.again));
    }
    lines.join("\n")
}

/// The run itself: carried out, taken back, to be trusted.
fn whole(judgement: &Judgement) -> TestCaseStatus {
    if !judgement.leftovers.is_empty() {
        let text = format!("{}\ntake it back with: murphy undo", judgement.leftovers.join("\n"));
        return bad(NonSuccessKind::Error, "not-taken-back", "something may not have been taken back", &text);
    }
    let error = |class: &str, why: &str| bad(NonSuccessKind::Error, class, why, why);
    match &judgement.run.end {
        RunEnd::Failed { why } => return error("could-not-be-carried-out", why),
        RunEnd::Torn => return error("could-not-be-carried-out", "the journal stops in the middle"),
        RunEnd::Interrupted { signal } => return error("interrupted", &format!("interrupted by {signal}")),
        RunEnd::Aborted { rule } => {
            let text = format!("the stop condition `{rule}` was met");
            return skipped("stopped", &text, &text);
        }
        RunEnd::Complete => {}
    }
    let doubts: Vec<String> = judgement
        .gates
        .iter()
        .filter(|gate| !gate.holds && gate.id != GateId::LoadOnTime)
        .map(|gate| format!("{} ({})", gate.text, gate.mend))
        .collect();
    match doubts.first() {
        Some(first) => skipped("inconclusive", first, &doubts.join("\n")),
        None => TestCaseStatus::success(),
    }
}
