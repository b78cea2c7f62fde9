//! Can users of this load do without what was broken? (verdicts 2.17) Soft: the success rate holds. Hard: most fail.
//! Degraded: in between. The class is that of this kind of fault only; many services are soft to one and hard to another. Of a fault that
//! leaves some calls alone it says what users do without these few, and not without the dependency.
//!
//! Where the load declares what its users need, the class is held against that (`declared`).

use super::declared::{Held, held, needs, part, undeclared};
use super::{Found, params};
use crate::judgement::{DependencyClass, Reading};
use crate::phase::{LoadView, Point, RunView, Windows, successes};
use crate::stats::{Blocks, newcombe, wilson};
use crate::words;

/// How much of the success rate may go before a dependency is not soft any more.
const MARGIN: f64 = 0.02;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    if run.first_armed().is_none() {
        return Found::not_applicable("nothing was broken");
    }
    let (Some(during), Some(base)) = (share(load, &run.during), share(load, &run.baseline)) else {
        return Found::inconclusive(
            "no requests in the baseline or during the fault",
            "a load in both phases",
        );
    };
    let (Some(d), Some(b)) = (during.share(), base.share()) else {
        return Found::inconclusive("no requests", "a load in both phases");
    };
    let (interval, drop) = (wilson(d), newcombe(d, b));
    let reading = Reading::share(during.good(), during.n(), Some((interval.low, interval.high)));
    let harmed = DependencyClass::harmed(interval.high);
    let class = if harmed == DependencyClass::Hard || drop.high < -MARGIN {
        harmed
    } else if drop.low > -MARGIN {
        DependencyClass::Soft
    } else {
        return Found::inconclusive(
            format!("success {} of users: neither soft nor degraded with its whole interval", reading.text),
            "400 requests a phase settle most cases",
        );
    };
    let answered = words::percent(during.good(), during.n());
    let without = match part(run) {
        Some(part) => format!("{answered} of users are answered with {part} of it broken"),
        None => format!("{answered} of users are answered without it"),
    };
    let mut params = params([("success", reading)]);
    let text = match needs(run, load) {
        Some(needs) => {
            let is_harmed = |windows: &Windows| {
                let there = share(load, windows).and_then(|blocks| blocks.share());
                there.is_some_and(|there| newcombe(there, b).high < -MARGIN)
            };
            let Held { word, text } = held(run, needs, class, &without, is_harmed);
            if let Some(word) = word {
                params.insert("declared".to_owned(), Reading::count(1, 1).says(word));
            }
            text + &undeclared(run)
        }
        None => format!("{class}: {without}"),
    };
    if class == DependencyClass::Soft { Found::absent(params, text) } else { Found::present(params, text) }
}

/// Of the requests that were over by the end of their stretch: one that was answered after the lift was not answered
/// without the dependency.
fn share(load: &LoadView, windows: &Windows) -> Option<Blocks> {
    let over =
        |point: &&Point| windows.iter().any(|window| window.holds(point.intended) && point.ended < window.to);
    let blocks = successes(load.within(windows).filter(over));
    (blocks.n() > 0).then_some(blocks)
}
