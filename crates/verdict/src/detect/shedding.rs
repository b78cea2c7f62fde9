//! Are requests refused at once when there are too many? (verdicts 2.10) A refusal is a 429 or 503 that comes fast, makes no
//! call, and is given *while others are served*: an open breaker refuses everybody, and an error that is passed on has made
//! its call. What a service does under too much is only told when there was too much.

use std::collections::BTreeMap;

use super::{Found, params};
use crate::judgement::Reading;
use crate::phase::{LoadView, Point, RunView, Windows};
use crate::stats::{Share, quantile, wilson};
use crate::words;

/// Share of requests that must have been refused, with its whole interval.
const LEAST: f64 = 0.05;
/// Slower than this (and than a quarter of the time of those served) is no refusal at once.
const FAST: f64 = 100_000.0;
/// Requests needed, and users at once that are many.
const FEWEST: u64 = 73;
const MANY: u64 = 20;
const SECOND: u64 = 1_000_000;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    if run.during.is_empty() {
        return Found::not_applicable("no fault, so no pressure");
    }
    let points: Vec<&Point> = load.within(&run.during).collect();
    let n = points.len() as u64;
    if n < FEWEST {
        return Found::inconclusive(
            format!("only {n} requests during the fault"),
            format!("{FEWEST} requests"),
        );
    }
    let refused: Vec<&Point> = points.iter().copied().filter(|point| is_refusal(point)).collect();
    let at_once = in_flight(run, &run.during);
    let usual = in_flight(run, &run.baseline);
    let crowded = at_once >= MANY && at_once >= usual.saturating_mul(5);
    if refused.is_empty() {
        if !crowded {
            return Found::not_applicable(format!(
                "no pressure: at most {} at once",
                words::plural(at_once, "user request")
            ));
        }
        return Found::absent(
            params([
                ("at-once", Reading::count(at_once, n)),
                ("usual", Reading::count(usual, usual)),
                ("refused", Reading::share(0, n, None)),
            ]),
            format!(
                "nobody was refused while {at_once} user requests were under way at once ({usual} are usual)"
            ),
        );
    }
    let share = Share { p: refused.len() as f64 / n as f64, n: n as f64 };
    let interval = wilson(share);
    let shared = served_meanwhile(&points);
    let service = |points: &[&Point], q: f64| {
        let times: Vec<(u64, bool)> = points.iter().map(|point| (point.service_time(), false)).collect();
        quantile(&times, q).map_or(0.0, |time| time.value)
    };
    let served: Vec<&Point> = points.iter().copied().filter(|point| point.is_ok()).collect();
    let wait = service(&refused, 0.95);
    let told = refused.iter().filter(|point| point.retry_after.is_some()).count() as u64;
    let count = refused.len() as u64;
    let found = params([
        ("refused", Reading::share(count, n, Some((interval.low, interval.high)))),
        ("p95", Reading::time(wait, None, None, count)),
        ("retry-after", Reading::share(told, count, None)),
        ("limit", Reading::count(when_refused(run, &refused), count)),
        ("served", Reading::share(served.len() as u64, n, None)),
    ]);
    if shared < 0.8 {
        return Found::not_applicable(format!(
            "{count} answers were 429 or 503, but mostly while nobody was served: an error or an open breaker, no shedding"
        ));
    }
    if let Some(share) = made_a_call(run, load, &refused) {
        return Found::not_applicable(format!(
            "{count} answers were 429 or 503, but {} of them made their call: the dependency's error is handed on",
            words::share(share)
        ));
    }
    if interval.low < LEAST {
        return Found::inconclusive(
            format!("only {count} of {n} requests were refused"),
            "more pressure: twice the load that the service can bear",
        );
    }
    if wait > FAST.max(service(&served, 0.5) / 4.0) {
        return Found::absent(
            found,
            format!("refuses, but late: p95 {} until the refusal", words::micros(wait)),
        );
    }
    Found::present(
        found,
        format!(
            "refuses {} at once (p95 {}), {} with Retry-After, at {} user requests under way",
            words::percent(count, n),
            words::micros(wait),
            words::percent(told, count),
            when_refused(run, &refused)
        ),
    )
}

fn is_refusal(point: &Point) -> bool {
    matches!(point.status, Some(429 | 503)) && !point.is_ok()
}

/// The share of seconds with a refusal in which somebody was also served.
fn served_meanwhile(points: &[&Point]) -> f64 {
    let mut seconds: BTreeMap<u64, (bool, bool)> = BTreeMap::new();
    for point in points {
        let second = seconds.entry(point.intended / SECOND).or_default();
        second.0 |= is_refusal(point);
        second.1 |= point.is_ok();
    }
    let refusing: Vec<&(bool, bool)> = seconds.values().filter(|second| second.0).collect();
    refusing.iter().filter(|second| second.1).count() as f64 / refusing.len().max(1) as f64
}

/// If the refused requests called a sick dependency: the share that did. Told by how many calls there were for each request
/// that was not refused, relative to the baseline.
fn made_a_call(run: &RunView<'_>, load: &LoadView, refused: &[&Point]) -> Option<f64> {
    let sick = run.edges.iter().filter(|edge| !edge.hurt.is_empty());
    sick.filter_map(|edge| {
        // A refusal that made a call has one that began and ended within it.
        let own = |point: &&&Point| {
            let sent = point.sent.unwrap_or(point.intended);
            let from = edge.calls.partition_point(|call| call.began < sent);
            edge.calls[from..]
                .iter()
                .take_while(|call| call.began <= point.ended)
                .any(|call| call.ended <= point.ended + 1_000 && !edge.is_good(call))
        };
        let made = refused.iter().filter(own).count() as f64 / refused.len().max(1) as f64;
        // How often would that be so by chance? As often as failing calls lie in a stretch of that length anyway.
        let length: u64 = refused.iter().map(|point| point.service_time()).sum();
        let failing = edge.within(&edge.hurt).filter(|call| !edge.is_good(call)).count() as f64;
        let density = failing / edge.hurt.length().max(1) as f64;
        let by_chance = 1.0 - (-density * length as f64 / refused.len().max(1) as f64).exp();
        (load.sent > 0 && made > by_chance + 0.3).then_some(made)
    })
    .reduce(f64::max)
}

/// The most user requests under way at once.
fn in_flight(run: &RunView<'_>, windows: &Windows) -> u64 {
    let mut changes: Vec<(u64, i64)> = run
        .loads
        .iter()
        .flat_map(|load| load.within(windows))
        .filter_map(|point| Some([(point.sent?, 1), (point.ended.max(point.sent? + 1), -1)]))
        .flatten()
        .collect();
    changes.sort_unstable();
    let (mut open, mut most) = (0, 0);
    for (_, change) in changes {
        open += change;
        most = most.max(open);
    }
    most.max(0) as u64
}

/// Requests under way when one was refused, the median: where the limit lies.
fn when_refused(run: &RunView<'_>, refused: &[&Point]) -> u64 {
    let mut starts: Vec<u64> = Vec::new();
    let mut ends: Vec<u64> = Vec::new();
    for point in run.loads.iter().flat_map(|load| &load.points).filter(|point| !is_refusal(point)) {
        if let Some(sent) = point.sent {
            starts.push(sent);
            ends.push(point.ended);
        }
    }
    starts.sort_unstable();
    ends.sort_unstable();
    let levels: Vec<(u64, bool)> = refused
        .iter()
        .map(|point| {
            let at = point.sent.unwrap_or(point.intended);
            let open = starts.partition_point(|start| *start <= at)
                - ends.partition_point(|end| *end <= at).min(starts.partition_point(|start| *start <= at));
            (open as u64, false)
        })
        .collect();
    quantile(&levels, 0.5).map_or(0, |level| level.value as u64)
}
