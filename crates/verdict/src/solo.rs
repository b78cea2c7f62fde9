//! Which calls belong to which user request? A journal has no marks that tell (what calls say of each other is the matter of `marked`).
//! But the calls made while one request was alone in the whole system are its own; that is all that is claimed here, and overlapping
//! requests are left out.

use crate::edge::{Call, EdgeView};
use crate::phase::{RunView, Windows};
use crate::stats::quantile;

/// No other request may live within this of one that is alone, in microseconds.
pub(crate) const APART: u64 = 20_000;

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

/// All of them, by beginning.
pub(crate) fn lives(run: &RunView<'_>) -> Vec<Life> {
    let points = run
        .loads
        .iter()
        .enumerate()
        .flat_map(|(load, view)| view.points.iter().map(move |point| (load, point)));
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
    use crate::phase::Window;
    use murphy_core::{EdgeName, ExchangeEnd};

    #[test]
    fn only_a_request_with_nobody_near_is_alone() {
        let call = |(began, ended)| Call {
            began,
            answered: None,
            ended,
            end: ExchangeEnd::GivenUp,
            touched: true,
            answer: None,
            done_unknown: false,
            mark: None,
        };
        let edge = EdgeView {
            name: EdgeName::new("cart").unwrap(),
            from: None,
            instance_of: None,
            calls: [(100_000, 101_000), (102_000, 103_000), (500_000, 501_000)].map(call).to_vec(),
            conns: Vec::new(),
            harm: Harm::Slow,
            delays: false,
            blind: false,
            hurt: Windows::union(vec![Window { from: 0, to: 10_000_000 }]),
        };
        let lives = [(100_000, 104_000), (500_000, 502_000), (510_000, 512_000)].map(|(from, to)| Life {
            from,
            to,
            cut: false,
            load: 0,
        });
        let counts: Vec<usize> =
            alone(&lives, &edge, &edge.hurt).iter().map(|solo| solo.calls.len()).collect();
        assert_eq!(counts, [2]);
    }
}
