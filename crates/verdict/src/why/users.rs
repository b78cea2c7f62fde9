//! Causes of what users saw: failures, long waits, and the suffering of loads that should have been apart.

use murphy_core::{Rule, SampleOutcome};

use super::edge_facts::EdgeFacts;
use super::{Told, nothing_seen};
use crate::judgement::{Cause, Row, RowKind};
use crate::phase::{LoadView, Point, RunView};
use crate::stats::quantile;
use crate::words;

/// What went wrong for users of a load during the fault.
struct Bad<'a> {
    points: Vec<&'a Point>,
    degraded: usize,
    unanswered: usize,
}

impl<'a> Bad<'a> {
    /// `good` is how many the row counted as good; what is beyond plain failures must have been degraded answers.
    fn of(run: &'a RunView<'_>, load: &'a LoadView, good: u64) -> Bad<'a> {
        let all: Vec<&Point> = load.within(&run.during).collect();
        let ok = all.iter().filter(|point| point.is_ok()).count();
        let unanswered =
            |point: &&&Point| matches!(point.outcome, SampleOutcome::Timeout | SampleOutcome::Unfinished);
        Bad {
            degraded: ok.saturating_sub(good as usize),
            unanswered: all.iter().filter(unanswered).count(),
            points: all.into_iter().filter(|point| !point.is_ok()).collect(),
        }
    }

    fn median(&self) -> f64 {
        let times: Vec<(u64, bool)> = self.points.iter().map(|point| (point.service_time(), false)).collect();
        quantile(&times, 0.5).map_or(0.0, |median| median.value)
    }
}

pub(super) fn success(run: &RunView<'_>, row: &Row, load: &LoadView, edges: &[EdgeFacts<'_>]) -> Told {
    let good = row.during.as_ref().and_then(|during| during.good).unwrap_or(0);
    let bad = Bad::of(run, load, good);
    let failed = bad.points.len();
    if bad.degraded > failed {
        return Told::new(
            Cause::DegradedAnswers,
            format!(
                "{} answers were stale, default or partial, which this expectation does not allow",
                bad.degraded
            ),
            "allow them with `may: [stale]` (or `default`, `partial`) if users can live with that",
        );
    }
    let Some(edge) = edges.iter().find(|edge| edge.touched > 0 || edge.edge.blind) else {
        return nothing_seen();
    };
    let name = edge.name();
    if let Some((limit, users)) = edge.pool
        && bad.unanswered * 2 > failed
    {
        return queue(edge, limit, users, None);
    }
    if edge.fails_at_once() {
        let calls = if edge.edge.blind { "calls".to_owned() } else { words::plural(edge.failed, "call") };
        let tries = match edge.attempts {
            Some(0 | 1) => "; no retry".to_owned(),
            Some(tries) => format!("; {tries} tries, all in vain"),
            None => String::new(),
        };
        return Told::new(
            Cause::ErrorPassedOn,
            format!(
                "{calls} on {name} {}, and {failed} user requests failed within {} of being sent: the error is handed \
                 on as it comes, no fallback{tries}",
                edge.how_calls_failed(),
                words::micros(bad.median())
            ),
            format!(
                "answer from {} when {name} fails, or leave that part of the answer out",
                edge.last_known()
            ),
        );
    }
    if edge.timeout.is_none() && edge.no_timeout.is_some() {
        let users = if bad.unanswered > 0 {
            format!("; {} of {failed} failed users waited until their own patience ended", bad.unanswered)
        } else {
            String::new()
        };
        return Told::new(
            Cause::NoTimeout,
            edge.waits_without_end() + &users,
            format!("a timeout of {}, and an answer for when it strikes", edge.timeout_for_usual()),
        );
    }
    if let Some(timeout) = edge.timeout {
        return Told::new(
            Cause::NoFallback,
            format!(
                "calls on {name} are given up after {}, and then there is nothing else to answer with: {failed} users got \
                 an error",
                words::micros(timeout)
            ),
            format!("answer from {} when {name} is slow", edge.last_known()),
        );
    }
    Told::unknown(format!("{failed} requests failed, and calls on {name} do not tell why"))
}

fn queue(edge: &EdgeFacts<'_>, limit: u64, users: u64, seen: Option<f64>) -> Told {
    // The wait of one call is known only if not all were cut short by users who left.
    let beyond = seen.filter(|seen| edge.left * 2 < edge.touched && *seen > edge.wait).map_or_else(
        String::new,
        |seen| {
            format!("; {} is far more than the {} of one call", words::micros(seen), words::micros(edge.wait))
        },
    );
    Told::new(
        Cause::Queue,
        format!(
            "calls on {} stop at {limit} at once while {users} users wait for a place{beyond}",
            edge.name()
        ),
        format!(
            "a timeout of {} and a bounded queue that refuses at once when it is full",
            edge.timeout_for_usual()
        ),
    )
}

pub(super) fn latency(run: &RunView<'_>, row: &Row, load: &LoadView, edges: &[EdgeFacts<'_>]) -> Told {
    let Some(seen) = row.during.as_ref().and_then(|during| during.value).map(|seconds| seconds * 1e6) else {
        return nothing_seen();
    };
    let asserted = run.brief.and_then(|brief| brief.expectations.iter().find(|asked| asked.id == row.id));
    let bound = match asserted.map(|asked| &asked.rule) {
        Some(Rule::Latency { at_most, .. } | Rule::FailFast { at_most }) => at_most.as_micros() as f64,
        _ => return nothing_seen(),
    };
    let Some(edge) = edges.iter().find(|edge| edge.touched > 0) else { return nothing_seen() };
    let name = edge.name();
    let what = match row.kind {
        RowKind::FailFast => "time to any answer",
        _ => row.label.strip_prefix(load.name.as_str()).unwrap_or("latency").trim(),
    };
    if let Some((limit, users)) = edge.pool
        && seen > edge.wait * 1.5
    {
        return queue(edge, limit, users, Some(seen));
    }
    if edge.timeout.is_none() && edge.no_timeout.is_some_and(|up_to| up_to > bound * 0.5) {
        let users = if near(seen, edge.wait) || near(seen, edge.longest) {
            format!("; users' {what} of {} is that wait", words::micros(seen))
        } else {
            format!("; users' {what} is {}", words::micros(seen))
        };
        return Told::new(
            Cause::NoTimeout,
            edge.waits_without_end() + &users,
            format!("to meet {}: a timeout of {}", words::micros(bound), edge.timeout_for(bound)),
        );
    }
    if let Some(timeout) = edge.timeout {
        return timed_out(edge, timeout, seen, bound, what);
    }
    Told::unknown(format!(
        "users' {what} is {}, calls on {name} waited {} (median)",
        words::micros(seen),
        words::micros(edge.wait)
    ))
}

/// Attempts that are guessed at most from a wait and a timeout.
const MOST_GUESSED: u64 = 6;

/// Attempts as they were counted. Where they could not be, a few may be meant by what users saw; many are no explanation but a
/// coincidence.
fn tries(counted: Option<u64>, timeout: f64, seen: f64) -> u64 {
    let guessed = (seen / timeout).floor() as u64;
    counted.unwrap_or(if guessed <= MOST_GUESSED { guessed } else { 1 }).max(1)
}

fn timed_out(edge: &EdgeFacts<'_>, timeout: f64, seen: f64, bound: f64, what: &str) -> Told {
    let tries = tries(edge.attempts, timeout, seen);
    let waiting = timeout * tries as f64;
    let times = words::micros(timeout);
    let change = format!(
        "to meet {}: {}a timeout of {}, or a breaker that opens",
        words::micros(bound),
        if tries > 1 { "one attempt, or " } else { "" },
        edge.timeout_for(bound)
    );
    if tries == 1 && near(seen, timeout) {
        let mechanism = format!(
            "calls on {} are given up after {times}, and users' {what} of {} is that wait",
            edge.name(),
            words::micros(seen)
        );
        return Told::new(Cause::TimeoutTooLong, mechanism, change);
    }
    if waiting <= seen * 1.1 && seen <= waiting * 2.0 {
        let rest = (seen - waiting).max(0.0);
        let waits = if rest > waiting * 0.05 {
            format!(" + {} of waits between", words::micros(rest))
        } else {
            String::new()
        };
        let mechanism = format!(
            "{times} x {tries} attempts{waits} = {}, which is the {what} you see",
            words::micros(waiting + if waits.is_empty() { 0.0 } else { rest })
        );
        return Told::new(Cause::Retries, mechanism, change);
    }
    let mechanism = format!(
        "calls on {} are given up after {times}, yet users' {what} is {}: they wait for something else too",
        edge.name(),
        words::micros(seen)
    );
    Told::new(Cause::Unknown, mechanism, "look at what the service does after the timeout strikes")
}

/// Within a quarter, or 20 ms.
fn near(seen: f64, told: f64) -> bool {
    (seen - told).abs() <= (told * 0.25).max(20_000.0)
}

pub(super) fn isolation(row: &Row, edges: &[EdgeFacts<'_>]) -> Told {
    match edges.iter().find(|edge| edge.touched > 0) {
        Some(edge) if edge.pool.is_some() => {
            let (limit, users) = edge.pool.unwrap_or_default();
            queue(edge, limit, users, None)
        }
        Some(edge) if edge.timeout.is_none() && edge.no_timeout.is_some() => Told::new(
            Cause::NoTimeout,
            format!(
                "{}; what waits there takes the places of others ({})",
                edge.waits_without_end(),
                row.reason
            ),
            format!("a timeout of {}, and a pool of its own for each dependency", edge.timeout_for_usual()),
        ),
        _ => Told::unknown(row.reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_attempts_may_be_guessed_and_many_are_a_coincidence() {
        assert_eq!(tries(None, 250_000.0, 1_020_000.0), 4);
        assert_eq!(tries(None, 17_900.0, 1_470_000.0), 1, "82 of them explain nothing");
        assert_eq!(tries(None, 500_000.0, 300_000.0), 1);
        assert_eq!(tries(Some(82), 17_900.0, 1_470_000.0), 82, "what was counted stands");
    }
}
