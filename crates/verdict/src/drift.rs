//! Is a system with nothing broken as it was before? What was tried in between is held against how it was at first, so a change that
//! stayed takes that away.

use crate::stats::newcombe;
use crate::traffic::{LoadTraffic, Traffic};
use crate::words;

/// So much of the share that is answered may go, in all chance, before it counts.
const MARGIN: f64 = 0.02;
/// So many times as long as half the users waited is another service.
const RATIO: f64 = 1.5;
/// On a service of a few milliseconds a ratio is noise; so much more is nothing that a user notices, in microseconds.
const UNNOTICED: f64 = 10_000.0;
/// Fewer calls than this may come or not come by chance.
const FEWEST: u64 = 20;

/// What is worse, or other, in the last of two runs with nothing broken than in the first: a sentence each, empty if nothing is.
pub fn drift(first: &Traffic, last: &Traffic) -> Vec<String> {
    let mut found = Vec::new();
    for then in &first.loads {
        if let Some(now) = last.loads.iter().find(|now| now.name == then.name) {
            found.extend(fewer(then, now));
            found.extend(slower(then, now));
        }
    }
    for then in &first.edges {
        let now = last.edge(&then.name).map_or(0, |now| now.calls);
        if then.calls >= FEWEST && now == 0 {
            found.push(format!("no call on {}, and {} the first time", then.name, then.calls));
        } else if then.calls == 0 && now >= FEWEST {
            found.push(format!("{now} calls on {}, and none the first time", then.name));
        }
    }
    found
}

fn fewer(then: &LoadTraffic, now: &LoadTraffic) -> Option<String> {
    let share = |load: &LoadTraffic| words::percent(load.good, load.n);
    let is_worse = newcombe(now.served?, then.served?).high < -MARGIN;
    is_worse.then(|| format!("{} of {} answered, and {} the first time", share(now), now.name, share(then)))
}

fn slower(then: &LoadTraffic, now: &LoadTraffic) -> Option<String> {
    let (before, after) = (then.median?.value, now.median?);
    let is_worse = after.low? > before * RATIO && after.low? > before + UNNOTICED;
    let (after, before) = (words::micros(after.value), words::micros(before));
    is_worse.then(|| format!("half of {} take {after}, and {before} the first time", now.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::tests::traffic;
    use murphy_testkit::golden::{Break, Caller, Golden, Trouble};

    fn well(seed: u64) -> Golden {
        let golden = Golden::new("a", Caller::careless(), Break::Nothing);
        Golden { seed: murphy_core::Seed(seed), ..golden }
    }

    #[test]
    fn two_runs_that_differ_by_chance_alone_are_one_as_the_other() {
        for seed in 1..20 {
            assert_eq!(drift(&traffic(&well(7)), &traffic(&well(seed))), Vec::<String>::new(), "{seed}");
        }
    }

    #[test]
    fn a_service_that_fails_at_the_end_has_changed() {
        let found = drift(&traffic(&well(7)), &traffic(&well(7).with(Trouble::SickBaseline(15))));
        let [found] = &found[..] else { panic!("{found:?}") };
        assert!(found.contains("of browse answered, and 100% the first time"), "{found}");
    }

    #[test]
    fn a_service_that_has_become_slow_has_changed_and_one_that_is_a_few_milliseconds_slower_has_not() {
        let with = |micros| {
            let mut last = traffic(&well(7));
            for estimate in last.loads.iter_mut().filter_map(|load| load.median.as_mut()) {
                estimate.value += micros;
                estimate.low = estimate.low.map(|low| low + micros);
            }
            drift(&traffic(&well(7)), &last)
        };
        assert!(with(9_000.0).is_empty(), "{:?}", with(9_000.0));
        let found = with(40_000.0);
        assert!(found.len() == 1 && found[0].starts_with("half of browse take "), "{found:?}");
    }

    #[test]
    fn an_edge_that_falls_silent_or_begins_to_be_called_has_changed() {
        let first = traffic(&well(7));
        let mut silent = first.clone();
        silent.edges[0].calls = 0;
        assert!(drift(&first, &silent)[0].starts_with("no call on cart-cache, and "));
        assert!(drift(&silent, &first)[0].ends_with("calls on cart-cache, and none the first time"));
        silent.edges[0].calls = 3;
        assert!(drift(&silent, &first).is_empty());
        // Fewer calls than that come and go.
        let mut few = silent.clone();
        few.edges[0].calls = 0;
        assert!(drift(&few, &silent).is_empty() && drift(&silent, &few).is_empty());
    }
}
