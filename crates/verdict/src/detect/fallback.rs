//! Are degraded answers served in place of errors? (verdicts 2.9) Told by what the service itself declares in its answers.

use murphy_core::Served;

use super::{Found, params};
use crate::judgement::Reading;
use crate::phase::{LoadView, RunView, Windows};
use crate::stats::{Share, wilson};

/// Answers needed to name a share.
const FEWEST: u64 = 73;

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
        let interval = wilson(Share { p: count as f64 / answered as f64, n: answered as f64 });
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
    Found::absent(found, format!("no degraded answer among {answered} (as far as the service says so)"))
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
