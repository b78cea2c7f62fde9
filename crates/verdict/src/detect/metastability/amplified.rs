//! How many calls does each request still make after the fault, relative to the baseline? A load that makes more than in health may
//! hold itself down by them. The ratio alone must not be taken for that: a backlog that is worked off looks the same.

use super::super::amplification::{FEWEST_CALLS, Further, blocks as calls_of};
use super::super::isolation::stands_by;
use crate::edge::EdgeView;
use crate::phase::{LoadView, RunView};
use crate::stats::{Interval, ratio_of_rates};

/// Calls for each request in the later half of the recovery, relative to the baseline.
pub(super) struct Amplified<'a> {
    pub edge: &'a EdgeView,
    pub ratio: f64,
    pub interval: Interval,
    pub users: u64,
}

impl Amplified<'_> {
    pub fn further(&self) -> Further {
        Further::told_by(self.interval.low, self.interval.high)
    }
}

/// The most of all edges, but those on which requests of this load are seen to make no call: what another load multiplies keeps this
/// one down nowhere.
pub(super) fn amplification<'a>(run: &'a RunView<'_>, load: &LoadView) -> Option<Amplified<'a>> {
    let mut most: Option<Amplified<'_>> = None;
    for edge in &run.edges {
        if stands_by(run, load, &[edge]) == Some(true) {
            continue;
        }
        let base = calls_of(run, edge, &run.baseline);
        if base.iter().map(|block| block.0).sum::<u64>() < FEWEST_CALLS {
            continue;
        }
        let after = calls_of(run, edge, &run.after);
        let users = after.iter().map(|block| block.1).sum();
        let Some((ratio, interval)) = ratio_of_rates(&after, &base) else { continue };
        if most.as_ref().is_none_or(|most| ratio > most.ratio) {
            most = Some(Amplified { edge, ratio, interval, users });
        }
    }
    most
}
