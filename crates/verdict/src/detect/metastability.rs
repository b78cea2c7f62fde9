//! Does trouble outlast its cause? (verdicts 2.15) Not recovered is not yet metastable: a backlog drains, and a service may
//! be plainly broken. What tells is to stop the load and start it again, which a journal without that cannot show. And that a
//! service recovers at this load says nothing of a higher one; so `absent` names the load.

use super::{Found, params};
use crate::judgement::{Finding, Reading};
use crate::phase::{LoadView, Point, RunView};
use crate::rows::{Recovered, recovered};
use crate::stats::{Blocks, trend, wilson};
use crate::words;

/// A shorter look after the lift does not tell a backlog from a trouble that stays.
const LEAST: u64 = 60_000_000;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    if run.lifted.is_none() {
        return Found::not_applicable("no fault was lifted");
    }
    let during = blocks(load.within(&run.during));
    let base = blocks(load.within(&run.baseline));
    let (Some(usual), Some(hurt)) = (base.share(), during.share()) else {
        return Found::not_applicable("no requests in the baseline or during the fault");
    };
    let rate = load.rate.unwrap_or(0.0);
    match recovered(run, load) {
        Recovered::Within { high, .. } => {
            let found = params([("time", Reading::time(high as f64, None, None, base.n()))]);
            let text = format!("comes back by itself at {rate:.0} requests a second; more was not tried");
            // A fault that nobody felt cannot tip anything over.
            if hurt.p >= usual.p - 0.05 && high == 0 {
                return Found::not_applicable(
                    "users were not hurt, so there was nothing to outlast the fault",
                );
            }
            Found::absent(found, text)
        }
        Recovered::NotYet { watched, .. } | Recovered::Unclear { watched, .. } => {
            let after = blocks(load.within(&run.after));
            let Some(share) = after.share() else {
                return Found::not_applicable("no requests after the fault");
            };
            let interval = wilson(share);
            let low = interval.high < 0.5 * usual.p;
            let good = seconds(load.within(&run.recovery));
            let climbing = trend(&good).is_some_and(|trend| trend.z > 1.96);
            if climbing {
                return Found::inconclusive(
                    format!(
                        "still recovering after {}: more requests succeed from second to second",
                        words::micros(watched as f64)
                    ),
                    "a longer recovery phase, until the backlog has drained",
                );
            }
            let kept = format!(
                "{} of requests succeed {} after the lift",
                words::percent(after.good(), after.n()),
                words::micros(watched as f64)
            );
            if !low {
                return Found::inconclusive(
                    format!("not as before, but not broken either: {kept}"),
                    "a longer recovery phase",
                );
            }
            let reading = Reading::share(after.good(), after.n(), Some((interval.low, interval.high)));
            let seen = params([(Finding::KEPT, reading)]);
            let settle = "stop the load for some seconds and start it again: what then works was held down by its own load";
            if watched < LEAST {
                return Found::undecided(
                    seen,
                    format!(
                        "{kept}, and it does not get better; watched for too short to speak of a lasting state"
                    ),
                    format!("{} of recovery; then {settle}", words::micros(LEAST as f64)),
                );
            }
            Found::undecided(
                seen,
                format!("{kept}, and it does not get better: metastable, or broken for good"),
                settle,
            )
        }
        Recovered::TooFew { .. } | Recovered::Unknown(_) => {
            Found::inconclusive("too few requests after the fault", "a recovery phase with load")
        }
    }
}

fn blocks<'a>(points: impl Iterator<Item = &'a Point>) -> Blocks {
    let mut blocks = Blocks::default();
    for point in points {
        blocks.add(point.intended, point.is_ok());
    }
    blocks
}

/// Good answers by second, at most 120 points.
fn seconds<'a>(points: impl Iterator<Item = &'a Point>) -> Vec<(f64, f64)> {
    let mut good: std::collections::BTreeMap<u64, f64> = std::collections::BTreeMap::new();
    for point in points {
        *good.entry(point.intended / Blocks::LENGTH).or_default() += f64::from(u8::from(point.is_ok()));
    }
    let step = good.len().div_ceil(120).max(1);
    good.into_iter().step_by(step).map(|(second, good)| (second as f64, good)).collect()
}
