//! Answers that Murphy made up: never the dependency's own, and proof against a caller only where every caller must take them for
//! failures.

use murphy_core::{
    Answer, Answerer, Chance, Event, EventKind, ExchangeEnd, HttpCall, Learn, Rule, Subject, SuccessRule,
};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Cause, Detector, Judgement, State, judge};

/// What an `abort` answers.
struct Abort {
    status: u16,
    settings: &'static [(&'static str, &'static str)],
}

const UNAVAILABLE: Abort = Abort { status: 503, settings: &[("status", "503")] };
const MISSING: Abort = Abort { status: 404, settings: &[("status", "404")] };
const GRPC_UNAVAILABLE: Abort =
    Abort { status: 200, settings: &[("status", "503"), ("grpc-status", "UNAVAILABLE")] };
const GRPC_NOT_FOUND: Abort =
    Abort { status: 200, settings: &[("status", "503"), ("grpc-status", "NOT_FOUND")] };

/// A run on an HTTP edge, on which Murphy answered in the dependency's stead.
fn judged(caller: Caller, abort: &Abort) -> Judgement {
    let edge = Subject::Edge(Golden::edge());
    let at_least = SuccessRule::AtLeast(Chance::from_fraction(0.99).expect("a share"));
    let success = Rule::Success { rule: at_least, may: Vec::new() };
    let golden = Golden::new("made up", caller, Break::Reset)
        .expect("attempts", edge.clone(), Rule::Attempts { at_most: 3 }, "<= 3")
        .expect("breaker", edge, Rule::BreakerOpens, "opens")
        .expect("success", Subject::Load(Golden::load()), success, ">= 99%");
    let mut journal = golden.journal();
    for event in &mut journal {
        put_an_answer(event, abort);
    }
    judge(&journal)
}

/// Turns what tells of bytes into what tells of requests.
fn put_an_answer(event: &mut Event, abort: &Abort) {
    match &mut event.kind {
        EventKind::RunStarted(brief) => {
            brief.learn = Learn::All;
            let fault = &mut brief.faults[0];
            fault.name = "abort".to_owned();
            let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            fault.settings = abort.settings.iter().map(text).collect();
        }
        EventKind::Exchange { edge, conn, began, answered, ended, end, touched } => {
            let made_up = *touched && *end == ExchangeEnd::Failed;
            let call = HttpCall {
                edge: edge.clone(),
                conn: *conn,
                method: "GET".to_owned(),
                route: "/cart".to_owned(),
                began: *began,
                answered: if made_up { Some(*ended) } else { *answered },
                ended: *ended,
                end: if made_up { ExchangeEnd::Answered } else { *end },
                by: None,
                status: Some(if made_up { abort.status } else { 200 }),
                service_status: (!made_up).then_some(200),
                answerer: if made_up { Answerer::Murphy } else { Answerer::Service },
                reached: !made_up,
                faults: Vec::new(),
                touched: *touched,
                attempt_of: None,
            };
            event.kind = EventKind::Request(Box::new(call));
        }
        _ => {}
    }
}

fn state(judgement: &Judgement, detector: Detector) -> &State {
    let edge = Subject::Edge(Golden::edge());
    let mut all = judgement.findings.iter();
    &all.find(|finding| finding.detector == detector && finding.subject == edge).expect("a finding").state
}

#[test]
fn a_breaker_is_missed_only_where_every_breaker_must_count_what_was_answered() {
    for abort in [UNAVAILABLE, GRPC_UNAVAILABLE] {
        let judgement = judged(Caller::careless(), &abort);
        let found = state(&judgement, Detector::Breaker);
        assert!(matches!(found, State::Absent { .. }), "{:?}: {found:?}", abort.settings);
        assert_eq!(judgement.row("breaker").expect("asserted").answer, Answer::Fail);
    }
    for abort in [MISSING, GRPC_NOT_FOUND] {
        let judgement = judged(Caller::careless(), &abort);
        let row = judgement.row("breaker").expect("asserted");
        assert_eq!(row.answer, Answer::Inconclusive, "{:?}: {row:?}", abort.settings);
        assert!(row.reason.contains("in the callee's stead"), "{row:?}");
        assert!(row.settle.as_deref().is_some_and(|settle| settle.contains("abort")), "{row:?}");
    }
}

#[test]
fn a_breaker_that_opens_on_what_murphy_answered_is_seen_whatever_the_status() {
    for abort in [UNAVAILABLE, MISSING, GRPC_UNAVAILABLE, GRPC_NOT_FOUND] {
        let judgement = judged(Caller::careful(), &abort);
        let State::Present { params } = state(&judgement, Detector::Breaker) else {
            panic!("{:?}: {:?}", abort.settings, state(&judgement, Detector::Breaker));
        };
        let to_open = params.get("calls-to-open").and_then(|calls| calls.value).expect("counted");
        assert!((5.0..=7.0).contains(&to_open), "{:?}: {to_open}", abort.settings);
    }
}

#[test]
fn tries_at_what_murphy_answered_are_tries_and_users_fail_by_it() {
    for abort in [UNAVAILABLE, MISSING, GRPC_UNAVAILABLE, GRPC_NOT_FOUND] {
        let judgement = judged(Caller { attempts: 3, ..Caller::careless() }, &abort);
        let found = state(&judgement, Detector::Attempts);
        assert!(matches!(found, State::Present { .. }), "{:?}: {found:?}", abort.settings);
        let why = judgement.why.iter().find(|why| why.row == "success").expect("users failed");
        assert_eq!(why.cause, Cause::ErrorPassedOn, "{:?}: {}", abort.settings, why.mechanism);
        assert!(why.mechanism.contains("answered with an error"), "{}", why.mechanism);
    }
}

#[test]
fn a_caller_is_shown_not_to_try_again_only_by_what_every_caller_must_try_again() {
    for abort in [UNAVAILABLE, GRPC_UNAVAILABLE] {
        let judgement = judged(Caller::careless(), &abort);
        let found = state(&judgement, Detector::Attempts);
        assert!(matches!(found, State::Absent { .. }), "{:?}: {found:?}", abort.settings);
        let State::NotApplicable { why } = state(&judgement, Detector::BackOff) else {
            panic!("{:?}: {:?}", abort.settings, state(&judgement, Detector::BackOff));
        };
        assert!(why.contains("no retry in"), "{why}");
        assert!(judgement.learned.contains("attempts: \"<= 1\""), "{}", judgement.learned);
    }
    for abort in [MISSING, GRPC_NOT_FOUND] {
        let judgement = judged(Caller::careless(), &abort);
        for detector in [Detector::Attempts, Detector::BackOff, Detector::Jitter] {
            let State::NotApplicable { why } = state(&judgement, detector) else {
                panic!("{:?}: {:?}", abort.settings, state(&judgement, detector));
            };
            assert!(why.contains("nothing that a caller must try again"), "{why}");
        }
        assert!(!judgement.learned.contains("attempts"), "{}", judgement.learned);
        let row = judgement.row("attempts").expect("asserted");
        assert_eq!(row.answer, Answer::Pass, "{row:?}");
        assert_eq!(row.reason, "<= 3; no call had to be tried again");
    }
}
