//! Edges that somebody else calls too, as a poller or a health check does, from journals whose truth is known.

use murphy_core::{Answer, ConnId, Event, EventKind, ExchangeEnd, Offset, Rule, Span, Subject};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, State, judge};

fn edge() -> Subject {
    Subject::Edge(Golden::edge())
}

fn fact(judgement: &Judgement, detector: Detector) -> &Finding {
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == detector && finding.subject == edge())
        .expect("every detector answers")
}

fn number(finding: &Finding, param: &str) -> f64 {
    finding.param(param).and_then(|reading| reading.value).unwrap_or_else(|| panic!("{}", finding.text))
}

fn at(journal: &[Event], wanted: fn(&EventKind) -> bool) -> u64 {
    journal.iter().find(|event| wanted(&event.kind)).expect("it is there").at.as_micros()
}

fn armed(journal: &[Event]) -> u64 {
    at(journal, |kind| matches!(kind, EventKind::FaultArmed { .. }))
}

fn lifted(journal: &[Event]) -> u64 {
    at(journal, |kind| matches!(kind, EventKind::FaultLifted { .. }))
}

/// The same run, in which somebody else calls so often, the first time at `first`; what is reset fails for these calls too.
fn polled(mut journal: Vec<Event>, first: u64, every: Span) -> Vec<Event> {
    let (armed, lifted) = (armed(&journal), lifted(&journal));
    let last = journal.last().map_or(0, |event| event.at.as_micros());
    let polls = (0u64..).map(|n| (n, first + n * every.as_micros()));
    for (n, began) in polls.take_while(|(_, began)| *began + 2_000 < last) {
        let ended = Offset::from_micros(began + 1_000);
        let broken = (armed..lifted).contains(&began);
        let kind = EventKind::Exchange {
            edge: Golden::edge(),
            conn: ConnId(1_000_000 + n),
            began: Offset::from_micros(began),
            answered: (!broken).then_some(ended),
            ended,
            end: if broken { ExchangeEnd::Failed } else { ExchangeEnd::Answered },
            touched: broken,
        };
        journal.push(Event { seq: 0, at: ended, kind });
    }
    journal.sort_by_key(|event| event.at);
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    journal
}

/// The same run, of a service whose cache spares it three calls in four while nothing is broken.
fn cached(mut journal: Vec<Event>) -> Vec<Event> {
    let armed = armed(&journal);
    let mut calls = 0;
    journal.retain(|event| {
        let EventKind::Exchange { began, .. } = &event.kind else { return true };
        calls += 1;
        began.as_micros() >= armed || calls % 4 == 0
    });
    for (seq, event) in journal.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    journal
}

#[test]
fn a_poller_beside_a_cache_is_not_taken_for_second_tries() {
    let judged = |attempts| {
        let mut golden = Golden::new("polled", Caller { attempts, ..Caller::careless() }, Break::Reset);
        golden.phases.baseline = Span::from_secs(40);
        judge(&polled(cached(golden.journal()), 70_000, Span::from_millis(200)))
    };
    let once = judged(1);
    let calls = fact(&once, Detector::Amplification);
    assert!(matches!(calls.state, State::Inconclusive { .. }), "{}", calls.text);
    assert!(calls.param("spared").is_some(), "{}", calls.text);
    assert!(!fact(&once, Detector::Attempts).is_present(), "{}", fact(&once, Detector::Attempts).text);
    // Who is seen to try again does, whoever else calls.
    let twice = judged(2);
    assert!(fact(&twice, Detector::Amplification).is_present());
}

/// A caller whose requests are alone: one every three seconds or so.
fn slowly(attempts: u32, every: Span) -> Judgement {
    let caller = Caller { attempts, back_off: Span::from_millis(100), ..Caller::careless() };
    let mut golden = Golden { rate: 0.3, ..Golden::new("polled", caller, Break::Reset) };
    golden.phases.baseline = Span::from_secs(300);
    golden.phases.fault = Span::from_secs(240);
    let rule = Rule::Attempts { at_most: attempts };
    let golden = golden.expect("cart.attempts", edge(), rule, "a bound");
    judge(&polled(golden.journal(), 70_000, every))
}

#[test]
fn a_question_of_somebody_else_while_a_request_is_alone_is_not_its_second_try() {
    let judgement = slowly(1, Span::from_millis(300));
    let found = fact(&judgement, Detector::Attempts);
    let State::Inconclusive { why, .. } = &found.state else { panic!("{}", found.text) };
    assert!(why.contains("no request asked for"), "{why}");
    let row = judgement.row("cart.attempts").expect("asserted");
    assert_eq!(row.answer, Answer::Inconclusive, "{}", row.reason);
}

#[test]
fn tries_are_counted_beside_somebody_who_asks_now_and_then() {
    let judgement = slowly(4, Span::from_secs(5));
    let found = fact(&judgement, Detector::Attempts);
    assert!(found.is_present(), "{}", found.text);
    assert!((number(found, "attempts") - 4.0).abs() < 0.1, "{}", found.text);
    let row = judgement.row("cart.attempts").expect("asserted");
    assert_eq!(row.answer, Answer::Pass, "{}", row.reason);
}

#[test]
fn a_question_of_somebody_else_before_a_breaker_closes_is_not_its_closing() {
    let caller = Caller { attempts: 1, breaker: Some((5, Span::from_secs(3))), ..Caller::careful() };
    let journal = Golden::new("polled", caller, Break::Reset).journal();
    let closes = |journal: &[Event]| {
        let judgement = judge(journal);
        number(fact(&judgement, Detector::Breaker), "closes")
    };
    let alone = closes(&journal);
    assert!(alone > 0.7, "the window reaches beyond the lift: {alone}");
    let closed = lifted(&journal) + (alone * 1e6) as u64;
    // Once a second, and 600 ms before it closes as well.
    let first = (closed - 600_000) % 1_000_000;
    let beside = closes(&polled(journal, first, Span::from_secs(1)));
    assert!((beside - alone).abs() < 0.25, "{beside} is not {alone}");
}

#[test]
fn questions_of_somebody_else_between_the_tries_of_a_breaker_are_not_tries_that_come_too_often() {
    let caller = Caller { attempts: 1, breaker: Some((5, Span::from_secs(5))), ..Caller::careful() };
    let rule = Rule::HalfOpenEvery { at_least: Span::from_secs(4) };
    let golden = Golden::new("polled", caller, Break::Reset).expect("asked", edge(), rule, ">= 4s");
    let journal = golden.journal();
    assert_eq!(judge(&journal).row("asked").expect("asserted").answer, Answer::Pass);
    let beside = judge(&polled(journal, 70_000, Span::from_secs(1)));
    let row = beside.row("asked").expect("asserted");
    assert_eq!(row.answer, Answer::Inconclusive, "{}", row.reason);
    assert!(row.reason.contains("no request asked for"), "{}", row.reason);
}
