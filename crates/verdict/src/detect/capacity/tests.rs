//! Services whose limit is known, under a load that is raised step by step.

use murphy_core::{
    Answer, Event, EventKind, ExitCause, Expectation, FaultBrief, FaultId, Frequency, Learn, LoadName,
    Offset, Phase, PhaseLengths, ProcessStatus, Purpose, Rule, RunBrief, Sample, SampleOutcome, Seed, Served,
    ServiceName, Span, Subject, Tally, Timestamp, Verdict,
};

use super::*;
use crate::judge::judge;
use crate::judgement::{Detector, Finding, Judgement, State};

const MILLISECOND: u64 = 1_000;
const TIMEOUT: u64 = 5_000_000;
/// Of the baseline and of each step.
const STEP: u64 = 10_000_000;

fn load() -> LoadName {
    LoadName::new("users").unwrap()
}

fn rate(per_second: f64) -> Frequency {
    Frequency::per_second(per_second).unwrap()
}

/// A run at 20/s that is raised to 40, 80, 160 and 320/s, of 10 s each.
struct Run {
    /// How late requests are sent.
    lag: u64,
    /// When the first fault comes, in steps from the beginning of the run.
    broken_from: Option<u64>,
    /// When the service ends by itself.
    ends: Option<u64>,
    bound: f64,
}

impl Default for Run {
    fn default() -> Run {
        Run { lag: 0, broken_from: None, ends: None, bound: 60.0 }
    }
}

impl Run {
    fn brief(&self) -> RunBrief {
        let step = Span::from_micros(STEP);
        let fault = |from: u64| FaultBrief {
            id: FaultId::new("abort-1").unwrap(),
            name: "abort".into(),
            text: "abort 503".into(),
            settings: Default::default(),
            edge: None,
            on: "edge".into(),
            trigger: None,
            at: Span::from_micros(from * STEP - STEP),
            lasts: step,
        };
        RunBrief {
            format: RunBrief::FORMAT,
            murphy: "0.1.0".into(),
            scenario: "raised".into(),
            source: String::new(),
            again: String::new(),
            seed: Seed(1),
            started: Timestamp::from_unix(0),
            phases: PhaseLengths {
                warm_up: Span::ZERO,
                baseline: step,
                fault: Span::from_micros(4 * STEP),
                recovery: step,
                quiet: Span::ZERO,
                again: Span::ZERO,
            },
            services: vec![],
            edges: vec![],
            loads: vec![LoadBrief {
                name: load(),
                what: "GET http://127.0.0.1:1/".into(),
                rate: rate(20.0),
                depends_on: None,
                ramp: Some(RateRamp { to: rate(320.0), by: 2.0, every: step }),
                timeout: Span::from_micros(TIMEOUT),
                ledger: None,
            }],
            probes: vec![],
            faults: self.broken_from.map(fault).into_iter().collect(),
            expectations: vec![Expectation {
                id: "users.capacity".into(),
                subject: Subject::Load(load()),
                rule: Rule::Capacity { at_least: rate(self.bound) },
                text: format!(">= {}/s", self.bound),
            }],
            learn: Learn::All,
            purpose: Purpose::Experiment,
        }
    }

    /// `service` gives the end and the outcome of a request that comes at this time.
    fn judged(&self, mut service: impl FnMut(u64) -> (u64, SampleOutcome)) -> Judgement {
        let mut kinds = vec![(0, EventKind::RunStarted(Box::new(self.brief())))];
        for (phase, at) in [(Phase::Baseline, 0), (Phase::Fault, 1), (Phase::Recovery, 5)] {
            kinds.push((at * STEP, EventKind::PhaseStarted { phase }));
        }
        if let Some(from) = self.broken_from {
            let fault = FaultId::new("abort-1").unwrap();
            let tally = Tally::default();
            kinds.push((from * STEP, EventKind::FaultArmed { fault: fault.clone() }));
            kinds.push((5 * STEP - 1, EventKind::FaultLifted { fault, tally }));
        }
        if let Some(at) = self.ends {
            let (service, status) = (ServiceName::new("shop").unwrap(), ProcessStatus::Code(101));
            let (cause, last_output) = (ExitCause::Itself, Vec::new());
            kinds.push((at, EventKind::ServiceExited { service, status, cause, last_output }));
        }
        let steps = [20, 40, 80, 160, 320, 20].into_iter().zip(0u64..);
        let due = steps.flat_map(|(rate, step)| {
            (0..rate * STEP / 1_000_000).map(move |n| step * STEP + n * 1_000_000 / rate)
        });
        for (n, intended) in (0u64..).zip(due) {
            let sent = intended + self.lag;
            let (ended, outcome) = match service(sent) {
                (ended, _) if ended > sent + TIMEOUT => (sent + TIMEOUT, SampleOutcome::Timeout),
                answered => answered,
            };
            let at = Offset::from_micros;
            let sample = Sample {
                load: load(),
                n,
                intended: at(intended),
                sent: Some(at(sent)),
                ended: at(ended),
                status: Some(if outcome == SampleOutcome::Status { 503 } else { 200 }),
                outcome,
                served: Served::Fresh,
                age: None,
                retry_after: None,
            };
            kinds.push((ended, EventKind::Sample(sample)));
        }
        kinds.sort_by_key(|(at, _)| *at);
        let end = kinds.last().map_or(0, |(at, _)| *at);
        kinds.push((end, EventKind::RunEnded));
        let event =
            |(seq, (at, kind)): (u64, (u64, EventKind))| Event { seq, at: Offset::from_micros(at), kind };
        let events: Vec<Event> = (0u64..).zip(kinds).map(event).collect();
        judge(&events)
    }
}

/// Serves one after the other, 100 a second, and refuses who would have to wait behind so many.
fn one_by_one(places: u64) -> impl FnMut(u64) -> (u64, SampleOutcome) {
    let mut free = 0;
    move |now| {
        let waits = u64::saturating_sub(free, now);
        if waits > places * 10 * MILLISECOND {
            return (now + MILLISECOND, SampleOutcome::Status);
        }
        free = now + waits + 10 * MILLISECOND;
        (free, SampleOutcome::Ok)
    }
}

fn found(judgement: &Judgement) -> &Finding {
    judgement.findings.iter().find(|finding| finding.detector == Detector::Capacity).expect("a finding")
}

fn number(judgement: &Judgement, param: &str) -> f64 {
    found(judgement).param(param).and_then(|reading| reading.value).expect("a number")
}

fn answer(judgement: &Judgement) -> Answer {
    judgement.row("users.capacity").expect("a row").answer
}

#[test]
fn a_service_that_refuses_what_is_beyond_its_limit_has_a_capacity_and_keeps_it() {
    let judgement = Run::default().judged(one_by_one(20));
    let finding = found(&judgement);
    assert!(finding.is_present(), "{}", finding.text);
    assert!((number(&judgement, "capacity") - 100.0).abs() < 5.0, "{}", finding.text);
    let capacity = finding.param("capacity").unwrap();
    assert_eq!((capacity.low, capacity.high), (Some(80.0), Some(160.0)));
    assert!(number(&judgement, "served-beyond") > 0.9, "{}", finding.text);
    assert!(!finding.text.contains("collapses"), "{}", finding.text);
    assert_eq!(answer(&judgement), Answer::Pass);
    assert!(judgement.learned.contains("capacity: \">= 76/s\""), "{}", judgement.learned);
    assert!(judgement.gates.iter().all(|gate| gate.holds), "{:?}", judgement.gates);
}

#[test]
fn a_load_that_comes_back_is_told_as_a_share_of_a_capacity_found_before() {
    let mut free = 0;
    let judgement = Run { broken_from: Some(4), ..Run::default() }.judged(move |now| {
        let waits = u64::saturating_sub(free, now);
        if (4 * STEP..5 * STEP).contains(&now) || waits > 100 * MILLISECOND {
            return (now + MILLISECOND, SampleOutcome::Status);
        }
        free = now + waits + 20 * MILLISECOND;
        (free, SampleOutcome::Ok)
    });
    assert!((number(&judgement, "capacity") - 50.0).abs() < 2.0, "{}", found(&judgement).text);
    let mut findings = judgement.findings.iter();
    let back = findings.find(|finding| finding.detector == Detector::Metastability).expect("a finding");
    let told = back.text.contains("% of the ") && back.text.contains(" that it can serve, and only from ");
    assert!(told, "{}", back.text);
}

#[test]
fn a_bound_is_held_against_the_last_step_that_was_followed_and_the_next() {
    let of = |bound: f64| Run { bound, ..Run::default() }.judged(one_by_one(20));
    assert_eq!(answer(&of(80.0)), Answer::Pass);
    assert_eq!(answer(&of(100.0)), Answer::Inconclusive);
    assert_eq!(answer(&of(160.0)), Answer::Fail, "just that was tried, and not served");
    let judgement = of(200.0);
    assert_eq!(answer(&judgement), Answer::Fail);
    assert!(judgement.why.iter().any(|why| why.row == "users.capacity" && !why.change.is_empty()));
}

#[test]
fn a_queue_without_an_end_collapses_beyond_its_capacity() {
    let judgement = Run::default().judged(one_by_one(u64::MAX / TIMEOUT));
    let finding = found(&judgement);
    assert!(finding.is_present() && finding.text.contains("collapses"), "{}", finding.text);
    assert!((number(&judgement, "capacity") - 100.0).abs() < 5.0, "{}", finding.text);
    assert!(number(&judgement, "served-beyond") < 0.5, "{}", finding.text);
}

#[test]
fn a_service_that_serves_all_has_no_limit_as_far_as_was_tried() {
    let of = |bound: f64| {
        let service = |now: u64| (now + 5 * MILLISECOND, SampleOutcome::Ok);
        Run { bound, ..Run::default() }.judged(service)
    };
    let judgement = of(320.0);
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Absent { .. }), "{}", finding.text);
    assert_eq!(finding.param("capacity").map(|reading| reading.text.as_str()), Some(">= 320/s"));
    assert_eq!(answer(&judgement), Answer::Pass);
    assert!(judgement.learned.contains("capacity: \">= 300/s\""), "{}", judgement.learned);
    assert_eq!(answer(&of(400.0)), Answer::Inconclusive);
}

#[test]
fn one_that_grows_slower_and_serves_all_has_met_no_limit_and_is_not_as_before_either() {
    let slower = |now: u64| (now + 5 * MILLISECOND + now.saturating_sub(STEP) / 100, SampleOutcome::Ok);
    let judgement = Run::default().judged(slower);
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Inconclusive { .. }), "{}", finding.text);
    assert!(finding.text.contains("more slowly"), "{}", finding.text);
}

#[test]
fn a_moment_of_weakness_is_no_limit() {
    // Two seconds of errors in the middle of a step, in the last one too.
    for step in 1..5 {
        let weak = step * STEP + 2_000_000..step * STEP + 4_000_000;
        let service = |now: u64| {
            if weak.contains(&now) {
                (now + MILLISECOND, SampleOutcome::Status)
            } else {
                (now + 5 * MILLISECOND, SampleOutcome::Ok)
            }
        };
        let judgement = Run::default().judged(service);
        let finding = found(&judgement);
        assert!(!finding.is_present(), "step {step}: {}", finding.text);
        let decided = matches!(finding.state, State::Absent { .. });
        assert_eq!(decided, step < 4, "step {step}: {}", finding.text);
    }
}

#[test]
fn a_few_more_errors_in_the_last_step_than_are_allowed_may_be_chance() {
    // 178 of 3200 are more than 5%, but 5% lies within their interval.
    let mut count = 0u64;
    let service = |now: u64| {
        count += u64::from((4 * STEP..5 * STEP).contains(&now));
        let lost = count > 0 && count.is_multiple_of(18);
        let outcome = if lost { SampleOutcome::Status } else { SampleOutcome::Ok };
        (now + 5 * MILLISECOND, outcome)
    };
    let judgement = Run::default().judged(service);
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Inconclusive { .. }), "{}", finding.text);
    assert!(finding.text.contains("may be chance"), "{}", finding.text);
}

#[test]
fn a_share_that_is_lost_at_any_rate_is_no_limit() {
    let mut count = 0u64;
    let service = |now: u64| {
        count += 1;
        let lost = now >= 3 * STEP && count.is_multiple_of(8);
        let outcome = if lost { SampleOutcome::Status } else { SampleOutcome::Ok };
        (now + 5 * MILLISECOND, outcome)
    };
    let judgement = Run::default().judged(service);
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Inconclusive { .. }), "{}", finding.text);
    assert!(finding.text.contains("more good answers come with each step"), "{}", finding.text);
}

#[test]
fn a_sender_that_is_late_may_have_met_a_limit_of_its_own() {
    let judgement = Run { lag: 50 * MILLISECOND, ..Run::default() }.judged(one_by_one(20));
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Inconclusive { .. }), "{}", finding.text);
    assert!(finding.text.contains("not sent when it was due"), "{}", finding.text);
    assert_eq!(answer(&judgement), Answer::Inconclusive);
}

#[test]
fn only_steps_with_nothing_broken_count() {
    // At the end of the step at 160/s, whose last users it may have met: what was seen before is all that is told.
    let judgement = Run { broken_from: Some(4), ..Run::default() }.judged(one_by_one(20));
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Absent { .. }), "{}", finding.text);
    assert!(finding.text.starts_with("80/s or more"), "{}", finding.text);
    // From the beginning on.
    let judgement = Run { broken_from: Some(1), ..Run::default() }.judged(one_by_one(20));
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::Inconclusive { .. }), "{}", finding.text);
    assert!(finding.text.contains("something was broken"), "{}", finding.text);
}

#[test]
fn a_service_that_ends_by_itself_while_a_load_is_raised_fails_however_much_it_served_before() {
    let ended_at = |at: u64| {
        let service = |now: u64| {
            if now < at {
                (now + 5 * MILLISECOND, SampleOutcome::Ok)
            } else {
                (now + MILLISECOND, SampleOutcome::Connect)
            }
        };
        Run { ends: Some(at), ..Run::default() }.judged(service)
    };
    let judgement = ended_at(4 * STEP + 3_000_000);
    let alive = judgement.row("shop.alive").expect("a row");
    assert_eq!((alive.answer, judgement.verdict), (Answer::Fail, Verdict::NotGraceful));
    assert!(alive.reason.contains("33s after the load was raised"), "{}", alive.reason);
    let why = judgement.why.iter().find(|why| why.row == "shop.alive").expect("a cause");
    assert!(why.change.contains("too many users"), "{}", why.change);
    // Before that it is no answer to anything.
    assert!(ended_at(STEP / 2).row("shop.alive").is_none());
}

#[test]
fn a_load_at_one_rate_tells_nothing() {
    let golden = murphy_testkit::golden::Golden::new(
        "a",
        murphy_testkit::golden::Caller::careful(),
        murphy_testkit::golden::Break::Hang,
    );
    let judgement = judge(&golden.journal());
    let finding = found(&judgement);
    assert!(matches!(finding.state, State::NotApplicable { .. }), "{}", finding.text);
}
