//! How do the waits between the tries of one call grow? (verdicts 2.4) A wait is from the *end* of a failed try to the
//! beginning of the next, so that slow errors do not look like waits. Only requests that were alone in the system are read.
//!
//! One wait says nothing of a shape; two waits cannot tell linear from exponential growth; three can. What the waits cannot
//! tell is not guessed: then the shape is `growing`.

use super::attempts::{had_to_try_again, nothing_to_try_again};
use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::{Reading, Unit};
use crate::phase::RunView;
use crate::solo::{alone, met_by_others, usual_calls};
use crate::stats::{Interval, median, percentile, resampled};
use crate::words;

/// Sequences of tries needed to speak of waits.
pub(super) const FEWEST: usize = 10;
/// A wait below this is none: a retry at once.
const AT_ONCE: f64 = 10_000.0;
/// Growth by less than this factor from the first wait to the last is none.
const LEVEL: f64 = 1.15;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let waits = match waits(run, edge) {
        Ok(waits) => waits,
        Err(found) => return found,
    };
    let medians = medians(&waits.iter().collect::<Vec<_>>());
    let n = waits.len() as u64;
    let Some(first) = interval(&waits, |medians| medians.first().copied()) else {
        return too_few(waits.len());
    };
    let time =
        |value: f64, interval: Interval| Reading::time(value, Some(interval.low), Some(interval.high), n);
    let mut found =
        params([("first", time(medians[0], first)), ("waits", Reading::count(medians.len() as u64, n))]);
    let listed: Vec<String> = medians.iter().map(|wait| words::micros(*wait)).collect();
    if medians.iter().all(|wait| *wait < AT_ONCE) {
        return Found::absent(found, format!("tries again at once (median wait {})", listed.join(", ")));
    }
    if let Some(longest) = longest(&waits, &medians).filter(|longest| longest.low < AT_ONCE) {
        let (low, high) = (words::micros(longest.low), words::micros(longest.high));
        return Found::undecided(
            found,
            format!(
                "between tries are {}, the longest in [{low}, {high}]: that may be a caller that is slow to try again at once",
                listed.join(", ")
            ),
            "a calmer machine, or more requests that fail",
        );
    }
    if let Some(last) = interval(&waits, |medians| medians.last().copied()) {
        found.insert("last".to_owned(), time(medians[medians.len() - 1], last));
    }
    let (shape, growth) = shape(&waits, &medians);
    if let Some((value, interval)) = growth {
        let interval = (steady(interval.low), steady(interval.high));
        found.insert("growth".to_owned(), Reading::ratio(steady(value), Some(interval), n));
    }
    found.insert("shape".to_owned(), word(shape.name(), n));
    Found::present(found, format!("waits {} between tries: {}", listed.join(", "), shape.told()))
}

/// A root as it is told. In its last bit it is another one on another machine, by the library that draws it; the same journal must have
/// the same judgement there.
fn steady(root: f64) -> f64 {
    (root * 1e6).round() / 1e6
}

/// A parameter that is a word.
pub(super) fn word(text: &str, n: u64) -> Reading {
    Reading { text: text.to_owned(), unit: Unit::Count, value: None, low: None, high: None, n, good: None }
}

/// How waits go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One wait only.
    OneWait,
    Constant,
    Linear,
    Exponential,
    /// It grows, and that is all that can be told.
    Growing,
    /// It may grow or not.
    Unresolved,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::OneWait | Shape::Unresolved => "unresolved",
            Shape::Constant => "constant",
            Shape::Linear => "linear",
            Shape::Exponential => "exponential",
            Shape::Growing => "growing",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Shape::OneWait => "one wait, so no shape (4 tries would show one)",
            Shape::Constant => "constant",
            Shape::Linear => "growing linearly",
            Shape::Exponential => "growing exponentially",
            Shape::Growing => "growing (linear or exponential is not resolved)",
            Shape::Unresolved => "constant or growing is not resolved (more failing requests would tell)",
        }
    }
}

/// The waits of each sequence of tries, in microseconds, by their place in the sequence; sequences without one left out.
pub(super) fn waits(run: &RunView<'_>, edge: &EdgeView) -> Result<Vec<Vec<f64>>, Found> {
    if edge.hurt.is_empty() {
        return Err(Found::not_applicable("no fault sits on this edge"));
    }
    if edge.blind {
        return Err(Found::inconclusive(
            "refused connections leave no trace at the proxy, so waits between tries cannot be seen",
            "use `reset` or `hang` instead of `refuse`",
        ));
    }
    let lives = run.lives();
    let failing: Vec<_> = alone(lives, edge, &edge.hurt)
        .into_iter()
        .filter(|solo| solo.calls.first().is_some_and(|call| call.touched && !edge.is_good(call)))
        .collect();
    let sequences: Vec<Vec<f64>> = failing
        .iter()
        .map(|solo| {
            let failed = |pair: &&[crate::edge::Call]| !edge.is_good(&pair[0]);
            // A try that begins before the last one has ended is a hedge; it waits for nothing.
            let gap =
                |pair: &[crate::edge::Call]| pair[1].began.checked_sub(pair[0].ended).map(|gap| gap as f64);
            solo.calls.windows(2).take_while(failed).map_while(gap).collect()
        })
        .filter(|waits: &Vec<f64>| !waits.is_empty())
        .collect();
    if failing.len() >= FEWEST && sequences.len() * 10 < failing.len() {
        if !had_to_try_again(edge) {
            return Err(nothing_to_try_again());
        }
        return Err(Found::not_applicable(format!(
            "no retry in {} failing requests that were alone",
            failing.len() - sequences.len()
        )));
    }
    if usual_calls(lives, edge, run) > 1 {
        return Err(Found::inconclusive(
            "a request makes several calls on this edge even in the baseline, so a wait is not told from work between calls",
            "a load whose requests call this edge once",
        ));
    }
    if sequences.len() < FEWEST {
        return Err(too_few(sequences.len()));
    }
    if sequences.len() as f64 <= met_by_others(run, edge, &failing) {
        return Err(Found::inconclusive(
            "calls that no request asked for come so often that what looks like a further try may be one of them",
            "an edge that nobody else calls",
        ));
    }
    Ok(sequences)
}

fn too_few(n: usize) -> Found {
    Found::inconclusive(
        format!("only {} failed more than once while alone", words::plural(n as u64, "request")),
        format!(
            "{FEWEST} requests that are retried and do not overlap with others: a lower rate and a longer fault"
        ),
    )
}

/// The median wait at each place that at least half of the sequences reach.
fn medians(sequences: &[&Vec<f64>]) -> Vec<f64> {
    let fewest = (sequences.len() / 2).max(1);
    (0..)
        .map_while(|place| {
            let mut at: Vec<f64> = sequences.iter().filter_map(|waits| waits.get(place).copied()).collect();
            (at.len() >= fewest).then(|| median(&mut at)).flatten()
        })
        .collect()
}

/// The interval of the longest of the median waits.
fn longest(waits: &[Vec<f64>], medians: &[f64]) -> Option<Interval> {
    let place = (0..medians.len()).max_by(|one, other| medians[*one].total_cmp(&medians[*other]))?;
    interval(waits, |medians| medians.get(place).copied())
}

fn interval(waits: &[Vec<f64>], read: impl Fn(&[f64]) -> Option<f64>) -> Option<Interval> {
    percentile(resampled(waits, |drawn| read(&medians(drawn))))
}

/// The shape, and the growth from one wait to the next.
fn shape(waits: &[Vec<f64>], all: &[f64]) -> (Shape, Option<(f64, Interval)>) {
    if all.len() < 2 {
        return (Shape::OneWait, None);
    }
    let places = all.len();
    let total = |medians: &[f64]| {
        (medians.len() >= places).then(|| (medians[places - 1].max(1.0) / medians[0].max(1.0)).ln())
    };
    let Some(rise) = interval(waits, total) else { return (Shape::Unresolved, None) };
    // Waits at a cap grow no more; the growth is that of the waits before it.
    let free = before_cap(all);
    let step = |medians: &[f64]| {
        let last = free.min(medians.len());
        (last >= 2)
            .then(|| (medians[last - 1].max(1.0) / medians[0].max(1.0)).powf(1.0 / (last as f64 - 1.0)))
    };
    let growth = step(all).zip(interval(waits, step));
    if rise.low <= LEVEL.ln() {
        return (if rise.high < 1.5f64.ln() { Shape::Constant } else { Shape::Unresolved }, growth);
    }
    if free < 3 {
        return (Shape::Growing, growth);
    }
    let winners = resampled(waits, |drawn| {
        let medians = medians(drawn);
        (medians.len() >= free).then(|| is_exponential(&medians[..free]))
    });
    let exponential = winners.iter().filter(|exponential| **exponential).count();
    let shape = if exponential * 10 >= winners.len() * 9 {
        Shape::Exponential
    } else if exponential * 10 <= winners.len() {
        Shape::Linear
    } else {
        Shape::Growing
    };
    (shape, growth)
}

/// How many waits come before they stop growing; the first at the cap is not one of them.
fn before_cap(medians: &[f64]) -> usize {
    let capped = (1..medians.len()).find(|&place| {
        let tail = &medians[place - 1..];
        tail.len() >= 2 && tail.iter().all(|wait| (wait / tail[0]).ln().abs() < LEVEL.ln())
    });
    capped.map_or(medians.len(), |place| place - 1).max(2.min(medians.len()))
}

/// Which of two curves is nearer to the logarithms of the waits: c + ln(i + 1), or c + i ln r with r in [1.2, 4]? The second
/// has one parameter more and pays for it.
fn is_exponential(medians: &[f64]) -> bool {
    let logs: Vec<f64> = medians.iter().map(|wait| wait.max(1.0).ln()).collect();
    let n = logs.len() as f64;
    let error = |curve: &dyn Fn(f64) -> f64| {
        let rest: Vec<f64> = logs.iter().enumerate().map(|(place, log)| log - curve(place as f64)).collect();
        let mean = rest.iter().sum::<f64>() / n;
        rest.iter().map(|rest| (rest - mean).powi(2)).sum::<f64>()
    };
    let centre = (n - 1.0) / 2.0;
    let (mut over, mut under) = (0.0, 0.0);
    for (place, log) in logs.iter().enumerate() {
        over += (place as f64 - centre) * log;
        under += (place as f64 - centre).powi(2);
    }
    let slope = (over / under).clamp(1.2f64.ln(), 4.0f64.ln());
    error(&|place| place * slope) * 1.5 < error(&|place| (place + 1.0).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Dice, Seed};

    fn drawn(seed: u64, n: usize, base: &[f64], spread: f64) -> Vec<Vec<f64>> {
        let mut dice = Dice::new(Seed(seed));
        let mut one = |wait: &f64| wait * (1.0 + spread * dice.signed_unit()) + 2_000.0 * dice.unit();
        (0..n).map(|_| base.iter().map(&mut one).collect()).collect()
    }

    fn shape_of(waits: &[Vec<f64>]) -> Shape {
        shape(waits, &medians(&waits.iter().collect::<Vec<_>>())).0
    }

    #[test]
    fn shapes_without_jitter_are_named() {
        for seed in 0..20 {
            let mut dice = Dice::new(Seed(seed).derive("base", 0));
            let base = 50_000.0 + 400_000.0 * dice.unit();
            let rho = 1.8 + 1.5 * dice.unit();
            let exponential: Vec<f64> = (0..4).map(|i| base * rho.powi(i)).collect();
            let linear: Vec<f64> = (0..4).map(|i| base * f64::from(i + 1)).collect();
            assert_eq!(shape_of(&drawn(seed, 15, &exponential, 0.0)), Shape::Exponential, "{rho}");
            assert_eq!(shape_of(&drawn(seed, 15, &linear, 0.0)), Shape::Linear);
            assert_eq!(shape_of(&drawn(seed, 15, &[base; 3], 0.0)), Shape::Constant);
        }
    }

    #[test]
    fn a_stall_between_tries_is_no_wait_and_a_timer_is_one() {
        let low = |waits: &[Vec<f64>]| {
            longest(waits, &medians(&waits.iter().collect::<Vec<_>>())).expect("an interval").low
        };
        // As seen on a machine that starved: 9ms, 12ms and 1.2ms in the median, each from nothing to twice that.
        assert!(low(&drawn(3, 30, &[8_000.0, 11_000.0, 500.0], 1.0)) < AT_ONCE);
        assert!(low(&drawn(3, 30, &[20_000.0, 20_000.0, 20_000.0], 0.1)) > AT_ONCE);
    }

    #[test]
    fn the_last_bit_of_a_root_is_not_told() {
        for root in [2.0f64, 1.5, 1.259_921_049_894_873_2] {
            assert_eq!(steady(root.next_up()), steady(root));
            assert_eq!(steady(root.next_down()), steady(root));
            assert!((steady(root) - root).abs() < 1e-6, "{root}");
        }
    }

    #[test]
    fn two_waits_are_growing_and_nothing_more() {
        assert_eq!(shape_of(&drawn(1, 30, &[100_000.0, 200_000.0], 0.0)), Shape::Growing);
        assert_eq!(shape_of(&drawn(1, 30, &[100_000.0], 0.0)), Shape::OneWait);
    }

    #[test]
    fn a_cap_does_not_hide_the_growth_before_it() {
        let capped = drawn(2, 30, &[100_000.0, 200_000.0, 400_000.0, 800_000.0, 800_000.0, 800_000.0], 0.0);
        assert_eq!(shape_of(&capped), Shape::Exponential);
        assert_eq!(before_cap(&[100.0, 200.0, 400.0, 800.0, 800.0, 800.0]), 3);
        assert_eq!(before_cap(&[100.0, 200.0, 400.0]), 3);
    }

    #[test]
    fn with_wide_jitter_a_wrong_shape_is_rare() {
        let (mut wrong, mut right) = (0, 0);
        for seed in 0..60 {
            let found = shape_of(&drawn(seed, 30, &[100_000.0, 200_000.0, 400_000.0, 800_000.0], 0.5));
            wrong += usize::from(matches!(found, Shape::Constant | Shape::Linear));
            right += usize::from(found == Shape::Exponential);
        }
        assert!(wrong <= 1 && right >= 50, "{wrong} wrong, {right} right of 60");
    }
}
