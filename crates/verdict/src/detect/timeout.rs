//! Does the caller give up on a call that is not answered, and when? (verdicts 2.1)
//!
//! What is seen is the age at which callers closed a call. A call that was answered, failed or cut short by the end of the
//! run is censored at its age. One that ends a call whose answer has begun guards the body too; what never strikes while bytes
//! trickle is no deadline. "No timeout" is never claimed, only "no timeout up to the longest wait seen".

use murphy_core::Span;

use super::{Found, params};
use crate::edge::{Call, EdgeView};
use crate::judgement::{Reading, Unit};
use crate::phase::RunView;
use crate::stats::{Interval, Share, Survival, quantile, wilson};
use crate::words;

/// Cancels needed to name a timeout.
const FEWEST_CANCELS: usize = 5;
/// Calls that must have waited for so long before a timeout below that age is ruled out: 30 without a cancel leave at
/// most 10 % of calls that may have one (3/n), 10 leave 26 %.
const AT_RISK: usize = 30;
const AT_RISK_FEW: usize = 10;
/// Waits below this say nothing of a timeout: the dependency was simply fast.
const SHORTEST: u64 = 50_000;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let calls = touched(run, edge);
    let ages: Vec<(u64, bool)> = calls.iter().map(|(call, own)| (call.wait(), *own)).collect();
    if ages.is_empty() {
        return Found::not_applicable("no call on this edge was touched by a fault");
    }
    let cancels: Vec<(u64, bool)> = ages.iter().filter(|age| age.1).map(|age| (age.0, false)).collect();
    let mut waits: Vec<u64> = ages.iter().map(|age| age.0).collect();
    waits.sort_unstable_by(|a, b| b.cmp(a));
    if cancels.is_empty() {
        // Calls that end with the lift outlast every user; only those that were answered before can be held against one.
        if waits.len() >= AT_RISK_FEW && waits[0] >= SHORTEST && attended(run, edge) < 0.5 {
            return Found::inconclusive(
                "users are answered long before these calls end: the caller gives up without closing them, or does not \
                 wait for them",
                "a latency bound on the load tells what matters to users",
            );
        }
        return no_cancels(&waits);
    }
    if cancels.len() < FEWEST_CANCELS {
        return Found::inconclusive(
            format!("only {} of {} touched calls were given up", cancels.len(), ages.len()),
            format!("{FEWEST_CANCELS} calls that are given up: a longer fault or a higher rate"),
        );
    }
    let Some(at) = quantile(&cancels, 0.5) else { return Found::not_applicable("no cancels") };
    if let Some(patience) = impatient(run, edge, at.value) {
        return Found::inconclusive(
            format!(
                "calls end at {}, when users leave, who wait for {}: a timeout of the caller's own is not told from that",
                words::micros(at.value),
                words::span(patience)
            ),
            "users with more patience: a `timeout` of the load of twice the length of the fault",
        );
    }
    let survival = Survival::of(&ages);
    // Timers strike late on a busy machine; a path without one waits for much longer than that.
    let coverage = (1.0 - survival.beyond((at.value * 1.5) as u64 + 50_000)).clamp(0.0, 1.0);
    let spread = interval_of(&cancels);
    let timeout = Reading::time(at.value, at.low.or(Some(spread.low)), at.high.or(Some(spread.high)), at.n);
    let interval = wilson(Share { p: coverage, n: ages.len() as f64 });
    let covered = Reading {
        text: words::share(coverage),
        unit: Unit::Share,
        value: Some(coverage),
        low: Some(interval.low),
        high: Some(interval.high),
        n: ages.len() as u64,
        good: None,
    };
    let mut text = if coverage >= 0.95 {
        format!("gives up after {}, {} of calls that wait", timeout.text, covered.text)
    } else {
        format!("gives up after {} on {} of calls only", timeout.text, covered.text)
    };
    let mut found = params([("timeout", timeout), ("coverage", covered)]);
    let begun = calls.iter().filter(|(call, own)| *own && call.answered.is_some()).count();
    if begun > 0 {
        found.insert("in-answer".to_owned(), Reading::share(begun as u64, cancels.len() as u64, None));
    }
    if begun * 2 > cancels.len() {
        text += ", in the midst of the answer";
    }
    Found::present(found, text)
}

/// The patience of users, if calls end at about that age and many users left: then the two cannot be told apart.
fn impatient(run: &RunView<'_>, edge: &EdgeView, at: f64) -> Option<Span> {
    run.loads.iter().find_map(|load| {
        let patience = load.timeout?;
        let (mut all, mut left) = (0u64, 0u64);
        for point in load.within(&edge.hurt) {
            all += 1;
            left += u64::from(point.is_censored());
        }
        (at >= patience.as_micros() as f64 * 0.8 && left * 5 > all).then_some(patience)
    })
}

/// For fewer than six cancels order statistics give no interval; the range is then all that can be said.
fn interval_of(cancels: &[(u64, bool)]) -> Interval {
    let low = cancels.iter().map(|cancel| cancel.0).min().unwrap_or(0);
    let high = cancels.iter().map(|cancel| cancel.0).max().unwrap_or(0);
    Interval { low: low as f64, high: high as f64 }
}

fn no_cancels(waits: &[u64]) -> Found {
    let (reached, at_risk) = match (waits.get(AT_RISK - 1), waits.get(AT_RISK_FEW - 1)) {
        // A few calls that waited for much longer say more than many that were cut short by their users.
        (Some(many), Some(few)) if *few > many.saturating_mul(2) => (*few, AT_RISK_FEW),
        (Some(many), _) => (*many, AT_RISK),
        (None, Some(few)) => (*few, AT_RISK_FEW),
        (None, None) if waits.first().is_none_or(|longest| *longest < SHORTEST) => return at_once(),
        (None, None) => {
            return Found::inconclusive(
                format!("only {} were touched, none was given up", words::plural(waits.len() as u64, "call")),
                format!("{AT_RISK_FEW} calls that wait: a longer fault or a higher rate"),
            );
        }
    };
    if reached < SHORTEST {
        return at_once();
    }
    let up_to = Reading::time(reached as f64, None, None, at_risk as u64);
    let text = format!("no timeout <= {}: of {} calls the caller gave none up", up_to.text, waits.len());
    Found::absent(params([("up-to", up_to)]), text)
}

fn at_once() -> Found {
    Found::not_applicable(
        "calls failed or were answered at once: only a slow or silent dependency shows a timeout",
    )
}

/// Ages of touched calls; `true` if the caller gave up by its own decision.
pub(crate) fn ages(run: &RunView<'_>, edge: &EdgeView) -> Vec<(u64, bool)> {
    touched(run, edge).into_iter().map(|(call, own)| (call.wait(), own)).collect()
}

/// Touched calls; `true` if the caller gave up by its own decision.
fn touched<'e>(run: &RunView<'_>, edge: &'e EdgeView) -> Vec<(&'e Call, bool)> {
    let cascades = user_timeouts(run);
    // Those that were under way when the fault struck waited in it like those that were begun later.
    let in_fault = |call: &&Call| edge.hurt.iter().any(|part| call.began < part.to && part.from < call.ended);
    let touched = || edge.calls.iter().filter(|call| call.touched).filter(in_fault);
    let follows = |call: &&Call| call.is_given_up() && follows(&cascades, call.ended);
    let spared = touched().filter(follows).map(Call::wait).collect::<Vec<u64>>();
    // Where users leave all the time, every cancel follows one. Cancels of one and the same age, well below the users'
    // patience, are the caller's own all the same.
    let patience =
        run.loads.iter().filter_map(|load| load.timeout).map(Span::as_micros).min().unwrap_or(u64::MAX);
    let own = is_of_one_age(&spared, patience);
    let all = edge.calls.iter().filter(|call| call.touched).filter(in_fault);
    all.map(|call| (call, call.is_given_up() && (own || !follows(&call)))).collect()
}

fn is_of_one_age(ages: &[u64], patience: u64) -> bool {
    let mut ages = ages.to_vec();
    ages.sort_unstable();
    let Some(&median) = ages.get(ages.len() / 2) else { return false };
    let mut apart: Vec<u64> = ages.iter().map(|age| age.abs_diff(median)).collect();
    apart.sort_unstable();
    let spread = apart[apart.len() / 2];
    // One that waited far longer shows that no timer of that age runs.
    let longest = ages[ages.len() - 1];
    ages.len() >= FEWEST_CANCELS
        && spread * 20 <= median
        && longest <= median * 2 + 50_000
        && (median as f64) < patience as f64 * 0.9
}

/// When our own sender gave up: a caller that cancels because its user has gone has no timeout of its own.
fn user_timeouts(run: &RunView<'_>) -> Vec<u64> {
    let mut ends: Vec<u64> = run
        .loads
        .iter()
        .flat_map(|load| load.across.iter().chain(&load.points))
        .filter(|point| point.is_censored())
        .map(|point| point.ended)
        .collect();
    ends.sort_unstable();
    ends
}

/// True if `at` comes within 50 ms after (or 5 ms before, as clocks are read by two tasks) one of `ends`.
fn follows(ends: &[u64], at: u64) -> bool {
    let first = ends.partition_point(|end| end + 50_000 < at);
    ends.get(first).is_some_and(|end| *end <= at + 5_000)
}

/// The share of touched calls during which some user waited from beginning to end. If it is small, the caller answers its
/// users without closing the call: it gives up in a way that the proxy cannot see.
fn attended(run: &RunView<'_>, edge: &EdgeView) -> f64 {
    const SLACK: u64 = 20_000;
    let mut lives: Vec<(u64, u64)> = run
        .loads
        .iter()
        .flat_map(|load| load.across.iter().chain(&load.points))
        .filter_map(|point| Some((point.sent?, if point.is_censored() { u64::MAX } else { point.ended })))
        .collect();
    lives.sort_unstable();
    let mut longest = 0;
    for life in &mut lives {
        longest = longest.max(life.1);
        life.1 = longest;
    }
    let touched: Vec<&Call> =
        edge.within(&edge.hurt).filter(|call| call.touched && call.wait() >= SHORTEST).collect();
    let seen = touched.iter().filter(|call| {
        let before = lives.partition_point(|life| life.0 <= call.began + SLACK);
        before > 0 && lives[before - 1].1.saturating_add(SLACK) >= call.ended
    });
    seen.count() as f64 / touched.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_right_after_a_users_own_timeout_is_not_the_callers() {
        let ends = [1_000_000, 2_000_000];
        assert!(follows(&ends, 1_000_000) && follows(&ends, 1_049_000) && follows(&ends, 1_996_000));
        assert!(!follows(&ends, 1_060_000) && !follows(&ends, 900_000) && !follows(&[], 5));
    }

    #[test]
    fn cancels_of_one_age_are_the_callers_own_even_among_leaving_users() {
        assert!(is_of_one_age(&[200_100, 200_300, 201_000, 200_500, 203_000], 5_000_000));
        assert!(!is_of_one_age(&[200_100, 1_200_300, 2_201_000, 3_200_500, 4_203_000], 5_000_000));
        assert!(!is_of_one_age(&[5_000_100; 9], 5_000_000)); // the users' own patience
        assert!(!is_of_one_age(&[], 5_000_000));
    }

    #[test]
    fn without_cancels_only_a_bound_is_claimed() {
        let found = no_cancels(&[2_000_000; 40]);
        assert_eq!(found.text, "no timeout <= 2s: of 40 calls the caller gave none up");
        assert!(matches!(no_cancels(&[2_000_000; 4]).state, crate::judgement::State::Inconclusive { .. }));
        assert!(matches!(no_cancels(&[2_000; 40]).state, crate::judgement::State::NotApplicable { .. }));
        assert!(matches!(no_cancels(&[2_000; 4]).state, crate::judgement::State::NotApplicable { .. }));
        // Ten held for five seconds, the others cut short by users who left.
        let held: Vec<u64> = [5_000_000; 10].into_iter().chain([100_000; 90]).collect();
        assert!(no_cancels(&held).text.starts_with("no timeout <= 5s"));
    }
}
