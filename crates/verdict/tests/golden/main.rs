//! Journals with a known truth, and the answers that they must get: what callers do, and whether one may trust the run
//! (`trust`), and what probes are asked (`probes`).

mod probes;
mod trust;

use murphy_core::{
    Answer, Chance, ConnId, Event, EventKind, ExchangeEnd, HandDeed, Offset, Quantile, Rule, RunPart,
    SampleOutcome, Seed, Served, Span, Subject, SuccessRule, Tally, Verdict,
};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden, Trouble};
use murphy_verdict::{Cause, Detector, GateId, Judgement, RowKind, RunEnd, State, judge};

const SLOW: Break = Break::Latency(Span::from_millis(800));

fn users() -> Subject {
    Subject::Load(Golden::load())
}

fn edge() -> Subject {
    Subject::Edge(Golden::edge())
}

fn share(fraction: f64) -> Chance {
    Chance::from_fraction(fraction).unwrap()
}

fn success(golden: Golden, least: f64) -> Golden {
    let rule = Rule::Success { rule: SuccessRule::AtLeast(share(least)), may: vec![Served::Stale] };
    golden.expect("browse.success", users(), rule, "as written")
}

fn p99(golden: Golden, at_most: u64) -> Golden {
    let at_most = Span::from_millis(at_most);
    let text = format!("<= {at_most}");
    golden.expect("browse.p99", users(), Rule::Latency { quantile: Quantile::P99, at_most }, &text)
}

fn recovery(golden: Golden, at_most: u64) -> Golden {
    golden.expect(
        "recovery",
        Subject::Run,
        Rule::Recovery { at_most: Span::from_secs(at_most) },
        "as written",
    )
}

fn on_edge(golden: Golden, id: &str, rule: Rule) -> Golden {
    golden.expect(id, edge(), rule, "as written")
}

fn answer(judgement: &Judgement, id: &str) -> Answer {
    judgement.row(id).unwrap_or_else(|| panic!("no row {id}")).answer
}

fn state<'a>(judgement: &'a Judgement, detector: Detector, subject: &Subject) -> &'a State {
    let of = |finding: &&murphy_verdict::Finding| finding.detector == detector && &finding.subject == subject;
    &judgement.findings.iter().find(of).expect("every detector speaks of every subject").state
}

fn retrying() -> Caller {
    let (timeout, back_off) = (Some(Span::from_millis(500)), Span::from_millis(300));
    Caller { breaker: None, timeout, back_off, ..Caller::careful() }
}

#[test]
fn a_careful_caller_is_graceful_under_every_fault_and_the_report_says_what_held() {
    for broken in [SLOW, Break::Hang, Break::Reset, Break::Kill] {
        let judgement = judge(
            &recovery(p99(success(Golden::new("a", Caller::careful(), broken), 0.99), 600), 10).journal(),
        );
        assert_eq!(judgement.verdict, Verdict::Graceful, "{broken:?} {judgement:#?}");
        assert!(judgement.saved_by.iter().any(|saved| saved.contains("breaker")), "{:?}", judgement.saved_by);
        assert!(judgement.saved_by.iter().any(|saved| saved.contains("stale")));
        assert!(judgement.why.is_empty());
    }
}

#[test]
fn a_careless_caller_fails_with_the_right_cause_under_every_fault() {
    for (broken, id, cause, word) in [
        (SLOW, "browse.p99", Cause::NoTimeout, "whole injected delay"),
        (Break::Hang, "browse.success", Cause::NoTimeout, "none of"),
        (Break::Reset, "browse.success", Cause::ErrorPassedOn, "refused or reset"),
        (Break::Refuse, "browse.success", Cause::ErrorPassedOn, "refused"),
        (Break::Kill, "browse.success", Cause::ErrorPassedOn, "refused or reset"),
    ] {
        let judgement =
            judge(&p99(success(Golden::new("a", Caller::careless(), broken), 0.99), 600).journal());
        assert_eq!(judgement.verdict, Verdict::NotGraceful, "{broken:?}");
        let why =
            judgement.why.iter().find(|why| why.row == id).unwrap_or_else(|| panic!("{broken:?}: {id}"));
        assert_eq!(why.cause, cause, "{broken:?}: {}", why.mechanism);
        assert!(why.mechanism.contains(word) && why.mechanism.contains("cart-cache"), "{}", why.mechanism);
        assert!(!why.change.is_empty());
    }
}

#[test]
fn retries_that_add_up_are_told_from_a_missing_timeout() {
    let judgement = judge(&p99(Golden::new("a", retrying(), SLOW), 600).journal());
    let why = &judgement.why[0];
    assert_eq!(why.cause, Cause::Retries, "{}", why.mechanism);
    assert!(why.mechanism.contains("x 2 attempts"), "{}", why.mechanism);
}

#[test]
fn a_timeout_without_a_fallback_is_named_as_that() {
    let caller = Caller { stale: false, attempts: 1, breaker: None, ..Caller::careful() };
    let judgement = judge(&success(Golden::new("a", caller, Break::Hang), 0.99).journal());
    assert_eq!(judgement.why[0].cause, Cause::NoFallback, "{}", judgement.why[0].mechanism);
}

#[test]
fn stale_answers_count_only_if_they_are_allowed() {
    let rule = Rule::Success { rule: SuccessRule::AtLeast(share(0.99)), may: Vec::new() };
    let golden =
        Golden::new("a", Caller::careful(), Break::Reset).expect("browse.success", users(), rule, ">= 99%");
    let judgement = judge(&golden.journal());
    assert_eq!(answer(&judgement, "browse.success"), Answer::Fail);
    assert_eq!(judgement.why[0].cause, Cause::DegradedAnswers);
}

#[test]
fn a_rate_that_straddles_its_bound_is_inconclusive_and_says_how_many_requests_settle_it() {
    // 300 requests without a failure show 98.7 %, not 99 %.
    let golden = Golden { rate: 15.0, ..Golden::new("a", Caller::careful(), Break::Reset) };
    let judgement = judge(&success(golden, 0.99).journal());
    let row = judgement.row("browse.success").unwrap();
    assert_eq!(row.answer, Answer::Inconclusive, "{row:#?}");
    assert!(
        row.settle.as_ref().is_some_and(|settle| settle.contains("about 381 requests")),
        "{:?}",
        row.settle
    );
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
}

#[test]
fn a_drop_against_the_baseline_is_a_question_of_non_inferiority() {
    let within = |golden: Golden, margin: f64| {
        let rule =
            Rule::Success { rule: SuccessRule::WithinOfBaseline(share(margin)), may: vec![Served::Stale] };
        answer(&judge(&golden.expect("browse.success", users(), rule, "within").journal()), "browse.success")
    };
    let careful = || Golden::new("a", Caller::careful(), Break::Reset);
    assert_eq!(within(careful(), 0.01), Answer::Pass);
    assert_eq!(within(Golden::new("a", Caller::careless(), Break::Reset), 0.01), Answer::Fail);
    assert_eq!(within(Golden { rate: 8.0, ..careful() }, 0.01), Answer::Inconclusive);
}

#[test]
fn a_quantile_is_decided_by_its_interval_over_all_requests() {
    let of = |caller: Caller, broken: Break, at_most| {
        answer(&judge(&p99(Golden::new("a", caller, broken), at_most).journal()), "browse.p99")
    };
    assert_eq!(of(Caller::careless(), SLOW, 900), Answer::Pass);
    assert_eq!(of(Caller::careless(), SLOW, 600), Answer::Fail);
    // Users who were never answered count at their age, never as fast, and never as missing.
    assert_eq!(of(Caller::careless(), Break::Hang, 4_900), Answer::Fail);
    assert_eq!(of(Caller::careless(), Break::Hang, 6_000), Answer::Inconclusive);
    // Some requests of a careful caller take one timeout, some take two.
    assert_eq!(of(Caller::careful(), SLOW, 400), Answer::Inconclusive);
}

#[test]
fn recovery_is_measured_from_the_acknowledged_lift_and_a_late_one_fails() {
    let late = |seconds, bound| {
        let golden = Golden::new("a", Caller::careless(), Break::Reset);
        judge(&recovery(golden.with(Trouble::SlowRecovery(Span::from_secs(seconds))), bound).journal())
    };
    let judgement = late(4, 10);
    let row = judgement.row("recovery").unwrap();
    assert_eq!(row.answer, Answer::Pass);
    let after = row.after.as_ref().unwrap();
    let (low, high) = (after.low.unwrap(), after.high.unwrap());
    // The truth of 4 s lies in the interval of the last bad and the first good window.
    assert!((3.0..=4.0).contains(&low) && (4.0..=5.0).contains(&high), "{after:?}");
    assert_eq!(answer(&late(8, 3), "recovery"), Answer::Fail);
    // Bad until 13 s of 15: no five good windows are left to see, but 13 s are not 10.
    assert_eq!(answer(&late(13, 10), "recovery"), Answer::Fail);
    assert_eq!(answer(&late(12, 14), "recovery"), Answer::Inconclusive);
    assert_eq!(late(8, 3).why[0].cause, Cause::SlowRecovery);
}

#[test]
fn a_timeout_is_held_against_its_bound_and_no_timeout_is_only_a_bound() {
    let of = |caller: Caller, broken: Break, at_most| {
        let rule = Rule::Timeout { at_most: Span::from_millis(at_most) };
        answer(&judge(&on_edge(Golden::new("a", caller, broken), "e", rule).journal()), "e")
    };
    assert_eq!(of(Caller::careful(), Break::Hang, 250), Answer::Pass);
    assert_eq!(of(retrying(), Break::Hang, 300), Answer::Fail);
    assert_eq!(of(Caller::careless(), Break::Hang, 500), Answer::Fail);
    // The fault holds calls for 800 ms: whether there is a timeout of 2 s cannot be seen.
    assert_eq!(of(Caller::careless(), SLOW, 2_000), Answer::Inconclusive);
    assert_eq!(of(Caller::careless(), Break::Reset, 500), Answer::Inconclusive);
}

/// Ten calls hold the pool until their users leave; the calls that follow are cut short by theirs. Seen in a real run.
#[test]
fn users_who_leave_a_full_pool_do_not_hide_that_there_is_no_timeout() {
    let golden = Golden::new("a", Caller { pool: Some(10), ..Caller::careless() }, Break::Hang);
    let golden = on_edge(success(golden, 0.99), "e", Rule::Timeout { at_most: Span::from_millis(400) });
    let mut journal = golden.journal();
    // The users' own patience ends ten calls that were held for it, and cuts others short as they come.
    let left: Vec<_> = journal
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Sample(sample) if sample.outcome == SampleOutcome::Timeout => Some(sample.ended),
            _ => None,
        })
        .collect();
    journal.retain(|event| !matches!(event.kind, EventKind::Exchange { touched: true, .. }));
    for (index, ended) in left.into_iter().enumerate() {
        let age = if index < 10 { 4_900_000 } else { 20_000 + index as u64 * 7_919 % 200_000 };
        let kind = EventKind::Exchange {
            edge: Golden::edge(),
            conn: ConnId(1_000 + index as u64),
            began: Offset::from_micros(ended.as_micros() - age),
            answered: None,
            ended,
            end: ExchangeEnd::GivenUp,
            touched: true,
        };
        journal.push(Event { seq: 0, at: ended, kind });
    }
    for (index, event) in journal.iter_mut().enumerate() {
        event.seq = index as u64;
    }
    let judgement = judge(&journal);
    assert_eq!(answer(&judgement, "e"), Answer::Fail, "{:#?}", judgement.row("e"));
    let why = judgement.why.iter().find(|why| why.row == "browse.success").unwrap();
    assert!(matches!(why.cause, Cause::NoTimeout | Cause::Queue), "{why:?}");
}

#[test]
fn a_caller_that_gives_up_without_closing_is_not_called_one_without_a_timeout() {
    let caller = Caller { closes: false, breaker: None, attempts: 1, ..Caller::careful() };
    let rule = Rule::Timeout { at_most: Span::from_millis(500) };
    let judgement = judge(&on_edge(Golden::new("a", caller, SLOW), "e", rule).journal());
    assert_eq!(answer(&judgement, "e"), Answer::Inconclusive);
    let row = judgement.row("e").unwrap();
    assert!(row.reason.contains("without closing"), "{}", row.reason);
}

#[test]
fn attempts_and_amplification_are_counted_and_bounded() {
    let of = |caller: Caller, broken: Break, at_most: u32| {
        let golden = on_edge(Golden::new("a", caller, broken), "attempts", Rule::Attempts { at_most });
        judge(&on_edge(golden, "amplification", Rule::Amplification { at_most: 1.2 }).journal())
    };
    let judgement = of(retrying(), SLOW, 2);
    assert_eq!(answer(&judgement, "attempts"), Answer::Pass, "{:#?}", judgement.row("attempts"));
    assert_eq!(answer(&judgement, "amplification"), Answer::Fail);
    assert_eq!(answer(&of(Caller::careless(), Break::Reset, 1), "attempts"), Answer::Pass);
    assert_eq!(answer(&of(Caller::careless(), Break::Reset, 1), "amplification"), Answer::Pass);
    let five = Caller { attempts: 5, back_off: Span::ZERO, breaker: None, ..Caller::careful() };
    let judgement = of(five, Break::Reset, 3);
    assert_eq!(answer(&judgement, "attempts"), Answer::Fail);
    assert!(
        matches!(state(&judgement, Detector::Attempts, &edge()), State::Present { params } if params["attempts"].value == Some(5.0))
    );
}

/// Sensitivity and specificity of the breaker and timeout detectors on twins, over seeds and rates.
#[test]
fn twins_are_told_apart_by_every_seed() {
    for seed in 1..=12 {
        for rate in [20.0, 40.0] {
            for broken in [SLOW, Break::Hang, Break::Reset] {
                let run = |caller: Caller| {
                    judge(&Golden { seed: Seed(seed), rate, ..Golden::new("a", caller, broken) }.journal())
                };
                let (with, without) = (run(Caller::careful()), run(Caller::careless()));
                let at = format!("seed {seed} rate {rate} {broken:?}");
                assert!(matches!(state(&with, Detector::Breaker, &edge()), State::Present { .. }), "{at}");
                assert!(
                    !matches!(state(&without, Detector::Breaker, &edge()), State::Present { .. }),
                    "{at}"
                );
                if broken == Break::Reset {
                    assert!(
                        matches!(state(&without, Detector::Breaker, &edge()), State::Absent { .. }),
                        "{at}"
                    );
                    continue;
                }
                let State::Present { params } = state(&with, Detector::Timeout, &edge()) else {
                    panic!("{at}")
                };
                let seen = params["timeout"].value.unwrap();
                assert!((seen - 0.250).abs() < 0.0075, "{at}: {seen}"); // within 3 %
                assert!(matches!(state(&without, Detector::Timeout, &edge()), State::Absent { .. }), "{at}");
            }
        }
    }
}

#[test]
fn the_window_of_a_breaker_is_measured() {
    let judgement = judge(&Golden::new("a", Caller::careful(), Break::Reset).journal());
    let State::Present { params } = state(&judgement, Detector::Breaker, &edge()) else {
        panic!("no breaker")
    };
    let silence = params["silence"].value.unwrap();
    assert!((1.9..2.2).contains(&silence), "{silence}");
    assert_eq!(params["calls-to-open"].value, Some(5.0));
    // One call tries whether it may close; after the lift it does so within one window.
    assert_eq!(params["probes"].value, Some(1.0), "{params:?}");
    assert!(params["closes"].value.is_some_and(|after| after <= 2.1), "{params:?}");
}

/// An exhausted pool silences the edge as a breaker does, but its users wait.
#[test]
fn a_full_pool_is_a_queue_and_not_a_breaker() {
    let caller = Caller { pool: Some(10), ..Caller::careless() };
    let hang = judge(&success(Golden::new("a", caller.clone(), Break::Hang), 0.99).journal());
    assert!(!matches!(state(&hang, Detector::Breaker, &edge()), State::Present { .. }));
    let slow = judge(&p99(Golden::new("a", caller, SLOW), 600).journal());
    let State::Present { params } = state(&slow, Detector::Pool, &edge()) else { panic!("no pool") };
    assert_eq!(params["limit"].value, Some(10.0));
    assert_eq!(slow.why[0].cause, Cause::Queue);
}

#[test]
fn refused_connections_are_never_called_a_breaker() {
    for caller in [Caller::careful(), Caller::careless()] {
        let judgement =
            judge(&on_edge(Golden::new("a", caller, Break::Refuse), "b", Rule::BreakerOpens).journal());
        assert_eq!(answer(&judgement, "b"), Answer::Inconclusive);
        assert!(judgement.gate(GateId::FaultTookEffect).unwrap().holds);
    }
}

#[test]
fn bystanders_are_isolated_or_not() {
    let of = |bystander, pool| {
        let caller = Caller { pool, ..Caller::careless() };
        let golden = Golden { bystander, ..Golden::new("a", caller, SLOW) };
        let rule = Rule::Isolation { loads: vec![Golden::bystander()] };
        judge(&golden.expect("isolation", Subject::Run, rule, "unharmed").journal())
    };
    assert_eq!(answer(&of(Bystander::Apart, Some(10)), "isolation"), Answer::Pass);
    let shared = of(Bystander::Sharing, Some(10));
    assert_eq!(answer(&shared, "isolation"), Answer::Fail);
    assert!(shared.why[0].mechanism.contains("cart-cache"), "{}", shared.why[0].mechanism);
}
