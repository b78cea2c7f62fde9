//! `fail-fast: <= 2s`: users whom a fault denies the usual answer get another one in time, an error included.

use murphy_core::{LoadName, Span};

use super::{Case, Draft};
use crate::detect::{Followed, Pace, intended, sent};
use crate::judgement::{GateId, RowKind};
use crate::phase::Point;
use crate::words;

pub(super) fn row(case: &Case<'_>, name: &LoadName, at_most: Span, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::FailFast,
        format!("{name} fail-fast"),
        format!(
            "pass if of the requests that are not served as before p99 (p95 below 368) of the time to any answer is at or below \
             {bound}, with its whole order-statistic 95% interval, and at most 1% have none by then; fail if the interval is wholly \
             above, or more than 1% have none",
            bound = words::span(at_most)
        ),
    );
    let Some(load) = case.run.load(name) else {
        return draft.open("no such load in the journal", "correct the scenario");
    };
    let followed =
        |began: fn(&Point) -> u64| Followed::of(load, &case.run.during, at_most.as_micros(), began);
    let seen = followed(intended);
    draft.during = seen.reading();
    match seen.pace() {
        // As the fact of that name.
        Pace::Within if case.run.crashes().next().is_some() => draft.open(
            "a service ended by itself: whoever is dead refuses at once (else pass)",
            "a run in which that does not happen",
        ),
        Pace::Within => draft.pass(want),
        Pace::Spared => draft.pass(format!("{want}: users were served as before")),
        Pace::Beyond => {
            // If the sender was late, its lateness must not be held against the service.
            if !case.gate_holds(GateId::LoadOnTime) && !matches!(followed(sent).pace(), Pace::Beyond) {
                return draft.open(
                    "the load was sent late (else FAIL)",
                    "a stronger or calmer machine, or a lower rate",
                );
            }
            draft.fail(format!("want {want}: {}", seen.waited()))
        }
        Pace::Unclear { why, settle } => draft.open(why, settle),
    }
}
