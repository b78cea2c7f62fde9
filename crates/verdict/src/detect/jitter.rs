//! Are the waits between tries drawn at random? (verdicts 2.5) Told by how much the waits at one place of the sequence differ
//! from request to request, beyond what the timing of the machine does anyway.

use super::back_off::waits;
use super::{Found, params};
use crate::edge::EdgeView;
use crate::judgement::Reading;
use crate::phase::RunView;
use crate::solo::alone;
use crate::stats::{deviation, median, percentile, resampled};
use crate::words;

/// Variation below which waits are alike.
const ALIKE: f64 = 0.05;
/// Beyond this the machine's own timing hides what is looked for.
const NOISY: f64 = 0.15;
/// Waits of less than this say nothing: the machine's own timing is as large.
const SHORTEST: f64 = 10_000.0;

pub(super) fn detect(run: &RunView<'_>, edge: &EdgeView) -> Found {
    let waits = match waits(run, edge) {
        Ok(waits) => waits,
        Err(found) => return found,
    };
    let middle = |place: usize, waits: &[&Vec<f64>]| {
        median(&mut waits.iter().filter_map(|waits| waits.get(place).copied()).collect::<Vec<_>>())
    };
    let all: Vec<&Vec<f64>> = waits.iter().collect();
    let Some(first) = middle(0, &all) else { return Found::not_applicable("no waits") };
    let longest = (0..).map_while(|place| middle(place, &all)).fold(first, f64::max);
    if longest < SHORTEST {
        return Found::not_applicable("tries again at once: there is no wait to be drawn at random");
    }
    let noise = noise(run, edge);
    let Some(value) = variation(&all) else { return Found::not_applicable("no waits") };
    let Some(interval) = percentile(resampled(&waits, variation)) else {
        return Found::inconclusive("too few waits for an interval", "more requests that are retried");
    };
    // What the machine's own timing makes of equal waits.
    let alike = ALIKE.max(3.0 * noise / longest);
    let n = waits.len() as u64;
    let shortest = waits.iter().filter_map(|waits| waits.first()).copied().fold(f64::MAX, f64::min);
    let most = waits.iter().filter_map(|waits| waits.first()).copied().fold(0.0, f64::max);
    let found = params([
        ("variation", Reading::ratio(value, Some((interval.low, interval.high)), n)),
        ("first", Reading::time(first, Some(shortest), Some(most), n)),
    ]);
    let range = format!("first wait {} to {}", words::micros(shortest), words::micros(most));
    if interval.low > alike {
        return Found::present(found, format!("waits differ by {} ({range}, n={n})", words::share(value)));
    }
    // Where timing alone makes waits differ widely, equal waits and drawn ones look the same.
    if interval.high < alike && alike <= NOISY {
        return Found::absent(
            found,
            format!(
                "waits are alike ({} of variation, {range}, n={n}): callers try again in step",
                words::share(value)
            ),
        );
    }
    Found::inconclusive(
        format!(
            "waits differ by {} to {}, and timing alone makes up to {}",
            words::share(interval.low),
            words::share(interval.high),
            words::share(alike)
        ),
        "30 requests that are retried, on a calmer machine",
    )
}

/// The spread of waits at one place over their median, pooled over the places by the median.
fn variation(waits: &[&Vec<f64>]) -> Option<f64> {
    let mut all: Vec<f64> = (0..)
        .map_while(|place| {
            let at: Vec<f64> = waits.iter().filter_map(|waits| waits.get(place).copied()).collect();
            if at.len() < (waits.len() / 2).max(3) {
                return None;
            }
            let centre = median(&mut at.clone())?;
            Some(if centre < SHORTEST { None } else { Some(deviation(&at)? / centre) })
        })
        .flatten()
        .collect();
    median(&mut all)
}

/// How much the caller's own timing varies: from a request's sending to its call, in the baseline.
fn noise(run: &RunView<'_>, edge: &EdgeView) -> f64 {
    let delays: Vec<f64> = alone(run.lives(), edge, &run.baseline)
        .iter()
        .filter_map(|solo| Some(solo.calls.first()?.began.saturating_sub(solo.life.from) as f64))
        .collect();
    deviation(&delays).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Dice, Seed};

    fn of(spread: f64, n: usize) -> f64 {
        let mut dice = Dice::new(Seed(5));
        let waits: Vec<Vec<f64>> = (0..n)
            .map(|_| [100_000.0, 200_000.0].map(|wait| wait * (1.0 + spread * dice.signed_unit())).to_vec())
            .collect();
        variation(&waits.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn uniform_jitter_has_the_variation_that_theory_gives() {
        // The median distance from the median of a uniform draw of +-s is s / 2: 1.4826 * 0.25 for +-50 %.
        assert!((of(0.5, 400) - 0.37).abs() < 0.05, "{}", of(0.5, 400));
        assert!(of(0.0, 20) < 1e-9);
    }

    #[test]
    fn waits_of_no_length_have_no_variation() {
        assert_eq!(variation(&[&vec![500.0], &vec![900.0], &vec![100.0]]), None);
    }
}
