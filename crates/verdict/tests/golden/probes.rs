//! What is asked of probes, over the run and in its parts.

use super::*;

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
fn a_probe_that_turns_bad_while_a_load_is_raised_says_when_though_nothing_is_broken() {
    let probe = || Subject::Probe(Golden::probe());
    let during = Rule::Good { part: RunPart::During, after: Span::ZERO };
    let mut journal = Golden::new("a", Caller::careful(), Break::Nothing)
        .expect("ready.always", probe(), Rule::Always, "always")
        .expect("ready.during", probe(), during, "good")
        .journal();
    journal
        .retain(|event| !matches!(event.kind, EventKind::FaultArmed { .. } | EventKind::FaultLifted { .. }));
    for (event, seq) in journal.iter_mut().zip(0..) {
        event.seq = seq;
        match &mut event.kind {
            EventKind::RunStarted(brief) => {
                brief.faults.clear();
                let to = murphy_core::Frequency::per_second(100.0).unwrap();
                let every = Span::from_secs(5);
                brief.loads[0].ramp = Some(murphy_core::RateRamp { to, by: 2.0, every });
            }
            EventKind::Probe { asked, ok, saw, .. } if asked.as_micros() / 1_000_000 >= 30 => {
                (*ok, *saw) = (false, "503".to_owned());
            }
            _ => {}
        }
    }
    let judgement = judge(&journal);
    for id in ["ready.always", "ready.during"] {
        let row = judgement.row(id).unwrap();
        assert_eq!(
            (row.answer, row.reason.as_str()),
            (Answer::Fail, "bad 8s after the load was raised: 503")
        );
    }
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
fn a_probe_that_must_be_good_and_follows_what_is_broken_is_told_to_ask_a_dependency() {
    let probe = Subject::Probe(Golden::probe());
    // It gives calls up in time, so that nothing about them says why the probe is bad.
    let golden = Golden::new("a", Caller::careful(), Break::Hang);
    let golden = golden.expect("ready.always", probe, Rule::Always, "always");
    let mut journal = golden.journal();
    let at = |wanted: fn(&EventKind) -> bool| {
        journal.iter().find(|event| wanted(&event.kind)).unwrap().at.as_micros()
    };
    let lifted = at(|kind| matches!(kind, EventKind::FaultLifted { .. }));
    let armed = at(|kind| matches!(kind, EventKind::FaultArmed { .. }));
    for event in &mut journal {
        if let EventKind::Probe { asked, ok, saw, .. } = &mut event.kind
            && (armed..lifted).contains(&asked.as_micros())
        {
            (*ok, *saw) = (false, "503".to_owned());
        }
    }
    let judgement = judge(&journal);
    assert_eq!(answer(&judgement, "ready.always"), Answer::Fail);
    let why = judgement.why.iter().find(|why| why.row == "ready.always").unwrap();
    assert_eq!(why.cause, Cause::HealthCheck, "{why:?}");
    assert!(why.mechanism.contains("follows") && why.change.contains("restarts"), "{why:?}");
}
