//! Does trouble outlast its cause, fed by the load itself? (verdicts 2.15) Not recovered is not yet metastable: a backlog
//! drains, and a service may be plainly broken. What tells is to stop the load and to begin it again. That a service recovers
//! says nothing of a higher load; so `absent` names the load. And what comes back without load may still have been a backlog:
//! it is called metastable only where each request is seen to make more calls than in health.

mod amplified;
mod draining;
mod headroom;
mod quiesced;

use amplified::amplification;
use draining::{draining, shorter};
use headroom::advice;
use quiesced::Seen;

use super::amplification::Further;
use super::back_off::word;
use super::{Found, params};
use crate::goodput::{Course, Goodput};
use crate::judgement::Reading;
use crate::phase::{LoadView, RunView, Window, successes};
use crate::rows::{Recovered, recovered, restored};
use crate::stats::{Share, wilson};
use crate::words;

/// A rise this significant (1 %) is a fact; a lesser one leaves the answer open.
const SURE: f64 = 2.576;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    let Some(lifted) = run.lifted else { return Found::not_applicable("no fault was lifted") };
    let during = successes(load.within(&run.during));
    let base = successes(load.within(&run.baseline));
    let (Some(usual), Some(hurt)) = (base.share(), during.share()) else {
        return Found::not_applicable("no requests in the baseline or during the fault");
    };
    match recovered(run, load) {
        Recovered::Within { high, .. } => {
            // A fault that nobody felt cannot tip anything over.
            if hurt.p >= usual.p - 0.05 && high == 0 {
                return Found::not_applicable(
                    "users were not hurt, so there was nothing to outlast the fault",
                );
            }
            let time = Reading::time(high as f64, None, None, base.n());
            let text = format!(
                "not metastable at {}: comes back by itself; more was not tried{}",
                rate(load),
                advice(run, load, lifted)
            );
            Found::absent(params([("outcome", word("recovered", 1)), ("time", time)]), text)
        }
        Recovered::NotYet { watched, .. } | Recovered::Unclear { watched, .. } => {
            not_recovered(run, load, usual, watched)
        }
        Recovered::TooFew { .. } | Recovered::Unknown(_) => {
            Found::inconclusive("too few requests after the fault", "a recovery phase with load")
        }
    }
}

fn not_recovered(run: &RunView<'_>, load: &LoadView, usual: Share, watched: u64) -> Found {
    let after = successes(load.within(&run.after));
    let (Some(share), Some(stretch), Some(healthy)) =
        (after.share(), run.recovery.iter().next(), run.baseline.iter().next())
    else {
        return Found::not_applicable("no requests after the fault");
    };
    let after_lift = words::micros(watched as f64);
    let mut goodput = Goodput::default();
    load.points.iter().chain(&load.again).filter(|point| point.is_ok()).for_each(|point| {
        goodput.take(point.ended);
    });
    let course = goodput.course((healthy.from, healthy.to), (stretch.from, stretch.to));
    let more = "more requests succeed from second to second";
    let again = run.quiesced.and_then(|quiesced| Some((quiesced, quiesced.again?)));
    let drains = match course {
        Course::Rising(_, z) if z <= SURE && again.is_none() => {
            return Found::inconclusive(
                format!("still recovering after {after_lift}: {more}"),
                "a longer recovery phase, until the backlog has drained",
            );
        }
        Course::Rising(_, z) => (z > SURE).then(|| more.to_owned()),
        _ => shorter(run, load, stretch),
    };
    // What the load did once it was begun again says more than any trend before: a backlog has drained meanwhile, and was fed
    // by nothing.
    let drained = |again: Window| {
        // Calls of another load may be what is multiplied: one that was getting better by itself is not held down.
        matches!(restored(run, load, again), Recovered::Within { .. })
            && (matches!(course, Course::Rising(..))
                || amplification(run, load).is_none_or(|calls| calls.further() != Further::Made))
    };
    if let Some(what) = drains.filter(|_| again.is_none_or(|(_, again)| drained(again))) {
        return draining(load, &after_lift, &what);
    }
    let kept = format!(
        "{} of requests succeed {after_lift} after the lift",
        words::percent(after.good(), after.n())
    );
    let rises = matches!(course, Course::Rising(..)) && again.is_some();
    let interval = wilson(share);
    let is_down = match course {
        Course::Down(_) => true,
        // Too few seconds for a level; the share of all that were sent may tell all the same.
        Course::Unknown => interval.high < 0.5 * usual.p,
        Course::Rising(..) | Course::Up(_) => rises,
    };
    if !is_down {
        return Found::inconclusive(
            format!("not as before, but not broken either: {kept}"),
            "a longer recovery phase",
        );
    }
    let low = Reading::share(after.good(), after.n(), Some((interval.low, interval.high)));
    let seen = Seen { run, load, watched, kept, low, rises };
    match again {
        Some((quiesced, again)) => seen.begun_again(quiesced, again, &goodput, healthy),
        None => seen.not_begun_again(),
    }
}

fn rate(load: &LoadView) -> String {
    load.rate.map_or_else(|| "this load".to_owned(), |rate| format!("{rate:.0}/s"))
}
