//! How many requests a second can be served? (verdicts 2.10) Told by a load that is raised step by step while nothing is broken:
//! as long as as many good answers come as requests are due, the service follows; where they fall behind in both halves of
//! every further step, it has met its limit, and the most good answers that came in a step are its capacity. Good answers
//! count by when they come: of a queue that grows each request may be answered in the end, and still no more come a second.

use murphy_core::{LoadBrief, RateRamp};

use super::{Found, params};
use crate::gate::goodness;
use crate::judgement::Reading;
use crate::phase::{LoadView, Point, RunView, Window};
use crate::stats::{Estimate, Interval, Share, poisson_limits, quantile, wilson};
use crate::words;

/// Requests in each step, so that the share that is served has an interval.
const FEWEST: u64 = 73;
/// A rate of which this share is answered well, with its whole interval, is served.
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
    let interval = share(last.served, last.due);
    if interval.low < SERVED {
        let (but, so_few) =
            if interval.high < SERVED { ("but only", "") } else { ("and", ": that may be less than 95%") };
        return Found::inconclusive(
            format!(
                "at {rate} good answers come as fast as requests, {but} {served} of {} are answered well{so_few}",
                last.due
            ),
            "a ramp that goes further: `to`, or longer steps",
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

/// So many good answers of so many requests; of a step that works off what came before it there may be more.
fn share(good: u64, due: u64) -> Interval {
    wilson(Share { p: (good as f64 / due.max(1) as f64).min(1.0), n: due as f64 })
}

/// Good answers fall behind to the end.
fn limit(steps: &[Step], last: &Step) -> Found {
    let followed = steps.iter().rposition(|step| step.course == Course::Follows);
    let Some((followed, beyond)) = followed.map(|at| (&steps[at], &steps[at + 1..])) else {
        return Found::inconclusive("not even the first rate is served whole", "a lower `rate`");
    };
    if share(last.answers, last.due).high >= SERVED {
        return Found::inconclusive(
            format!(
                "at {} fewer good answers come than requests, but so few less that it may be chance: {} of {}",
                words::rate(last.rate),
                last.answers,
                last.due
            ),
            "longer steps, or a ramp that goes further: `to`",
        );
    }
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
mod tests;
