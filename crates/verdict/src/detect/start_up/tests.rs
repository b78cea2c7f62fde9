//! A caller that is killed and started again while its edge is broken.

use murphy_core::{
    Answer, Answerer, ConnId, EdgeName, Event, EventKind, ExchangeEnd, FaultId, HttpCall, Learn, Offset,
    ProcessStatus, Protocol, Rule, RunBrief, ServiceName, Span, Subject, Tally,
};
use murphy_testkit::golden::{Break, Caller, Golden};

use super::*;
use crate::judge::judge;
use crate::judgement::{Cause, Detector, Finding, Judgement, State};

/// Milliseconds since the edge was broken, at which the caller is killed, comes up again, and the edge is whole again.
const KILLED: i64 = 6_000;
const STARTED: i64 = 8_000;
const BACK: i64 = 20_000;
const EVER: i64 = i64::MAX;

/// One more event, so many milliseconds after the edge was broken.
type More = (i64, EventKind);

fn fault(id: &str, from: i64, to: i64) -> [More; 2] {
    let fault = FaultId::new(id).unwrap();
    let tally = Tally { connections: 0, hits: 100, bytes: 0 };
    [(from, EventKind::FaultArmed { fault: fault.clone() }), (to, EventKind::FaultLifted { fault, tally })]
}

fn exited(cause: ExitCause) -> EventKind {
    let service = ServiceName::new("shop").unwrap();
    EventKind::ServiceExited { service, status: ProcessStatus::Code(1), cause, last_output: Vec::new() }
}

fn started() -> EventKind {
    EventKind::ServiceStarted { service: ServiceName::new("shop").unwrap(), pid: 7 }
}

/// A run in which the caller is killed while its edge is reset. Its probe is bad to what it is asked in these stretches, all in
/// milliseconds since the edge was broken.
fn restarted(bad: &[(i64, i64)], more: Vec<More>, change: impl Fn(&mut RunBrief)) -> Judgement {
    restarted_at(KILLED, bad, more, change)
}

fn restarted_at(
    killed: i64,
    bad: &[(i64, i64)],
    more: Vec<More>,
    change: impl Fn(&mut RunBrief),
) -> Judgement {
    judge(&journal_of(killed, bad, more, change))
}

fn journal_of(
    killed: i64,
    bad: &[(i64, i64)],
    more: Vec<More>,
    change: impl Fn(&mut RunBrief),
) -> Vec<Event> {
    let mut journal = Golden::new("starts", Caller::careful(), Break::Reset)
        .expect(
            "ready.start-up",
            Subject::Probe(Golden::probe()),
            Rule::StartUp { at_most: Span::from_secs(5) },
            "<= 5s",
        )
        .journal();
    let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let armed = armed.expect("a fault").at.as_micros() as i64;
    for event in &mut journal {
        match &mut event.kind {
            EventKind::RunStarted(brief) => {
                let mut kill = brief.faults[0].clone();
                (kill.id, kill.name) = (FaultId::new("kill-2").unwrap(), "kill".to_owned());
                (kill.edge, kill.on) = (None, "process shop".to_owned());
                brief.faults.push(kill);
                change(brief);
            }
            EventKind::Probe { asked, ok, .. } => {
                let asked = (asked.as_micros() as i64 - armed) / 1_000;
                *ok = !bad.iter().any(|(from, to)| (*from..*to).contains(&asked));
            }
            _ => {}
        }
    }
    let ends = [(killed, exited(ExitCause::Fault)), (STARTED, started()), (-armed / 1_000, started())];
    let all = fault("kill-2", killed, STARTED).into_iter().chain(ends).chain(more);
    journal.extend(all.map(|(at, kind)| {
        let at = Offset::from_micros(u64::try_from(armed + at * 1_000).unwrap_or(0));
        Event { seq: 0, at, kind }
    }));
    // The brief stays first, though a service is started at the same moment.
    journal[1..].sort_by_key(|event| event.at);
    journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
    journal
}

fn plain(bad: &[(i64, i64)]) -> Judgement {
    restarted(bad, Vec::new(), |_| {})
}

fn told(judgement: &Judgement) -> (&Finding, Answer) {
    let found = judgement.findings.iter().find(|finding| finding.detector == Detector::StartUp);
    (found.expect("a finding"), judgement.rows[0].answer)
}

#[test]
fn a_service_that_is_ready_before_its_dependency_is_back_starts_without_it() {
    let judgement = plain(&[(KILLED, 9_500)]);
    let (found, answer) = told(&judgement);
    assert!(matches!(found.state, State::Absent { .. }), "{found:?}");
    assert!(found.text.starts_with("shop starts without cart-cache: ready 2s after"), "{}", found.text);
    assert_eq!(answer, Answer::Pass);
    // Ready without it, and too late.
    let (_, answer) = told(&plain(&[(KILLED, 14_500)]));
    assert_eq!(answer, Answer::Fail);
}

#[test]
fn a_service_that_is_ready_only_once_its_dependency_is_back_or_never_does_not_start_without_it() {
    for (to, says) in [(BACK + 500, "ready only "), (EVER, "not ready again in the run")] {
        let judgement = plain(&[(KILLED, to)]);
        let (found, answer) = told(&judgement);
        assert!(found.is_present(), "{found:?}");
        assert!(found.text.contains(says), "{}", found.text);
        assert_eq!(answer, Answer::Fail);
        assert_eq!(judgement.why[0].cause, Cause::NeededToStart);
    }
}

#[test]
fn a_service_that_ends_at_its_start_needs_nothing_to_be_compared_with() {
    let more = vec![(STARTED + 300, exited(ExitCause::Itself)), (BACK + 100, started())];
    let judgement = restarted(&[(-EVER, -14_000), (KILLED, BACK + 500)], more, |_| {});
    let (found, _) = told(&judgement);
    assert!(found.is_present(), "{found:?}");
    assert!(found.text.contains("ended by itself (exit code 1) 300ms after its start"), "{}", found.text);
}

#[test]
fn a_service_that_is_ready_and_ends_by_itself_then_does_not_start_without_it() {
    let more = vec![(13_500, exited(ExitCause::Itself))];
    let judgement = restarted(&[(KILLED, 8_500), (13_500, BACK + 500)], more, |_| {});
    let (found, answer) = told(&judgement);
    assert!(found.is_present() && found.text.contains("5.5s after its start"), "{found:?}");
    assert_eq!(answer, Answer::Fail);
}

#[test]
fn a_call_that_was_held_and_let_go_at_the_lift_is_none_that_the_fault_missed() {
    let judged = |touched: bool, before: u64| {
        let mut journal = journal_of(KILLED, &[(KILLED, BACK + 500)], Vec::new(), |_| {});
        let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
        let armed = armed.expect("a fault").at.as_micros();
        let at = |millis: u64| Offset::from_micros(armed + millis * 1_000);
        let (began, ended) = (at(BACK.unsigned_abs() - before - 900), at(BACK.unsigned_abs() - before));
        // One of HTTP, whose answer tells that it is the service's own.
        let call = HttpCall {
            edge: EdgeName::new("cart-cache").unwrap(),
            conn: ConnId(70_000),
            method: "GET".to_owned(),
            route: "/".to_owned(),
            began,
            answered: Some(ended),
            ended,
            end: ExchangeEnd::Answered,
            by: None,
            status: Some(200),
            service_status: Some(200),
            answerer: Answerer::Service,
            reached: true,
            faults: Vec::new(),
            touched,
            attempt_of: None,
        };
        let kind = EventKind::Request(Box::new(call));
        let at = journal.partition_point(|event| event.at <= ended);
        journal.insert(at, Event { seq: 0, at: ended, kind });
        journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
        judge(&journal)
    };
    let (held, missed) = (judged(true, 1), judged(false, 1));
    assert!(told(&held).0.is_present(), "{:?}", told(&held).0);
    is_open(&missed, "was answered meanwhile");
    // As where somebody starts a killed callee again, long before Murphy does.
    is_open(&judged(true, 5_000), "was answered meanwhile");
}

#[test]
fn a_fault_that_met_nobody_kept_nothing_from_the_service_that_started_then() {
    let mut journal = journal_of(KILLED, &[(KILLED, 9_500)], Vec::new(), |brief| brief.learn = Learn::All);
    // Whom it calls, it calls past the edge.
    journal.retain(|event| !matches!(event.kind, EventKind::Exchange { .. }));
    for event in &mut journal {
        if let EventKind::FaultLifted { fault, tally } = &mut event.kind
            && fault.as_str() != "kill-2"
        {
            *tally = Tally::default();
        }
    }
    journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
    let judgement = judge(&journal);
    is_open(&judgement, "the fault had no effect (else: shop starts without cart-cache");
    let learned = &judgement.learned;
    assert!(learned.contains("expect:") && !learned.contains("start-up"), "{learned}");
}

fn is_open(judgement: &Judgement, says: &str) {
    let (found, answer) = told(judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    assert!(found.text.contains(says), "{}", found.text);
    assert_eq!(answer, Answer::Inconclusive);
}

#[test]
fn between_a_bad_answer_and_a_good_one_a_bound_is_not_known_to_hold_or_not() {
    let judgement = restarted(&[(KILLED, 9_500)], Vec::new(), |brief| {
        brief.expectations[0].rule = Rule::StartUp { at_most: Span::from_millis(1_500) };
    });
    let (found, answer) = told(&judgement);
    assert!(matches!(found.state, State::Absent { .. }), "{found:?}");
    assert_eq!(answer, Answer::Inconclusive, "{}", judgement.rows[0].reason);
}

#[test]
fn who_never_comes_up_again_and_never_calls_may_wait_for_something_else() {
    let mut journal = journal_of(KILLED, &[(KILLED, EVER)], Vec::new(), |_| {});
    let started = journal.iter().filter(|event| matches!(event.kind, EventKind::ServiceStarted { .. }));
    let started = started.map(|event| event.at).max().expect("a start");
    journal.retain(|event| !matches!(event.kind, EventKind::Exchange { began, .. } if began >= started));
    journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
    is_open(&judge(&journal), "never called cart-cache");
}

#[test]
fn a_service_that_always_takes_long_to_start_is_not_known_to_wait() {
    is_open(&plain(&[(-EVER, -14_000), (KILLED, BACK + 500)]), "takes up to 8s anyway");
}

#[test]
fn a_probe_that_was_bad_before_the_restart_may_follow_the_dependency() {
    is_open(&plain(&[(2_000, BACK + 500)]), "bad before shop was ended");
}

#[test]
fn a_restart_at_the_beginning_of_the_fault_does_not_tell_a_start_from_a_probe_that_follows() {
    let judgement = restarted_at(1_500, &[(1_500, BACK + 500)], Vec::new(), |_| {});
    is_open(&judgement, "asked 1 time in the fault before shop was ended");
}

#[test]
fn what_else_was_broken_may_be_why_it_did_not_start() {
    let more = Vec::from(fault("cpu-pressure-3", 7_000, 15_000));
    let judgement = restarted(&[(KILLED, BACK + 500)], more, |brief| {
        let mut other = brief.faults[0].clone();
        (other.id, other.name) = (FaultId::new("cpu-pressure-3").unwrap(), "cpu-pressure".to_owned());
        (other.edge, other.on) = (None, "this machine".to_owned());
        brief.faults.push(other);
    });
    is_open(&judgement, "cpu-pressure-3 was there as well");
}

#[test]
fn of_two_dependencies_that_were_down_none_is_named() {
    let more = Vec::from(fault("reset-3", 0, BACK));
    let judgement = restarted(&[(KILLED, BACK + 500)], more, |brief| {
        let pay = EdgeName::new("pay").unwrap();
        let mut edge = brief.edges[0].clone();
        (edge.name, edge.to, edge.protocol) = (pay.clone(), "payments:8080".to_owned(), Protocol::Tcp);
        brief.edges.push(edge);
        let mut other = brief.faults[0].clone();
        (other.id, other.edge) = (FaultId::new("reset-3").unwrap(), Some(pay));
        brief.faults.push(other);
    });
    is_open(&judgement, "started with cart-cache and pay down");
}

#[test]
fn without_a_restart_and_for_a_probe_that_does_not_notice_the_question_does_not_arise() {
    let unbroken = judge(&Golden::new("starts", Caller::careful(), Break::Reset).journal());
    let found = unbroken.findings.iter().find(|finding| finding.detector == Detector::StartUp);
    assert!(matches!(found.expect("a finding").state, State::NotApplicable { .. }));
    // Never bad, or only once it had been good again.
    for bad in [&[][..], &[(12_000, 15_000)]] {
        assert!(matches!(told(&plain(bad)).0.state, State::NotApplicable { .. }), "{bad:?}");
    }
}
