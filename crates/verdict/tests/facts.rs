//! Expectations about facts, and what `learn: all` proposes, from journals whose truth is known.

use murphy_core::{
    Answer, Event, EventKind, FaultId, Frequency, HandDeed, Learn, Offset, Phase, RateRamp, Rule, Seed,
    Served, Span, Subject, Verdict,
};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden, Trouble};
use murphy_verdict::{Baseline, Cause, Detector, Finding, Hearing, Judgement, State, compare, judge};

/// A caller whose requests are alone: one every three seconds or so.
fn slowly(caller: Caller, broken: Break) -> Golden {
    let mut golden = Golden { rate: 0.3, ..Golden::new("facts", caller, broken) };
    golden.phases.baseline = Span::from_secs(300);
    golden.phases.fault = Span::from_secs(240);
    golden
}

fn persistent(back_off: u64) -> Caller {
    Caller {
        attempts: 4,
        back_off: Span::from_millis(back_off),
        timeout: Some(Span::from_millis(250)),
        ..Caller::careless()
    }
}

fn learning(mut journal: Vec<Event>) -> Vec<Event> {
    if let EventKind::RunStarted(brief) = &mut journal[0].kind {
        brief.learn = Learn::All;
    }
    journal
}

fn edge() -> Subject {
    Subject::Edge(Golden::edge())
}

fn users() -> Subject {
    Subject::Load(Golden::load())
}

fn fact<'a>(judgement: &'a Judgement, detector: Detector, subject: &Subject) -> &'a Finding {
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == detector && &finding.subject == subject)
        .expect("every detector answers")
}

fn answers(golden: &Golden) -> Vec<(String, Answer, String)> {
    let rows = judge(&golden.journal()).rows;
    rows.into_iter().map(|row| (row.id, row.answer, row.reason)).collect()
}

#[test]
fn waits_that_are_all_alike_are_constant_and_in_step() {
    let golden = slowly(persistent(100), Break::Reset)
        .expect("cart.back-off", edge(), Rule::BackOffGrows, "grows")
        .expect("cart.jitter", edge(), Rule::Jitter, "present");
    let judgement = judge(&golden.journal());
    let back_off = fact(&judgement, Detector::BackOff, &edge());
    let first = back_off.param("first").and_then(|first| first.value).expect("a first wait");
    assert!((0.099..=0.102).contains(&first), "{first}");
    assert_eq!(back_off.param("shape").map(|shape| shape.text.as_str()), Some("constant"));
    assert!(matches!(fact(&judgement, Detector::Jitter, &edge()).state, State::Absent { .. }));
    for (id, answer, reason) in answers(&golden) {
        assert_eq!(answer, Answer::Fail, "{id}: {reason}");
    }
    assert!(judgement.why.iter().all(|why| !why.change.is_empty()));
}

#[test]
fn a_caller_that_tries_once_has_no_back_off() {
    let judgement = judge(&slowly(Caller::careless(), Break::Reset).journal());
    assert!(matches!(fact(&judgement, Detector::BackOff, &edge()).state, State::NotApplicable { .. }));
}

#[test]
fn where_users_overlap_waits_are_not_guessed() {
    let judgement = judge(&Golden::new("facts", persistent(400), Break::Reset).journal());
    assert!(matches!(fact(&judgement, Detector::BackOff, &edge()).state, State::Inconclusive { .. }));
}

#[test]
fn a_stale_answer_makes_a_dependency_soft_and_an_error_hard() {
    let soft = |caller| {
        answers(&Golden::new("facts", caller, Break::Reset).expect(
            "browse.dependency",
            users(),
            Rule::Soft,
            "soft",
        ))
    };
    assert_eq!(soft(Caller::careful())[0].1, Answer::Pass);
    assert_eq!(soft(Caller::careless())[0].1, Answer::Fail);
}

/// The same run, of a service that never says how it came by an answer.
fn unsaid(mut journal: Vec<Event>) -> Vec<Event> {
    for event in &mut journal {
        if let EventKind::Sample(sample) = &mut event.kind {
            sample.served = Served::Fresh;
        }
    }
    journal
}

#[test]
fn answers_that_hide_that_nobody_was_asked_are_told_of_and_are_no_fallback() {
    let found = |caller, broken| {
        let journal = unsaid(Golden::new("facts", caller, broken).journal());
        fact(&judge(&journal), Detector::Fallback, &users()).clone()
    };
    for broken in [Break::Reset, Break::Hang] {
        let hidden = found(Caller::careful(), broken);
        assert!(matches!(hidden.state, State::Inconclusive { .. }), "{broken:?}: {}", hidden.text);
        assert!(hidden.text.contains("silent degradation"), "{broken:?}: {}", hidden.text);
        let share = hidden.param("unsaid").and_then(|unsaid| unsaid.value).expect("a share");
        assert!(share > 0.9, "{broken:?}: {share}");
    }
    // Whose calls are answered, if late, and who hands an error on, hide nothing.
    for (caller, broken) in [
        (Caller::careful(), Break::Latency(Span::from_millis(50))),
        (Caller::careless(), Break::Latency(Span::from_millis(50))),
        (Caller { stale: false, ..Caller::careful() }, Break::Reset),
    ] {
        let open = found(caller, broken);
        assert!(open.param("unsaid").is_none(), "{broken:?}: {}", open.text);
    }
}

#[test]
fn an_answer_after_the_lift_was_not_given_without_the_dependency() {
    // Who hangs until the lift is answered then, and well.
    let judgement = judge(&Golden::new("facts", Caller::careless(), Break::Hang).journal());
    let found = fact(&judgement, Detector::Dependency, &users());
    assert!(matches!(found.state, State::Present { .. }), "{found:?}");
    assert!(found.text.starts_with("hard: "), "{}", found.text);
}

/// It gives up after 250 ms, and has nothing else to answer with.
fn failing_fast() -> Caller {
    Caller { stale: false, attempts: 1, breaker: None, ..Caller::careful() }
}

#[test]
fn who_is_told_in_time_and_who_waits_are_told_apart_by_every_seed() {
    for seed in 1..=8 {
        for rate in [20.0, 40.0] {
            let found = |caller, broken| {
                let golden = Golden { seed: Seed(seed), rate, ..Golden::new("facts", caller, broken) };
                fact(&judge(&golden.journal()), Detector::FailFast, &users()).clone()
            };
            let at = format!("seed {seed} rate {rate}");
            let fast = found(failing_fast(), Break::Hang);
            assert!(fast.is_present(), "{at}: {}", fast.text);
            let errors = fast.param("errors-p95").and_then(|errors| errors.value).expect("all are errors");
            assert!((0.25..0.256).contains(&errors), "{at}: {errors}");
            assert!(fast.param("answers-p95").is_none(), "{at}");
            for broken in [Break::Reset, Break::Refuse] {
                assert!(found(Caller::careless(), broken).is_present(), "{at} {broken:?}");
            }
            let waits = found(Caller::careless(), Break::Hang);
            assert!(matches!(waits.state, State::Absent { .. }), "{at}: {}", waits.text);
        }
    }
}

#[test]
fn good_answers_are_no_failing_fast_however_soon_they_come() {
    let slow = Break::Latency(Span::from_millis(800));
    for (caller, broken) in [(Caller::careless(), slow), (Caller::careful(), Break::Nothing)] {
        let judgement = judge(&Golden::new("facts", caller, broken).journal());
        let found = fact(&judgement, Detector::FailFast, &users());
        assert!(matches!(found.state, State::NotApplicable { .. }), "{found:?}");
    }
}

#[test]
fn a_crash_is_no_failing_fast() {
    let crash = Trouble::Crash(Span::from_secs(3));
    let judgement = judge(&Golden::new("facts", failing_fast(), Break::Reset).with(crash).journal());
    let found = fact(&judgement, Detector::FailFast, &users());
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    let rule = Rule::FailFast { at_most: Span::from_secs(2) };
    let golden = Golden::new("facts", failing_fast(), Break::Reset).expect("a", users(), rule, "<= 2s");
    let judgement = judge(&golden.with(Trouble::Crash(Span::from_secs(3))).journal());
    assert_eq!(judgement.rows[0].answer, Answer::Inconclusive, "{}", judgement.rows[0].reason);
}

#[test]
fn who_waits_while_more_and_more_users_come_need_not_wait_for_the_fault() {
    let mut journal = Golden::new("facts", Caller::careless(), Break::Hang).journal();
    if let EventKind::RunStarted(brief) = &mut journal[0].kind {
        let to = brief.loads[0].rate.as_per_second() * 4.0;
        let to = Frequency::per_second(to).expect("a rate");
        brief.loads[0].ramp = Some(RateRamp { to, by: 2.0, every: Span::from_secs(5) });
    }
    let judgement = judge(&journal);
    for detector in [Detector::FailFast, Detector::Dependency] {
        let found = fact(&judgement, detector, &users());
        assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
        assert!(found.text.starts_with("a load was raised meanwhile"), "{}", found.text);
    }
}

#[test]
fn a_bound_on_any_answer_is_held_against_those_who_were_not_served_as_before() {
    let judged = |caller, broken, at_most: u64| {
        let rule = Rule::FailFast { at_most: Span::from_millis(at_most) };
        let golden = Golden::new("facts", caller, broken);
        judge(&golden.expect("browse.fail-fast", users(), rule, "as written").journal())
    };
    let slow = Break::Latency(Span::from_millis(800));
    for (caller, broken, at_most, answer) in [
        (failing_fast(), Break::Hang, 2_000, Answer::Pass),
        (failing_fast(), Break::Hang, 200, Answer::Fail),
        (Caller::careless(), Break::Hang, 2_000, Answer::Fail),
        (Caller::careless(), Break::Reset, 500, Answer::Pass),
        // Nobody was denied the usual answer within 2 s, and all were within 500 ms.
        (Caller::careless(), slow, 2_000, Answer::Pass),
        (Caller::careless(), slow, 500, Answer::Fail),
        // Users leave after 5 s: whether an answer would have come within 10 s cannot be seen.
        (Caller::careless(), Break::Hang, 10_000, Answer::Inconclusive),
        (failing_fast(), Break::Hang, 19_000, Answer::Inconclusive),
    ] {
        let judgement = judged(caller, broken, at_most);
        let row = &judgement.rows[0];
        assert_eq!(row.answer, answer, "{broken:?} {at_most}: {}", row.reason);
    }
    let waits = judged(Caller::careless(), Break::Hang, 2_000);
    assert_eq!(waits.why[0].cause, Cause::NoTimeout, "{}", waits.why[0].mechanism);
    assert!(waits.why[0].mechanism.contains("time to any answer"), "{}", waits.why[0].mechanism);
}

/// A probe that is to turn bad within 5 s of a fault.
fn follows() -> Golden {
    Golden::new("facts", Caller::careless(), Break::Reset).expect(
        "ready.follows",
        Subject::Probe(Golden::probe()),
        Rule::Follows { at_most: Span::from_secs(5) },
        "<= 5s",
    )
}

#[test]
fn a_probe_that_stays_good_follows_nothing() {
    let (_, answer, reason) = answers(&follows()).remove(0);
    assert_eq!(answer, Answer::Fail);
    assert!(reason.contains("stays good"), "{reason}");
}

#[test]
fn a_question_that_the_fault_found_open_does_not_spoil_the_baseline() {
    let mut journal = follows().journal();
    let at = |journal: &[Event], wanted: fn(&EventKind) -> bool| {
        journal.iter().find(|event| wanted(&event.kind)).expect("one such event").at.as_micros()
    };
    let armed = at(&journal, |kind| matches!(kind, EventKind::FaultArmed { .. }));
    let lifted = at(&journal, |kind| matches!(kind, EventKind::FaultLifted { .. }));
    let mut open = 0;
    for event in &mut journal {
        let ended = event.at.as_micros();
        if let EventKind::Probe { asked, ok, .. } = &mut event.kind {
            open += u64::from(asked.as_micros() < armed && armed < ended);
            *ok = ended < armed || lifted <= asked.as_micros();
        }
    }
    assert_eq!(open, 1, "asked before the fault, answered after it");
    let row = judge(&journal).rows.remove(0);
    assert_eq!(row.answer, Answer::Pass, "{}", row.reason);
}

/// A run with a fault of 5s and, 5s after it, one of 10s; the probe is bad to what it is asked in this stretch, in seconds from
/// the beginning of the first.
fn bad_between(from: u64, to: u64) -> Vec<Event> {
    let mut journal = Golden::new("facts", Caller::careful(), Break::Reset)
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .journal();
    let second: FaultId = "reset-2".parse().expect("a name");
    let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let armed = armed.expect("a fault").at.as_micros();
    let mut between = Vec::new();
    for event in &mut journal {
        match &mut event.kind {
            EventKind::RunStarted(brief) => {
                let mut fault = brief.faults[0].clone();
                fault.id = second.clone();
                brief.faults.push(fault);
            }
            EventKind::FaultLifted { fault, tally } => {
                let first = std::mem::replace(fault, second.clone());
                between.push((5_000_000, EventKind::FaultLifted { fault: first, tally: *tally }));
                between.push((10_000_000, EventKind::FaultArmed { fault: second.clone() }));
            }
            EventKind::Probe { asked, ok, .. } => {
                let since = asked.as_micros().saturating_sub(armed);
                *ok = !(from * 1_000_000..to * 1_000_000).contains(&since) || asked.as_micros() < armed;
            }
            _ => {}
        }
    }
    for (after, kind) in between {
        let at = Offset::from_micros(armed + after);
        let place = journal.iter().position(|event| event.at > at).expect("a later event");
        journal.insert(place, Event { seq: 0, at, kind });
    }
    journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
    journal
}

#[test]
fn a_probe_that_is_always_good_is_good_between_two_faults_as_well() {
    let row = |from, to| judge(&bad_between(from, to)).rows.remove(0);
    assert_eq!(row(0, 0).answer, Answer::Pass, "{}", row(0, 0).reason);
    let between = row(6, 9);
    assert_eq!(between.answer, Answer::Fail, "{}", between.reason);
    assert!(between.reason.contains("after the fault"), "{}", between.reason);
}

#[test]
fn a_call_that_the_fault_found_under_way_waits_in_it_like_any_other() {
    let caller = Caller { pool: Some(10), ..Caller::careless() };
    let mut journal = Golden { rate: 20.0, ..Golden::new("facts", caller, Break::Hang) }.journal();
    let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let before = armed.expect("a fault").at.as_micros() - 3_000;
    let (mut all, mut under_way) = (0, 0);
    for event in &mut journal {
        if let EventKind::Exchange { began, touched: true, .. } = &mut event.kind {
            all += 1;
            if under_way < 2 {
                (*began, under_way) = (Offset::from_micros(before), under_way + 1);
            }
        }
    }
    assert_eq!((all, under_way), (10, 2), "a pool of ten, two of which were at work");
    let judgement = judge(&journal);
    let timeout = fact(&judgement, Detector::Timeout, &edge());
    assert!(matches!(timeout.state, State::Absent { .. }), "{timeout:?}");
}

#[test]
fn a_shared_pool_makes_bystanders_suffer_and_one_of_its_own_does_not() {
    let state = |bystander| {
        let caller = Caller { pool: Some(8), ..Caller::careless() };
        let golden = Golden { bystander, rate: 20.0, ..Golden::new("facts", caller, Break::Hang) };
        let judgement = judge(&golden.journal());
        fact(&judgement, Detector::Isolation, &Subject::Load(Golden::bystander())).state.clone()
    };
    assert!(matches!(state(Bystander::Sharing), State::Absent { .. }));
    assert!(matches!(state(Bystander::Apart), State::Present { .. }));
}

#[test]
fn facts_of_a_journal_with_lost_events_are_taken_back() {
    let golden = Golden::new("facts", Caller::careful(), Break::Reset).with(Trouble::LostEvents(3));
    let decided = |finding: &&Finding| matches!(finding.state, State::Present { .. } | State::Absent { .. });
    assert_eq!(judge(&golden.journal()).findings.iter().filter(decided).count(), 0);
}

/// With something that was done by hand in the middle of it.
fn steered(mut journal: Vec<Event>) -> Vec<Event> {
    let middle = journal.len() / 2;
    let (at, deed) = (journal[middle].at, HandDeed::Done { text: "kill web-1".to_owned() });
    journal.insert(middle, Event { seq: 0, at, kind: EventKind::ByHand(Box::new(deed)) });
    for (seq, event) in (0..).zip(&mut journal) {
        event.seq = seq;
    }
    journal
}

#[test]
fn a_run_that_was_steered_states_no_fact_and_is_neither_a_lesson_nor_a_level_nor_a_baseline() {
    let whole = Golden::new("facts", Caller::careful(), Break::Latency(Span::from_millis(800))).journal();
    let (alone, touched) = (judge(&learning(whole.clone())), judge(&learning(steered(whole.clone()))));
    let decided = |judgement: &Judgement| {
        let is = |finding: &&Finding| matches!(finding.state, State::Present { .. } | State::Absent { .. });
        judgement.findings.iter().filter(is).count()
    };
    assert!(decided(&alone) > 0 && !alone.learned.is_empty());
    assert_eq!((decided(&touched), touched.learned.as_str()), (0, ""));

    let baseline = Baseline::of(&alone);
    assert!(!baseline.measures.is_empty() && Baseline::of(&touched).measures.is_empty());
    let compared = compare(&baseline, &touched, 0.0).unwrap();
    assert!(!compared.is_worse() && compared.is_doubtful());
    assert!(compared.doubts[0].contains("steered by hand: kill web-1"), "{:?}", compared.doubts);

    let unfit = |events: &[Event]| {
        let mut hearing = Hearing::default();
        events.iter().for_each(|event| hearing.take(event));
        hearing.answered(&Golden::load(), None).unfit
    };
    assert_eq!(unfit(&whole), None);
    let why = unfit(&steered(whole)).expect("nothing is decided");
    assert!(why.contains("steered by hand: kill web-1"), "{why}");
}

#[test]
fn what_is_learned_is_a_block_to_paste() {
    let journal = Golden::new("facts", Caller::careful(), Break::Latency(Span::from_millis(800))).journal();
    assert_eq!(judge(&journal).learned, "");
    let learned = judge(&learning(journal)).learned;
    for rule in [
        "expect:\n  browse: { success: \">= 99%\", may: [stale]",
        "breaker: opens",
        "timeout: \"<= 270ms\"",
        "recovery: \"<= ",
    ] {
        assert!(learned.contains(rule), "{rule} is not in\n{learned}");
    }
    let errors = learning(Golden::new("facts", failing_fast(), Break::Hang).journal());
    let learned = judge(&errors).learned;
    assert!(learned.contains("fail-fast: \"<= 270ms\""), "{learned}");
}

#[test]
fn a_level_whose_fault_was_never_in_the_world_decides_nothing() {
    let whole = Golden::new("level", Caller::careful(), Break::Latency(Span::from_millis(800))).journal();
    let answered = |events: &[Event]| {
        let mut hearing = Hearing::default();
        events.iter().for_each(|event| hearing.take(event));
        hearing.answered(&Golden::load(), None)
    };
    let held = answered(&whole);
    assert!(held.unfit.is_none() && held.n > 0, "{held:?}");
    // As the runner writes it for a fault that has waited in vain: neither armed nor lifted.
    let mut vain = whole.clone();
    for event in &mut vain {
        event.kind = match &event.kind {
            EventKind::FaultArmed { fault } => {
                EventKind::FaultNeverArmed { fault: fault.clone(), why: "db had 1 of 3 calls".to_owned() }
            }
            EventKind::FaultLifted { .. } => EventKind::PhaseStarted { phase: Phase::Recovery },
            _ => continue,
        };
    }
    let why = answered(&vain).unfit.expect("nothing is decided");
    assert!(why.contains("latency-1 was never armed: db had 1 of 3 calls"), "{why}");
    assert_eq!(judge(&vain).verdict, Verdict::Inconclusive);
    // Nor do good answers of a run that was ended before it.
    let mut early = whole;
    for event in &mut early {
        event.kind = match &event.kind {
            EventKind::FaultArmed { .. } => EventKind::Aborted { rule: "browse success < 5%".to_owned() },
            EventKind::FaultLifted { .. } => EventKind::PhaseStarted { phase: Phase::Recovery },
            _ => continue,
        };
    }
    let why = answered(&early).unfit.expect("nothing is decided");
    assert!(why.contains("latency-1 was never armed"), "{why}");
}

#[test]
fn users_who_go_on_failing_after_the_fault_are_told_from_those_who_get_better() {
    let keeps = |golden: Golden| {
        let journal = golden.journal();
        fact(&judge(&journal), Detector::Metastability, &users()).keeps_failing()
    };
    let hung = || Golden::new("facts", Caller::careless(), Break::Hang);
    assert!(keeps(hung().with(Trouble::SlowRecovery(Span::from_secs(60)))));
    assert!(!keeps(hung().with(Trouble::SlowRecovery(Span::from_secs(12)))));
    assert!(!keeps(hung()));
}
