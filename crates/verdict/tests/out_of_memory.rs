//! Want of memory in a journal: a crash says it, what a fault has ended is a note and no crash, and so is what lived on.

use murphy_core::{ContainerIdentity, Event, EventKind, ExitCause, Offset, Span};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Judgement, judge};

fn web() -> ContainerIdentity {
    ContainerIdentity { id: "4".repeat(64), name: "shop-web-1".to_owned() }
}

fn starved() -> EventKind {
    EventKind::ContainerOom { container: web(), service: Some("web".to_owned()) }
}

fn exited(code: i64, cause: ExitCause) -> EventKind {
    let last_output = vec!["12 orders wait".to_owned(), " ".to_owned()];
    EventKind::ContainerExited { container: web(), service: Some("web".to_owned()), code, cause, last_output }
}

/// A run in which this happens so long after the fault came into the world.
fn judged(happens: Vec<(Span, EventKind)>) -> Judgement {
    let mut journal = Golden::new("oom", Caller::careful(), Break::Reset).journal();
    let armed = journal.iter().position(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let begun = journal[armed.expect("a fault")].at.as_micros();
    for (after, kind) in happens {
        let at = Offset::from_micros(begun + after.as_micros());
        let place = journal.iter().position(|event| event.at > at).expect("a later event");
        journal.insert(place, Event { seq: 0, at, kind });
    }
    (0..).zip(&mut journal).for_each(|(seq, event)| event.seq = seq);
    judge(&journal)
}

fn millis(count: u64) -> Span {
    Span::from_millis(count)
}

fn alive(judgement: &Judgement) -> Option<&str> {
    judgement.row("web.alive").map(|row| row.reason.as_str())
}

fn notes(judgement: &Judgement) -> Vec<&str> {
    judgement.notes.iter().map(String::as_str).filter(|note| note.contains("memory")).collect()
}

#[test]
fn a_crash_for_want_of_memory_says_so_whichever_of_the_two_is_told_first() {
    let (oom, exit) = (|at| (millis(at), starved()), |at| (millis(at), exited(137, ExitCause::Itself)));
    for happens in [vec![oom(500), exit(510)], vec![exit(500), oom(510)]] {
        let judgement = judged(happens);
        let reason = alive(&judgement).expect("a row");
        assert!(reason.contains("web ended by itself (signal 9, out of memory)"), "{reason}");
        assert!(reason.ends_with(": 12 orders wait"), "{reason}");
        assert!(notes(&judgement).is_empty(), "it is told once: {:?}", judgement.notes);
    }
}

#[test]
fn one_want_of_memory_that_is_told_twice_round_its_exit_is_one() {
    let both =
        |cause| vec![(millis(500), starved()), (millis(510), exited(137, cause)), (millis(520), starved())];
    let judgement = judged(both(ExitCause::Itself));
    assert!(alive(&judgement).is_some_and(|reason| reason.contains("out of memory")), "{:?}", judgement.rows);
    assert!(notes(&judgement).is_empty(), "{:?}", judgement.notes);
    // What ends later, and otherwise, ends for another reason; a kill long after it as well.
    for code in [1, 137] {
        let mut happens = both(ExitCause::Fault);
        happens.push((millis(3_000), exited(code, ExitCause::Fault)));
        let judgement = judged(happens);
        let notes = notes(&judgement);
        assert!(matches!(notes[..], [note] if note.contains(", 1 time: ")), "{notes:?}");
    }
}

#[test]
fn an_end_that_is_a_faults_deed_is_no_crash_and_is_told_with_its_last_line() {
    let end = |at| [(millis(at), starved()), (millis(at + 10), exited(137, ExitCause::Fault))];
    let judgement = judged([end(500), end(900)].concat());
    assert_eq!(alive(&judgement), None);
    assert_eq!(
        notes(&judgement),
        [
            "web ran out of memory under the fault, 2 times: its end is the fault's deed and no crash; its last line: \
          12 orders wait"
        ]
    );
}

#[test]
fn a_service_that_lives_on_without_one_of_its_processes_is_told_of() {
    let judgement = judged(vec![(millis(500), starved())]);
    assert_eq!(alive(&judgement), None);
    assert_eq!(
        notes(&judgement),
        ["web lived on after the kernel had killed a process of it, out of memory"]
    );
    // A kill of long before is another one.
    let early = (millis(100), exited(137, ExitCause::Itself));
    let judgement = judged(vec![early, (millis(1_200), starved())]);
    assert!(alive(&judgement).is_some_and(|reason| reason.contains("(signal 9)")), "{:?}", judgement.rows);
    assert_eq!(notes(&judgement).len(), 1);
}
