//! A bootstrap of whole sequences: a sequence of waits belongs together, so it is drawn as one. The seed is fixed, so that
//! one journal has one interval.

use murphy_core::{Dice, Seed};

use super::Interval;

const RESAMPLES: usize = 400;

/// The median of values, the lower of the two middle ones for an even number; `None` without values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// 1.4826 times the median distance from the median: the standard deviation of a normal sample, deaf to outliers.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let centre = median(&mut values.to_vec())?;
    let mut apart: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    Some(1.4826 * median(&mut apart)?)
}

/// What `read` says of 400 resamples of `items`, in the order in which they were drawn; those it has no answer for are left
/// out.
pub fn resampled<T, R>(items: &[T], read: impl Fn(&[&T]) -> Option<R>) -> Vec<R> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut dice = Dice::new(Seed(0).derive("resample", 0));
    (0..RESAMPLES)
        .filter_map(|_| {
            let drawn: Vec<&T> =
                items.iter().map(|_| &items[dice.below(items.len() as u64) as usize]).collect();
            read(&drawn)
        })
        .collect()
}

/// The 95 % percentile interval of resampled values; `None` if fewer than half of the resamples had an answer.
pub fn percentile(mut values: Vec<f64>) -> Option<Interval> {
    if values.len() < RESAMPLES / 2 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
    Some(Interval { low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_deviation_agrees_with_scipy() {
        // scipy.stats.median_abs_deviation(x, scale=1/1.4826)
        let spread = deviation(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0]).unwrap();
        assert!((spread - 2.965_2).abs() < 1e-9, "{spread}");
        assert_eq!(deviation(&[]), None);
    }

    #[test]
    fn the_median_of_many_has_the_interval_that_theory_gives() {
        // For 400 uniform values the median's standard error is 1 / (2 sqrt(400)) = 0.025.
        let mut dice = Dice::new(Seed(3));
        let values: Vec<f64> = (0..400).map(|_| dice.unit()).collect();
        let read = |drawn: &[&f64]| median(&mut drawn.iter().map(|value| **value).collect::<Vec<f64>>());
        let interval = percentile(resampled(&values, read)).unwrap();
        let half = (interval.high - interval.low) / 2.0;
        assert!((0.03..=0.07).contains(&half), "{half}");
        assert!(interval.low < 0.55 && interval.high > 0.45);
    }

    proptest! {
        #[test]
        fn one_input_has_one_interval(values in proptest::collection::vec(0.0f64..9.0, 1..50)) {
            let read = |drawn: &[&f64]| median(&mut drawn.iter().map(|value| **value).collect::<Vec<f64>>());
            prop_assert_eq!(percentile(resampled(&values, read)), percentile(resampled(&values, read)));
        }
    }
}
