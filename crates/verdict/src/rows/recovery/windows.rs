//! How a load came back, told window by window.
//!
//! Time is cut into windows of at least a second and at least 20 requests. Recovered is the start of the first run of five
//! windows none of which is bad, that begins with a good one and that is good as a whole; so a false dawn does not count. Good is:
//! success within 5 points of the baseline, and p95 within 1.5 times the baseline's, or 20 ms above it (on a service of a few
//! milliseconds a ratio is noise), or no worse than the worst window of the baseline itself (what health looks like is no sign of
//! sickness).
//!
//! The p95 of 20 requests is the second slowest of them: in health two of them are late in every fourth window. So a window is
//! bad by latency only if the 95 % interval of its p95 lies beyond the limit; what is neither good nor bad widens the interval of the
//! recovery, and the five windows are judged together.

use crate::phase::{LoadView, Point, RunView};
use crate::stats::ranks;

/// Fewest requests and shortest length of a window.
const REQUESTS: usize = 20;
pub(super) const LENGTH: u64 = 1_000_000;
/// Good windows in a row that count as recovered.
pub(super) const SUSTAINED: usize = 5;

/// How a load came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Recovered {
    /// The recovery lies between the start of the last bad window and of the first sustained good one; microseconds
    /// from the lift.
    Within { low: u64, high: u64 },
    /// Not while anybody looked: bad at `last_bad`, and fewer than five windows after that.
    NotYet { last_bad: u64, watched: u64 },
    /// Five windows or more that are not bad, after `last_bad` if any was, of which no five in a row are good either.
    Unclear { last_bad: Option<u64>, watched: u64 },
    /// Too few requests to say.
    TooFew { windows: usize, seconds: u64 },
    /// No lift, no baseline or no requests.
    Unknown(&'static str),
}

fn latencies(points: &[&Point]) -> Vec<u64> {
    points.iter().map(|point| point.latency()).collect()
}

fn p95(mut latencies: Vec<u64>) -> u64 {
    latencies.sort_unstable();
    let rank = (latencies.len() * 95).div_ceil(100).max(1);
    latencies.get(rank - 1).copied().unwrap_or(0)
}

fn fresh(points: &[&Point]) -> f64 {
    points.iter().filter(|point| point.is_fresh()).count() as f64 / points.len().max(1) as f64
}

/// What makes a window good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Success and latency.
    Fully,
    /// Success alone: where latency cannot be trusted.
    BySuccess,
}

/// The recovery of one load.
pub(crate) fn recovered(run: &RunView<'_>, load: &LoadView) -> Recovered {
    recovery(run, load, Judged::Fully)
}

/// The same by errors alone, latency left aside.
pub(crate) fn without_errors(run: &RunView<'_>, load: &LoadView) -> Recovered {
    recovery(run, load, Judged::BySuccess)
}

/// How a load came back, by errors alone, once it was stopped and begun again.
pub(crate) fn restored(run: &RunView<'_>, load: &LoadView, again: crate::phase::Window) -> Recovered {
    come_back(run, load, Judged::BySuccess, load.again.iter(), again.from)
}

fn recovery(run: &RunView<'_>, load: &LoadView, judged: Judged) -> Recovered {
    let Some(lifted) = run.lifted else { return Recovered::Unknown("the fault was never lifted") };
    come_back(run, load, judged, load.within(&run.recovery), lifted)
}

fn come_back<'a>(
    run: &RunView<'_>,
    load: &LoadView,
    judged: Judged,
    later: impl Iterator<Item = &'a Point>,
    lifted: u64,
) -> Recovered {
    let baseline: Vec<&Point> = load.within(&run.baseline).collect();
    if baseline.is_empty() {
        return Recovered::Unknown("no baseline to compare with");
    }
    let usual = p95(latencies(&baseline));
    let healthy = pieces(baseline.iter().copied(), baseline[0].intended)
        .into_iter()
        .map(|piece| p95(piece.latencies))
        .max();
    let latency = match judged {
        Judged::Fully => (usual + usual / 2).max(usual + 20_000).max(healthy.unwrap_or(0)),
        Judged::BySuccess => u64::MAX,
    };
    let success = fresh(&baseline) - 0.05;
    let windows: Vec<Window> = pieces(later, lifted)
        .into_iter()
        .map(|piece| Window {
            start: piece.start - lifted,
            end: piece.end - lifted,
            served: if piece.fresh >= success { Served::AsBefore } else { Served::Worse },
            slow: piece.latencies.iter().filter(|one| **one > latency).count(),
            n: piece.latencies.len(),
        })
        .collect();
    of_windows(&windows)
}

fn of_windows(windows: &[Window]) -> Recovered {
    let Some(last) = windows.last() else {
        return Recovered::Unknown("fewer than 20 requests after the lift");
    };
    let bad_before = |end: usize| windows[..end].iter().rposition(|window| window.look() == Look::Bad);
    let sustained = windows.windows(SUSTAINED).position(|run| {
        let (slow, n) = run.iter().fold((0, 0), |sum, window| (sum.0 + window.slow, sum.1 + window.n));
        run[0].look() == Look::Good
            && run.iter().all(|window| window.look() != Look::Bad)
            && is_within(slow, n)
    });
    if let Some(first) = sustained {
        let low = bad_before(first).map_or(windows[0].start, |bad| windows[bad].start);
        // Nothing was seen to be bad, and the first window is good already: at once.
        return Recovered::Within { low, high: windows[first].start };
    }
    let watched = last.end;
    match bad_before(windows.len()) {
        Some(bad) if windows.len() - bad <= SUSTAINED => {
            Recovered::NotYet { last_bad: windows[bad].start, watched }
        }
        None if windows.len() < SUSTAINED => {
            let each = watched / windows.len() as u64;
            Recovered::TooFew {
                windows: windows.len(),
                seconds: (each * SUSTAINED as u64).div_ceil(1_000_000),
            }
        }
        bad => Recovered::Unclear { last_bad: bad.map(|bad| windows[bad].start), watched },
    }
}

/// Whether so many slow ones of `n` leave p95 within its limit.
fn is_within(slow: usize, n: usize) -> bool {
    slow <= n / 20
}

/// Whether users got what they asked for as often as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    AsBefore,
    Worse,
}

/// What a window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Good,
    /// Slower than before, but so few requests are so now and then in health too.
    Unclear,
    Bad,
}

/// A window of the recovery; times from the lift.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: u64,
    end: u64,
    served: Served,
    /// Requests that took longer than the limit of p95.
    slow: usize,
    n: usize,
}

impl Window {
    fn look(self) -> Look {
        if self.served == Served::Worse {
            return Look::Bad;
        }
        if is_within(self.slow, self.n) {
            return Look::Good;
        }
        // The lower end of p95 is the value of this rank, from 1; it is beyond the limit if fewer than that are within.
        let surely = ranks(self.n as u64, 0.95).low;
        if surely.is_some_and(|rank| ((self.n - self.slow) as u64) < rank) {
            Look::Bad
        } else {
            Look::Unclear
        }
    }
}

/// A window of any stretch.
struct Piece {
    start: u64,
    end: u64,
    fresh: f64,
    latencies: Vec<u64>,
}

impl Piece {
    fn of(points: &[&Point], start: u64, end: u64) -> Piece {
        Piece { start, end, fresh: fresh(points), latencies: latencies(points) }
    }
}

fn pieces<'a>(of: impl Iterator<Item = &'a Point>, from: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut points: Vec<&Point> = Vec::new();
    let mut start = from;
    for point in of {
        if points.len() >= REQUESTS && point.intended >= start + LENGTH {
            // A window ends on a whole second, unless requests are too rare for that.
            let end = start + (point.intended - start) / LENGTH * LENGTH;
            pieces.push(Piece::of(&points, start, end));
            start = end;
            points.clear();
        }
        points.push(point);
    }
    if points.len() >= REQUESTS {
        let end = points.last().map_or(start, |point| point.intended);
        pieces.push(Piece::of(&points, start, end));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use murphy_core::{Dice, Seed};

    use super::*;

    /// Windows of a second with 20 requests each, so many of which are slow.
    fn seconds(slow: &[usize]) -> Vec<Window> {
        let window = |(at, slow): (usize, &usize)| Window {
            start: at as u64 * LENGTH,
            end: (at as u64 + 1) * LENGTH,
            served: Served::AsBefore,
            slow: *slow,
            n: 20,
        };
        slow.iter().enumerate().map(window).collect()
    }

    fn within(low: u64, high: u64) -> Recovered {
        Recovered::Within { low: low * LENGTH, high: high * LENGTH }
    }

    #[test]
    fn two_late_requests_in_one_window_are_no_relapse() {
        assert_eq!(of_windows(&seconds(&[20, 20, 0, 1, 2, 0, 1, 3, 2])), within(1, 2));
    }

    #[test]
    fn a_run_of_windows_that_are_each_a_little_late_is_no_recovery() {
        let late = seconds(&[20, 1, 2, 2, 2, 2, 1, 2, 2, 2]);
        assert_eq!(of_windows(&late), Recovered::Unclear { last_bad: Some(0), watched: 10 * LENGTH });
    }

    #[test]
    fn what_is_neither_good_nor_bad_widens_the_interval_and_moves_it_nowhere() {
        assert_eq!(of_windows(&seconds(&[20, 3, 2, 0, 0, 1, 0, 0])), within(0, 3));
        assert_eq!(of_windows(&seconds(&[2, 0, 0, 0, 0, 0])), within(0, 1));
        assert_eq!(of_windows(&seconds(&[0, 0, 0, 0, 0])), within(0, 0));
    }

    #[test]
    fn a_false_dawn_of_four_windows_does_not_count() {
        assert_eq!(of_windows(&seconds(&[9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0])), within(5, 6));
    }

    #[test]
    fn errors_are_bad_however_fast_they_are() {
        let mut windows = seconds(&[0; 6]);
        windows[1].served = Served::Worse;
        assert_eq!(of_windows(&windows), Recovered::NotYet { last_bad: LENGTH, watched: 6 * LENGTH });
    }

    #[test]
    fn too_few_windows_say_nothing_yet() {
        assert_eq!(of_windows(&seconds(&[0, 2, 0])), Recovered::TooFew { windows: 3, seconds: 5 });
        assert!(matches!(of_windows(&[]), Recovered::Unknown(_)));
    }

    /// Windows in which a request is slow with this chance.
    fn by_chance(dice: &mut Dice, chance: f64, count: usize) -> Vec<usize> {
        let mut slow = || (0..20).filter(|_| dice.unit() < chance).count();
        (0..count).map(|_| slow()).collect()
    }

    #[test]
    fn health_is_seen_within_a_bound_and_lasting_slowness_is_never_called_recovered_in_time() {
        let mut dice = Dice::new(Seed(7));
        // Three bad seconds, then health, watched for 16 s with a bound of 8 s. A share of 5 % slow is the worst health there can be:
        // the limit is at least the baseline's own p95.
        let (mut decided, mut wrong) = (0, 0);
        for _ in 0..1_000 {
            let slow = [vec![20; 3], by_chance(&mut dice, 0.03, 13)].concat();
            match of_windows(&seconds(&slow)) {
                Recovered::Within { high, .. } if high <= 8 * LENGTH => decided += 1,
                Recovered::Within { low, .. } if low > 8 * LENGTH => wrong += 1,
                _ => {}
            }
        }
        assert!(decided >= 970 && wrong == 0, "{decided} decided, {wrong} wrong, of 1000");
        let mut fooled = 0;
        for _ in 0..1_000 {
            let slow = by_chance(&mut dice, 0.25, 16);
            fooled += usize::from(matches!(of_windows(&seconds(&slow)), Recovered::Within { .. }));
        }
        assert!(fooled <= 5, "{fooled} of 1000 called recovered with 25 % slow");
    }
}
