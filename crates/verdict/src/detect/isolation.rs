//! Are users spared who do not need the dependency? (verdicts 2.7) A bystander is a load whose requests were seen, alone in
//! the system, to make no call on the sick edge. What it suffers is suffered through something shared: a pool, threads, a
//! queue. That only shows under pressure, so too little of it is no answer.

use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::{Reading, State};
use crate::phase::{LoadView, RunView, Windows, successes};
use crate::solo::alone;
use crate::stats::{Blocks, newcombe, quantile};
use crate::words;

/// Baseline requests, alone in the system, that must have made no call before a load is a bystander.
const FEWEST: usize = 10;
/// Calls in flight on the sick edge that are pressure enough.
const PRESSURE: u64 = 50;
const MARGIN: f64 = 0.01;
const RATIO: f64 = 1.5;
/// On a service of a few milliseconds a ratio is noise; so much more is nothing that a user notices.
const UNNOTICED: f64 = 10_000.0;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let sick: Vec<&EdgeView> = run.edges.iter().filter(|edge| !edge.hurt.is_empty()).collect();
    if sick.is_empty() || run.loads.len() < 2 {
        return Found::not_applicable("one load only, or no edge was sick: nobody stands by");
    }
    match stands_by(run, load, &sick) {
        Some(true) => {}
        Some(false) => return Found::not_applicable("its requests call the sick dependency themselves"),
        None => {
            return Found::inconclusive(
                "too few requests were alone in the baseline to see whether they call the sick dependency",
                format!(
                    "a longer baseline or a lower rate, so that {FEWEST} requests of this load are alone"
                ),
            );
        }
    }
    let (Some(base), Some(during)) = (success(load, &run.baseline), success(load, &run.during)) else {
        return Found::inconclusive("no requests in a phase", "a load in baseline and fault");
    };
    let p95 = |windows: &Windows| {
        let values: Vec<(u64, bool)> =
            load.within(windows).map(|point| (point.latency(), point.is_censored())).collect();
        quantile(&values, 0.95)
    };
    let (Some(b), Some(d), Some(before), Some(then)) =
        (base.share(), during.share(), p95(&run.baseline), p95(&run.during))
    else {
        return Found::inconclusive("no requests in a phase", "a load in baseline and fault");
    };
    let drop = newcombe(d, b);
    let most = sick.iter().map(|edge| peak(edge, run)).max().unwrap_or(0);
    let found = params([
        ("success", Reading::share(during.good(), during.n(), None)),
        ("p95-before", Reading::time(before.value, before.low, before.high, before.n)),
        ("p95-during", Reading::time(then.value, then.low, then.high, then.n)),
        ("pressure", Reading::count(most, most)),
    ]);
    let seen = format!(
        "p95 {} before and {} during, {} answered, while {most} calls of others were held",
        words::micros(before.value),
        words::micros(then.value),
        words::percent(during.good(), during.n())
    );
    let slower = |low: f64| low > before.value * RATIO && low > before.value + UNNOTICED;
    if drop.high < -MARGIN || then.low.is_some_and(slower) {
        return Found::absent(found, format!("suffers from what it does not need: {seen}"));
    }
    let spared = drop.low > -MARGIN
        && then.high.is_some_and(|high| high <= before.value * RATIO || high <= before.value + UNNOTICED);
    if !spared {
        return Found::inconclusive(
            format!("neither spared nor hurt with the whole interval: {seen}"),
            "600 requests a phase",
        );
    }
    // A shared pool of a hundred places does not show while ten are taken.
    let full =
        || sick.iter().any(|edge| matches!(super::pool::detect(run, edge).state, State::Present { .. }));
    if most < PRESSURE && !full() {
        return Found::inconclusive(
            format!("not enough pressure: at most {most} calls of others were held at once"),
            format!("{PRESSURE} calls in flight, or a pool that is full: a higher rate or a longer hang"),
        );
    }
    Found::present(found, format!("spared: {seen}"))
}

/// True if requests of this load make no call on a sick edge; `None` if too few were alone.
pub(crate) fn stands_by(run: &RunView<'_>, load: &LoadView, sick: &[&EdgeView]) -> Option<bool> {
    let index = run.loads.iter().position(|other| other.name == load.name)?;
    for edge in sick {
        let of_load: Vec<usize> = alone(run.lives(), edge, &run.baseline)
            .iter()
            .filter(|solo| solo.life.load == index)
            .map(|solo| solo.calls.len())
            .collect();
        if of_load.len() < FEWEST {
            return None;
        }
        // A poller may fall into a life by chance.
        if of_load.iter().filter(|calls| **calls > 0).count() * 10 > of_load.len() {
            return Some(false);
        }
    }
    Some(true)
}

fn success(load: &LoadView, windows: &Windows) -> Option<Blocks> {
    let blocks = successes(load.within(windows));
    (blocks.n() > 0).then_some(blocks)
}

/// The most calls in flight at once while the edge was sick.
fn peak(edge: &EdgeView, run: &RunView<'_>) -> u64 {
    let mut changes: Vec<(u64, i64)> = edge
        .within(&edge.hurt)
        .flat_map(|call| [(call.began, 1), (call.ended.min(run.last).max(call.began + 1), -1)])
        .collect();
    changes.sort_unstable();
    let mut open = 0;
    let mut most = 0;
    for (_, change) in changes {
        open += change;
        most = most.max(open);
    }
    most.max(0) as u64
}
