//! Runs whose writes are kept, gone, or there twice, by what the ledger gave back.

use murphy_core::{
    Answer, Event, EventKind, ExitCause, Offset, ProcessStatus, Rule, SampleOutcome, Seed, ServiceName,
    Subject, WriteIds,
};
use murphy_testkit::golden::{Break, Caller, Golden};

use super::*;
use crate::judge::judge;
use crate::judgement::{Detector, Judgement, State};
use crate::phase::Point;

/// A run whose load has a ledger; `back` makes what was found of the acknowledged writes.
fn run(caller: Caller, back: impl Fn(&[u64]) -> Option<ReadBack>) -> Judgement {
    run_with(caller, None, back)
}

/// The same, in which the store crashes at this microsecond.
fn run_with(caller: Caller, crash: Option<u64>, back: impl Fn(&[u64]) -> Option<ReadBack>) -> Judgement {
    run_beside(caller, crash, |all| back(all).map(|back| (back, Aside::default())))
}

/// A run whose writes are put into a queue: `kept`, with its dead letters, and what it holds still.
fn queued(found: impl Fn(&[u64]) -> (Vec<u64>, Option<Vec<u64>>, Option<Vec<u64>>)) -> Judgement {
    run_beside(Caller::careful(), None, |all| {
        let (kept, dead_letters, queued) = found(all);
        let aside = Aside { dead_letters: dead_letters.map(Kept::of), queued: queued.map(Kept::of) };
        Some((ReadBack::Settled { kept: Kept::of(kept) }, aside))
    })
}

fn run_beside(
    caller: Caller,
    crash: Option<u64>,
    back: impl Fn(&[u64]) -> Option<(ReadBack, Aside)>,
) -> Judgement {
    let users = Subject::Load(Golden::load());
    let golden = Golden::new("a", caller, Break::Hang)
        .expect("browse.lost", users.clone(), Rule::NoneLost, "none")
        .expect("browse.duplicates", users.clone(), Rule::NoneTwice, "none")
        .expect("browse.dead-letters", users, Rule::DeadLetters { at_most: 2 }, "<= 2");
    let mut events: Vec<Event> = golden.journal();
    if let Some(at) = crash.map(Offset::from_micros) {
        let kind = EventKind::ServiceExited {
            service: ServiceName::new("redis").unwrap(),
            status: ProcessStatus::Signal(9),
            cause: ExitCause::Itself,
            last_output: Vec::new(),
        };
        let place = events.iter().position(|event| event.at > at).expect("a later event");
        events.insert(place, Event { seq: 0, at, kind });
        events.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
    }
    let mut acknowledged = Vec::new();
    for event in &mut events {
        match &mut event.kind {
            EventKind::RunStarted(brief) => brief.loads[0].ledger = Some("GET http://a/".into()),
            EventKind::Sample(sample) if sample.outcome == SampleOutcome::Ok => {
                acknowledged.push(sample.n);
            }
            _ => {}
        }
    }
    if let Some((back, aside)) = back(&acknowledged) {
        let end = events.pop().expect("an end");
        let read = LedgerRead { asked: Offset::ZERO, ids: WriteIds::of(Seed(1)), back, aside };
        let kind = EventKind::LedgerRead { load: Golden::load(), read: Box::new(read) };
        events.push(Event { seq: end.seq, at: end.at, kind });
        events.push(Event { seq: end.seq + 1, ..end });
    }
    judge(&events)
}

fn settled(found: &[u64]) -> Option<ReadBack> {
    Some(ReadBack::Settled { kept: Kept::of(found.to_vec()) })
}

fn state(judgement: &Judgement, detector: Detector) -> (&State, &str) {
    let found = judgement.findings.iter().find(|finding| finding.detector == detector);
    let found = found.expect("a finding");
    (&found.state, &found.text)
}

#[test]
fn one_acknowledged_write_that_is_gone_is_a_loss_and_fails_what_was_asked() {
    let judgement = run(Caller::careful(), |all| settled(&[&all[..40], &all[41..]].concat()));
    let (found, text) = state(&judgement, Detector::Lost);
    assert!(matches!(found, State::Present { .. }), "{text}");
    assert!(
        text.starts_with("1 of ") && text.contains(" gone (") && text.contains("before the fault"),
        "{text}"
    );
    let row = judgement.row("browse.lost").unwrap();
    assert_eq!(row.answer, Answer::Fail, "{row:?}");
    assert!(judgement.why.iter().any(|why| why.row == "browse.lost" && why.change.contains("on disk")));
    assert!(matches!(state(&judgement, Detector::Duplicates).0, State::Absent { .. }));
    assert_eq!(judgement.row("browse.duplicates").unwrap().answer, Answer::Pass);
}

#[test]
fn a_write_that_is_kept_twice_is_a_duplicate_unless_all_are_named_twice() {
    let judgement = run(Caller::careful(), |all| settled(&[all, &all[7..9]].concat()));
    let (found, text) = state(&judgement, Detector::Duplicates);
    assert!(matches!(found, State::Present { .. }) && text.starts_with("2 of "), "{text}");
    assert_eq!(judgement.row("browse.duplicates").unwrap().answer, Answer::Fail);
    assert!(matches!(state(&judgement, Detector::Lost).0, State::Absent { .. }));
    let judgement = run(Caller::careful(), |all| settled(&[all, all].concat()));
    assert!(matches!(state(&judgement, Detector::Duplicates).0, State::Absent { .. }));
}

#[test]
fn writes_are_duplicates_also_where_most_are_kept_twice() {
    let judgement = run(Caller::careful(), |all| settled(&[all, &all[300..]].concat()));
    let (found, text) = state(&judgement, Detector::Duplicates);
    assert!(matches!(found, State::Present { .. }), "{text}");
}

#[test]
fn a_write_that_failed_and_is_kept_all_the_same_is_no_fault() {
    // All that was sent is there, though most users of the careless one saw an error.
    let judgement = run(Caller::careless(), |_| settled(&(0..5000).collect::<Vec<u64>>()));
    for detector in [Detector::Lost, Detector::Duplicates] {
        let (found, text) = state(&judgement, detector);
        assert!(matches!(found, State::Absent { .. }), "{text}");
    }
}

#[test]
fn what_cannot_be_read_or_does_not_settle_decides_nothing() {
    let failed = run(Caller::careful(), |_| Some(ReadBack::Failed { why: "refused".into() }));
    let changing =
        run(Caller::careful(), |all| Some(ReadBack::Changing { kept: Kept::of(all[..9].to_vec()) }));
    let never = run(Caller::careful(), |_| None);
    for (judgement, why) in [(failed, "refused"), (changing, "still changing"), (never, "not read back")] {
        let (found, text) = state(&judgement, Detector::Lost);
        assert!(matches!(found, State::Inconclusive { .. }) && text.contains(why), "{text}");
        assert_eq!(judgement.row("browse.lost").unwrap().answer, Answer::Inconclusive);
    }
}

#[test]
fn a_page_of_what_is_kept_shows_no_loss_but_one_that_ends_at_the_fault_does() {
    // 30 users a second: the fault begins after 22s.
    let latest = run(Caller::careful(), |all| settled(&all[all.len() - 200..]));
    let in_the_fault = run(Caller::careful(), |all| settled(&all[960..]));
    let first = run(Caller::careful(), |all| settled(&all[..100]));
    let none = run(Caller::careful(), |_| settled(&[]));
    for judgement in [latest, in_the_fault, first, none] {
        let (found, text) = state(&judgement, Detector::Lost);
        assert!(
            matches!(found, State::Inconclusive { .. }) && text.contains("not in what was read"),
            "{text}"
        );
    }
}

/// How many of the acknowledged writes had ended so long after the fault began, or before it was lifted.
fn ended_at(armed: i64, lifted: i64) -> [usize; 2] {
    let events = Golden::new("a", Caller::careful(), Break::Hang).journal();
    let micros = |at: Offset| i64::try_from(at.as_micros()).expect("a short run");
    let at =
        |is: fn(&EventKind) -> bool| micros(events.iter().find(|event| is(&event.kind)).expect("a fault").at);
    let begins = at(|kind| matches!(kind, EventKind::FaultArmed { .. })) + armed;
    let ends = at(|kind| matches!(kind, EventKind::FaultLifted { .. })) + lifted;
    [begins, ends].map(|until| {
        let done = |event: &&Event| match &event.kind {
            EventKind::Sample(sample) => sample.outcome == SampleOutcome::Ok && micros(sample.ended) < until,
            _ => false,
        };
        events.iter().filter(done).count()
    })
}

#[test]
fn all_that_is_gone_up_to_a_fault_or_from_one_on_is_a_loss() {
    let [begins, ends] = ended_at(0, 0);
    for at in [begins, ends] {
        for forgot in [
            run(Caller::careful(), |all| settled(&all[at..])),
            run(Caller::careful(), |all| settled(&all[..at])),
        ] {
            let (found, text) = state(&forgot, Detector::Lost);
            assert!(matches!(found, State::Present { .. }), "{at}: {text}");
        }
    }
}

#[test]
fn all_that_is_gone_up_to_a_crash_in_the_midst_of_a_fault_is_a_loss() {
    const LATER: i64 = 5_000_000;
    let events = Golden::new("a", Caller::careful(), Break::Hang).journal();
    let armed = events.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let crash = armed.expect("a fault").at.as_micros() + LATER.unsigned_abs();
    let [at, _] = ended_at(LATER, 0);
    let forgot = |crash| run_with(Caller::careful(), crash, |all| settled(&all[at..]));
    let (crashed, calm) = (forgot(Some(crash)), forgot(None));
    let (found, text) = state(&crashed, Detector::Lost);
    assert!(matches!(found, State::Present { .. }), "{text}");
    let (found, text) = state(&calm, Detector::Lost);
    assert!(matches!(found, State::Inconclusive { .. }), "{text}");
}

#[test]
fn a_page_that_ends_beside_a_fault_and_not_in_its_beginning_or_end_is_no_loss() {
    // 30 users a second: the latest hundred of a recovery of 5s begin 1.7s after the lift.
    for at in ended_at(-1_000_000, 1_700_000).into_iter().chain(ended_at(1_000_000, 600_000)) {
        let page = run(Caller::careful(), |all| settled(&all[at..]));
        let (found, text) = state(&page, Detector::Lost);
        assert!(matches!(found, State::Inconclusive { .. }), "{at}: {text}");
    }
}

#[test]
fn an_expected_answer_that_is_no_2xx_acknowledges_nothing() {
    let write = |status| {
        let point = Point {
            n: 1,
            intended: 0,
            sent: Some(0),
            ended: 1,
            outcome: SampleOutcome::Ok,
            status: Some(status),
            served: murphy_core::Served::Fresh,
            age: None,
            retry_after: None,
        };
        Write::of(&point).is_some_and(|write| write.acknowledged)
    };
    assert!(write(201) && !write(503) && !write(302));
}

#[test]
fn a_load_without_a_ledger_has_no_such_finding() {
    let judgement = judge(&Golden::new("a", Caller::careful(), Break::Hang).journal());
    let of_ledger = |detector: Detector| matches!(detector, Detector::Lost | Detector::Duplicates);
    assert!(!judgement.findings.iter().any(|finding| of_ledger(finding.detector)));
}

#[test]
fn what_a_queue_holds_and_its_dead_letters_are_not_lost_and_are_counted() {
    let but_four = |all: &[u64]| [&all[..5], &all[9..]].concat();
    let judgement = queued(|all| (but_four(all), Some(all[5..7].to_vec()), Some(all[7..9].to_vec())));
    let (found, text) = state(&judgement, Detector::Lost);
    assert!(matches!(found, State::Absent { .. }), "{text}");
    assert!(
        text.contains("are there") && text.ends_with("; 2 with the dead letters, 2 queued still"),
        "{text}"
    );
    let lost = judgement.findings.iter().find(|finding| finding.detector == Detector::Lost);
    let count = |name: &str| lost.and_then(|finding| finding.param(name)).and_then(|reading| reading.value);
    assert_eq!([count("dead-lettered"), count("queued")], [Some(2.0), Some(2.0)]);
    assert_eq!(judgement.row("browse.lost").unwrap().answer, Answer::Pass);
    assert_eq!(judgement.row("browse.duplicates").unwrap().answer, Answer::Pass);

    // The same, with a queue that has forgotten them, and one that nobody asked.
    for forgotten in [Some(Vec::new()), None] {
        let judgement = queued(|all| (but_four(all), Some(all[5..7].to_vec()), forgotten.clone()));
        let (found, text) = state(&judgement, Detector::Lost);
        assert!(matches!(found, State::Present { .. }), "{text}");
        assert!(text.starts_with("2 of ") && text.ends_with("; 2 with the dead letters"), "{text}");
        assert_eq!(judgement.row("browse.lost").unwrap().answer, Answer::Fail);
    }
}

#[test]
fn effects_are_counted_and_not_deliveries() {
    // A delivery timed out whose effect was made, and was given up after that.
    let judgement = queued(|all| (all.to_vec(), Some(all[5..7].to_vec()), Some(Vec::new())));
    let (found, text) = state(&judgement, Detector::Duplicates);
    assert!(matches!(found, State::Absent { .. }), "{text}");
    let judgement = queued(|all| ([all, &all[5..7]].concat(), Some(all[5..7].to_vec()), Some(Vec::new())));
    let (found, text) = state(&judgement, Detector::Duplicates);
    assert!(matches!(found, State::Present { .. }) && text.starts_with("2 of "), "{text}");
}

#[test]
fn a_write_that_is_kept_and_queued_still_may_be_kept_twice_yet() {
    let judgement = queued(|all| (all.to_vec(), None, Some(all[5..6].to_vec())));
    let (found, text) = state(&judgement, Detector::Duplicates);
    assert!(matches!(found, State::Inconclusive { .. }), "{text}");
    assert!(text.starts_with("1 of ") && text.contains("kept and queued all the same"), "{text}");
    assert!(matches!(state(&judgement, Detector::Lost).0, State::Absent { .. }));
}

#[test]
fn so_many_dead_letters_are_held_against_the_bound_and_none_where_nobody_asked() {
    let dead = |count: usize| queued(move |all| (all[count..].to_vec(), Some(all[..count].to_vec()), None));
    for (count, answer) in [(0, Answer::Pass), (2, Answer::Pass), (3, Answer::Fail)] {
        let judgement = dead(count);
        let row = judgement.row("browse.dead-letters").unwrap();
        assert_eq!(row.answer, answer, "{count}: {row:?}");
        assert_eq!(row.during.as_ref().and_then(|during| during.value), Some(count as f64));
        let told = judgement
            .why
            .iter()
            .any(|why| why.row == "browse.dead-letters" && why.change.contains("put aside"));
        assert_eq!(told, answer == Answer::Fail, "{count}");
    }
    let judgement = run(Caller::careful(), settled);
    let row = judgement.row("browse.dead-letters").unwrap();
    assert!(row.answer == Answer::Inconclusive && row.reason.contains("nobody asked"), "{row:?}");
}

#[test]
fn writes_that_are_queued_still_may_end_with_the_dead_letters_yet() {
    let with = |dead: usize, waiting: usize| {
        let back = queued(move |all| {
            let aside = dead + waiting;
            (all[aside..].to_vec(), Some(all[..dead].to_vec()), Some(all[dead..aside].to_vec()))
        });
        let row = back.row("browse.dead-letters").unwrap();
        (row.answer, row.reason.clone())
    };
    assert_eq!(with(1, 1).0, Answer::Pass);
    let (answer, reason) = with(1, 2);
    assert!(answer == Answer::Inconclusive && reason.contains("queued still"), "{reason}");
    assert_eq!(with(3, 2).0, Answer::Fail);
}
