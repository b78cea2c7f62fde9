//! Loads that must not notice while others suffer (verdicts 2.7): success not lower by more than a point, p95 not above
//! 1.5 times the baseline's. The pressure under which that held is said; more pressure was not tried.

use murphy_core::{Answer, LoadName, Served};

use super::{Case, Draft, latency_of, success_of};
use crate::gate::lag;
use crate::judgement::{Detector, GateId, RowKind};
use crate::phase::{LoadView, allowed};
use crate::stats::newcombe;
use crate::words;

const MARGIN: f64 = 0.01;
const RATIO: f64 = 1.5;
/// On a service of a few milliseconds a ratio is noise; so much more is nothing that a user notices.
const UNNOTICED: f64 = 10_000.0;

pub(super) fn row(case: &Case<'_>, loads: &[LoadName]) -> Draft {
    let names: Vec<&str> = loads.iter().map(LoadName::as_str).collect();
    let draft = Draft::new(
        RowKind::Isolation,
        format!("isolation {}", names.join(", ")),
        "pass if success drops by less than 1 point (Newcombe) and p95 stays below 1.5 times the baseline's, or 10ms above \
         it (order-statistic intervals of both); fail if either is wholly beyond",
    );
    let mut worst: Option<Draft> = None;
    for name in loads {
        let one = match case.run.load(name) {
            Some(load) => one(case, load, draft.clone()),
            None => draft.clone().open(format!("no load `{name}` in the journal"), "correct the scenario"),
        };
        if worst.as_ref().is_none_or(|worst| one.answer > worst.answer) {
            worst = Some(one);
        }
    }
    let mut draft = worst.unwrap_or_else(|| draft.open("no load named", "name the loads"));
    if draft.answer == Answer::Pass {
        draft.reason = format!("{}{}", draft.reason, pressure(case));
    }
    draft
}

fn one(case: &Case<'_>, load: &LoadView, mut draft: Draft) -> Draft {
    let kinds = allowed(&[Served::Stale, Served::Default, Served::Partial]);
    let base = success_of(load, &case.run.baseline, &kinds);
    let during = success_of(load, &case.run.during, &kinds);
    let (Some(b), Some(d)) = (base.blocks.share(), during.blocks.share()) else {
        return draft
            .open(format!("no requests of {} in a phase", load.name), "a load in baseline and fault");
    };
    let p95 = |windows| latency_of(load, windows, 0.95);
    let (Some(before), Some(then)) = (p95(&case.run.baseline), p95(&case.run.during)) else {
        return draft.open("no latencies", "a load in baseline and fault");
    };
    let text = |value: f64| format!("p95 {}", words::micros(value));
    draft.baseline = Some(
        crate::judgement::Reading::time(before.value, before.low, before.high, before.n)
            .says(text(before.value)),
    );
    draft.during =
        Some(crate::judgement::Reading::time(then.value, then.low, then.high, then.n).says(text(then.value)));
    draft.after = p95(&case.run.after).map(|after| {
        crate::judgement::Reading::time(after.value, after.low, after.high, after.n)
            .says(words::micros(after.value))
    });
    let drop = newcombe(d, b);
    if drop.high < -MARGIN {
        return draft.fail(format!("{} success drops {}pt", load.name, words::points(b.p - d.p)));
    }
    let (Some(low), Some(base_high)) = (then.low, before.high) else {
        return draft.open(
            format!("{} has too few requests for p95", load.name),
            "72 requests in baseline and fault",
        );
    };
    if low > base_high * RATIO && low > base_high + UNNOTICED {
        // Five times the sender's own lateness cannot be the sender's.
        let late = if case.gate_holds(GateId::LoadOnTime) { 0.0 } else { lag(case.run).unwrap_or(0.0) * 5.0 };
        if low - late <= (base_high * RATIO).max(base_high + UNNOTICED) {
            return draft
                .open("the load was sent late (else FAIL)", "a stronger or calmer machine, or a lower rate");
        }
        let (before, then) = (words::micros(before.value), words::micros(then.value));
        return draft.fail(format!("{} p95 {before} -> {then}, want x1.5", load.name));
    }
    let (Some(high), Some(base_low)) = (then.high, before.low) else {
        return draft.open(
            format!("{} has too few requests for p95", load.name),
            "72 requests in baseline and fault",
        );
    };
    let unnoticed = high <= base_low * RATIO || high <= base_low + UNNOTICED;
    if drop.low > -MARGIN && unnoticed {
        let ratio = then.value / before.value.max(1.0);
        return draft.pass(if ratio <= RATIO {
            format!("x{} <= 1.5", words::ratio(ratio))
        } else {
            format!("+{} <= 10ms", words::micros(then.value - before.value))
        });
    }
    let what = if unnoticed {
        format!("drop {}pt straddles 1pt", words::points(b.p - d.p))
    } else {
        format!("p95 {} to {} straddles x1.5", words::micros(before.value), words::micros(then.value))
    };
    draft.open(format!("{}: {what}", load.name), "600 requests a phase settle a drop of 1 point")
}

fn pressure(case: &Case<'_>) -> String {
    let most = case
        .findings
        .iter()
        .filter(|finding| finding.detector == Detector::Pool)
        .filter_map(|finding| finding.param("peak").or_else(|| finding.param("limit"))?.value)
        .fold(0.0, f64::max);
    if most > 0.0 { format!(", at {most} calls in flight") } else { String::new() }
}
