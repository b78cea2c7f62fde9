//! Is the baseline a reference? Each load must meet its own goal in it, and its latency must not climb. What a request must be to
//! count as good is the author's word, here as in every other part of the run.

use murphy_core::{Rule, RunBrief, Subject, SuccessRule};

use super::{fails, holds};
use crate::judgement::{Gate, GateId};
use crate::phase::{LoadView, Point, RunView, Windows, allowed};
use crate::stats::{Blocks, trend, wilson};
use crate::words;

/// The goal that the baseline is held to where the author names none.
const DEFAULT_GOAL: f64 = 0.95;

/// The requests of a load that count as good, as its own success expectation defines it.
pub(crate) fn goodness(brief: &RunBrief, load: &LoadView) -> (f64, impl Fn(&Point) -> bool + use<>) {
    let mut goal = DEFAULT_GOAL;
    let mut may = None;
    for expectation in &brief.expectations {
        if let (Subject::Load(name), Rule::Success { rule, may: these }) =
            (&expectation.subject, &expectation.rule)
            && name == &load.name
        {
            may = Some(allowed(these));
            if let SuccessRule::AtLeast(least) = rule {
                goal = least.as_fraction();
            }
        }
    }
    (goal, move |point: &Point| point.is_ok() && may.as_ref().is_none_or(|may| may.contains(&point.served)))
}

/// Each load must meet its own goal in the baseline, and at least `min(goal, 95 %)` with its whole interval. The whole
/// interval above a goal of 99.9 % would need 3 838 requests, and tells nothing that the fault phase does not tell.
pub(super) fn baseline_healthy(run: &RunView<'_>, brief: &RunBrief) -> Gate {
    const ID: GateId = GateId::BaselineHealthy;
    if run.loads.is_empty() {
        return holds(ID, "no load, so no baseline");
    }
    for load in &run.loads {
        let (goal, good) = goodness(brief, load);
        let mut blocks = Blocks::default();
        for point in load.within(&run.baseline) {
            blocks.add(point.intended, good(point));
        }
        let Some(share) = blocks.share() else {
            return fails(
                ID,
                format!("no baseline requests of {}", load.name),
                "the baseline phase must have a length and the load a rate",
            );
        };
        let sure = wilson(share).low;
        let seen = format!("{}/{}", blocks.good(), blocks.n());
        if share.p < goal {
            let percent = words::percent(blocks.good(), blocks.n());
            return fails(
                ID,
                format!("baseline of {} is {seen} {percent}, below {}", load.name, words::share(goal)),
                "the services fail without any fault: mend that first, or lower the goal",
            );
        }
        if sure < goal.min(DEFAULT_GOAL) {
            return fails(
                ID,
                format!("baseline of {} is too small: {seen}", load.name),
                "73 good requests show 95%: a longer baseline or a higher rate",
            );
        }
        if let Some(text) = rising(load, &run.baseline) {
            return fails(ID, text, "let it warm up for longer, or look for what grows");
        }
    }
    holds(ID, "baseline healthy")
}

/// A baseline whose latency climbs is no reference. Only a climb by half (and 10 ms) that is significant at 1 % counts.
fn rising(load: &LoadView, baseline: &Windows) -> Option<String> {
    let points: Vec<&Point> = load.within(baseline).collect();
    let size = (points.len() / 30).max(5);
    let medians: Vec<(f64, f64)> = points
        .chunks_exact(size)
        .map(|chunk| {
            let mut latencies: Vec<u64> = chunk.iter().map(|point| point.latency()).collect();
            latencies.sort_unstable();
            (chunk[0].intended as f64, latencies[size / 2] as f64)
        })
        .collect();
    let found = trend(&medians)?;
    let (first, last) = (medians.first()?.0, medians.last()?.0);
    let climb = found.slope * (last - first);
    let mut levels: Vec<f64> = medians.iter().map(|point| point.1).collect();
    levels.sort_by(f64::total_cmp);
    let level = levels[levels.len() / 2];
    (found.z > 2.576 && climb > level * 0.5 && climb > 10_000.0).then(|| {
        format!("baseline latency of {} climbs by {} in the baseline", load.name, words::micros(climb))
    })
}
