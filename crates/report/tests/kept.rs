//! A run that is kept in the repository is judged today as it was when it was kept, byte by byte, whatever machine judges it.
//!
//! Where a judgement is to differ, it is written anew with `MURPHY_KEEP=judgement cargo test -p murphy-report --test kept`, and the
//! difference is read before it is kept. The run itself stays as it is, so that journals of old can be read; `MURPHY_KEEP=run` makes
//! another one.

use std::fs;
use std::path::PathBuf;

use murphy_core::{
    Chance, Event, EventKind, Learn, PhaseLengths, Quantile, Rule, Served, Span, Subject, SuccessRule,
    read_journal, write_line,
};
use murphy_report::{Style, json, terminal};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden};
use murphy_verdict::judge;

/// What the run may take in the repository.
const MOST_BYTES: usize = 200 * 1024;

fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kept_run").join(name)
}

/// True if this is to be written anew: `judgement`, or `run` and the judgement with it.
fn is_renewed(what: &str) -> bool {
    std::env::var("MURPHY_KEEP").is_ok_and(|renewed| renewed == what || renewed == "run")
}

/// Few users, so that it is small, and a caller of which much can be told: it tries twice, and hands the wait on.
fn made() -> Vec<Event> {
    let (users, edge) = (|| Subject::Load(Golden::load()), || Subject::Edge(Golden::edge()));
    let least = SuccessRule::AtLeast(Chance::from_fraction(0.99).expect("a share"));
    let slow = Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) };
    let caller = Caller {
        breaker: None,
        timeout: Some(Span::from_millis(500)),
        back_off: Span::from_millis(300),
        ..Caller::careful()
    };
    let phases = PhaseLengths {
        warm_up: Span::from_secs(1),
        baseline: Span::from_secs(15),
        fault: Span::from_secs(15),
        recovery: Span::from_secs(8),
        quiet: Span::ZERO,
        again: Span::ZERO,
    };
    let golden =
        Golden { rate: 6.5, phases, bystander: Bystander::Apart, ..Golden::new("kept", caller, SLOW) };
    let mut journal = golden
        .expect("browse.success", users(), Rule::Success { rule: least, may: vec![Served::Stale] }, ">= 99%")
        .expect("browse.p99", users(), slow, "<= 600ms")
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .expect("isolation", Subject::Run, Rule::Isolation { loads: vec![Golden::bystander()] }, "as written")
        .expect("cart-cache.timeout", edge(), Rule::Timeout { at_most: Span::from_millis(600) }, "<= 600ms")
        .expect("cart-cache.attempts", edge(), Rule::Attempts { at_most: 3 }, "<= 3")
        .expect("cart-cache.amplification", edge(), Rule::Amplification { at_most: 1.2 }, "<= 1.2")
        .expect("cart-cache.breaker", edge(), Rule::BreakerOpens, "opens")
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }, "<= 10s")
        .journal();
    let EventKind::RunStarted(brief) = &mut journal[0].kind else { panic!("a run begins with its brief") };
    brief.learn = Learn::All;
    journal
}

const SLOW: Break = Break::Latency(Span::from_millis(800));

/// The kept run, event by event.
fn journal() -> Vec<Event> {
    let path = kept("journal.ndjson");
    if is_renewed("run") {
        let mut bytes = Vec::new();
        for event in made() {
            write_line(&mut bytes, &event).expect("an event can be written");
        }
        fs::write(&path, bytes).expect("the run can be kept");
    }
    let bytes = fs::read(&path).expect("a kept run");
    assert!(bytes.len() < MOST_BYTES, "{} bytes", bytes.len());
    read_journal(bytes.as_slice()).expect("a journal")
}

/// Asserts that what is said now is what is kept as `name`, to the last byte.
#[track_caller]
fn is_kept(name: &str, said: &str) {
    let path = kept(name);
    if is_renewed("judgement") {
        fs::write(&path, said).expect("what is said can be kept");
    }
    let kept = fs::read_to_string(&path).expect("what was said");
    let differs = kept.lines().zip(said.lines()).find(|(kept, said)| kept != said);
    assert_eq!(differs, None, "{name}: the first line that differs, as kept and as said");
    assert_eq!(kept.len(), said.len(), "{name}: one of them goes on");
}

#[test]
fn a_kept_run_is_judged_with_the_same_bytes_as_ever() {
    let judgement = judge(&journal());
    is_kept("judgement.json", &json(&judgement).expect("a judgement in JSON"));
    is_kept("report.txt", &terminal(&judgement, Style::default()));
}

/// One that asked and told little would stay the same whatever became of judging.
#[test]
fn the_kept_run_has_all_three_answers_a_cause_and_something_to_learn() {
    let judgement = judge(&journal());
    let count = &judgement.count;
    assert!(count.passed > 0 && count.failed > 0 && count.inconclusive > 0, "{count:?}");
    assert!(!judgement.why.is_empty() && judgement.learned.contains("expect:"), "{}", judgement.learned);
    let present = judgement.findings.iter().filter(|finding| finding.is_present()).count();
    assert!(present >= 4, "{present} of {}", judgement.findings.len());
}
