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
    assert!(why.contains("no second try was seen") && why.contains("turned away"), "{why}");
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

/// A user a second, each of whom is alone, of a caller that tries five times, with a breaker that opens for five seconds after so many
/// failures in a row.
fn five_tries_behind(failures: Option<u32>, at_most: u32) -> Judgement {
    let breaker = failures.map(|failures| (failures, Span::from_secs(5)));
    let caller = Caller { attempts: 5, back_off: Span::from_millis(10), breaker, ..Caller::careless() };
    let mut golden = Golden { rate: 1.0, ..Golden::new("tries", caller, Break::Reset) };
    golden.phases.baseline = Span::from_secs(120);
    golden.phases.fault = Span::from_secs(300);
    let edge = Subject::Edge(Golden::edge());
    let golden = golden.expect("cart.attempts", edge, Rule::Attempts { at_most }, "a bound");
    judge(&golden.journal())
}

fn row(judgement: &Judgement) -> (Answer, &str, Option<&str>) {
    let row = judgement.row("cart.attempts").expect("asserted");
    (row.answer, row.reason.as_str(), row.settle.as_deref())
}

#[test]
fn tries_that_an_opening_breaker_ends_are_told_as_so_many_or_more() {
    let judgement = five_tries_behind(Some(3), 5);
    let found = attempts(&judgement);
    let State::Present { params } = &found.state else { panic!("{}", found.text) };
    assert_eq!(params["least"].text, ">= 3", "{}", found.text);
    assert!(params["turned-away"].value > Some(150.0), "{params:?}");
    assert!(!params.contains_key("attempts") && !params.contains_key("most"), "{params:?}");
    let (answer, reason, settle) = row(&judgement);
    assert_eq!(answer, Answer::Inconclusive, "{reason}");
    assert!(reason.contains(">= 3 seen") && reason.contains("turned away"), "{reason}");
    assert!(settle.is_some_and(|settle| settle.contains("30 failing requests")), "{settle:?}");
    // More were seen than are allowed, whatever would have come behind.
    let (answer, reason, _) = row_of(3, 2);
    assert_eq!(answer, Answer::Fail, "{reason}");
    // As many as are allowed were.
    let (answer, reason, _) = row_of(3, 3);
    assert_eq!(answer, Answer::Inconclusive, "{reason}");
}

fn row_of(failures: u32, at_most: u32) -> (Answer, String, Option<String>) {
    let judgement = five_tries_behind(Some(failures), at_most);
    let (answer, reason, settle) = row(&judgement);
    (answer, reason.to_owned(), settle.map(str::to_owned))
}

#[test]
fn one_failure_that_opens_a_breaker_does_not_show_that_none_is_tried_again() {
    let judgement = five_tries_behind(Some(1), 1);
    let found = attempts(&judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{}", found.text);
    assert_eq!(found.param("least").map(|least| least.text.as_str()), Some(">= 1"), "{}", found.text);
    assert_eq!(row(&judgement).0, Answer::Inconclusive, "{}", row(&judgement).1);
}

#[test]
fn a_caller_without_a_breaker_is_told_exactly() {
    let judgement = five_tries_behind(None, 5);
    let found = attempts(&judgement);
    assert!(found.is_present() && found.param("turned-away").is_none(), "{}", found.text);
    assert!((number(found, "attempts") - 5.0).abs() < 0.1 && (number(found, "most") - 5.0).abs() < 0.1);
    assert_eq!(row(&judgement).0, Answer::Pass, "{}", row(&judgement).1);
}

#[test]
fn enough_requests_before_a_breaker_opens_tell_the_number() {
    let judgement = five_tries_behind(Some(300), 5);
    let found = attempts(&judgement);
    assert!(found.is_present() && found.param("least").is_none(), "{}", found.text);
    assert!((number(found, "attempts") - 5.0).abs() < 0.1 && (number(found, "most") - 5.0).abs() < 0.1);
    assert!(number(found, "turned-away") > 100.0, "{}", found.text);
    assert_eq!(row(&judgement).0, Answer::Pass, "{}", row(&judgement).1);
    assert_eq!(row_of(300, 4).0, Answer::Fail);
}

#[test]
fn tries_of_users_who_overlap_are_not_bounded_by_what_a_breaker_let_through() {
    let caller = Caller {
        attempts: 5,
        back_off: Span::from_millis(10),
        breaker: Some((3, Span::from_secs(2))),
        ..Caller::careless()
    };
    let edge = Subject::Edge(Golden::edge());
    let golden = Golden::new("tries", caller, Break::Reset);
    let judgement =
        judge(&golden.expect("cart.attempts", edge, Rule::Attempts { at_most: 4 }, "<= 4").journal());
    let found = attempts(&judgement);
    assert!(found.param("most").is_none() && found.param("least").is_some(), "{}", found.text);
    assert!(!matches!(found.state, State::Absent { .. }), "{}", found.text);
    assert_eq!(row(&judgement).0, Answer::Inconclusive, "{}", row(&judgement).1);
}
