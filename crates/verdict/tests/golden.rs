//! Journals with a known truth, and the answers that they must get.

use murphy_core::{
    Answer, Chance, ConnId, Event, EventKind, ExchangeEnd, Offset, Quantile, Rule, RunPart, SampleOutcome,
    Seed, Served, Span, Subject, SuccessRule, Tally, Verdict,
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

fn troubled(trouble: Trouble) -> Judgement {
    judge(
        &recovery(p99(success(Golden::new("a", Caller::careless(), Break::Reset), 0.99), 600), 10)
            .with(trouble)
            .journal(),
    )
}

#[test]
fn a_gate_that_fails_takes_answers_back_and_says_what_they_would_have_been() {
    for (trouble, id) in [
        (Trouble::SickBaseline(30), GateId::BaselineHealthy),
        (Trouble::DroppingSender(5), GateId::LoadSent),
        (Trouble::LostEvents(9), GateId::NothingLost),
    ] {
        let judgement = troubled(trouble);
        assert!(!judgement.gate(id).unwrap().holds, "{trouble:?}");
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{trouble:?}");
        let row = judgement.row("browse.success").unwrap();
        assert_eq!(row.gates, [id]);
        assert!(row.reason.contains("else FAIL"), "{}", row.reason);
        assert!(row.settle.as_ref().is_some_and(|settle| !settle.is_empty()));
    }
}

#[test]
fn a_fault_without_effect_proves_nothing() {
    let judgement = judge(&success(Golden::new("a", Caller::careful(), Break::Nothing), 0.99).journal());
    assert!(!judgement.gate(GateId::FaultTookEffect).unwrap().holds);
    assert_eq!(answer(&judgement, "browse.success"), Answer::Inconclusive);
    // Nor is it graceful when nothing is asserted.
    assert_eq!(
        judge(&Golden::new("a", Caller::careful(), Break::Nothing).journal()).verdict,
        Verdict::Inconclusive
    );
}

#[test]
fn a_late_sender_spoils_only_a_failure_that_its_lateness_explains() {
    let late = |at_most| {
        let golden =
            Golden::new("a", Caller::careless(), SLOW).with(Trouble::LateSender(Span::from_millis(80)));
        judge(&p99(golden, at_most).journal())
    };
    assert!(!late(600).gate(GateId::LoadOnTime).unwrap().holds);
    assert_eq!(answer(&late(600), "browse.p99"), Answer::Fail); // 809 ms of service alone
    assert_eq!(answer(&late(850), "browse.p99"), Answer::Inconclusive); // 889 ms, of which 80 are the sender's
    assert_eq!(answer(&late(900), "browse.p99"), Answer::Pass);
}

#[test]
fn a_crash_is_not_graceful_whatever_else_passes() {
    let golden = Golden::new("a", Caller::careful(), Break::Reset).with(Trouble::Crash(Span::from_secs(3)));
    let judgement = judge(&golden.journal());
    assert_eq!(judgement.verdict, Verdict::NotGraceful);
    let row = judgement.row("shop.alive").unwrap();
    assert_eq!((row.kind, row.answer), (RowKind::Alive, Answer::Fail));
    assert!(row.reason.contains("exit code 101") && row.reason.contains("unwrap()"), "{}", row.reason);
    // A dead caller calls nobody: that must not read as a breaker.
    let golden = on_edge(success(golden, 0.99), "b", Rule::BreakerOpens);
    let judgement = judge(&golden.journal());
    assert_eq!(answer(&judgement, "b"), Answer::Inconclusive);
    assert_eq!(judgement.why.iter().find(|why| why.row == "browse.success").unwrap().cause, Cause::Crash);
}

#[test]
fn a_process_that_the_fault_ended_is_no_crash() {
    let judgement = judge(&success(Golden::new("a", Caller::careful(), Break::Kill), 0.99).journal());
    assert!(judgement.rows.iter().all(|row| row.kind != RowKind::Alive));
    assert!(judgement.gate(GateId::FaultTookEffect).unwrap().text.contains("ended redis"));
}

#[test]
fn an_interrupted_run_is_partial_and_only_a_failure_is_certain() {
    let of = |caller: Caller| {
        let golden = Golden::new("a", caller, Break::Reset).with(Trouble::Interrupt(Span::from_secs(19)));
        judge(&success(golden, 0.95).journal())
    };
    let careful = of(Caller::careful());
    assert_eq!(careful.run.end, RunEnd::Interrupted { signal: "SIGINT".to_owned() });
    assert_eq!(answer(&careful, "browse.success"), Answer::Inconclusive);
    assert!(careful.row("browse.success").unwrap().reason.contains("passed so far"));
    assert_eq!(of(Caller::careless()).verdict, Verdict::NotGraceful);
    // A journal that stops in the middle is no better.
    let mut torn = success(Golden::new("a", Caller::careful(), Break::Reset), 0.95).journal();
    torn.truncate(torn.len() - 1);
    let torn = judge(&torn);
    assert_eq!((torn.run.end, torn.verdict), (RunEnd::Torn, Verdict::Inconclusive));
}

#[test]
fn a_probe_that_is_bad_once_fails_and_says_when() {
    let probe = Subject::Probe(Golden::probe());
    let golden = Golden::new("a", Caller::careful(), Break::Reset).expect(
        "ready.always",
        probe,
        Rule::Always,
        "always",
    );
    let with_bad_probe = |second: u64| {
        let mut journal: Vec<Event> = golden.journal();
        for event in &mut journal {
            if let EventKind::Probe { asked, ok, saw, .. } = &mut event.kind
                && asked.as_micros() / 1_000_000 == second
            {
                *ok = false;
                *saw = "503".to_owned();
            }
        }
        judge(&journal)
    };
    assert_eq!(answer(&judge(&golden.journal()), "ready.always"), Answer::Pass);
    let bad = with_bad_probe(30);
    assert_eq!(answer(&bad, "ready.always"), Answer::Fail);
    assert!(bad.row("ready.always").unwrap().reason.contains("503"));
    assert_eq!(answer(&with_bad_probe(10), "ready.always"), Answer::Inconclusive); // bad without any fault
    assert_eq!(answer(&with_bad_probe(1), "ready.always"), Answer::Pass); // warm-up is not counted
    // Asked half a millisecond before the fault was armed, and not answered by then: the fault's, not the baseline's.
    assert_eq!(answer(&with_bad_probe(22), "ready.always"), Answer::Fail);
}

#[test]
fn what_is_asked_of_a_probe_in_one_part_of_the_run_demands_nothing_in_the_others() {
    let probe = || Subject::Probe(Golden::probe());
    let good = |part: RunPart, seconds: u64| Rule::Good { part, after: Span::from_secs(seconds) };
    let golden = Golden::new("a", Caller::careful(), Break::Reset)
        .expect("ready.before", probe(), good(RunPart::Before, 0), "good")
        .expect("ready.during", probe(), good(RunPart::During, 0), "good")
        .expect("ready.after", probe(), good(RunPart::After, 0), "good")
        .expect("ready.within", probe(), good(RunPart::After, 5), "good within 5s")
        .expect("ready.never", probe(), good(RunPart::After, 3_000), "good within 50m");
    let journal = golden.journal();
    let at = |wanted: fn(&EventKind) -> bool| {
        journal.iter().find(|event| wanted(&event.kind)).unwrap().at.as_micros()
    };
    let lifted = at(|kind| matches!(kind, EventKind::FaultLifted { .. }));
    let armed = at(|kind| matches!(kind, EventKind::FaultArmed { .. }));
    // Bad to all that is asked in a stretch; the answers to each rule, in the order above.
    let bad_from = |from: u64, to: u64| {
        let mut journal = journal.clone();
        let mut changed = 0;
        for event in &mut journal {
            if let EventKind::Probe { asked, ok, saw, .. } = &mut event.kind
                && (from..to).contains(&asked.as_micros())
            {
                (*ok, *saw, changed) = (false, "503".to_owned(), changed + 1);
            }
        }
        assert!(changed > 0, "{from} {to}");
        let judgement = judge(&journal);
        let ids = ["before", "during", "after", "within"];
        (ids.map(|id| answer(&judgement, &format!("ready.{id}"))), judgement)
    };
    use Answer::{Fail, Inconclusive, Pass};
    const SECOND: u64 = 1_000_000;
    let (answers, broken) = bad_from(armed + SECOND, lifted);
    assert_eq!(answers, [Pass, Fail, Pass, Pass], "bad while it is broken, and right again afterwards");
    assert!(broken.row("ready.during").unwrap().reason.contains("after the fault: 503"), "{broken:#?}");
    assert_eq!(broken.row("ready.during").unwrap().kind, RowKind::Good);
    let (answers, late) = bad_from(lifted, lifted + 3 * SECOND);
    assert_eq!(answers, [Pass, Pass, Fail, Pass], "late, but within its time");
    assert!(late.row("ready.after").unwrap().reason.contains("503"), "{late:#?}");
    let (answers, lasting) = bad_from(lifted, lifted + 7 * SECOND);
    assert_eq!(answers, [Pass, Pass, Fail, Fail]);
    let reason = &lasting.row("ready.within").unwrap().reason;
    assert!(reason.contains("after the lift: 503"), "{reason}");
    // What was never good is no fault's doing.
    let (answers, _) = bad_from(10 * SECOND, 11 * SECOND);
    assert_eq!(answers, [Inconclusive; 4]);
    // Nobody asks so late.
    assert_eq!(answer(&judge(&journal), "ready.never"), Inconclusive);
}

#[test]
fn a_probe_is_held_to_the_end_of_the_recovery_also_where_nothing_is_sent() {
    let rule = Rule::Good { part: RunPart::After, after: Span::ZERO };
    let golden = Golden::new("a", Caller::careful(), Break::Reset)
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .expect("ready.after", Subject::Probe(Golden::probe()), rule, "good");
    let mut journal = golden.journal();
    journal.retain(|event| !matches!(event.kind, EventKind::Sample(_) | EventKind::LoadEnded { .. }));
    let lifted = journal.iter().find(|event| matches!(event.kind, EventKind::FaultLifted { .. })).unwrap();
    let lifted = lifted.at.as_micros();
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
        match &mut event.kind {
            EventKind::RunStarted(brief) => brief.loads.clear(),
            EventKind::Probe { asked, ok, .. } => *ok = *ok && asked.as_micros() < lifted + 2_000_000,
            _ => {}
        }
    }
    let judgement = judge(&journal);
    for id in ["ready.always", "ready.after"] {
        let row = judgement.row(id).unwrap();
        assert_eq!(row.answer, Answer::Fail, "{row:#?}");
        assert!(row.after.as_ref().is_some_and(|after| after.good < Some(after.n)), "{row:#?}");
    }
}

#[test]
fn a_freeze_is_not_credited_with_an_end_that_another_fault_brought() {
    let mut journal = success(Golden::new("a", Caller::careful(), Break::Kill), 0.99).journal();
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
        match &mut event.kind {
            EventKind::RunStarted(brief) => {
                brief.faults.iter_mut().for_each(|fault| fault.name = "freeze".into())
            }
            EventKind::FaultLifted { tally, .. } => *tally = Tally::default(),
            _ => {}
        }
    }
    assert!(!judge(&journal).gate(GateId::FaultTookEffect).unwrap().holds);
}

/// The same run with a second fault beside the first that touched nothing.
fn with_an_idle_fault(golden: &Golden, id: &str, on: &str) -> Vec<Event> {
    let mut journal = golden.journal();
    let second: murphy_core::FaultId = id.parse().unwrap();
    let copies: Vec<Event> = journal
        .iter()
        .filter_map(|event| {
            let kind = match &event.kind {
                EventKind::FaultArmed { .. } => EventKind::FaultArmed { fault: second.clone() },
                EventKind::FaultLifted { .. } => {
                    EventKind::FaultLifted { fault: second.clone(), tally: Tally::default() }
                }
                _ => return None,
            };
            Some(Event { kind, ..event.clone() })
        })
        .collect();
    if let EventKind::RunStarted(brief) = &mut journal[0].kind {
        let mut fault = brief.faults[0].clone();
        (fault.id, fault.on) = (second, on.to_owned());
        brief.faults.push(fault);
    }
    for copy in copies {
        let place = journal.iter().position(|event| event.seq == copy.seq).unwrap();
        journal.insert(place + 1, copy);
    }
    for (seq, event) in (0..).zip(&mut journal) {
        event.seq = seq;
    }
    journal
}

#[test]
fn of_two_kills_at_once_the_one_that_found_nothing_has_no_effect() {
    let golden = success(Golden::new("a", Caller::careful(), Break::Kill), 0.99);
    let judgement = judge(&with_an_idle_fault(&golden, "kill-2", "container elsewhere"));
    let gate = judgement.gate(GateId::FaultTookEffect).unwrap();
    assert!(!gate.holds && gate.text.contains("elsewhere"), "{}", gate.text);
}

#[test]
fn a_fault_that_touched_nothing_lives_not_on_what_another_one_hit_on_its_edge() {
    let golden = success(Golden::new("a", Caller::careful(), Break::Hang), 0.99);
    assert!(judge(&golden.journal()).gate(GateId::FaultTookEffect).unwrap().holds);
    let judgement = judge(&with_an_idle_fault(&golden, "corrupt-2", "the same edge"));
    let gate = judgement.gate(GateId::FaultTookEffect).unwrap();
    assert!(!gate.holds, "{}", gate.text);
    assert!(gate.text.contains("corrupt-2 hit nothing: what was hit was hit by"), "{}", gate.text);
    assert_eq!(answer(&judgement, "browse.success"), Answer::Inconclusive);
}
