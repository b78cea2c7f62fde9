//! Tries of one call where it is not plain how many there are, from journals whose truth is known.

use murphy_core::{Answer, Rule, Span, Subject};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, State, judge};

fn attempts(judgement: &Judgement) -> &Finding {
    let edge = Subject::Edge(Golden::edge());
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == Detector::Attempts && finding.subject == edge)
        .expect("every detector answers")
}

fn number(finding: &Finding, param: &str) -> f64 {
    finding.param(param).and_then(|reading| reading.value).unwrap_or_else(|| panic!("{}", finding.text))
}

#[test]
fn few_calls_behind_an_open_breaker_are_no_proof_that_none_is_tried_again() {
    let caller = Caller { attempts: 2, back_off: Span::ZERO, ..Caller::careful() };
    let stacked = judge(&Golden::new("tries", caller, Break::Reset).journal());
    let found = attempts(&stacked);
    let State::Inconclusive { why, .. } = &found.state else { panic!("{}", found.text) };
    assert!(why.contains("does not tell retries from none"), "{why}");
    // Where each request makes its call, and there are no more, none is.
    let once = judge(&Golden::new("tries", Caller::careless(), Break::Reset).journal());
    assert!(matches!(attempts(&once).state, State::Absent { .. }), "{}", attempts(&once).text);
}

#[test]
fn tries_that_go_on_when_their_user_leaves_are_told_as_so_many_or_more() {
    let bounded = |at_most: u32| {
        // It tries for 20 s, and users leave after 5.
        let caller = Caller { attempts: 40, back_off: Span::from_millis(500), ..Caller::careless() };
        let mut golden = Golden { rate: 0.1, ..Golden::new("tries", caller, Break::Reset) };
        golden.phases.baseline = Span::from_secs(900);
        golden.phases.fault = Span::from_secs(1_600);
        let edge = Subject::Edge(Golden::edge());
        let golden = golden.expect("cart.attempts", edge, Rule::Attempts { at_most }, "a bound");
        judge(&golden.journal())
    };
    let judgement = bounded(100);
    let found = attempts(&judgement);
    assert!(found.is_present() && found.param("attempts").is_none(), "{}", found.text);
    // Eleven fit into the time of one, and those of the one before may go on beside them.
    assert!((10.0..25.0).contains(&number(found, "least")), "{}", found.text);
    let row = judgement.row("cart.attempts").expect("asserted");
    assert_eq!(row.answer, Answer::Inconclusive, "{}", row.reason);
    let few = bounded(3);
    assert_eq!(few.row("cart.attempts").expect("asserted").answer, Answer::Fail);
}
