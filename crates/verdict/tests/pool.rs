//! `pool: "<= 20"` on an edge, from journals whose truth is known: ten places and a queue before them, or no limit at all.

use murphy_core::{Answer, EventKind, Learn, Rule, Span, Subject};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Cause, Judgement, judge};

/// Thirty users a second, whose calls take 800 ms: more than twenty want a place at any time.
fn judged(places: Option<usize>, at_most: u32) -> Judgement {
    let caller = Caller { pool: places, ..Caller::careless() };
    let rule = Rule::Pool { at_most };
    let want = format!("<= {at_most}");
    let golden = Golden::new("places", caller, Break::Latency(Span::from_millis(800)));
    judge(&golden.expect("cart-cache.pool", Subject::Edge(Golden::edge()), rule, &want).journal())
}

fn answer(judgement: &Judgement) -> (Answer, &str) {
    let row = judgement.row("cart-cache.pool").expect("a row for what was asked");
    (row.answer, row.reason.as_str())
}

#[test]
fn a_pool_is_held_against_its_bound() {
    let within = judged(Some(10), 10);
    assert_eq!(answer(&within), (Answer::Pass, "<= 10, where calls stop"));
    let beyond = judged(Some(10), 8);
    assert_eq!(answer(&beyond), (Answer::Fail, "want <= 8; calls in flight stop at 10"));
    let [why] = &beyond.why[..] else { panic!("{:?}", beyond.why) };
    assert_eq!(why.cause, Cause::NoLimit);
    assert!(why.change.starts_with("at most 8 calls at once on cart-cache"), "{why:?}");
}

#[test]
fn without_a_limit_only_more_calls_than_the_bound_decide() {
    let many = judged(None, 10);
    let (told, reason) = answer(&many);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.contains("were in flight at once, and no limit was seen"), "{reason}");
    // That so many were never wanted shows no pool.
    let few = judged(None, 500);
    assert_eq!(answer(&few), (Answer::Inconclusive, "no limit was seen, nor more than 500 calls at once"));
}

#[test]
fn where_it_is_open_whether_there_is_a_limit_more_calls_than_the_bound_fail_all_the_same() {
    // Four seconds are too few to tell the ten places from chance.
    let briefly = |at_most: u32| {
        let caller = Caller { pool: Some(10), ..Caller::careless() };
        let mut golden = Golden::new("places", caller, Break::Latency(Span::from_millis(800)));
        golden.phases.fault = Span::from_secs(4);
        let (rule, want) = (Rule::Pool { at_most }, format!("<= {at_most}"));
        judge(&golden.expect("cart-cache.pool", Subject::Edge(Golden::edge()), rule, &want).journal())
    };
    let beyond = briefly(8);
    let (told, reason) = answer(&beyond);
    assert_eq!(told, Answer::Fail, "{reason}");
    assert!(reason.contains("10 or more were in flight for half of the time"), "{reason}");
    assert_eq!(answer(&briefly(10)).0, Answer::Inconclusive);
}

/// The block that is proposed.
fn learned(caller: Caller, broken: Break) -> String {
    let mut journal = Golden::new("places", caller, broken).journal();
    if let EventKind::RunStarted(brief) = &mut journal[0].kind {
        brief.learn = Learn::All;
    }
    judge(&journal).learned
}

#[test]
fn what_was_learned_of_a_pool_holds_for_the_same_run_and_for_no_larger_one() {
    let ten = Caller { pool: Some(10), ..Caller::careless() };
    let block = learned(ten, Break::Latency(Span::from_millis(800)));
    assert!(block.contains("pool: \"<= 11\""), "{block}");
    assert_eq!(answer(&judged(Some(10), 11)).0, Answer::Pass);
    assert_eq!(answer(&judged(Some(12), 11)).0, Answer::Fail);
    let none = learned(Caller::careless(), Break::Hang);
    assert!(none.starts_with("expect:\n") && !none.contains("pool"), "{none}");
}
