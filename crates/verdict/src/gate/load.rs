//! Was the load sent, and in time? These gates doubt the sender, which is Murphy's own: a request that it drops or sends late must
//! not be told against a service.

use murphy_core::{Rule, RunBrief, Span};

use super::{fails, holds};
use crate::judgement::{Gate, GateId};
use crate::phase::RunView;
use crate::stats::quantile;
use crate::words;

pub(super) fn load_sent(run: &RunView<'_>) -> Gate {
    const ID: GateId = GateId::LoadSent;
    if run.loads.is_empty() {
        return holds(ID, "no load");
    }
    let dropped: u64 = run.loads.iter().map(|load| load.dropped).sum();
    let lowest = run
        .loads
        .iter()
        .filter_map(|load| {
            let seen = load.sent
                + load.dropped
                + load.points.iter().filter(|point| point.sent.is_none()).count() as u64;
            let planned = load.planned.unwrap_or(seen).max(load.sent);
            (planned > 0).then_some((load, load.sent, planned))
        })
        .min_by(|a, b| (a.1 as f64 / a.2 as f64).total_cmp(&(b.1 as f64 / b.2 as f64)));
    let mend = "the sender could not keep up: a lower rate, a higher in-flight cap or a stronger machine";
    if dropped > 0 {
        return fails(ID, format!("{dropped} dropped"), mend);
    }
    match lowest {
        None => fails(
            ID,
            "nothing was sent",
            "a rate and phases that hold a request; a load that sends what probes capture begins when all of it is",
        ),
        Some((load, sent, planned)) if (sent as f64) < planned as f64 * 0.99 => {
            fails(ID, format!("{sent} of {planned} planned requests of {} were sent", load.name), mend)
        }
        Some(_) => holds(ID, "0 dropped"),
    }
}

/// The latest that a request may be sent: 10 ms, and a tenth of the smallest asserted latency or time to any answer.
fn lag_limit(brief: &RunBrief) -> (u64, Option<Span>) {
    const MOST: u64 = 10_000;
    let smallest = brief
        .expectations
        .iter()
        .filter_map(|expectation| match expectation.rule {
            Rule::Latency { at_most, .. } | Rule::FailFast { at_most } => Some(at_most),
            _ => None,
        })
        .min();
    match smallest {
        Some(span) if span.as_micros() / 10 < MOST => (span.as_micros() / 10, Some(span)),
        _ => (MOST, None),
    }
}

/// How late requests were sent, p99 in microseconds; `None` if none was sent.
pub(crate) fn lag(run: &RunView<'_>) -> Option<f64> {
    let counted = [&run.baseline, &run.during, &run.recovery];
    let lags: Vec<(u64, bool)> = run
        .loads
        .iter()
        .flat_map(|load| counted.iter().flat_map(|windows| load.within(windows)))
        .filter_map(|point| Some((point.sent?.saturating_sub(point.intended), false)))
        .collect();
    quantile(&lags, 0.99).map(|lag| lag.value)
}

pub(super) fn load_on_time(run: &RunView<'_>, brief: &RunBrief) -> Gate {
    const ID: GateId = GateId::LoadOnTime;
    let Some(lag) = lag(run) else { return holds(ID, "nothing sent") };
    let (limit, because) = lag_limit(brief);
    let text = format!("sender lag p99 {}", words::micros(lag));
    if lag <= limit as f64 {
        return holds(ID, text);
    }
    let why = match because {
        Some(span) => format!(" is more than a tenth of the asserted {}", words::span(span)),
        None => format!(" is more than {}", words::micros(limit as f64)),
    };
    let text = format!("sender lag p99 {}", words::micros_above(lag, limit as f64));
    fails(ID, text + &why, "a stronger or calmer machine, or a lower rate")
}
