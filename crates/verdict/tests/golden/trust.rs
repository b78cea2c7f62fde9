//! Whether a run proves anything: its gates, its end, and which fault did what.

use super::*;

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
fn a_run_that_was_steered_by_hand_answers_nothing_and_says_what_was_done() {
    let golden = recovery(p99(success(Golden::new("a", Caller::careless(), Break::Reset), 0.99), 600), 10);
    let mut journal = golden.journal();
    assert_eq!(answer(&judge(&journal), "browse.success"), Answer::Fail);
    assert_eq!(judge(&journal).gate(GateId::HandsOff), None, "it is not asked where nobody did anything");
    let fault: murphy_core::FaultId = "latency-by-hand-1".parse().unwrap();
    let text = || "latency 300ms".to_owned();
    let (edge, tally) = (Golden::edge(), Tally::default());
    let lifted = HandDeed::Lifted { edge: edge.clone(), fault: fault.clone(), text: text(), tally };
    let armed = HandDeed::Armed { edge, fault, text: text() };
    for (n, deed) in [armed, lifted].into_iter().enumerate() {
        let place = journal.len() / 2 + n;
        let at = journal[place].at;
        journal.insert(place, Event { seq: 0, at, kind: EventKind::ByHand(Box::new(deed)) });
    }
    for (seq, event) in (0..).zip(&mut journal) {
        event.seq = seq;
    }
    let judgement = judge(&journal);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let gate = judgement.gate(GateId::HandsOff).unwrap();
    assert!(!gate.holds);
    assert!(
        gate.text.starts_with("steered by hand: latency 300ms on ") && gate.text.ends_with(", and 1 more")
    );
    let row = judgement.row("browse.success").unwrap();
    assert_eq!(row.gates, [GateId::HandsOff]);
    assert_eq!(row.reason, "it was steered by hand (else FAIL)");
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
fn a_freeze_is_not_credited_with_an_end_that_another_fault_brought() {
    let mut journal = success(Golden::new("a", Caller::careful(), Break::Kill), 0.99).journal();
    for event in &mut journal {
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
