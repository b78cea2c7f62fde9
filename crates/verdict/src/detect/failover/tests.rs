//! Callers of two instances, one of which is sick for a while.

use murphy_core::{
    Answer, ConnId, EdgeName, Event, EventKind, ExchangeEnd, Offset, Rule, SampleOutcome, Subject,
};
use murphy_testkit::golden::{Break, Caller, Golden};

use crate::judge::judge;
use crate::judgement::{Detector, Finding, GateId, Judgement, State};

/// Whom one user's request is sent to, in turn, until a call succeeds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Sick,
    Well,
}

/// A run in which `choose` says whom the request of a user is sent to: at a microsecond, while the instance is sick or not,
/// told how many of its calls failed so far. The fault lasts from 22s to 42s, and 30 users come a second.
fn run(choose: impl FnMut(u64, u64) -> Vec<To>) -> Judgement {
    judge(&events(choose))
}

fn events(mut choose: impl FnMut(u64, u64) -> Vec<To>) -> Vec<Event> {
    let other = EdgeName::new("cart-cache-2").unwrap();
    let sick = Subject::Edge(Golden::edge());
    let golden =
        Golden::new("a", Caller::careless(), Break::Reset).expect("e.failover", sick, Rule::Ejects, "ejects");
    let mut events = golden.journal();
    let of = |events: &[Event], wanted: fn(&EventKind) -> bool| {
        events.iter().find(|event| wanted(&event.kind)).expect("an event").at.as_micros()
    };
    let armed = of(&events, |kind| matches!(kind, EventKind::FaultArmed { .. }));
    let lifted = of(&events, |kind| matches!(kind, EventKind::FaultLifted { .. }));
    events.retain(|event| !matches!(event.kind, EventKind::Exchange { .. }));
    let (mut calls, mut failed) = (Vec::new(), 0);
    for event in &mut events {
        match &mut event.kind {
            EventKind::RunStarted(brief) => {
                brief.edges[0].instance_of = Some("cart".to_owned());
                let mut second = brief.edges[0].clone();
                second.name = other.clone();
                brief.edges.push(second);
            }
            EventKind::Sample(sample) => {
                let mut at = sample.intended.as_micros() + 500;
                sample.outcome = SampleOutcome::Status;
                for to in choose(at, failed) {
                    let fails = to == To::Sick && (armed..lifted).contains(&at);
                    let ended = Offset::from_micros(at + 1_000);
                    let kind = EventKind::Exchange {
                        edge: if to == To::Sick { Golden::edge() } else { other.clone() },
                        conn: ConnId(1),
                        began: Offset::from_micros(at),
                        answered: (!fails).then_some(ended),
                        ended,
                        end: if fails { ExchangeEnd::Failed } else { ExchangeEnd::Answered },
                        touched: fails,
                    };
                    calls.push(Event { seq: 0, at: ended, kind });
                    at += 1_200;
                    failed += u64::from(fails);
                    if !fails {
                        sample.outcome = SampleOutcome::Ok;
                        break;
                    }
                }
                sample.ended = Offset::from_micros(at + 300);
                event.at = sample.ended;
            }
            _ => {}
        }
    }
    let end = events.pop().expect("an end");
    events.extend(calls);
    events.sort_by_key(|event| event.at);
    events.push(Event { at: events[events.len() - 1].at.max(end.at), ..end });
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    events
}

fn finding(judgement: &Judgement) -> &Finding {
    let sick = Subject::Edge(Golden::edge());
    let found = judgement.findings.iter();
    let mut found = found.filter(|found| found.detector == Detector::Failover && found.subject == sick);
    found.next().expect("a finding")
}

fn turn(n: &mut u64) -> [To; 2] {
    *n += 1;
    if n.is_multiple_of(2) { [To::Sick, To::Well] } else { [To::Well, To::Sick] }
}

/// Takes the instance out after `most` failures, for so many seconds; then one call tries it.
fn ejecting(most: u64, seconds: u64) -> impl FnMut(u64, u64) -> Vec<To> {
    let (mut n, mut until, mut known) = (0, 0, 0);
    move |at, failed| {
        if failed > known && failed >= most {
            until = at + seconds * 1_000_000;
        }
        known = failed;
        if at < until { vec![To::Well] } else { turn(&mut n).to_vec() }
    }
}

/// Fails at once, for so many seconds from so many failures on, where it is the instance's turn; the other's turns go on.
fn dropping(most: u64, seconds: u64) -> impl FnMut(u64, u64) -> Vec<To> {
    let (mut n, mut until, mut known) = (0, 0, 0);
    move |at, failed| {
        if failed > known && failed >= most {
            until = at + seconds * 1_000_000;
        }
        known = failed;
        let first = turn(&mut n)[0];
        if first == To::Sick && at < until { Vec::new() } else { vec![first] }
    }
}

#[test]
fn an_instance_that_is_taken_out_is_named_with_its_calls_and_its_way_back() {
    let judgement = run(ejecting(3, 4));
    let found = finding(&judgement);
    assert!(found.is_present(), "{}", found.text);
    let value = |name: &str| found.param(name).and_then(|reading| reading.value).unwrap();
    assert_eq!(value("calls"), 3.0, "{}", found.text);
    // One try each 4s of what is left of 20s.
    assert!(found.param("residual").unwrap().good == Some(4), "{}", found.text);
    assert!(value("time") < 1.0 && value("back") < 4.3, "{}", found.text);
    assert!(found.text.ends_with("users are served all the same (100%)"), "{}", found.text);
    assert_eq!(judgement.row("e.failover").unwrap().answer, Answer::Pass);
    assert!(found.param("weights").unwrap().text.starts_with("equal"));
}

#[test]
fn a_second_try_elsewhere_hides_the_failure_and_is_no_failover() {
    let mut n = 0;
    let judgement = run(|_, _| turn(&mut n).to_vec());
    let found = finding(&judgement);
    assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
    assert!(found.text.ends_with("users are served all the same (100%)"), "{}", found.text);
    let row = judgement.row("e.failover").unwrap();
    assert_eq!(row.answer, Answer::Fail, "{row:?}");
    assert!(judgement.why.iter().any(|why| why.change.contains("take an instance out")));
}

#[test]
fn turns_that_go_on_as_before_are_no_failover_and_users_notice() {
    let mut n = 0;
    let judgement = run(|_, _| turn(&mut n)[..1].to_vec());
    let found = finding(&judgement);
    assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
    assert!(found.text.contains("users notice"), "{}", found.text);
}

#[test]
fn silence_on_an_instance_that_was_never_called_tells_nothing() {
    let judgement = run(|_, _| vec![To::Well]);
    let found = finding(&judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{}", found.text);
    assert_eq!(judgement.row("e.failover").unwrap().answer, Answer::Inconclusive);
}

#[test]
fn a_caller_that_stops_calling_all_instances_does_not_fail_over() {
    let mut all = ejecting(5, 6);
    let judgement = run(move |at, failed| match all(at, failed)[..] {
        [To::Well] => Vec::new(),
        [first, ..] => vec![first],
        [] => Vec::new(),
    });
    let found = finding(&judgement);
    assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
    assert!(found.text.contains("the other instances too"), "{}", found.text);
}

#[test]
fn calls_that_are_dropped_and_not_moved_are_no_failover() {
    let breaker_each = run(dropping(5, 6));
    // Ten places for each instance, all of them held until the fault is lifted.
    let pool_each = run(dropping(10, 20));
    for judgement in [breaker_each, pool_each] {
        let found = finding(&judgement);
        assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
        assert!(found.text.starts_with("its calls were dropped, not moved"), "{}", found.text);
        assert!(found.text.contains("users notice"), "{}", found.text);
        assert_eq!(judgement.row("e.failover").unwrap().answer, Answer::Fail);
    }
}

#[test]
fn calls_that_seem_dropped_where_the_load_was_sent_late_tell_nothing() {
    let mut events = events(dropping(5, 6));
    for event in &mut events {
        if let EventKind::Sample(sample) = &mut event.kind {
            let late = Offset::from_micros(sample.intended.as_micros() + 50_000);
            (sample.sent, sample.ended) = (Some(late), sample.ended.max(late));
        }
    }
    let judgement = judge(&events);
    assert!(!judgement.gate(GateId::LoadOnTime).unwrap().holds);
    let found = finding(&judgement);
    let State::Inconclusive { why, .. } = &found.state else { panic!("{}", found.text) };
    assert!(why.contains("sent late"), "{why}");
    assert_eq!(judgement.row("e.failover").unwrap().answer, Answer::Inconclusive);
}

/// The same run, in which each call that fails does so only after this long.
fn slow_to_fail(events: &mut [Event], wait: u64) {
    for event in events {
        if let EventKind::Exchange { began, ended, end: ExchangeEnd::Failed, .. } = &mut event.kind {
            *ended = Offset::from_micros(began.as_micros() + wait);
        }
    }
}

#[test]
fn a_caller_that_had_no_time_to_know_does_not_stay_in() {
    // In 20s of fault with windows of 5s, calls must have failed within 15s.
    for (wait, absent) in [(8_000_000, true), (14_500_000, false)] {
        let mut n = 0;
        let mut events = events(|_, _| turn(&mut n)[..1].to_vec());
        slow_to_fail(&mut events, wait);
        let judgement = judge(&events);
        let found = finding(&judgement);
        assert_eq!(matches!(found.state, State::Absent { .. }), absent, "{}", found.text);
        assert_eq!(found.text.contains("too few to know"), !absent, "{}", found.text);
    }
}

#[test]
fn an_instance_without_a_fault_is_asked_nothing() {
    let mut n = 0;
    let judgement = run(|_, _| turn(&mut n).to_vec());
    let other = Subject::Edge(EdgeName::new("cart-cache-2").unwrap());
    let mut found = judgement.findings.iter().filter(|found| found.subject == other);
    let found = found.find(|found| found.detector == Detector::Failover).expect("a finding");
    assert!(matches!(found.state, State::NotApplicable { .. }), "{}", found.text);
}
