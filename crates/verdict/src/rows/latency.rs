//! A latency quantile over all requests: failed ones at their age, unanswered ones at least as old as they got.

use murphy_core::{LoadName, Quantile, Span};

use super::{Case, Draft};
use crate::judgement::{GateId, Reading, RowKind};
use crate::phase::{LoadView, Point, Windows};
use crate::stats::{Estimate, binomial_cdf, fewest_for_upper, quantile};
use crate::words;

fn values(load: &LoadView, windows: &Windows, time: fn(&Point) -> u64) -> Vec<(u64, bool)> {
    load.within(windows).map(|point| (time(point), point.is_censored())).collect()
}

/// A quantile of what users waited, in microseconds.
pub(crate) fn latency_of(load: &LoadView, windows: &Windows, q: f64) -> Option<Estimate> {
    quantile(&values(load, windows, Point::latency), q)
}

/// A quantile as it stands in a table; one that is a lower limit only says so.
pub(crate) fn reading(estimate: Estimate) -> Reading {
    let reading = Reading::time(estimate.value, estimate.low, estimate.high, estimate.n);
    if estimate.at_least {
        let text = format!(">{}", words::micros(estimate.value));
        return reading.says(text);
    }
    reading
}

pub(super) fn row(case: &Case<'_>, name: &LoadName, q: Quantile, at_most: Span, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Latency,
        format!("{name} {q}"),
        format!(
            "pass if the order-statistic 95% interval of {q} over all requests is wholly at or below {}, fail if wholly \
             above; failed requests count at their age",
            words::span(at_most)
        ),
    );
    let Some(load) = case.run.load(name) else {
        return draft.open("no such load in the journal", "correct the scenario");
    };
    let fraction = q.as_fraction();
    draft.baseline = latency_of(load, &case.run.baseline, fraction).map(reading);
    draft.after = latency_of(load, &case.run.after, fraction).map(|estimate| {
        let text = words::micros(estimate.value);
        if estimate.at_least { reading(estimate) } else { reading(estimate).says(text) }
    });
    let during = values(load, &case.run.during, Point::latency);
    let Some(estimate) = quantile(&during, fraction) else {
        return draft.open("no request during the fault", "a load that runs while the fault is in the world");
    };
    draft.during = Some(reading(estimate));
    let bound = at_most.as_micros() as f64;
    if estimate.high.is_some_and(|high| high <= bound) {
        // Fast errors are fast: say so, lest the row is read as good service.
        let bad = load.within(&case.run.during).filter(|point| !point.is_ok()).count() as u64;
        if bad * 2 > estimate.n {
            return draft.pass(format!("{want}, but {} failed", words::percent(bad, estimate.n)));
        }
        return draft.pass(want);
    }
    if estimate.low.is_some_and(|low| low > bound) {
        // If the sender was late, its lateness must not be held against the service.
        let served = quantile(&values(load, &case.run.during, Point::service_time), fraction);
        let certain = served.and_then(|served| served.low).is_some_and(|low| low > bound);
        if !case.gate_holds(GateId::LoadOnTime) && !certain {
            return draft
                .open("the load was sent late (else FAIL)", "a stronger or calmer machine, or a lower rate");
        }
        let below = during.iter().filter(|value| value.0 as f64 <= bound).count() as f64;
        draft.p = Some(binomial_cdf(below, during.len() as f64, fraction));
        return draft.fail(format!("want {want}"));
    }
    let fewest = fewest_for_upper(fraction);
    if estimate.high.is_none() && estimate.n < fewest {
        return draft.open(
            format!("{q}: n too small ({} < {fewest})", estimate.n),
            format!("{fewest} requests during the fault bound {q} from above"),
        );
    }
    let range = draft.during.as_ref().map(|reading| reading.text.clone()).unwrap_or_default();
    draft.open(
        format!("{range} straddles {}", words::span(at_most)),
        format!("more than {} requests during the fault: the interval shrinks with their root", estimate.n),
    )
}
