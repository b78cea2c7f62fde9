//! Calls that say by a trace which one they are a try of, on an edge that many users share at once; and marks that tell nothing.

use std::collections::BTreeMap;

use murphy_core::{
    Answer, Answerer, AttemptOf, Event, EventKind, ExchangeEnd, HttpCall, Offset, Rule, Span, Subject,
};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, State, judge};

const BACK_OFF: u64 = 100_000;

/// Thirty users a second, each served within a third of a second: hardly one of them is alone.
fn crowd(attempts: u32) -> Golden {
    let caller = Caller { attempts, back_off: Span::from_micros(BACK_OFF), ..Caller::careless() };
    let subject = Subject::Edge(Golden::edge());
    Golden::new("marked", caller, Break::Reset).expect(
        "cart.attempts",
        subject,
        Rule::Attempts { at_most: 3 },
        "<= 3",
    )
}

/// Whose call it is, and the how manyth of it: the caller of a golden journal makes its first call 300 us after it was asked.
fn whose(golden: &Golden, events: &[Event]) -> BTreeMap<usize, (u64, u64)> {
    let mut begun: BTreeMap<Offset, Vec<usize>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if let EventKind::Exchange { began, .. } = &event.kind {
            begun.entry(*began).or_default().push(index);
        }
    }
    let mut whose = BTreeMap::new();
    for event in events {
        let EventKind::Sample(sample) = &event.kind else { continue };
        let Some(sent) = sample.sent else { continue };
        let mut at = sent.as_micros() + 300;
        for number in 0..u64::from(golden.caller.attempts) {
            let Some(index) = begun.get_mut(&Offset::from_micros(at)).and_then(Vec::pop) else { break };
            whose.insert(index, (sample.n, number));
            let EventKind::Exchange { ended, end: ExchangeEnd::Failed, .. } = &events[index].kind else {
                break;
            };
            at = ended.as_micros() + BACK_OFF;
        }
    }
    whose
}

/// The journal as an edge that speaks HTTP writes it: each call so often and with the mark that is said of its user and number.
fn speaking_http(golden: &Golden, told: impl Fn(u64, u64) -> (usize, Option<String>)) -> Vec<Event> {
    let events = golden.journal();
    let whose = whose(golden, &events);
    let mut written = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        let EventKind::Exchange { edge, conn, began, answered, ended, end, touched } = event.kind else {
            written.push(event);
            continue;
        };
        let (user, number) = whose.get(&index).expect("every call is somebody's");
        let (times, mark) = told(*user, *number);
        let status = (end == ExchangeEnd::Answered).then_some(200);
        let call = HttpCall {
            edge,
            conn,
            method: "GET".into(),
            route: "/cart".into(),
            began,
            answered,
            ended,
            end,
            by: None,
            status,
            service_status: status,
            answerer: if status.is_some() { Answerer::Service } else { Answerer::Nobody },
            reached: true,
            faults: Vec::new(),
            touched,
            attempt_of: mark.map(AttemptOf::Trace),
        };
        for _ in 0..times {
            let kind = EventKind::Request(Box::new(call.clone()));
            written.push(Event { seq: 0, at: event.at, kind });
        }
    }
    for (event, seq) in written.iter_mut().zip(0..) {
        event.seq = seq;
    }
    written
}

fn attempts(judgement: &Judgement) -> &Finding {
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == Detector::Attempts).expect("every detector answers")
}

/// Every other user has patience for two tries only.
fn made(user: u64, number: u64) -> usize {
    usize::from(user.is_multiple_of(2) || number < 2)
}

#[test]
fn tries_are_counted_by_the_trace_that_they_share_where_users_overlap() {
    let judgement =
        judge(&speaking_http(&crowd(4), |user, number| (made(user, number), Some(format!("trace-{user}")))));
    let found = attempts(&judgement);
    assert!(found.is_present() && found.text.contains("calls that say which one they are"), "{found:?}");
    assert_eq!(found.param("most").and_then(|most| most.value), Some(4.0), "{found:?}");
    let row = judgement.row("cart.attempts").expect("asserted");
    assert_eq!(row.answer, Answer::Fail, "{row:?}");
    // Three calls for each request in the mean are all that is seen without it.
    let unmarked = judge(&speaking_http(&crowd(4), |user, number| (made(user, number), None)));
    let row = unmarked.row("cart.attempts").expect("asserted");
    assert_ne!(row.answer, Answer::Fail, "{row:?}");
}

#[test]
fn marks_that_differ_from_try_to_try_are_not_believed() {
    let unmarked = judge(&speaking_http(&crowd(4), |_, _| (1, None)));
    let judgement =
        judge(&speaking_http(&crowd(4), |user, number| (1, Some(format!("trace-{user}-{number}")))));
    let found = attempts(&judgement);
    assert!(!matches!(found.state, State::Absent { .. }), "{found:?}");
    assert_eq!(found.text, attempts(&unmarked).text);
}

#[test]
fn calls_that_share_a_trace_in_health_too_are_no_tries() {
    let fan_out = judge(&speaking_http(&crowd(1), |user, _| (3, Some(format!("trace-{user}")))));
    let found = attempts(&fan_out);
    assert!(!found.is_present(), "{found:?}");
    assert_ne!(fan_out.row("cart.attempts").expect("asserted").answer, Answer::Fail);
}
