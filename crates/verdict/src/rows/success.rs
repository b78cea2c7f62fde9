//! The share of user requests that were answered as expected.

use std::collections::BTreeSet;

use murphy_core::{LoadName, SampleOutcome, Served, SuccessRule};

use super::{Case, Draft};
use crate::judgement::{Reading, RowKind};
use crate::phase::{LoadView, Windows, allowed};
use crate::stats::{Blocks, Interval, Share, binomial_cdf, newcombe, requests_to_settle, wilson};
use crate::words;

/// What users of a load got in some stretch.
pub(crate) struct Success {
    pub blocks: Blocks,
    /// Cut off by the end of the run before their time: may have gone either way.
    pub undecided: u64,
}

impl Success {
    /// The interval that holds whichever way the undecided ones would have gone.
    pub fn interval(&self) -> Interval {
        let deff = self.blocks.design_effect();
        let n = (self.blocks.n() + self.undecided) as f64;
        let side = |good: u64| wilson(Share { p: good as f64 / n.max(1.0), n: n / deff });
        Interval { low: side(self.blocks.good()).low, high: side(self.blocks.good() + self.undecided).high }
    }

    pub fn reading(&self) -> Reading {
        let interval = self.interval();
        Reading::share(self.blocks.good(), self.blocks.n(), Some((interval.low, interval.high)))
    }
}

/// Counts the requests of a load; an unfinished one that is as old as its own timeout has failed.
pub(crate) fn success_of(load: &LoadView, windows: &Windows, kinds: &BTreeSet<Served>) -> Success {
    let mut success = Success { blocks: Blocks::default(), undecided: 0 };
    let timeout = load.timeout.map_or(u64::MAX, |timeout| timeout.as_micros());
    for point in load.within(windows) {
        if point.outcome == SampleOutcome::Unfinished && point.latency() < timeout {
            success.undecided += 1;
        } else {
            success.blocks.add(point.intended, point.is_ok() && kinds.contains(&point.served));
        }
    }
    success
}

pub(super) fn row(case: &Case<'_>, name: &LoadName, rule: SuccessRule, may: &[Served], want: &str) -> Draft {
    let sentence = match rule {
        SuccessRule::AtLeast(least) => format!(
            "pass if the whole 95% Wilson interval (scaled by the clustering of failures) is at or above {least}, \
             fail if it is wholly below"
        ),
        SuccessRule::WithinOfBaseline(margin) => {
            format!(
                "pass if the 95% Newcombe interval of the drop against the baseline is wholly below {margin}, fail if wholly above"
            )
        }
    };
    let mut draft = Draft::new(RowKind::Success, format!("{name} success"), sentence);
    let Some(load) = case.run.load(name) else {
        return draft.open("no such load in the journal", "correct the scenario");
    };
    let kinds = allowed(may);
    let base = success_of(load, &case.run.baseline, &kinds);
    let during = success_of(load, &case.run.during, &kinds);
    let after = success_of(load, &case.run.after, &kinds);
    draft.baseline = (base.blocks.n() > 0).then(|| base.reading());
    draft.after = (after.blocks.n() > 0).then(|| {
        let text = words::percent(after.blocks.good(), after.blocks.n());
        after.reading().says(text)
    });
    if during.blocks.n() == 0 {
        return draft.open(
            "no finished request during the fault",
            "a load that runs while the fault is in the world",
        );
    }
    draft.during = Some(during.reading());
    match rule {
        SuccessRule::AtLeast(least) => at_least(draft, load, &during, least.as_fraction(), want),
        SuccessRule::WithinOfBaseline(margin) => within(draft, load, &during, &base, margin.as_fraction()),
    }
}

fn at_least(mut draft: Draft, load: &LoadView, during: &Success, bound: f64, want: &str) -> Draft {
    let (good, n) = (during.blocks.good(), during.blocks.n());
    let interval = during.interval();
    let range = format!("[{}, {}]", words::points(interval.low), words::points(interval.high));
    if bound >= 1.0 {
        return all_of_them(draft, during);
    }
    if interval.low >= bound {
        return draft.pass(format!("{want}  {range}"));
    }
    if interval.high < bound {
        let n = n as f64 / during.blocks.design_effect();
        let seen = good as f64 / during.blocks.n() as f64 * n;
        draft.p = Some(binomial_cdf(seen, n, bound));
        return draft.fail(format!("want {want}"));
    }
    let settle = match requests_to_settle(good as f64 / n as f64, bound, during.blocks.design_effect()) {
        Some(needed) => {
            format!("about {needed} requests during the fault ({n} seen){}", time_for(load, needed))
        }
        None => "the rate is the bound itself: no number of requests settles it".to_owned(),
    };
    draft.open(format!("{range} straddles {}", words::share(bound)), settle)
}

/// `>= 100%` cannot be shown by any interval; it means that no failure was seen, in enough requests to say so.
fn all_of_them(draft: Draft, during: &Success) -> Draft {
    const FEWEST: u64 = 73;
    let (good, n) = (during.blocks.good(), during.blocks.n());
    if good < n {
        return draft.fail(format!("{} failed", words::plural(n - good, "request")));
    }
    if n < FEWEST || during.undecided > 0 {
        return draft.open(
            format!("no failure, but only {n} requests"),
            format!("{FEWEST} requests during the fault"),
        );
    }
    draft.pass(format!("no failure in {n}, so fewer than {}", words::share(3.0 / n as f64)))
}

fn within(mut draft: Draft, load: &LoadView, during: &Success, base: &Success, margin: f64) -> Draft {
    let (Some(d), Some(b)) = (during.blocks.share(), base.blocks.share()) else {
        return draft.open("no baseline to compare with", "a baseline phase with load");
    };
    let difference = newcombe(d, b);
    let drop = format!(
        "drop {}pt [{}, {}]",
        words::points(b.p - d.p),
        words::points(-difference.high),
        words::points(-difference.low)
    );
    let limit = format!("{}pt", words::points(margin).trim_end_matches(".0"));
    if difference.low > -margin {
        return draft.pass(format!("{drop} < {limit}"));
    }
    if difference.high < -margin {
        draft.p = Some(binomial_cdf(d.p * d.n, d.n, (b.p - margin).clamp(0.0, 1.0)));
        return draft.fail(format!("{drop}, want < {limit}"));
    }
    let settle = within_settles(d, b, margin, during.blocks.design_effect()).map_or_else(
        || "the drop is the margin itself: no number of requests settles it".to_owned(),
        |needed| {
            format!(
                "about {needed} requests in each of baseline and fault ({} seen){}",
                during.blocks.n(),
                time_for(load, needed)
            )
        },
    );
    draft.open(format!("{drop} straddles {limit}"), settle)
}

fn within_settles(d: Share, b: Share, margin: f64, deff: f64) -> Option<u64> {
    let settled = |n: f64| {
        let difference = newcombe(Share { n, ..d }, Share { n, ..b });
        difference.low > -margin || difference.high < -margin
    };
    let needed = (4..27).map(|power| 1u64 << power).find(|n| settled(*n as f64))?;
    Some((needed as f64 * deff).ceil() as u64)
}

/// `, 40s at 30/s`
fn time_for(load: &LoadView, requests: u64) -> String {
    load.rate.map_or_else(String::new, |rate| {
        format!(": {} at {rate}/s", words::micros((requests as f64 / rate).ceil() * 1e6))
    })
}
