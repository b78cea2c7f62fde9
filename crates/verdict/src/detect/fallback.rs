//! Are degraded answers served in place of errors? (verdicts 2.9) Told by what the service itself declares in its answers.
//!
//! Answers that are good while every call for them fails, and that declare nothing, are not called a fallback: the service may
//! have done without in another way. But they are told of, for nobody who watches the service would see that it is degraded.

use murphy_core::Served;

use super::{Found, params};
use crate::edge::{Call, EdgeView};
use crate::judgement::Reading;
use crate::phase::{LoadView, RunView, Windows};
use crate::solo::alone;
use crate::stats::{Interval, Share, wilson};

/// Answers needed to name a share.
const FEWEST: u64 = 73;
/// Calls that failed, all of them, before users are said to be answered without any.
const FEWEST_FAILED: usize = 5;
/// Requests alone in the baseline before they are said to need a call; nearly all of them make one.
const FEWEST_ALONE: usize = 10;
/// So much more often is more often, and not chance.
const MORE_OFTEN: f64 = 1.2;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let (answered, degraded) = counts(load, &run.during);
    if answered == 0 {
        return Found::not_applicable("no answer during the fault");
    }
    if answered < FEWEST {
        return Found::inconclusive(
            format!("only {answered} answers during the fault"),
            format!("{FEWEST} answers"),
        );
    }
    let (before, usual) = counts(load, &run.baseline);
    let total: u64 = degraded.iter().sum();
    let share = |count: u64| {
        let interval = interval(count, answered);
        Reading::share(count, answered, Some((interval.low, interval.high)))
    };
    let mut found = params([("degraded", share(total))]);
    let mut kinds = Vec::new();
    for (kind, count) in [("stale", degraded[0]), ("default", degraded[1]), ("partial", degraded[2])] {
        if count > 0 {
            found.insert(kind.to_owned(), share(count));
            kinds.push(format!("{kind} {}", crate::words::percent(count, answered)));
        }
    }
    let oldest = load.within(&run.during).filter(|point| point.is_ok()).filter_map(|point| point.age).max();
    if let Some(oldest) = oldest {
        found.insert("oldest".to_owned(), Reading::time(oldest.as_micros() as f64, None, None, answered));
        kinds.push(format!("the oldest {}", crate::words::span(oldest)));
    }
    let usual = usual.iter().sum::<u64>() as f64 / before.max(1) as f64;
    if total > 0 && total as f64 / answered as f64 > usual {
        return Found::present(found, format!("degraded answers: {} of {answered}", kinds.join(", ")));
    }
    if let Some(Unsaid { edge, good, all, interval }) = unsaid(run, load) {
        found.insert("unsaid".to_owned(), Reading::share(good, all, Some((interval.low, interval.high))));
        let text = format!(
            "{} of users are answered as if nothing were wrong while every call on {} fails: silent degradation, unless the \
             call is made later or past Murphy",
            crate::words::percent(good, all),
            edge.name
        );
        let settle = "`X-Served: stale`, `default` or `partial` on what is answered without it: who watches the service needs \
                      that too";
        return Found::undecided(found, text, settle);
    }
    Found::absent(found, format!("no degraded answer among {answered} (as far as the service says so)"))
}

fn interval(count: u64, all: u64) -> Interval {
    wilson(Share { p: count as f64 / all as f64, n: all as f64 })
}

/// Good answers that the service cannot have had from its dependency, and that do not say so.
struct Unsaid<'a> {
    edge: &'a EdgeView,
    good: u64,
    all: u64,
    interval: Interval,
}

/// `None` where there are none, or where it is not sure that users needed the call.
fn unsaid<'a>(run: &'a RunView<'_>, load: &LoadView) -> Option<Unsaid<'a>> {
    run.lifted?;
    let edge = run
        .edges
        .iter()
        .find(|edge| all_fail(edge) && is_needed(run, load, edge) && !has_way_round(run, edge))?;
    // What ends after the lift may have been answered by the dependency.
    let told = load.within(&edge.hurt).filter(|point| edge.hurt.holds(point.ended));
    let (good, all) =
        told.fold((0u64, 0u64), |(good, all), point| (good + u64::from(point.is_fresh()), all + 1));
    let interval = interval(good, all.max(1));
    (all >= FEWEST && interval.low > 0.5).then_some(Unsaid { edge, good, all, interval })
}

/// True if no call on the edge was answered well while the fault was on it.
fn all_fail(edge: &EdgeView) -> bool {
    let fails = |call: &Call| call.touched && (!edge.is_good(call) || !edge.hurt.holds(call.ended));
    !edge.blind && edge.within(&edge.hurt).count() >= FEWEST_FAILED && edge.within(&edge.hurt).all(fails)
}

/// True if requests of this load, alone in the system, made a call on the edge in health, nearly all of them.
fn is_needed(run: &RunView<'_>, load: &LoadView, edge: &EdgeView) -> bool {
    let Some(index) = run.loads.iter().position(|other| other.name == load.name) else { return false };
    let (calling, all) = alone(run.lives(), edge, &run.baseline)
        .iter()
        .filter(|solo| solo.life.load == index)
        .fold((0, 0), |(calling, all), solo| (calling + usize::from(!solo.calls.is_empty()), all + 1));
    all >= FEWEST_ALONE && calling * 20 >= all * 19
}

/// True if another edge is called more often meanwhile, or is one to another instance: the answers may come from there.
fn has_way_round(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let often = |other: &EdgeView, windows: &Windows| {
        other.within(windows).count() as f64 / windows.length().max(1) as f64
    };
    let mut others = run.edges.iter().filter(|other| other.name != edge.name);
    edge.instance_of.is_some()
        || others.any(|other| often(other, &edge.hurt) > often(other, &run.baseline) * MORE_OFTEN)
}

/// Good answers, and those of each degraded kind.
fn counts(load: &LoadView, windows: &Windows) -> (u64, [u64; 3]) {
    load.within(windows).filter(|point| point.is_ok()).fold((0, [0; 3]), |(all, mut kinds), point| {
        match point.served {
            Served::Fresh => {}
            Served::Stale => kinds[0] += 1,
            Served::Default => kinds[1] += 1,
            Served::Partial => kinds[2] += 1,
        }
        (all + 1, kinds)
    })
}
