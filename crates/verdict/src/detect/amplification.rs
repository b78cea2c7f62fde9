//! How many calls on the edge for each user request, relative to the baseline? (verdicts 2.3) Needs no attribution of
//! calls to requests, so it works on raw bytes too.
//!
//! The mean of a fault hides what comes before a breaker opens, which is then told apart, with the worst five seconds.
//!
//! Where a cache serves some requests in health and is empty in the fault, there are more calls too, and none is tried again.

use super::breaker::first_silence;
use super::{Found, caller_died, params};
use crate::edge::EdgeView;
use crate::judgement::Reading;
use crate::phase::{Point, RunView, Window, Windows};
use crate::solo::{APART, Solo, alone, met_by_others, unasked};
use crate::stats::{Blocks, quantile, ratio_of_rates};
use crate::words;

/// Requests alone in the baseline that tell whether all of them make a call.
const FEWEST_ALONE: usize = 10;
/// Requests alone in the fault that made more calls than in health: fewer may be chance.
const FEWEST_AGAIN: usize = 5;
/// Baseline calls needed for a ratio.
pub(super) const FEWEST_CALLS: u64 = 50;
/// Beyond this there is amplification: a retry budget of 10 % (Site Reliability Engineering, chapter 21).
pub(super) const BUDGET: f64 = 1.1;
/// Up to this there is none to speak of: the largest budget in common use, 20 % (Envoy, Linkerd, Finagle).
const NONE: f64 = 1.2;

/// The seconds in a row of which the worst are told, and the requests that they must have.
const WORST_OF: usize = 5;
const FEWEST_USERS: u64 = 20;

/// What an interval of calls for each request, relative to the baseline, tells of further calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    Made,
    None,
    Untold,
}

impl Further {
    pub(super) fn told_by(low: f64, high: f64) -> Further {
        match (low > BUDGET, high <= NONE) {
            (true, _) => Further::Made,
            (false, true) => Further::None,
            (false, false) => Further::Untold,
        }
    }
}

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if edge.hurt.is_empty() {
        return Found::not_applicable("no fault sits on this edge");
    }
    if edge.blind {
        return Found::inconclusive(
            "refused connections leave no trace at the proxy, so calls cannot be counted",
            "use `reset` or `hang` instead of `refuse`",
        );
    }
    let (base, during) = (blocks(run, edge, &run.baseline), blocks(run, edge, &edge.hurt));
    let (calls, users) = (sum(&base).0, sum(&during).1);
    if calls < FEWEST_CALLS {
        return Found::inconclusive(
            format!("only {} in the baseline", words::plural(calls, "call")),
            format!("{FEWEST_CALLS} calls in the baseline: a longer baseline or a higher rate"),
        );
    }
    let Some((value, interval)) = ratio_of_rates(&during, &base) else {
        return Found::inconclusive(
            "too short for an interval",
            "a baseline and a fault of 5 seconds or more",
        );
    };
    let ratio = Reading::ratio(value, Some((interval.low, interval.high)), users);
    let made = sum(&during).0;
    let mut text = format!("{} calls for each user request, relative to the baseline", ratio.text);
    let mut params = params([
        ("ratio", ratio),
        ("calls", Reading::count(made, made)),
        ("requests", Reading::count(users, users)),
    ]);
    if let Some(worst) = worst(run, edge, &base) {
        params.insert("worst".to_owned(), worst);
    }
    if let Some(closed) = until_open(run, edge, &base) {
        text += &format!(", and {} until calls stop for the first time", closed.text);
        params.insert("until-open".to_owned(), closed);
    }
    match Further::told_by(interval.low, interval.high) {
        Further::Made => {
            let Some(Spared { without, all }) = spared(run, edge) else {
                return Found::present(params, text);
            };
            let share = Reading::share(without, all, None);
            let text = format!(
                "{text}, and no more than if each made its own: in health {} make none, as from a cache, and that may be all that changed",
                words::percent(without, all)
            );
            params.insert("spared".to_owned(), share);
            Found::undecided(
                params,
                text,
                "a baseline in which each request makes its call: without the cache",
            )
        }
        Further::None => Found::absent(params, text),
        Further::Untold => Found::undecided(
            params,
            format!("{text}: too wide an interval to tell retries from none"),
            "a longer baseline and fault, or a higher rate",
        ),
    }
}

/// The ratio alone, where it is told.
pub(super) fn ratio(run: &RunView<'_>, edge: &EdgeView) -> Option<Reading> {
    if edge.hurt.is_empty() || edge.blind {
        return None;
    }
    let (base, during) = (blocks(run, edge, &run.baseline), blocks(run, edge, &edge.hurt));
    let (value, interval) = ratio_of_rates(&during, &base).filter(|_| sum(&base).0 >= FEWEST_CALLS)?;
    Some(Reading::ratio(value, Some((interval.low, interval.high)), sum(&during).1))
}

/// The ratio until calls stop for the first time, where they do and it is told.
pub(super) fn ratio_until_open(run: &RunView<'_>, edge: &EdgeView) -> Option<Reading> {
    let base = blocks(run, edge, &run.baseline);
    until_open(run, edge, &base).filter(|_| sum(&base).0 >= FEWEST_CALLS && !edge.blind)
}

/// The ratio in the worst five seconds of a fault.
fn worst(run: &RunView<'_>, edge: &EdgeView, base: &[(u64, u64)]) -> Option<Reading> {
    let (usual_calls, usual_users) = sum(base);
    let usual = usual_calls as f64 / usual_users as f64;
    let mut most: Option<(f64, u64)> = None;
    for window in edge.hurt.iter() {
        let each: Vec<(u64, u64)> =
            seconds(window, run.last).map(|second| count(run, edge, second)).collect();
        for (calls, users) in each.windows(WORST_OF).map(sum).filter(|(_, users)| *users >= FEWEST_USERS) {
            let ratio = calls as f64 / users as f64 / usual;
            if most.is_none_or(|most| most.0 < ratio) {
                most = Some((ratio, users));
            }
        }
    }
    most.map(|(ratio, users)| Reading::ratio(ratio, None, users))
}

/// The ratio from the beginning of a fault to the first silence of a breaker in it; `None` where none opens, or too soon to tell.
fn until_open(run: &RunView<'_>, edge: &EdgeView, base: &[(u64, u64)]) -> Option<Reading> {
    // The dead call nobody.
    if caller_died(run, edge) {
        return None;
    }
    let (window, first) = first_silence(run, edge)?;
    let (from, to) = (window.from, first.from);
    let closed: Vec<(u64, u64)> =
        seconds(Window { from, to }, run.last).map(|second| count(run, edge, second)).collect();
    let (value, interval) = ratio_of_rates(&closed, base)?;
    Some(Reading::ratio(value, Some((interval.low, interval.high)), sum(&closed).1))
}

fn sum(blocks: &[(u64, u64)]) -> (u64, u64) {
    blocks.iter().fold((0, 0), |all, block| (all.0 + block.0, all.1 + block.1))
}

/// Requests that were alone in health, and those of them that made no call, of loads of which others do.
pub(super) struct Spared {
    pub without: u64,
    pub all: u64,
}

/// What health spared, if that explains as many calls as there are in the fault: there are no more than if each request that can
/// have made its own did, once. `None` where each makes one in health already, and where requests that were alone are seen to make
/// more.
pub(super) fn spared(run: &RunView<'_>, edge: &EdgeView) -> Option<Spared> {
    let healthy = alone(run.lives(), edge, &run.baseline);
    let (mut without, mut all) = (0, 0);
    let mut callers = Vec::new();
    for index in 0..run.loads.len() {
        let calls: Vec<usize> =
            healthy.iter().filter(|solo| solo.life.load == index).map(|solo| solo.calls.len()).collect();
        let none = calls.iter().filter(|calls| **calls == 0).count();
        let stands_by = calls.len() >= FEWEST_ALONE && none * 20 >= calls.len() * 19;
        callers.push(!stands_by);
        if !stands_by {
            without += none;
            all += calls.len();
        }
    }
    if all < FEWEST_ALONE || without * 20 <= all {
        return None;
    }
    let made: Vec<(u64, bool)> = healthy
        .iter()
        .filter(|solo| callers[solo.life.load] && !solo.calls.is_empty())
        .map(|solo| (solo.calls.len() as u64, false))
        .collect();
    let each = quantile(&made, 0.5)?.value;
    let more = |calls: usize| calls as f64 > each;
    let sick: Vec<Solo<'_>> = alone(run.lives(), edge, &edge.hurt);
    let again = sick.iter().filter(|solo| more(solo.calls.len())).count();
    if again as f64 >= FEWEST_AGAIN as f64 + met_by_others(run, edge, &sick) {
        return None;
    }
    let of_callers = run.loads.iter().zip(&callers).filter(|(_, calls)| **calls);
    let points: Vec<&Point> = of_callers.flat_map(|(load, _)| load.within(&edge.hurt)).collect();
    let earliest = earliest_ends(edge);
    let free = points.iter().filter(|point| went_without(point, edge, &earliest)).count();
    // If far more go without than in health, their calls are made beside them, as one that fills a cache again.
    let beside = free as f64 > points.len() as f64 * (1.0 + without as f64 / all as f64) / 2.0;
    let calling = if beside { points.len() } else { points.len() - free };
    // Who asks for itself, as a poller, does so in the fault as well.
    let last = run.last.saturating_add(1);
    let sick_for: u64 = edge.hurt.iter().map(|hurt| hurt.to.min(last).saturating_sub(hurt.from)).sum();
    let of_others = unasked(run.lives(), edge, &run.baseline) * sick_for as f64;
    let made: u64 = edge.hurt.iter().map(|hurt| calls_of_its_users(run, edge, hurt)).sum();
    let calls = made as f64 - of_others;
    (calls <= calling as f64 * each * BUDGET).then_some(Spared { without: without as u64, all: all as u64 })
}

/// When the first call ends of those that begin no sooner than each of them.
fn earliest_ends(edge: &EdgeView) -> Vec<u64> {
    let mut ends: Vec<u64> = edge.calls.iter().map(|call| call.ended).collect();
    for at in (1..ends.len()).rev() {
        ends[at - 1] = ends[at - 1].min(ends[at]);
    }
    ends
}

/// True of a good answer that came sooner than the end of any call which was begun for it.
fn went_without(point: &Point, edge: &EdgeView, earliest: &[u64]) -> bool {
    let Some(sent) = point.sent.filter(|_| point.is_fresh()) else { return false };
    let next = edge.calls.partition_point(|call| call.began < sent);
    earliest.get(next).is_none_or(|end| *end > point.ended.saturating_add(APART))
}

/// (calls, user requests) by second.
pub(super) fn blocks(run: &RunView<'_>, edge: &EdgeView, windows: &Windows) -> Vec<(u64, u64)> {
    windows
        .iter()
        .flat_map(|window| seconds(window, run.last))
        .map(|second| count(run, edge, second))
        .collect()
}

fn seconds(window: Window, last: u64) -> impl Iterator<Item = Window> {
    // A window that never closed ends with the run; a last part of a second is left out unless it is all there is.
    let to = window.to.min(last.saturating_add(1)).max(window.from);
    let whole = ((to - window.from) / Blocks::LENGTH).max(1);
    (0..whole).map(move |second| {
        let from = window.from + second * Blocks::LENGTH;
        Window { from, to: (from + Blocks::LENGTH).min(to) }
    })
}

/// Without those of requests that were in flight when the first fault was armed, who are no users of any part.
fn calls_of_its_users(run: &RunView<'_>, edge: &EdgeView, window: Window) -> u64 {
    let across = run.across(edge).map_or(0, |across| across.within(window));
    (edge.in_window(window).len() as u64).saturating_sub(across)
}

fn count(run: &RunView<'_>, edge: &EdgeView, second: Window) -> (u64, u64) {
    let users = run
        .loads
        .iter()
        .map(|load| {
            let from = load.points.partition_point(|point| point.intended < second.from);
            let to = load.points.partition_point(|point| point.intended < second.to);
            to.saturating_sub(from) as u64
        })
        .sum();
    (calls_of_its_users(run, edge, second), users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_allows_retries_is_no_proof_of_none() {
        assert_eq!(Further::told_by(0.97, 1.04), Further::None);
        assert_eq!(Further::told_by(0.9, 1.6), Further::Untold);
        assert_eq!(Further::told_by(1.3, 1.6), Further::Made);
    }

    #[test]
    fn a_stretch_is_cut_into_whole_seconds() {
        let cut =
            |to| seconds(Window { from: 500_000, to }, 10_000_000).map(Window::length).collect::<Vec<_>>();
        assert_eq!(cut(3_600_000), [1_000_000; 3]);
        assert_eq!(cut(900_000), [400_000]);
        assert_eq!(cut(u64::MAX).len(), 9);
    }
}
