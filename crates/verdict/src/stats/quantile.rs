//! Quantiles without an assumed distribution: ranks of the sorted sample whose binomial coverage is at least 95 %
//! (David & Nagaraja, Order Statistics, 7.1). Censored values are at least their age; they are never left out.

use super::binomial_cdf;

/// Ranks, from 1, that bracket a quantile. An end that the sample size cannot give is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// The quantile is at least the value of this rank.
    pub low: Option<u64>,
    /// The quantile is at most the value of this rank.
    pub high: Option<u64>,
}

/// The ranks for quantile `q` of `n` values; each side errs at most 2.5 %.
pub fn ranks(n: u64, q: f64) -> Ranks {
    let below = |rank: u64| binomial_cdf(rank as f64 - 1.0, n as f64, q);
    // `below` grows with the rank: the last rank at or under 2.5 %, the first at or over 97.5 %.
    let low = last_where(n, |rank| below(rank) <= 0.025);
    let high = first_where(n, |rank| below(rank) >= 0.975);
    Ranks { low, high }
}

fn first_where(n: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (1, n + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    (low <= n).then_some(low)
}

fn last_where(n: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    match first_where(n, |rank| !holds(rank)) {
        Some(first) => (first > 1).then(|| first - 1),
        None => (n > 0).then_some(n),
    }
}

/// The fewest values for which quantile `q` has an upper bound: the first n with 1 - qⁿ ≥ 97.5 %.
pub fn fewest_for_upper(q: f64) -> u64 {
    (0.025f64.ln() / q.ln()).ceil() as u64
}

/// A quantile with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value of rank ceil(q n); for a censored one, its age.
    pub value: f64,
    /// True if the value is a lower limit only.
    pub at_least: bool,
    /// Lower end; `None` for too few values.
    pub low: Option<f64>,
    /// Upper end; `None` for too few values, or where that rank is censored.
    pub high: Option<f64>,
    /// How many values.
    pub n: u64,
}

/// Quantile `q` of values, some of which (`true`) are censored: known only to be at least so much. `None` without values.
pub fn quantile(values: &[(u64, bool)], q: f64) -> Option<Estimate> {
    let n = values.len() as u64;
    if n == 0 {
        return None;
    }
    // For a lower bound a censored value counts as its age, for an upper bound as endless.
    let mut ages: Vec<u64> = values.iter().map(|value| value.0).collect();
    let mut known: Vec<u64> = values.iter().filter(|value| !value.1).map(|value| value.0).collect();
    let ranks = ranks(n, q);
    let pick = |sorted: &mut Vec<u64>, rank: u64| {
        let index = usize::try_from(rank).ok()?.checked_sub(1)?;
        (index < sorted.len()).then(|| *sorted.select_nth_unstable(index).1)
    };
    let middle = ((q * n as f64).ceil() as u64).clamp(1, n);
    let value = pick(&mut ages, middle)?;
    let low = ranks.low.and_then(|rank| pick(&mut ages, rank));
    let sure = pick(&mut known, middle);
    let high = ranks.high.and_then(|rank| pick(&mut known, rank));
    Some(Estimate {
        value: value as f64,
        at_least: sure != Some(value),
        low: low.map(|value| value as f64),
        high: high.map(|value| value as f64),
        n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_agree_with_the_binomial_of_scipy() {
        // From scipy.stats.binom.cdf: the last rank with F(rank - 1) <= .025 and the first with F(rank - 1) >= .975.
        for (n, q, low, high) in [
            (100, 0.5, Some(40), Some(61)),
            (600, 0.99, Some(589), Some(599)),
            (3_000, 0.99, Some(2_959), Some(2_981)),
            (600, 0.95, Some(559), Some(581)),
            (72, 0.95, Some(64), Some(72)),
            (71, 0.95, Some(63), None),
            (368, 0.99, Some(360), Some(368)),
        ] {
            assert_eq!(ranks(n, q), Ranks { low, high }, "n {n} q {q}");
        }
    }

    #[test]
    fn the_fewest_values_for_an_upper_bound_are_as_the_design_says() {
        for (q, fewest) in [(0.95, 72), (0.99, 368), (0.999, 3_688)] {
            assert_eq!(fewest_for_upper(q), fewest);
            assert!(ranks(fewest, q).high.is_some() && ranks(fewest - 1, q).high.is_none());
        }
    }

    #[test]
    fn a_timeout_bounds_from_below_and_never_from_above() {
        let mut values: Vec<(u64, bool)> = (1..=1_000).map(|value| (value, false)).collect();
        let whole = quantile(&values, 0.99).unwrap();
        assert_eq!((whole.value, whole.at_least), (990.0, false));
        assert!(whole.low.unwrap() < 990.0 && whole.high.unwrap() > 990.0);
        for value in values.iter_mut().skip(900) {
            *value = (5, true); // cut off young: says nothing about an upper end
        }
        let cut = quantile(&values, 0.99).unwrap();
        assert!(cut.at_least && cut.high.is_none(), "{cut:?}");
        assert!(cut.low.unwrap() <= 900.0);
    }

    proptest! {
        #[test]
        fn an_interval_brackets_its_value(
            values in proptest::collection::vec((0u64..1_000, proptest::bool::weighted(0.1)), 1..600),
            q in 0.01f64..0.999,
        ) {
            let estimate = quantile(&values, q).unwrap();
            if let Some(low) = estimate.low { prop_assert!(low <= estimate.value); }
            if let Some(high) = estimate.high { prop_assert!(estimate.value <= high); }
        }

        #[test]
        fn order_does_not_matter(mut values in proptest::collection::vec((0u64..1_000, any::<bool>()), 1..200)) {
            let before = quantile(&values, 0.9);
            values.reverse();
            prop_assert_eq!(before, quantile(&values, 0.9));
        }
    }
}
