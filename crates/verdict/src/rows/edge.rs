//! What is asserted about a caller's behaviour on an edge: the detectors' facts held against bounds.

use std::collections::BTreeMap;

use murphy_core::{EdgeName, Span};

use super::{Case, Draft};
use crate::detect::{CUT_SHORT, ages, caller_died};
use crate::judgement::{Detector, Finding, Reading, RowKind, State};
use crate::stats::{Share, wilson};
use crate::words;

/// A timer of exactly the bound fires a little later, and the proxy sees it later still: 5 % and 10 ms.
fn with_tolerance(bound: f64) -> f64 {
    bound * 1.05 + 10_000.0
}

/// So many calls must have waited beyond the bound to say that there is no such timeout.
const OUTWAITED: usize = 5;

/// The reason of a finding that decides nothing.
pub(super) fn undecided(draft: Draft, finding: Option<&Finding>) -> Draft {
    match finding.map(|finding| &finding.state) {
        Some(State::Inconclusive { why, settle, .. }) => draft.open(why.clone(), settle.clone()),
        Some(State::NotApplicable { why }) => {
            draft.open(why.clone(), "a fault on this edge that puts the question")
        }
        _ => draft.open("no such edge in the journal", "correct the scenario"),
    }
}

pub(super) fn timeout(case: &Case<'_>, name: &EdgeName, at_most: Span, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Timeout,
        format!("{name} timeout"),
        "pass if 95% of the touched calls that wait are given up, at an age whose interval is at or below the bound (with \
         5% and 10ms for timers); fail if calls wait for longer",
    );
    let finding = case.finding(Detector::Timeout, name);
    let bound = with_tolerance(at_most.as_micros() as f64);
    let Some(edge) = case.run.edges.iter().find(|edge| &edge.name == name) else {
        return undecided(draft, None);
    };
    let waits = ages(case.run, edge);
    let over = waits.iter().filter(|age| age.0 as f64 > bound).count();
    // More than one call in twenty beyond the bound, with the whole interval, decides whatever else is known.
    let beyond = !waits.is_empty()
        && wilson(Share { p: over as f64 / waits.len() as f64, n: waits.len() as f64 }).low > 0.05;
    match finding.map(|finding| &finding.state) {
        Some(State::Present { params }) => {
            let (Some(timeout), Some(covered)) = (params.get("timeout"), params.get("coverage")) else {
                return undecided(draft, None);
            };
            draft.during = Some(timeout.clone());
            let end = |end: Option<f64>| end.map(|seconds| seconds * 1e6);
            let share = covered.value.unwrap_or(0.0);
            if end(timeout.low).is_some_and(|low| low > bound) || beyond {
                return draft.fail(format!("want {want}, {over} of {} calls waited longer", waits.len()));
            }
            if share >= 0.95 && end(timeout.high).is_some_and(|high| high <= bound) {
                return draft.pass(format!("{want}, {} of calls", covered.text));
            }
            let why = if share < 0.95 {
                format!("only {} of calls are given up", covered.text)
            } else {
                format!("{} straddles {}", timeout.text, words::span(at_most))
            };
            draft.open(why, "more calls that wait for longer than the bound: a longer fault or a higher rate")
        }
        Some(State::Absent { params }) => {
            let mut longest: Vec<u64> = waits.iter().map(|age| age.0).collect();
            longest.sort_unstable_by(|a, b| b.cmp(a));
            let up_to = params.get("up-to").and_then(|reading| reading.value).unwrap_or(0.0) * 1e6;
            let up_to = longest.get(OUTWAITED - 1).map_or(up_to, |fifth| up_to.max(*fifth as f64));
            let reading = Reading::time(up_to, None, None, waits.len() as u64);
            draft.during = Some(reading.says(format!("> {}", words::micros(up_to))));
            // Not one call was given up, and some are known to have waited for longer than the bound.
            if up_to > bound {
                return draft
                    .fail(format!("want {want}; none of {} calls was given up by the caller", waits.len()));
            }
            draft.open(
                format!("{over} calls were held for longer than {}", words::span(at_most)),
                format!(
                    "{OUTWAITED} calls that are: a longer fault, a higher rate, or users with more patience"
                ),
            )
        }
        _ => undecided(draft, finding),
    }
}

pub(super) fn attempts(case: &Case<'_>, name: &EdgeName, at_most: u32, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Attempts,
        format!("{name} attempts"),
        "counted for user requests that were alone in the system, else bounded by the calls that fit one after another into \
         a request's life; pass if none tries more often than the bound, fail if one does, or if the mean alone is above",
    );
    let finding = case.finding(Detector::Attempts, name);
    // A mean above the bound proves that somebody tries more often, whoever it is.
    let ratio = case.finding(Detector::Amplification, name).and_then(|finding| finding.param("ratio"));
    if let Some(ratio) = ratio {
        draft.during = Some(ratio.clone());
        if ratio.low.is_some_and(|low| low > f64::from(at_most)) {
            return draft.fail(format!("want {want}; the mean alone is above it"));
        }
    }
    if let Some(least) = finding.and_then(|finding| finding.param("least")) {
        draft.during = Some(least.clone());
        let turned_away = finding.and_then(|finding| finding.param("turned-away"));
        let is_above = least.value.is_some_and(|least| least > f64::from(at_most));
        return match (is_above, turned_away) {
            (true, None) => {
                draft.fail(format!("want {want}, {}, and users left before the last", least.text))
            }
            (true, Some(_)) => {
                draft.fail(format!("want {want}, {} seen before calls were turned away", least.text))
            }
            (false, None) => draft.open(
                "users left before the last try",
                "users with more patience: a longer `timeout` of the load",
            ),
            (false, Some(turned_away)) => draft.open(
                format!(
                    "{} seen, and {} of {} requests were turned away, as by a breaker, before more could be",
                    least.text, turned_away.text, turned_away.n
                ),
                CUT_SHORT,
            ),
        };
    }
    if let Some(State::Present { params } | State::Absent { params } | State::Inconclusive { params, .. }) =
        finding.map(|finding| &finding.state)
        && let Some(most) = params.get("most").and_then(|most| most.value)
    {
        draft.during = params.get("attempts").or_else(|| params.get("most")).cloned();
        return if most > f64::from(at_most) {
            // A bound on what overlapping users may have tried proves nothing of one of them.
            if params.contains_key("bound") {
                return draft.open(
                    format!("users overlap; a request may have tried {most} times"),
                    "a load so slow that users do not overlap",
                );
            }
            draft.fail(format!("want {want}, {most} seen"))
        } else {
            draft.pass(format!("{want}, {most} at most"))
        };
    }
    // Nothing had to be tried again, and nothing was: the bound held, and the reason says how little that means.
    if let (Some(State::NotApplicable { .. }), Some(ratio)) = (finding.map(|finding| &finding.state), ratio)
        && ratio.high.is_some_and(|high| high < 1.1)
    {
        let why =
            if was_answered_for(case, name) { "no call had to be tried again" } else { "no call failed" };
        return draft.pass(format!("{want}; {why}"));
    }
    undecided(draft, finding)
}

/// True if Murphy answered in the callee's stead with what no caller need take for a failure.
fn was_answered_for(case: &Case<'_>, name: &EdgeName) -> bool {
    let edge = case.run.edges.iter().find(|edge| &edge.name == name);
    edge.is_some_and(|edge| edge.within(&edge.hurt).any(|call| call.touched && call.is_made_up()))
}

pub(super) fn amplification(case: &Case<'_>, name: &EdgeName, at_most: f64, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Amplification,
        format!("{name} amplification"),
        "calls for each user request relative to the baseline, 95% interval by a bootstrap of seconds; pass if wholly at or \
         below the bound, fail if wholly above",
    );
    let finding = case.finding(Detector::Amplification, name);
    let Some(ratio) = finding.and_then(|finding| finding.param("ratio")) else {
        return undecided(draft, finding);
    };
    draft.baseline = Some(Reading::ratio(1.0, None, 0));
    draft.during = Some(ratio.clone());
    match (ratio.low, ratio.high) {
        (_, Some(high)) if high <= at_most => draft.pass(want),
        (Some(low), _) if low > at_most => draft.fail(format!("want {want}")),
        _ => draft.open(
            format!("{} straddles {at_most}", ratio.text),
            "300 user requests a phase give about 0.03 each way with a retry budget; more make it finer",
        ),
    }
}

/// True unless the edge's caller ended by itself.
pub(super) fn lives(case: &Case<'_>, name: &EdgeName) -> bool {
    case.run.edges.iter().any(|edge| &edge.name == name && !caller_died(case.run, edge))
}

pub(super) fn breaker(case: &Case<'_>, name: &EdgeName, want: &str) -> Draft {
    let draft = Draft::new(
        RowKind::Breaker,
        format!("{name} breaker"),
        "pass if calls stop although 12 or more are due, while users are answered fast; fail if 150 calls in a row fail \
         without that",
    );
    let finding = case.finding(Detector::Breaker, name);
    // Calls that stop are what is asked for, whether a fixed window stops them or chance. Those of the dead stop too.
    let opens = finding.and_then(|finding| Some((finding, finding.param("opens")?.clone())));
    if let Some((finding, opens)) = opens.filter(|_| lives(case, name)) {
        let mut draft = draft;
        let text = match opens.value {
            Some(1.0) => "open once".to_owned(),
            _ => format!("open {} times", opens.text),
        };
        draft.during = Some(opens.says(text));
        return draft.pass(finding.text.clone());
    }
    match finding {
        Some(Finding { state: State::Absent { .. }, text, .. }) => {
            draft.fail(if want.is_empty() { text.clone() } else { format!("want {want}: {text}") })
        }
        Some(_) if never_slackened(case, name) => {
            draft.fail(format!("want {want}: no silent interval while calls were slow"))
        }
        _ => undecided(draft, finding),
    }
}

/// `pool: <= 20`. That a bound was not reached proves nothing: there may have been no more to call for.
pub(super) fn pool(case: &Case<'_>, name: &EdgeName, at_most: u32, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Pool,
        format!("{name} pool"),
        "pass if calls in flight stop at a limit at or below the bound while users wait; fail if the limit is above it, or if without \
         a limit more calls were in flight at once",
    );
    let finding = case.finding(Detector::Pool, name);
    let bound = f64::from(at_most);
    let level = |params: &BTreeMap<String, Reading>| params.get("level").and_then(|level| level.value);
    let (limit, peak) = match finding.map(|finding| &finding.state) {
        // Whether there is a limit is open, and not that it would be above the bound.
        Some(State::Inconclusive { params, .. }) if level(params).is_some_and(|level| level > bound) => {
            draft.during = params.get("level").cloned();
            let level = level(params).unwrap_or(0.0);
            return draft.fail(format!("want {want}; {level} or more were in flight for half of the time"));
        }
        Some(State::Present { params }) => (params.get("limit"), None),
        Some(State::Absent { params }) => (None, params.get("peak")),
        _ => return undecided(draft, finding),
    };
    draft.during = limit.or(peak).cloned();
    let seen = |reading: Option<&Reading>| reading.and_then(|reading| reading.value);
    match (seen(limit), seen(peak)) {
        (Some(limit), _) if limit <= bound => draft.pass(format!("{want}, where calls stop")),
        (Some(limit), _) => draft.fail(format!("want {want}; calls in flight stop at {limit}")),
        (None, Some(peak)) if peak > bound => {
            draft.fail(format!("want {want}; {peak} were in flight at once, and no limit was seen"))
        }
        _ => draft.open(
            format!("no limit was seen, nor more than {at_most} calls at once"),
            "users who wait for a place: a higher rate, or calls that are held for longer",
        ),
    }
}

/// True if many calls were slow and none was left out: either about as many were made as in the baseline, or they stood at
/// the limit of a pool, where what is not called waits for its place. Without a timeout a slow call never counts as failed,
/// and no breaker opens. One that Murphy answered at once was not slow.
fn never_slackened(case: &Case<'_>, name: &EdgeName) -> bool {
    const MANY: usize = 150;
    let Some(edge) = case.run.edges.iter().find(|edge| &edge.name == name) else { return false };
    let touched = edge.within(&edge.hurt).filter(|call| call.touched && !call.is_made_up()).count();
    let ratio = case.finding(Detector::Amplification, name).and_then(|finding| finding.param("ratio"));
    let kept = ratio.and_then(|ratio| ratio.low).is_some_and(|low| low >= 0.8);
    let full = case.finding(Detector::Pool, name).is_some_and(Finding::is_present);
    touched >= MANY && (kept || full)
}
