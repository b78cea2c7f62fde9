//! `breaker: opens within 2s` and `closes: "<= 10s"` on an edge, from journals whose truth is known.

use murphy_core::{Answer, Rule, Span, Subject};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Cause, Judgement, judge};

fn judged(caller: Caller, rule: Rule, want: &str) -> Judgement {
    let golden = Golden::new("breaker", caller, Break::Reset);
    judge(&golden.expect("asked", Subject::Edge(Golden::edge()), rule, want).journal())
}

fn within(caller: Caller, at_most: Span) -> Judgement {
    judged(caller, Rule::BreakerOpensWithin { at_most }, &format!("opens within {at_most}"))
}

fn closing(caller: Caller, at_most: Span) -> Judgement {
    judged(caller, Rule::BreakerCloses { at_most }, &format!("<= {at_most}"))
}

fn answer(judgement: &Judgement) -> (Answer, &str) {
    let row = judgement.row("asked").expect("a row for what was asked");
    (row.answer, row.reason.as_str())
}

#[test]
fn how_soon_a_breaker_opens_is_held_against_its_bound() {
    // After five failures in a row, at thirty users a second.
    let soon = within(Caller::careful(), Span::from_secs(2));
    assert_eq!(answer(&soon).0, Answer::Pass, "{}", answer(&soon).1);
    // After two hundred.
    let late = Caller { breaker: Some((200, Span::from_secs(2))), ..Caller::careful() };
    let late = within(late, Span::from_secs(2));
    let (told, reason) = answer(&late);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(
        reason.contains("want opens within 2s; it opens ")
            && reason.ends_with(" after the first failing call"),
        "{reason}"
    );
    assert!(late.why[0].change.contains("fewer failures"), "{:?}", late.why);
    // None at all is worse than a late one.
    let none = within(Caller { breaker: None, ..Caller::careful() }, Span::from_secs(2));
    assert_eq!(answer(&none).0, Answer::Fail, "{}", answer(&none).1);
}

#[test]
fn how_soon_calls_are_made_as_before_is_held_against_its_bound() {
    let soon = closing(Caller::careful(), Span::from_secs(3));
    assert_eq!(answer(&soon), (Answer::Pass, "<= 3s"));
    // It waits for half a minute, and the recovery is over before that.
    let long = || Caller { breaker: Some((5, Span::from_secs(30))), ..Caller::careful() };
    let late = closing(long(), Span::from_secs(3));
    let (told, reason) = answer(&late);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert_eq!(late.why[0].cause, Cause::SlowRecovery);
    // Too short to tell.
    let open = closing(long(), Span::from_secs(14));
    assert_eq!(answer(&open), (Answer::Inconclusive, "it was not seen to call as before"));
}

#[test]
fn what_never_opened_does_not_close() {
    let none = closing(Caller { breaker: None, ..Caller::careful() }, Span::from_secs(3));
    assert_eq!(answer(&none), (Answer::Inconclusive, "it never opened"));
}
