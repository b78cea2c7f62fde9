//! How many requests a second can be served? (verdicts 2.10) Told by a load that is raised step by step while nothing is broken:
//! as long as as many good answers come as requests are due, the service follows; where they fall behind in both halves of
//! every further step, it has met its limit, and the most good answers that came in a step are its capacity. Good answers
//! count by when they come: of a queue that grows each request may be answered in the end, and still no more come a second.

use murphy_core::{LoadBrief, RateRamp};

use super::{Found, params};
use crate::gate::goodness;
use crate::judgement::Reading;
use crate::phase::{LoadView, Point, RunView, Window};
use crate::stats::{Estimate, poisson_limits, quantile};
use crate::words;

/// Requests in each step, so that the share that is served has an interval.
const FEWEST: u64 = 73;
/// A rate of which this share is answered well is served.
const SERVED: f64 = 0.95;
/// So many times the p99 of the first step is another service, and so much more is nothing that a user notices: microseconds.
const SLOWER: f64 = 3.0;
const UNNOTICED: f64 = 10_000.0;
/// Less than this share of the capacity, beyond it, is a collapse.
const COLLAPSE: f64 = 0.5;
const SECOND: f64 = 1e6;

/// What good answers do in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// As many come as requests are due, at its end at least.
    Follows,
    /// Fewer do in its later half: it may be a limit, or a moment of weakness.
    ShortLate,
    /// Fewer do in both halves.
    Short,
}

/// A stretch of one rate.
struct Step {
    /// Planned, a second.
    rate: f64,
    window: Window,
    /// Requests that were due in it, and how many of these were answered well, whenever that was.
    due: u64,
    served: u64,
    /// Good answers that came in it.
    answers: u64,
    p99: Option<Estimate>,
    course: Course,
}

impl Step {
    /// Good answers a second.
    fn goodput(&self) -> f64 {
        self.a_second(self.answers as f64)
    }

    fn a_second(&self, count: f64) -> f64 {
        count / (self.window.length().max(1) as f64 / SECOND)
    }
}

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let told = run.brief.and_then(|brief| {
        let told = brief.loads.iter().find(|told| told.name == load.name)?;
        Some((brief, told, told.ramp?))
    });
    let Some((brief, told, ramp)) = told else { return Found::not_applicable("the load was not raised") };
    let (_, is_good) = goodness(brief, load);
    let steps = Answers::of(load, is_good).steps(windows(run, told, ramp));
    let [first, .., last] = &steps[..] else {
        return match run.first_armed() {
            Some(_) => Found::inconclusive(
                "something was broken before the first step of the ramp was over",
                "a later `at` of the first fault, or a scenario without any",
            ),
            None => Found::inconclusive("the run ended before the first step of the ramp", "a whole run"),
        };
    };
    if let Some(few) = steps.iter().find(|step| step.due < FEWEST) {
        let length = words::micros((FEWEST as f64 / few.rate).ceil() * SECOND);
        let rate = words::rate(few.rate);
        return Found::inconclusive(
            format!("only {} in the step at {rate}", words::plural(few.due, "request")),
            format!("{FEWEST} requests in each step: about {length} at {rate}"),
        );
    }
    match last.course {
        Course::Follows => whole(first, last),
        Course::ShortLate => Found::inconclusive(
            format!(
                "at {} fewer good answers come than requests, but only in the later half of the step",
                words::rate(last.rate)
            ),
            "longer steps, or a ramp that goes further: `to`",
        ),
        Course::Short => limit(&steps, last),
    }
}

/// The last rate is followed: it is served if its users are.
fn whole(first: &Step, last: &Step) -> Found {
    let rate = words::rate(last.rate);
    let served = words::percent(last.served, last.due);
    if (last.served as f64) < last.due as f64 * SERVED {
        return Found::inconclusive(
            format!("at {rate} good answers come as fast as requests, but only {served} are answered well"),
            "a ramp that goes further: `to`",
        );
    }
    let (Some(before), Some(then)) = (first.p99, last.p99) else {
        return Found::inconclusive("no latency in a step", "a load in each step");
    };
    let slow = before.value * SLOWER + UNNOTICED;
    if then.low.is_some_and(|low| low > slow) {
        return Found::inconclusive(
            format!(
                "all are served at {rate}, but more slowly: p99 {}, and {} at {}",
                words::micros(then.value),
                words::micros(before.value),
                words::rate(first.rate)
            ),
            "a ramp that goes further: `to`",
        );
    }
    Found::absent(
        params([("capacity", Reading::rate_at_least(last.rate, last.due))]),
        format!("{rate} or more, no limit found: {served} of {} are answered well", last.due),
    )
}

/// Good answers fall behind to the end.
fn limit(steps: &[Step], last: &Step) -> Found {
    let followed = steps.iter().rposition(|step| step.course == Course::Follows);
    let Some((followed, beyond)) = followed.map(|at| (&steps[at], &steps[at + 1..])) else {
        return Found::inconclusive("not even the first rate is served whole", "a lower `rate`");
    };
    let short = beyond.iter().find(|step| step.course == Course::Short).unwrap_or(last);
    // Where a share of all is lost, however many they are, more come with each step: that is no limit.
    if last.goodput() / short.goodput() > (last.rate / short.rate).sqrt() {
        return Found::inconclusive(
            format!(
                "from {} on some are not served, but more good answers come with each step",
                words::rate(short.rate)
            ),
            "a ramp that goes further: `to`; and what is answered to those who are not served",
        );
    }
    let capacity = steps.iter().map(Step::goodput).fold(0.0, f64::max);
    let n: u64 = steps.iter().map(|step| step.due).sum();
    let reading = Reading::rate(capacity, (followed.rate.min(capacity), short.rate.max(capacity)), n);
    let (low, high) = poisson_limits(last.answers);
    let left = |answers: f64| last.a_second(answers) / capacity.max(f64::MIN_POSITIVE);
    let kept = left(last.answers as f64);
    let collapses = left(high) < COLLAPSE;
    let text = format!(
        "{} at most: follows up to {}, not at {}; {}at {} it serves {} of that",
        reading.text,
        words::rate(followed.rate),
        words::rate(short.rate),
        if collapses { "collapses beyond it: " } else { "" },
        words::rate(last.rate),
        words::share(kept)
    );
    let found = params([
        ("capacity", reading),
        ("served-beyond", Reading::ratio(kept, Some((left(low), left(high))), last.answers)),
        ("highest", Reading::rate_at_least(last.rate, last.due).says(words::rate(last.rate))),
    ]);
    Found::present(found, text)
}

/// The baseline and each step of the ramp with nothing broken, with their rates. One that is not over by then, or in which a request
/// could still be under way when something broke, is none of them.
fn windows(run: &RunView<'_>, told: &LoadBrief, ramp: RateRamp) -> Vec<(f64, Window)> {
    let baseline = run.baseline.iter().next().map(|window| (told.rate.as_per_second(), window));
    let mut windows: Vec<(f64, Window)> = baseline.into_iter().collect();
    let Some(phase) = run.fault_phase else { return windows };
    let armed = run.first_armed().map_or(u64::MAX, |at| at.saturating_sub(told.timeout.as_micros()));
    let end = phase.to.min(armed);
    let rates = ramp.rates(told.rate);
    let every = ramp.every.as_micros();
    let mut from = phase.from;
    for (number, rate) in rates.iter().enumerate() {
        let planned = from.saturating_add(every);
        let to = if number + 1 == rates.len() { end } else { planned };
        // A phase may be told a moment late.
        if to > end || to.saturating_add(every / 20) < planned {
            break;
        }
        windows.push((rate.as_per_second(), Window { from, to }));
        from = planned;
    }
    windows
}

/// The requests of a load, by when they were due and by when they were answered well.
struct Answers<'a> {
    points: &'a [Point],
    /// Of those that were.
    served: Vec<bool>,
    /// In order.
    good: Vec<u64>,
}

impl<'a> Answers<'a> {
    fn of(load: &'a LoadView, is_good: impl Fn(&Point) -> bool) -> Answers<'a> {
        let served: Vec<bool> = load.points.iter().map(&is_good).collect();
        let points = load.points.iter().zip(&served);
        let mut good: Vec<u64> =
            points.filter(|(_, served)| **served).map(|(point, _)| point.ended).collect();
        good.sort_unstable();
        Answers { points: &load.points, served, good }
    }

    fn due(&self, window: Window) -> std::ops::Range<usize> {
        let from = self.points.partition_point(|point| point.intended < window.from);
        let to = self.points.partition_point(|point| point.intended < window.to);
        from..to.max(from)
    }

    fn answered(&self, window: Window) -> u64 {
        let from = self.good.partition_point(|at| *at < window.from);
        let to = self.good.partition_point(|at| *at < window.to);
        to.saturating_sub(from) as u64
    }

    fn quantile(&self, due: std::ops::Range<usize>, q: f64) -> Option<Estimate> {
        let points = self.points[due].iter();
        let latencies: Vec<(u64, bool)> =
            points.map(|point| (point.latency(), point.is_censored())).collect();
        quantile(&latencies, q)
    }

    fn steps(&self, windows: Vec<(f64, Window)>) -> Vec<Step> {
        let first = windows.first().map(|(_, window)| self.due(*window));
        let usual = first.and_then(|due| self.quantile(due, 0.5)).map_or(0.0, |latency| latency.value);
        windows.into_iter().map(|(rate, window)| self.step(rate, window, usual)).collect()
    }

    fn step(&self, rate: f64, window: Window, usual: f64) -> Step {
        let middle = window.from + window.length() / 2;
        // As many more or fewer may be under way at an end of it than at the other, by chance (three standard deviations).
        let chance = 3.0 * (rate * usual / SECOND).sqrt();
        let is_short = |half: Window| {
            let due = self.due(half).len() as f64;
            due - self.answered(half) as f64 > due * (1.0 - SERVED) + chance
        };
        let halves = [Window { to: middle, ..window }, Window { from: middle, ..window }];
        let due = self.due(window);
        Step {
            rate,
            window,
            due: due.len() as u64,
            served: self.served[due.clone()].iter().filter(|served| **served).count() as u64,
            answers: self.answered(window),
            p99: self.quantile(due, 0.99),
            course: match halves.map(is_short) {
                [_, false] => Course::Follows,
                [false, true] => Course::ShortLate,
                [true, true] => Course::Short,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{
        Answer, Event, EventKind, Expectation, FaultBrief, FaultId, Frequency, Learn, LoadName, Offset,
        Phase, PhaseLengths, Purpose, Rule, RunBrief, Sample, SampleOutcome, Seed, Served, Span, Subject,
        Tally, Timestamp,
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
        bound: f64,
    }

    impl Default for Run {
        fn default() -> Run {
            Run { lag: 0, broken_from: None, bound: 60.0 }
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
    fn a_bound_is_held_against_the_last_step_that_was_followed_and_the_next() {
        let of = |bound: f64| Run { bound, ..Run::default() }.judged(one_by_one(20));
        assert_eq!(answer(&of(80.0)), Answer::Pass);
        assert_eq!(answer(&of(100.0)), Answer::Inconclusive);
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
}
