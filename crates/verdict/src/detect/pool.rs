//! Does the number of calls in flight stop at a limit while users queue behind it? (verdicts 2.7)

use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::Reading;
use crate::phase::{RunView, Window};
use crate::words;

/// A limit must be held for so long, in microseconds.
const HELD: u64 = 5_000_000;
/// Smaller levels are not told from low load.
const SMALLEST: u64 = 3;
/// So many users at once are many: if they wait for calls, something holds them.
const MANY: u64 = 20;
/// Time between two looks.
const STEP: u64 = 100_000;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    if edge.hurt.is_empty() || edge.blind {
        return Found::not_applicable("no call was held on this edge");
    }
    let calls: Vec<(u64, u64)> = edge.calls.iter().map(|call| (call.began, call.ended)).collect();
    let users: Vec<(u64, u64)> = run
        .loads
        .iter()
        .flat_map(|load| &load.points)
        .filter_map(|point| Some((point.sent?, point.ended)))
        .collect();
    let mut best: Option<Plateau> = None;
    for window in edge.hurt.iter() {
        let window = Window { to: window.to.min(run.last), ..window };
        let waiting = levels(&users, window).into_iter().max().unwrap_or(0);
        let plateau = Plateau::of(&levels(&calls, window), waiting);
        if best.as_ref().is_none_or(|best| (plateau.is_limit(), plateau.most) > (best.is_limit(), best.most))
        {
            best = Some(plateau);
        }
    }
    let Some(plateau) = best else { return Found::not_applicable("the fault had no length") };
    let Plateau { most, waiting, .. } = plateau;
    let users = Reading::count(waiting, waiting);
    if plateau.is_limit() {
        let limit = Reading::count(plateau.level, plateau.level);
        let text = format!("calls in flight stop at {} while {waiting} users wait", plateau.level);
        return Found::present(params([("limit", limit), ("users", users)]), text);
    }
    if most >= SMALLEST && waiting >= MANY && waiting as f64 >= most as f64 * 1.5 {
        // Half of the time at least so many are in flight, whatever the limit.
        return Found::undecided(
            params([("level", Reading::count(plateau.level, plateau.level)), ("users", users)]),
            format!("{waiting} users wait while at most {most} calls are in flight, but not at one level"),
            format!("a fault of {} or more, on a calmer machine", words::micros(2.0 * HELD as f64)),
        );
    }
    Found::absent(
        params([("peak", Reading::count(most, most)), ("users", users)]),
        format!("no limit seen up to {most} calls in flight ({waiting} users at once)"),
    )
}

/// Calls in flight over one stretch.
struct Plateau {
    /// The level that is reached for most of the time.
    level: u64,
    most: u64,
    /// The highest level from the first look at that level to the last: calls that were under way when the fault struck
    /// are not the pool's any more, though they may look so for a while.
    most_inside: u64,
    /// The whole stretch.
    all: u64,
    /// From the first look at that level to the last, in microseconds.
    span: u64,
    /// The share of looks in that span that stand within one of it.
    share: f64,
    waiting: u64,
}

impl Plateau {
    fn of(levels: &[u64], waiting: u64) -> Plateau {
        let mut sorted = levels.to_vec();
        sorted.sort_unstable();
        let level = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let at = |seen: &u64| seen.abs_diff(level) <= 1;
        let (first, last) =
            (levels.iter().position(at).unwrap_or(0), levels.iter().rposition(at).unwrap_or(0));
        let inside = &levels[first.min(levels.len())..(last + 1).min(levels.len())];
        Plateau {
            level,
            most: sorted.last().copied().unwrap_or(0),
            most_inside: inside.iter().copied().max().unwrap_or(0),
            all: levels.len() as u64 * STEP,
            span: inside.len() as u64 * STEP,
            share: inside.iter().filter(|seen| at(seen)).count() as f64 / inside.len().max(1) as f64,
            waiting,
        }
    }

    /// A limit is never exceeded, is stood at nearly all the time, and users pile up well beyond it; else the level is only
    /// what the load asked for.
    fn is_limit(&self) -> bool {
        self.level >= SMALLEST
            && self.most_inside <= self.level + 1
            && self.span >= HELD
            && self.span * 10 >= self.all * 6
            && self.share >= 0.8
            && self.waiting as f64 >= self.level as f64 * 1.5
    }
}

/// How many lives are open at each look.
fn levels(lives: &[(u64, u64)], window: Window) -> Vec<u64> {
    let steps = (window.length() / STEP) as usize;
    let mut changes = vec![0i64; steps + 2];
    for &(from, to) in lives {
        // Open at look i (at window.from + i * STEP) if from <= look < to.
        let first = from.saturating_sub(window.from).div_ceil(STEP) as usize;
        let first = if from <= window.from { 0 } else { first };
        let after = to.saturating_sub(window.from).div_ceil(STEP) as usize;
        if to > window.from && first < after && first <= steps {
            changes[first] += 1;
            changes[after.min(steps + 1)] -= 1;
        }
    }
    changes[..=steps]
        .iter()
        .scan(0i64, |open, change| {
            *open += change;
            Some((*open).max(0) as u64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_lives_are_counted_at_each_look() {
        let window = Window { from: 1_000_000, to: 1_500_000 };
        let lives = [(0, 1_150_000), (1_100_000, 1_300_000), (1_250_000, 9_000_000), (0, 500_000)];
        assert_eq!(levels(&lives, window), [1, 2, 1, 1, 1, 1]);
    }

    #[test]
    fn a_limit_is_stood_at_and_not_merely_reached() {
        let stood: Vec<u64> =
            [1, 6].into_iter().chain((0..80).map(|look| if look % 15 == 7 { 8 } else { 10 })).collect();
        assert!(Plateau::of(&stood, 150).is_limit());
        assert!(!Plateau::of(&stood, 11).is_limit()); // nobody waits
        let asked: Vec<u64> = (0..80).map(|look| 6 + look * 7 % 9).collect();
        assert!(!Plateau::of(&asked, 150).is_limit());
        assert!(!Plateau::of(&[], 150).is_limit());
    }
}
