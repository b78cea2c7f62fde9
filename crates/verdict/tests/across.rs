//! Requests that are in flight when the fault comes: what is called for them is nobody else's try.

use murphy_core::{
    ConnId, Event, EventKind, ExchangeEnd, LoadName, Offset, Sample, SampleOutcome, Served, Span, Subject,
};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, State, judge};

const SECOND: u64 = 1_000_000;

fn fact(judgement: &Judgement, detector: Detector) -> &Finding {
    let edge = Subject::Edge(Golden::edge());
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == detector && finding.subject == edge)
        .expect("every detector answers")
}

fn slow() -> LoadName {
    LoadName::new("slow").expect("a name")
}

/// The run with one more request, of another load: sent a second before the fault, tried for every 40 ms, and answered a minute into it.
fn with_a_long_request(mut journal: Vec<Event>) -> Vec<Event> {
    let is_armed = |event: &&Event| matches!(event.kind, EventKind::FaultArmed { .. });
    let armed = journal.iter().find(is_armed).expect("a fault").at.as_micros();
    let (sent, ended) = (armed - SECOND, armed + 60 * SECOND);
    let sample = Sample {
        load: slow(),
        n: 0,
        intended: Offset::from_micros(sent - 100),
        sent: Some(Offset::from_micros(sent)),
        ended: Offset::from_micros(ended),
        outcome: SampleOutcome::Status,
        status: Some(502),
        served: Served::Fresh,
        age: None,
        retry_after: None,
    };
    journal.push(Event { seq: 0, at: sample.ended, kind: EventKind::Sample(sample) });
    for n in 0..(60 * SECOND / 40_000 - 1) {
        let began = armed + n * 40_000 + 1_000;
        let ended = Offset::from_micros(began + 500);
        let kind = EventKind::Exchange {
            edge: Golden::edge(),
            conn: ConnId(1_000_000 + n),
            began: Offset::from_micros(began),
            answered: None,
            ended,
            end: ExchangeEnd::Failed,
            touched: true,
        };
        journal.push(Event { seq: 0, at: ended, kind });
    }
    journal.sort_by_key(|event| event.at);
    for (event, seq) in journal.iter_mut().zip(0..) {
        event.seq = seq;
    }
    journal
}

/// A caller that tries once, for a user every second or so.
fn once() -> Vec<Event> {
    let mut golden = Golden { rate: 1.0, ..Golden::new("across", Caller::careless(), Break::Reset) };
    golden.phases.baseline = Span::from_secs(120);
    golden.phases.fault = Span::from_secs(180);
    golden.journal()
}

#[test]
fn tries_of_a_request_that_began_before_the_fault_are_not_those_of_requests_beside_it() {
    let judgement = judge(&with_a_long_request(once()));
    let found = fact(&judgement, Detector::Attempts);
    assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
    assert_eq!(found.param("most").and_then(|most| most.value), Some(1.0), "{}", found.text);
    let waits = fact(&judgement, Detector::BackOff);
    assert!(!waits.is_present(), "{}", waits.text);
}

#[test]
fn calls_of_a_request_that_began_before_the_fault_are_no_amplification() {
    let alone = judge(&once());
    let beside = judge(&with_a_long_request(once()));
    let calls = |judgement: &Judgement| {
        let found = fact(judgement, Detector::Amplification);
        assert!(matches!(found.state, State::Absent { .. }), "{}", found.text);
        found.param("calls").and_then(|calls| calls.value).expect("they are counted")
    };
    let (alone, beside) = (calls(&alone), calls(&beside));
    assert!(beside >= alone && beside - alone <= 5.0, "{beside} calls, and {alone} without it");
}

#[test]
fn a_request_that_began_before_the_fault_is_no_user_of_it() {
    let judgement = judge(&with_a_long_request(once()));
    let users = |judgement: &Judgement| {
        fact(judgement, Detector::Amplification).param("requests").and_then(|requests| requests.value)
    };
    assert_eq!(users(&judgement), users(&judge(&once())));
    // It was answered with an error in the fault, and is not one of those who were.
    let of_it = |finding: &&Finding| finding.subject == Subject::Load(slow());
    assert!(judgement.findings.iter().filter(of_it).all(|finding| !finding.is_present()));
}
