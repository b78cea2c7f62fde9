//! Calls that say by a trace which one they are a try of, on an edge that many users share at once; and marks that tell nothing.

use std::collections::BTreeMap;

use murphy_core::{
    Answer, Answerer, AttemptOf, Event, EventKind, ExchangeEnd, HttpCall, LoadName, Offset, Rule, Sample,
    SampleOutcome, Served, Span, Subject,
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

/// The run with so many more requests, of another load: each was called for once before the fault, and once in it.
fn with_begun_before(mut events: Vec<Event>, requests: u64) -> Vec<Event> {
    let is_armed = |event: &&Event| matches!(event.kind, EventKind::FaultArmed { .. });
    let armed = events.iter().find(is_armed).expect("a fault").at.as_micros();
    let is_call = |event: &Event| match &event.kind {
        EventKind::Request(call) => Some((**call).clone()),
        _ => None,
    };
    let call = events.iter().find_map(is_call).expect("calls");
    for n in 0..requests {
        let first = armed - 200_000 + n * 1_000;
        for (began, touched) in [(first, false), (first + 300_000, true)] {
            let ended = Offset::from_micros(began + 500);
            let call = HttpCall {
                began: Offset::from_micros(began),
                answered: None,
                ended,
                end: ExchangeEnd::Failed,
                status: None,
                service_status: None,
                answerer: Answerer::Nobody,
                touched,
                attempt_of: Some(AttemptOf::Trace(format!("before-{n}"))),
                ..call.clone()
            };
            events.push(Event { seq: 0, at: ended, kind: EventKind::Request(Box::new(call)) });
        }
        let sample = Sample {
            load: LoadName::new("before").expect("a name"),
            n,
            intended: Offset::from_micros(first - 500),
            sent: Some(Offset::from_micros(first - 400)),
            ended: Offset::from_micros(first + 301_000),
            outcome: SampleOutcome::Status,
            status: Some(502),
            served: Served::Fresh,
            age: None,
            retry_after: None,
        };
        events.push(Event { seq: 0, at: sample.ended, kind: EventKind::Sample(sample) });
    }
    events.sort_by_key(|event| event.at);
    for (event, seq) in events.iter_mut().zip(0..) {
        event.seq = seq;
    }
    events
}

#[test]
fn the_later_tries_of_a_call_that_began_before_the_fault_are_not_all_of_its_tries() {
    let told = |events: &[Event]| {
        let judgement = judge(events);
        attempts(&judgement).param("attempts").map(|attempts| attempts.text.clone())
    };
    let events = || speaking_http(&crowd(4), |user, _| (1, Some(format!("trace-{user}"))));
    let without = told(&events());
    assert!(without.as_ref().is_some_and(|text| text.starts_with("4 (")), "{without:?}");
    assert_eq!(told(&with_begun_before(events(), 40)), without);
}

#[test]
fn tries_with_a_mark_that_a_breaker_cut_short_are_the_fewest() {
    // It opens after the hundredth failure in a row, while some have two tries behind them and some three.
    let cut = |failures| {
        let mut golden = crowd(4);
        golden.caller.breaker = Some((failures, Span::from_secs(60)));
        let judgement = judge(&speaking_http(&golden, |user, _| (1, Some(format!("trace-{user}")))));
        let found = attempts(&judgement);
        let param = |name| found.param(name).and_then(|reading| reading.value);
        (
            param("attempts"),
            param("least"),
            param("turned-away").is_some_and(|turned_away| turned_away > 100.0),
        )
    };
    assert_eq!(cut(400), (Some(4.0), None, true));
    let (exact, least, turned_away) = cut(40);
    assert!(exact.is_none() && least.is_some_and(|least| least <= 4.0) && turned_away, "{least:?}");
}
