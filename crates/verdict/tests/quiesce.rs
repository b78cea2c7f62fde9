//! A service that stays down until its load is stopped and begun again, told from one that is broken for good, and the two
//! phases in which that is tried kept out of everything else.

use std::collections::BTreeMap;

use murphy_core::{
    Answer, ConnId, Event, EventKind, ExchangeEnd, ExitCause, LoadName, Offset, Phase, ProcessStatus, Rule,
    SampleOutcome, ServiceName, Span, Subject,
};
use murphy_testkit::golden::{Break, Bystander, Caller, Golden, Trouble};
use murphy_verdict::{Cause, Detector, Finding, Judgement, State, judge};

const WATCHED: u64 = 62_000_000;
const QUIET: u64 = 20_000_000;

fn users() -> Subject {
    Subject::Load(Golden::load())
}

fn bad_for(seconds: u64) -> Golden {
    let mut golden = Golden::new("quiesce", Caller::careless(), Break::Hang)
        .with(Trouble::SlowRecovery(Span::from_secs(seconds)))
        .expect("browse.metastability", users(), Rule::NotMetastable, "none")
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }, "<= 10s");
    golden.phases.recovery = Span::from_secs(100);
    golden
}

/// When the load is stopped.
fn stopped(events: &[Event]) -> u64 {
    let lifted = events.iter().find(|event| matches!(event.kind, EventKind::FaultLifted { .. }));
    lifted.expect("it is lifted").at.as_micros() + WATCHED
}

/// In order, and with each event numbered, and each request of its load, as the runner does it.
fn in_order(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| event.at);
    let mut samples: Vec<&mut murphy_core::Sample> = events
        .iter_mut()
        .filter_map(|event| match &mut event.kind {
            EventKind::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect();
    samples.sort_by_key(|sample| sample.n);
    let mut counts: BTreeMap<LoadName, u64> = BTreeMap::new();
    for sample in samples {
        let count = counts.entry(sample.load.clone()).or_default();
        sample.n = *count;
        *count += 1;
    }
    for (event, seq) in events.iter_mut().zip(0..) {
        event.seq = seq;
        if let EventKind::LoadEnded { load, planned, .. } = &mut event.kind {
            *planned = counts.get(load).copied().unwrap_or(0);
        }
    }
    events
}

/// When a request, a call or a question began.
fn began(event: &Event) -> Option<u64> {
    Some(match &event.kind {
        EventKind::Sample(sample) => sample.intended.as_micros(),
        EventKind::Exchange { began, .. } => began.as_micros(),
        EventKind::Probe { asked, .. } => asked.as_micros(),
        _ => return None,
    })
}

/// The run without load from where it is stopped on, and with so many calls for each request that failed after the fault.
fn quiesced(golden: &Golden, calls: u64) -> Vec<Event> {
    let mut events = golden.journal();
    let at = stopped(&events);
    events.retain(|event| began(event).is_none_or(|began| !(at..at + QUIET).contains(&began)));
    let lifted = at - WATCHED;
    let mut more = Vec::new();
    for event in &events {
        let EventKind::Sample(sample) = &event.kind else { continue };
        let from = sample.intended.as_micros();
        if sample.outcome == SampleOutcome::Status && (lifted..at).contains(&from) {
            more.extend((0..calls).map(|call| EventKind::Exchange {
                edge: Golden::edge(),
                conn: ConnId(1_000_000 + from + call),
                began: Offset::from_micros(from + call * 300_000),
                answered: None,
                ended: Offset::from_micros(from + (call + 1) * 300_000),
                end: ExchangeEnd::GivenUp,
                touched: false,
            }));
        }
    }
    let ended = |kind: &EventKind| match kind {
        EventKind::Exchange { ended, .. } => *ended,
        _ => Offset::ZERO,
    };
    events.extend(more.into_iter().map(|kind| Event { seq: 0, at: ended(&kind), kind }));
    for (at, phase) in [(at, Phase::Quiet), (at + QUIET, Phase::Again)] {
        events.push(Event { seq: 0, at: Offset::from_micros(at), kind: EventKind::PhaseStarted { phase } });
    }
    in_order(events)
}

/// What is found of the load.
fn metastability(judgement: &Judgement) -> &Finding {
    metastability_of(judgement, Golden::load())
}

fn metastability_of(judgement: &Judgement, load: LoadName) -> &Finding {
    let subject = Subject::Load(load);
    let mut all = judgement.findings.iter();
    let found = all.find(|found| found.detector == Detector::Metastability && found.subject == subject);
    found.expect("every detector answers")
}

fn outcome(finding: &Finding) -> Option<&str> {
    finding.param("outcome").map(|outcome| outcome.text.as_str())
}

#[test]
fn what_comes_back_only_without_load_and_makes_more_calls_is_metastable() {
    let judgement = judge(&quiesced(&bad_for(70), 3));
    let found = metastability(&judgement);
    assert!(found.is_present() && outcome(found) == Some("metastable"), "{found:?}");
    let ratio = found.param("amplification").and_then(|ratio| ratio.value).expect("it is measured");
    assert!((2.8..=3.2).contains(&ratio), "{ratio}");
    assert!(!found.keeps_failing(), "it was brought back");
    let row = judgement.row("browse.metastability").expect("it was asserted");
    assert_eq!(row.answer, Answer::Fail, "{row:?}");
    let why = judgement.why.iter().find(|why| why.row == "recovery").expect("a recovery that failed");
    assert_eq!(why.cause, Cause::Metastable, "{why:?}");
    // The factor times the rate is held against what the callee was seen to serve.
    let beyond = why.mechanism.split_once("on cart-cache; ").map_or("", |(_, beyond)| beyond);
    let (asked, served) =
        beyond.split_once(" are more than it can serve: it answers 0/s of them, and ").expect(beyond);
    let number = |text: &str| text.trim_end_matches("/s").parse::<f64>().expect("a number");
    let (factors, asked) = asked.split_once(" = ").expect("a product");
    let (factor, rate) = factors.split_once(" x ").expect("two factors");
    assert!((number(factor) * number(rate) - number(asked)).abs() <= 3.0, "{beyond}");
    let most = number(served.split_once(" at most").expect("the most").0);
    assert!(most >= number(rate) * 0.9 && most < number(asked), "{beyond}");
}

#[test]
fn what_stays_down_without_load_is_stuck() {
    let judgement = judge(&quiesced(&bad_for(200), 0));
    let found = metastability(&judgement);
    assert!(matches!(found.state, State::Absent { .. }) && outcome(found) == Some("stuck"), "{found:?}");
    assert!(found.keeps_failing());
    let row = judgement.row("browse.metastability").expect("asserted");
    assert_eq!(row.answer, Answer::Fail, "users are not served again: {row:?}");
    assert!(row.reason.contains("stuck, not metastable"), "{row:?}");
    let why = judgement.why.iter().find(|why| why.row == row.id).expect("why it failed");
    assert_ne!(why.cause, Cause::Metastable, "{why:?}");
}

#[test]
fn what_stays_down_is_not_called_stuck_where_no_edge_shows_that_it_was_at_rest() {
    let mut events = quiesced(&bad_for(200), 0);
    events.retain(|event| !matches!(event.kind, EventKind::Exchange { .. }));
    let judgement = judge(&in_order(events));
    let found = metastability(&judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    assert!(found.text.contains("no edge shows"), "{}", found.text);
}

#[test]
fn requests_that_users_gave_up_may_still_be_worked_on_as_calls_may() {
    // 62 s of requests and some of the fault, at the pace of the baseline; the quiet time was 20 s.
    let mut events = quiesced(&bad_for(200), 0);
    let at = stopped(&events);
    for event in &mut events {
        if let EventKind::Sample(sample) = &mut event.kind
            && (at - WATCHED..at).contains(&sample.intended.as_micros())
        {
            sample.outcome = SampleOutcome::Timeout;
        }
    }
    let judgement = judge(&events);
    let found = metastability(&judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    assert!(found.text.contains("given up"), "{}", found.text);
}

#[test]
fn a_service_that_ends_for_want_of_load_has_not_crashed_and_is_not_stuck() {
    let ending = |golden: &Golden, code| {
        let mut events = quiesced(golden, 3);
        let kind = EventKind::ServiceExited {
            service: ServiceName::new("shop").expect("a name"),
            status: ProcessStatus::Code(code),
            cause: ExitCause::Itself,
            last_output: Vec::new(),
        };
        events.push(Event { seq: 0, at: Offset::from_micros(stopped(&events) + QUIET / 2), kind });
        judge(&in_order(events))
    };
    let whole = judge(&quiesced(&bad_for(70), 3));
    assert_eq!(ending(&bad_for(70), 0).rows, whole.rows);
    assert_eq!(ending(&bad_for(70), 0).gates, whole.gates);
    assert_ne!(ending(&bad_for(70), 1).gates, whole.gates, "an error is one whenever it comes");
    let down = ending(&bad_for(200), 0);
    let found = metastability(&down);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    assert!(found.text.contains("ended by itself"), "{}", found.text);
}

#[test]
fn a_request_that_is_dropped_once_the_load_is_begun_again_spoils_no_gate() {
    let whole = quiesced(&bad_for(70), 3);
    let again = stopped(&whole) + QUIET;
    let mut dropping = whole.clone();
    let later = dropping.iter_mut().find_map(|event| match &mut event.kind {
        EventKind::Sample(sample) if sample.intended.as_micros() >= again => Some(sample),
        _ => None,
    });
    let sample = later.expect("a request");
    (sample.sent, sample.outcome) = (None, SampleOutcome::Dropped);
    assert_eq!(judge(&dropping).gates, judge(&whole).gates);
}

#[test]
fn what_stays_down_may_still_be_worked_on_if_more_was_given_up_than_the_quiet_time_holds() {
    // 3 calls for each request in 62 s: at the pace of the baseline, 186 s of work; the quiet time was 20 s.
    let judgement = judge(&quiesced(&bad_for(200), 3));
    let found = metastability(&judgement);
    assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
    assert!(found.text.contains("given up"), "{}", found.text);
}

#[test]
fn what_comes_back_without_more_calls_than_in_health_may_have_been_a_backlog() {
    for calls in [0, 1] {
        let judgement = judge(&quiesced(&bad_for(70), calls));
        let found = metastability(&judgement);
        assert!(matches!(found.state, State::Inconclusive { .. }) && !found.keeps_failing(), "{found:?}");
        assert_eq!(judgement.row("browse.metastability").expect("asserted").answer, Answer::Inconclusive);
    }
}

#[test]
fn what_another_load_multiplies_keeps_none_down_that_never_makes_those_calls() {
    let mut golden = bad_for(70);
    golden.bystander = Bystander::Apart;
    let mut events = quiesced(&golden, 3);
    let lifted = stopped(&events) - WATCHED;
    for event in &mut events {
        if let EventKind::Sample(sample) = &mut event.kind
            && sample.load == Golden::bystander()
            && (lifted..lifted + 70_000_000).contains(&sample.intended.as_micros())
        {
            (sample.outcome, sample.status) = (SampleOutcome::Status, Some(502));
        }
    }
    let judgement = judge(&events);
    assert!(metastability(&judgement).is_present(), "its calls are seen: {:?}", metastability(&judgement));
    let apart = metastability_of(&judgement, Golden::bystander());
    assert!(matches!(apart.state, State::Inconclusive { .. }), "{apart:?}");
    assert!(apart.text.contains("no edge shows how many calls were made"), "{}", apart.text);
}

#[test]
fn a_fault_in_which_nobody_asked_is_no_proof_that_no_trouble_lasts() {
    let golden = Golden::new("quiesce", Caller::careful(), Break::Latency(Span::from_millis(100)));
    let golden = golden.expect("browse.metastability", users(), Rule::NotMetastable, "none");
    let mut events = golden.journal();
    let from = golden.phases.warm_up.as_micros() + golden.phases.baseline.as_micros();
    let fault = from..from + golden.phases.fault.as_micros() + 1_000_000;
    events.retain(|event| match &event.kind {
        EventKind::Sample(sample) => !fault.contains(&sample.intended.as_micros()),
        _ => true,
    });
    let judgement = judge(&in_order(events));
    assert!(matches!(metastability(&judgement).state, State::NotApplicable { .. }));
    let row = judgement.row("browse.metastability").expect("asserted");
    assert!(row.answer == Answer::Inconclusive && row.gates.is_empty(), "{row:?}");
}

#[test]
fn users_who_are_not_hurt_or_come_back_by_themselves_have_no_lasting_trouble() {
    let asked = |golden: Golden| {
        judge(&golden.expect("browse.metastability", users(), Rule::NotMetastable, "none").journal())
    };
    let unhurt = asked(Golden::new("quiesce", Caller::careful(), Break::Latency(Span::from_millis(100))));
    assert!(matches!(metastability(&unhurt).state, State::NotApplicable { .. }));
    let row = unhurt.row("browse.metastability").expect("asserted");
    assert_eq!((row.answer, row.settle.as_deref()), (Answer::Pass, None), "{row:?}");
    let late = Golden::new("quiesce", Caller::careless(), Break::Hang);
    let late = asked(late.with(Trouble::SlowRecovery(Span::from_secs(6))));
    assert_eq!(outcome(metastability(&late)), Some("recovered"));
    assert!(metastability(&late).text.contains("not metastable at 30/s"));
    assert_eq!(late.row("browse.metastability").expect("asserted").answer, Answer::Pass);
}

#[test]
fn the_phases_after_recovery_count_in_nothing_else() {
    let whole = quiesced(&bad_for(70), 3);
    let at = stopped(&whole);
    let mut cut = whole.clone();
    cut.retain(|event| {
        began(event).is_none_or(|began| began < at)
            && !matches!(event.kind, EventKind::PhaseStarted { phase: Phase::Quiet | Phase::Again })
    });
    let (whole, cut) = (judge(&whole), judge(&in_order(cut)));
    let other = |judgement: &Judgement| {
        let mut findings = judgement.findings.clone();
        findings.retain(|finding| finding.detector != Detector::Metastability);
        findings
    };
    assert_eq!(other(&whole), other(&cut));
    assert_eq!(whole.row("recovery"), cut.row("recovery"));
    assert_eq!(whole.gates, cut.gates);
}
