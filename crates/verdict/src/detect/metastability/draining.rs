//! Is a backlog being worked off? Then it takes less time from second to second, to the end. That is not metastable, and must not be
//! said of what falls fast and then stays.

use std::collections::BTreeMap;

use super::super::back_off::word;
use super::super::{Found, params};
use super::{SURE, rate};
use crate::goodput::leads_to;
use crate::phase::{LoadView, RunView, Window};
use crate::stats::Blocks;

pub(super) fn draining(load: &LoadView, after_lift: &str, what: &str) -> Found {
    Found::absent(
        params([("outcome", word("draining", 1))]),
        format!(
            "draining, not metastable at {}: not as before {after_lift} after the lift, but {what}",
            rate(load)
        ),
    )
}

/// What grows shorter from second to second, of what users wait for and of the calls on edges: a queue that is being worked off.
pub(super) fn shorter(run: &RunView<'_>, load: &LoadView, stretch: Window) -> Option<String> {
    let users = load.points.iter().filter(|point| point.is_ok()).map(|point| (point.ended, point.latency()));
    if falls(users, stretch) {
        return Some("users wait less from second to second".to_owned());
    }
    let falling = run.edges.iter().find(|edge| {
        let calls = edge.calls.iter().filter(|call| call.answered.is_some());
        falls(calls.map(|call| (call.ended, call.wait())), stretch)
    })?;
    Some(format!("calls on {} take less time from second to second", falling.name))
}

/// True if the mean of (end, wait) by second falls, and will be at nothing before long. The later half decides: what falls fast
/// and then stays is no queue that is being worked off.
fn falls(ended: impl Iterator<Item = (u64, u64)>, stretch: Window) -> bool {
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (at, wait) in ended.filter(|(at, _)| stretch.holds(*at)) {
        let sum = seconds.entry((at - stretch.from) / Blocks::LENGTH).or_default();
        *sum = (sum.0 + wait, sum.1 + 1);
    }
    // A wait that stands out of health by nothing is none.
    const NOTICED: f64 = 100_000.0;
    let means: Vec<f64> = seconds.values().map(|(sum, n)| *sum as f64 / *n as f64).collect();
    let later = &means[means.len() / 2..];
    let level = later.iter().sum::<f64>() / later.len().max(1) as f64;
    level > NOTICED && leads_to(later, 0.0).is_some_and(|trend| trend.z < -SURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether waits of so many microseconds in each second of a minute fall.
    fn falls_by(wait: impl Fn(u64) -> u64) -> bool {
        let minute = Window { from: 0, to: 60 * Blocks::LENGTH };
        falls((0..60).map(|second| (second * Blocks::LENGTH, wait(second))), minute)
    }

    #[test]
    fn waits_fall_that_grow_shorter_to_the_end() {
        assert!(falls_by(|second| 6_000_000 - second * 50_000));
        // As little at the end as in health.
        assert!(!falls_by(|second| 60_000 - second * 1_000));
    }

    #[test]
    fn waits_that_fall_fast_and_then_stay_high_do_not_fall() {
        assert!(!falls_by(|second| match second {
            0..25 => 12_000_000 - second * 360_000,
            _ => 3_000_000 + second % 3 * 10_000,
        }));
    }
}
