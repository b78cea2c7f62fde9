//! How a caller is set, and what a consumer gave up, as measures to hold a later run against: the places of a pool, when a breaker opens,
//! tries again and closes, dead letters. Each interval holds what another run of the same services may show, so that a change is one
//! of the services: what is seen once depends on when users come, and on the moment at which the fault ends.

use super::{Better, Measure};
use crate::judge::subject_name;
use crate::judgement::{Detector, Finding, Reading, State, Unit};
use crate::stats::{Share, poisson_limits, wilson};

/// What a detector found that is told of a service that is set as before; nothing of what it leaves open.
pub(super) fn measures(finding: &Finding) -> Vec<Measure> {
    let of = |name: &str, better, (low, high), reading: &Reading| Measure {
        low,
        high,
        ..Measure::of(format!("{}.{name}", subject_name(&finding.subject)), better, reading)
    };
    let present = |name: &str| finding.param(name).filter(|_| finding.is_present());
    match finding.detector {
        Detector::Pool => present("limit")
            .map(|limit| of("pool", Better::Neither, places(limit), limit))
            .into_iter()
            .collect(),
        Detector::Breaker => {
            let window = open_window(finding);
            let opens = present("calls-to-open")
                .map(|calls| of("calls-to-open", Better::Lower, chance_of(calls), calls));
            let tries = present("half-open-every")
                .map(|every| of("half-open-every", Better::Neither, (shortest(every), every.high), every));
            let closes = present("closes")
                .map(|closes| of("closes", Better::Lower, (closes.value, later(closes, window)), closes));
            [opens, tries, closes].into_iter().flatten().collect()
        }
        Detector::Lost => dead_letters(finding).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// One more and one less is what the detector itself takes for the same level.
fn places(limit: &Reading) -> (Option<f64>, Option<f64>) {
    (limit.value.map(|places| (places - 1.0).max(0.0)), limit.value.map(|places| places + 1.0))
}

/// A breaker that looks at a share of the calls of some seconds opens after another number of them in each run, as many as were well just
/// before: from outside it is not told from one that counts.
fn chance_of(calls: &Reading) -> (Option<f64>, Option<f64>) {
    let low = calls.low.map(|low| poisson_limits(low as u64).0);
    (low, calls.high.map(|high| most_calls(high as u64)))
}

/// The same from above: so many calls may fail in the next run before the same breaker opens.
pub(crate) fn most_calls(high: u64) -> f64 {
    poisson_limits(high).1.ceil()
}

/// The shortest silence between two tries, without what may be the wait for the user who comes then. In a silence twelve calls are due or
/// more: the first behind the open window comes a quarter of it later once in twenty times at most. The shortest of several is nearer.
pub(crate) fn shortest(every: &Reading) -> Option<f64> {
    let wait = (0.25 / every.n.max(1) as f64).max(0.05);
    every.low.map(|low| low * (1.0 - wait))
}

/// The longest silence between two tries, where it is known.
fn open_window(finding: &Finding) -> Option<f64> {
    finding.param("half-open-every").and_then(|every| every.high)
}

/// A fault that ends at the beginning of the open window is followed by all of it, and by the wait for a user.
fn later(closes: &Reading, window: Option<f64>) -> Option<f64> {
    Some(closes.value? + window? * 1.25)
}

/// Of the acknowledged writes the share that was given up, at most with those that wait still: how many are sent differs from run to run.
fn dead_letters(finding: &Finding) -> Option<Measure> {
    if matches!(finding.state, State::NotApplicable { .. }) {
        return None;
    }
    let dead = finding.param(Finding::DEAD_LETTERED)?;
    let waiting = finding.param("queued").and_then(|queued| queued.value).unwrap_or(0.0);
    let (count, n) = (dead.value?, dead.n as f64);
    if dead.n == 0 {
        return None;
    }
    let interval = |count: f64| wilson(Share { p: (count / n).min(1.0), n });
    let id = format!("{}.dead-letters", subject_name(&finding.subject));
    Some(Measure {
        id,
        unit: Unit::Share,
        better: Better::Lower,
        value: Some(count / n),
        low: Some(interval(count).low),
        high: Some(interval(count + waiting).high),
        n: dead.n,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use murphy_core::{EdgeName, LoadName, Subject};

    use super::super::change::{Change, change};
    use super::*;

    fn params(named: &[(&str, Reading)]) -> BTreeMap<String, Reading> {
        named.iter().map(|(name, reading)| ((*name).to_owned(), reading.clone())).collect()
    }

    fn on_edge(detector: Detector, named: &[(&str, Reading)]) -> Finding {
        let subject = Subject::Edge(EdgeName::new("db").unwrap());
        Finding { detector, subject, state: State::Present { params: params(named) }, text: String::new() }
    }

    fn pool(places: u64) -> Vec<Measure> {
        measures(&on_edge(Detector::Pool, &[("limit", Reading::count(places, places))]))
    }

    /// Of a breaker that opens after so many calls, with silences of so many seconds, and closes so long after the fault.
    fn breaker(calls: u64, window: (f64, f64), closes: f64) -> Vec<Measure> {
        let ends = |end: u64| Some(end as f64);
        let calls = Reading { low: ends(calls), high: ends(calls), ..Reading::count(calls, calls) };
        let every = Reading::time(window.0 * 1e6, Some(window.0 * 1e6), Some(window.1 * 1e6), 5);
        let closes = Reading::time(closes * 1e6, None, None, 1);
        let named = [("calls-to-open", calls), ("half-open-every", every), ("closes", closes)];
        measures(&on_edge(Detector::Breaker, &named))
    }

    fn letters(dead: u64, queued: u64, n: u64) -> Vec<Measure> {
        let named =
            [(Finding::DEAD_LETTERED, Reading::count(dead, n)), ("queued", Reading::count(queued, n))];
        let subject = Subject::Load(LoadName::new("order").unwrap());
        let state = State::Absent { params: params(&named) };
        measures(&Finding { detector: Detector::Lost, subject, state, text: String::new() })
    }

    /// What became of each.
    fn changes(old: &[Measure], new: &[Measure]) -> Vec<(String, Change)> {
        old.iter()
            .map(|old| {
                let new = new.iter().find(|new| new.id == old.id);
                (old.id.clone(), new.map_or(Change::Lost, |new| change(old, new, 0.0)))
            })
            .collect()
    }

    fn named(name: &str, change: Change) -> (String, Change) {
        (name.to_owned(), change)
    }

    #[test]
    fn a_pool_of_another_size_has_changed_and_is_neither_better_nor_worse() {
        assert_eq!(changes(&pool(5), &pool(50)), [named("db.pool", Change::Changed)]);
        assert_eq!(changes(&pool(50), &pool(5)), [named("db.pool", Change::Changed)]);
        assert_eq!(changes(&pool(10), &pool(11)), [named("db.pool", Change::Same)]);
    }

    #[test]
    fn a_breaker_that_opens_later_or_closes_later_is_worse_and_one_with_another_window_has_changed() {
        let usual = breaker(5, (5.0, 5.2), 1.0);
        let told = |calls, every, closes| {
            [named("db.calls-to-open", calls), named("db.half-open-every", every), named("db.closes", closes)]
        };
        let same = told(Change::Same, Change::Same, Change::Same);
        assert_eq!(changes(&usual, &breaker(5, (5.1, 5.3), 4.9)), same);
        assert_eq!(changes(&breaker(5, (5.1, 5.3), 4.9), &usual), same);
        let late = breaker(40, (5.0, 5.2), 1.0);
        assert_eq!(changes(&usual, &late), told(Change::Worse, Change::Same, Change::Same));
        assert_eq!(changes(&late, &usual), told(Change::Better, Change::Same, Change::Same));
        let long = breaker(5, (30.0, 30.3), 20.0);
        assert_eq!(changes(&usual, &long), told(Change::Same, Change::Changed, Change::Worse));
        assert_eq!(changes(&long, &usual), told(Change::Same, Change::Changed, Change::Better));
    }

    #[test]
    fn how_many_calls_it_takes_may_differ_by_chance() {
        // Half of the calls of ten seconds, at thirty a second.
        let old = breaker(145, (5.0, 5.2), 1.0);
        assert_eq!(changes(&old, &breaker(160, (5.0, 5.2), 1.0))[0].1, Change::Same);
        assert_eq!(changes(&old, &breaker(300, (5.0, 5.2), 1.0))[0].1, Change::Worse);
    }

    #[test]
    fn dead_letters_that_appear_are_worse_and_those_that_may_come_yet_are_not_the_same_for_certain() {
        let change = |old: &[Measure], new: &[Measure]| changes(old, new)[0].1;
        let (none, many) = (letters(0, 0, 300), letters(20, 0, 310));
        assert_eq!(none[0].id, "order.dead-letters");
        assert_eq!(change(&none, &many), Change::Worse);
        assert_eq!(change(&many, &none), Change::Better);
        assert_eq!(change(&many, &letters(22, 0, 290)), Change::Same);
        // What waits may be given up yet.
        assert_eq!(change(&many, &letters(0, 40, 300)), Change::Same);
        assert_eq!(letters(0, 0, 0), []);
    }

    #[test]
    fn nothing_is_held_of_what_a_detector_leaves_open() {
        let mut open = on_edge(Detector::Breaker, &[("calls-to-open", Reading::count(5, 5))]);
        let State::Present { params } = open.state.clone() else { panic!("made so") };
        open.state = State::Inconclusive { why: String::new(), settle: String::new(), params };
        assert_eq!(measures(&open), []);
        assert_eq!(changes(&pool(5), &measures(&open)), [named("db.pool", Change::Lost)]);
    }
}
