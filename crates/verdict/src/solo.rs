//! Which calls belong to which user request? A journal has no marks that tell (what calls say of each other is the matter of `marked`).
//! But the calls made while one request was alone in the whole system are its own; that is all that is claimed here, and overlapping
//! requests are left out.

use crate::edge::{Call, EdgeView};
use crate::phase::{RunView, Window, Windows};
use crate::stats::quantile;

/// No other request may live within this of one that is alone, in microseconds.
pub(crate) const APART: u64 = 20_000;
/// Without any request for a shorter time, nothing is known of calls that none asked for, in microseconds.
const LEAST_IDLE: u64 = 1_000_000;

/// When a user request was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub from: u64,
    pub to: u64,
    /// The user gave up: what the caller did for it may go on.
    pub cut: bool,
    /// Which load it belongs to, by its place in the run.
    pub load: usize,
}

/// All of them, by beginning. Who was in flight when the first fault was armed was no less in the system, so that nobody beside was alone.
pub(crate) fn lives(run: &RunView<'_>) -> Vec<Life> {
    let points = run
        .loads
        .iter()
        .enumerate()
        .flat_map(|(load, view)| view.across.iter().chain(&view.points).map(move |point| (load, point)));
    let mut lives: Vec<Life> = points
        .filter_map(|(load, point)| {
            Some(Life { from: point.sent?, to: point.ended, cut: point.is_censored(), load })
        })
        .collect();
    lives.sort_unstable();
    lives
}

/// A request that was alone, and the calls made meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Solo<'a> {
    pub life: Life,
    pub calls: &'a [Call],
}

/// All requests that were alone in the system and lived wholly within `windows`.
pub(crate) fn alone<'a>(lives: &[Life], edge: &'a EdgeView, windows: &Windows) -> Vec<Solo<'a>> {
    let mut found = Vec::new();
    let mut busy_until = 0;
    for (index, &life) in lives.iter().enumerate() {
        let next = lives.get(index + 1).map_or(u64::MAX, |life| life.from);
        let apart = (index == 0 || busy_until + APART <= life.from) && life.to + APART <= next;
        if apart && windows.holds(life.from) && windows.holds(life.to) {
            let from = edge.calls.partition_point(|call| call.began < life.from);
            let to = edge.calls.partition_point(|call| call.began < life.to + APART);
            found.push(Solo { life, calls: &edge.calls[from..to.max(from)] });
        }
        busy_until = busy_until.max(life.to);
    }
    found
}

/// Calls a microsecond that nobody's request asked for, as those of a poller or a health check: begun while none was under way, or
/// was just over.
pub(crate) fn unasked(lives: &[Life], edge: &EdgeView, windows: &Windows) -> f64 {
    let (mut calls, mut length) = (0, 0);
    let mut idle = |from: u64, to: u64| {
        let stretch = Window { from, to };
        if stretch.length() > 0 {
            calls += edge.in_window(stretch).len();
            length += stretch.length();
        }
    };
    for window in windows.iter() {
        let mut free = window.from;
        for life in lives.iter().filter(|life| life.from < window.to && window.from < life.to + APART) {
            idle(free, life.from);
            free = free.max(life.to + APART);
        }
        idle(free, window.to);
    }
    if length < LEAST_IDLE { 0.0 } else { calls as f64 / length as f64 }
}

/// Calls in the fault that no request asked for, as far as the baseline lets expect. However they fall, no more of its requests can have met
/// one: where both come in a fixed beat, many may, by no chance.
pub(crate) fn made_by_others(run: &RunView<'_>, edge: &EdgeView) -> f64 {
    unasked(run.lives(), edge, &run.baseline) * edge.hurt.length() as f64
}

/// How many of these requests, at most, may have met a call that no request asked for: as many as the baseline lets expect, and what
/// chance adds to that (three standard deviations). 0 where there are no such calls.
pub(crate) fn met_by_others(run: &RunView<'_>, edge: &EdgeView, requests: &[Solo<'_>]) -> f64 {
    let length: u64 =
        requests.iter().map(|solo| solo.life.to + APART - solo.life.from.min(solo.life.to)).sum();
    let mean = unasked(run.lives(), edge, &run.baseline) * length as f64;
    mean + 3.0 * mean.sqrt()
}

/// Calls on the edge that one request makes in the baseline: the median over those that were alone; 0 without any.
pub(crate) fn usual_calls(lives: &[Life], edge: &EdgeView, run: &RunView<'_>) -> u64 {
    let counts: Vec<(u64, bool)> =
        alone(lives, edge, &run.baseline).iter().map(|solo| (solo.calls.len() as u64, false)).collect();
    quantile(&counts, 0.5).map_or(0, |median| median.value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Harm;
    use murphy_core::{EdgeName, ExchangeEnd};

    fn life((from, to): (u64, u64)) -> Life {
        Life { from, to, cut: false, load: 0 }
    }

    fn edge(calls: &[(u64, u64)]) -> EdgeView {
        let call = |&(began, ended): &(u64, u64)| Call {
            began,
            answered: None,
            ended,
            end: ExchangeEnd::GivenUp,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        };
        EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: calls.iter().map(call).collect(),
            conns: Vec::new(),
            harm: Harm::Slow,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![Window { from: 0, to: 10_000_000 }]),
        }
    }

    #[test]
    fn only_a_request_with_nobody_near_is_alone() {
        let edge = edge(&[(100_000, 101_000), (102_000, 103_000), (500_000, 501_000)]);
        let lives = [(100_000, 104_000), (500_000, 502_000), (510_000, 512_000)].map(life);
        let counts: Vec<usize> =
            alone(&lives, &edge, &edge.hurt).iter().map(|solo| solo.calls.len()).collect();
        assert_eq!(counts, [2]);
    }

    #[test]
    fn calls_that_come_while_nobody_asks_are_counted_by_the_time_in_which_nobody_does() {
        // Somebody looks every 500 ms, and a request a second takes 480 ms and makes a call of its own.
        let polls = (0..20u64).map(|n| (n * 500_000 + 10_000, n * 500_000 + 11_000));
        let own = (0..10u64).map(|n| (n * 1_000_000 + 200_000, n * 1_000_000 + 210_000));
        let mut calls: Vec<(u64, u64)> = polls.chain(own).collect();
        calls.sort_unstable();
        let edge = edge(&calls);
        let lives: Vec<Life> = (0..10).map(|n| life((n * 1_000_000, n * 1_000_000 + 480_000))).collect();
        let a_second = unasked(&lives, &edge, &edge.hurt) * 1e6;
        assert!((a_second - 2.0).abs() < 0.01, "{a_second}");
        // Of a busy system nothing is known.
        let busy = [life((0, 9_500_000))];
        assert!(unasked(&busy, &edge, &edge.hurt) <= 0.0);
    }
}
