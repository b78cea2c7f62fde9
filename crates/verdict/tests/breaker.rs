//! `breaker: opens within 2s`, `calls-to-open: "<= 10"`, `half-open-every: ">= 5s"` and `closes: "<= 10s"` on an edge, from journals whose truth is known.

use murphy_core::{Answer, EventKind, Learn, Rule, Span, Subject};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};
use murphy_verdict::{Baseline, Cause, Change, Judgement, compare, judge};

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

fn opening(caller: Caller, broken: Break, at_most: u32) -> Judgement {
    let golden = Golden::new("breaker", caller, broken);
    let (rule, want) = (Rule::CallsToOpen { at_most }, format!("<= {at_most}"));
    judge(&golden.expect("asked", Subject::Edge(Golden::edge()), rule, &want).journal())
}

fn trying(caller: Caller, at_least: Span) -> Judgement {
    judged(caller, Rule::HalfOpenEvery { at_least }, &format!(">= {at_least}"))
}

fn with_breaker(calls: u32, window: Span) -> Caller {
    Caller { breaker: Some((calls, window)), ..Caller::careful() }
}

#[test]
fn the_calls_until_a_breaker_opens_are_held_against_their_bound() {
    let two = Span::from_secs(2);
    // What fails at once is known to the last call.
    assert_eq!(answer(&opening(with_breaker(5, two), Break::Reset, 5)), (Answer::Pass, "<= 5"));
    let late = opening(with_breaker(40, two), Break::Reset, 5);
    let (told, reason) = answer(&late);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.starts_with("want <= 5; it opens after 4"), "{reason}");
    assert_eq!(late.why[0].cause, Cause::NoBreaker);
    assert!(late.why[0].change.contains("fewer failures"), "{:?}", late.why);
    // None at all is worse than a late one.
    let none = opening(Caller { breaker: None, ..Caller::careful() }, Break::Reset, 5);
    let (told, reason) = answer(&none);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.contains("no silent interval"), "{reason}");
    assert_eq!(none.why[0].cause, Cause::NoBreaker);
    // One may take more than there were.
    let more = opening(Caller { breaker: None, ..Caller::careful() }, Break::Reset, 100_000);
    let (told, reason) = answer(&more);
    assert_eq!(told, Answer::Inconclusive, "{reason}");
    assert!(reason.contains("than it may take"), "{reason}");
    // Nor is one missed of calls that are slow and never given up, if they are fewer.
    let slow = |at_most| opening(Caller::careless(), Break::Latency(Span::from_millis(800)), at_most);
    assert_eq!(answer(&slow(100_000)).0, Answer::Inconclusive, "{}", answer(&slow(100_000)).1);
    assert_eq!(answer(&slow(5)).0, Answer::Fail, "{}", answer(&slow(5)).1);
    // Too few failed for any breaker to be missed.
    let mut short = Golden::new("breaker", Caller { breaker: None, ..Caller::careful() }, Break::Reset);
    short.phases.fault = Span::from_secs(1);
    let rule = Rule::CallsToOpen { at_most: 5 };
    let short = judge(&short.expect("asked", Subject::Edge(Golden::edge()), rule, "<= 5").journal());
    assert_eq!(answer(&short).0, Answer::Inconclusive, "{}", answer(&short).1);
}

#[test]
fn calls_that_are_under_way_when_a_breaker_opens_leave_a_bound_among_them_open() {
    let hangs = |at_most| opening(with_breaker(5, Span::from_secs(2)), Break::Hang, at_most);
    let open = hangs(8);
    let (told, reason) = answer(&open);
    assert_eq!(told, Answer::Inconclusive, "{reason}");
    assert!(reason.contains("straddles 8: calls were under way"), "{reason}");
    assert!(open.row("asked").unwrap().settle.as_deref().unwrap().contains("`reset`"));
    assert_eq!(answer(&hangs(30)).0, Answer::Pass);
    assert_eq!(answer(&hangs(2)).0, Answer::Fail);
}

#[test]
fn how_often_an_open_breaker_tries_is_held_against_its_bound() {
    let two = || with_breaker(5, Span::from_secs(2));
    assert_eq!(answer(&trying(two(), Span::from_secs(2))), (Answer::Pass, ">= 2s"));
    let often = trying(two(), Span::from_secs(4));
    let (told, reason) = answer(&often);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.starts_with("want >= 4s; it tries again every 2.0"), "{reason}");
    assert!(often.why[0].change.contains("an open window of 4s at least"), "{:?}", often.why);
    let none = trying(Caller { breaker: None, ..Caller::careful() }, Span::from_secs(2));
    let (told, reason) = answer(&none);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.contains("no silent interval"), "{reason}");
}

#[test]
fn a_breaker_that_was_not_seen_to_try_twice_holds_only_to_what_was_seen() {
    // The fault is over before its first try.
    let long = || with_breaker(5, Span::from_secs(60));
    assert_eq!(answer(&trying(long(), Span::from_secs(15))), (Answer::Pass, ">= 15s"));
    let open = trying(long(), Span::from_secs(30));
    let (told, reason) = answer(&open);
    assert_eq!(told, Answer::Inconclusive, "{reason}");
    assert!(reason.starts_with("no try was seen in >= 1"), "{reason}");
}

#[test]
fn what_was_learned_of_a_breaker_holds_for_the_same_and_for_no_worse_one() {
    let mut journal = Golden::new("breaker", with_breaker(5, Span::from_secs(2)), Break::Reset).journal();
    let EventKind::RunStarted(brief) = &mut journal[0].kind else { panic!("it begins with its brief") };
    brief.learn = Learn::All;
    let block = judge(&journal).learned;
    assert!(block.contains("calls-to-open: \"<= 12\", half-open-every: \">= 1.9s\""), "{block}");
    assert_eq!(answer(&opening(with_breaker(5, Span::from_secs(2)), Break::Reset, 12)).0, Answer::Pass);
    assert_eq!(answer(&opening(with_breaker(15, Span::from_secs(2)), Break::Reset, 12)).0, Answer::Fail);
    let tries = |window| trying(with_breaker(5, window), Span::from_millis(1_900));
    assert_eq!(answer(&tries(Span::from_secs(2))).0, Answer::Pass);
    assert_eq!(answer(&tries(Span::from_millis(1_200))).0, Answer::Fail);
}

/// What became of each measure that both tell.
fn compared(old: Caller, new: Caller, broken: Break) -> Vec<(String, Change)> {
    let run = |caller| judge(&Golden::new("breaker", caller, broken).journal());
    let compared = compare(&Baseline::of(&run(old)), &run(new), 0.0).unwrap();
    assert_eq!(compared.is_worse(), compared.measures.iter().any(|one| one.change == Change::Worse));
    compared.measures.into_iter().map(|measure| (measure.id, measure.change)).collect()
}

fn change(all: &[(String, Change)], id: &str) -> Change {
    all.iter().find(|(of, _)| of == id).unwrap_or_else(|| panic!("no {id} in {all:?}")).1
}

#[test]
fn a_breaker_that_opens_after_more_calls_is_worse_than_in_the_run_before() {
    let (five, forty) = (with_breaker(5, Span::from_secs(2)), with_breaker(40, Span::from_secs(2)));
    let later = compared(five.clone(), forty.clone(), Break::Reset);
    assert_eq!(change(&later, "cart-cache.calls-to-open"), Change::Worse);
    assert_eq!(change(&later, "cart-cache.half-open-every"), Change::Same);
    assert_eq!(
        change(&compared(forty, five.clone(), Break::Reset), "cart-cache.calls-to-open"),
        Change::Better
    );
    for (id, change) in compared(five.clone(), five.clone(), Break::Reset) {
        assert_eq!(change, Change::Same, "{id}");
    }
    let longer = compared(five.clone(), with_breaker(5, Span::from_secs(5)), Break::Reset);
    assert_eq!(change(&longer, "cart-cache.half-open-every"), Change::Changed);
    // One that is gone is never the same.
    let gone = compared(five, Caller { breaker: None, ..Caller::careful() }, Break::Reset);
    for id in ["calls-to-open", "half-open-every", "closes"] {
        assert_eq!(change(&gone, &format!("cart-cache.{id}")), Change::Lost);
    }
}

#[test]
fn a_pool_that_has_grown_has_changed() {
    let pool = |places| Caller { pool: Some(places), ..Caller::careless() };
    let slow = Break::Latency(Span::from_millis(800));
    assert_eq!(change(&compared(pool(5), pool(15), slow), "cart-cache.pool"), Change::Changed);
    assert_eq!(change(&compared(pool(10), pool(10), slow), "cart-cache.pool"), Change::Same);
}

#[test]
fn a_run_that_is_in_doubt_tells_nothing_of_a_breaker_to_hold_another_against() {
    let ids = |golden: &Golden| -> Vec<String> {
        let measures = Baseline::of(&judge(&golden.journal())).measures;
        measures.into_iter().map(|measure| measure.id).filter(|id| id.contains("-open")).collect()
    };
    let sent = Golden::new("breaker", with_breaker(5, Span::from_secs(2)), Break::Reset);
    assert_eq!(ids(&sent), ["cart-cache.calls-to-open", "cart-cache.half-open-every"]);
    assert!(ids(&sent.with(Trouble::DroppingSender(20))).is_empty());
}
