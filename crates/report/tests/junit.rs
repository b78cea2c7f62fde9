//! JUnit XML: the four kinds of case are told apart, and a validator that is not ours accepts the document.

use std::io::Write;
use std::process::{Command, Stdio};

use murphy_core::{Event, EventKind, Offset, Quantile, Rule, Span, Subject};
use murphy_report::{Came, Outcome, Timeline, junit};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};
use murphy_verdict::judge;

const SLOW: Break = Break::Latency(Span::from_millis(800));

fn asked(golden: Golden) -> Golden {
    golden
        .expect(
            "browse.p99",
            Subject::Load(Golden::load()),
            Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) },
            "<= 600ms",
        )
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }, "<= 10s")
}

fn outcome(events: &[Event]) -> Outcome {
    let judgement = judge(events);
    Outcome {
        scenario: judgement.run.scenario.clone(),
        source: judgement.run.source.clone(),
        came: Came::Judged { judgement: Box::new(judgement), timeline: Box::new(Timeline::of(events)) },
    }
}

/// A run that could not go on after ten seconds.
fn torn_by_the_runner() -> Vec<Event> {
    let mut events = asked(Golden::new("engine gone", Caller::careful(), SLOW)).journal();
    let stop = Offset::from_micros(10_000_000);
    events.retain(|event| event.at < stop);
    let kinds = [EventKind::RunFailed { why: "the engine does not answer".into() }, EventKind::RunEnded];
    for kind in kinds {
        let seq = events.len() as u64;
        events.push(Event { seq, at: stop, kind });
    }
    events
}

fn all() -> Vec<Outcome> {
    let golden = |name: &str, caller, broken| asked(Golden::new(name, caller, broken));
    let mut outcomes = vec![
        outcome(&golden("a slow cart cache, careful", Caller::careful(), SLOW).journal()),
        outcome(&golden("a slow cart cache 1.5", Caller::careless(), SLOW).journal()),
        outcome(
            &golden("sick from the start", Caller::careful(), Break::Reset)
                .with(Trouble::SickBaseline(30))
                .journal(),
        ),
        outcome(
            &golden("interrupted", Caller::careful(), Break::Hang)
                .with(Trouble::Interrupt(Span::from_secs(9)))
                .journal(),
        ),
        outcome(&torn_by_the_runner()),
    ];
    outcomes.push(Outcome {
        scenario: "a <name> & \"more\" \u{1b}[31m ]]> ü".into(),
        source: "broken.yaml".into(),
        came: Came::NotCarriedOut { why: "port 127.0.0.1:1 <is> taken & \u{0}gone".into() },
    });
    outcomes.push(Outcome {
        scenario: "too late".into(),
        source: "late.yaml".into(),
        came: Came::NotRun { why: "the time budget of 5m was used up".into() },
    });
    outcomes
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn failure_error_and_skipped_are_told_apart() {
    let text = junit(&all()).unwrap();
    assert!(text.contains(r#"<failure message="browse p99: "#), "{text}");
    assert!(text.contains(r#"type="not-graceful""#));
    assert!(text.contains(r#"type="could-not-be-carried-out""#));
    assert!(text.contains(r#"<error message="interrupted by SIGINT" type="interrupted""#), "{text}");
    assert!(
        text.contains(r#"<skipped message="the time budget of 5m was used up" type="not-run""#),
        "{text}"
    );
    assert!(text.contains("change: "), "a failure carries what to do");
    assert!(text.contains("again: murphy run cart.yaml --seed 7"), "and how to repeat it");
    assert!(text.contains("a slow cart cache 1\u{b7}5"), "a dot in a class name is a package to Jenkins");
    // One case an expectation, and one for the run itself.
    assert_eq!(count(&text, "<testcase name=\"browse.p99\""), 5);
    assert_eq!(count(&text, "<testcase name=\"run\""), 7);
    assert_eq!(count(&text, "<testsuite "), 7);
}

#[test]
fn one_suite_reads_like_this() {
    let text = junit(&all()[1..2]).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_that_could_not_be_carried_out_has_errors_and_no_skips() {
    let text = junit(&[outcome(&torn_by_the_runner())]).unwrap();
    assert_eq!((count(&text, "<error "), count(&text, "<skipped ")), (4, 0), "{text}");
    assert!(text.contains("the engine does not answer"));
}

#[test]
fn a_validator_that_is_not_ours_accepts_it() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        murphy_testkit::skip("there is no xmllint on the PATH");
        return;
    }
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");
    let check = |text: &str| {
        let mut child = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema", schema, "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let text = junit(&all()).unwrap();
    let (accepted, said) = check(&text);
    assert!(accepted, "{said}\n{text}");
    // The schema can say no.
    assert!(!check(&text.replace("<failure", "<oops").replace("</failure", "</oops")).0);
    assert!(check(&junit(&[]).unwrap()).0, "nothing was run");
}
