//! How large may a count be by chance? Tails of the Poisson distribution, by the sum of its terms.

use super::ln_gamma;

/// P(X ≤ k) for X Poisson of mean `mean` ≥ 0.
pub fn poisson_cdf(k: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    // Terms from the largest index down: each is the one above it times i / mean.
    let mut term = (k as f64 * mean.ln() - mean - ln_gamma(k as f64 + 1.0)).exp();
    let mut sum = 0.0;
    for index in (0..=k).rev() {
        sum += term;
        term *= index as f64 / mean;
        if (index as f64) < mean && term < sum * 1e-17 {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}

/// The smallest k with P(X ≤ k) ≥ `q`, for `q` in (0, 1) and a mean of at most a hundred thousand; larger means are taken
/// as that, for a bin of a tenth of a second never holds so many.
pub fn poisson_quantile(q: f64, mean: f64) -> u64 {
    let mean = mean.clamp(0.0, 1e5);
    let (mut low, mut high) = (0, (mean + 12.0 * mean.sqrt() + 40.0) as u64);
    while low < high {
        let middle = low + (high - low) / 2;
        if poisson_cdf(middle, mean) >= q { high = middle } else { low = middle + 1 }
    }
    low
}

/// A count that the fullest of `bins` bins reaches by chance at most once in a thousand runs, if each holds `mean` on average.
pub fn scan_threshold(mean: f64, bins: u64) -> u64 {
    poisson_quantile(1.0 - 1e-3 / bins.max(1) as f64, mean) + 1
}

/// The exact two-sided 95 % limits of the mean of which `k` was seen (Garwood 1936).
pub fn poisson_limits(k: u64) -> (f64, f64) {
    // The mean at which P(X ≤ k) is `p`: it falls as the mean grows.
    let mean_at = |k: u64, p: f64| {
        let far = 12.0 * (k as f64).sqrt() + 20.0;
        let (mut low, mut high) = ((k as f64 - far).max(0.0), k as f64 + far);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if poisson_cdf(k, middle) > p { low = middle } else { high = middle }
        }
        low
    };
    (if k == 0 { 0.0 } else { mean_at(k - 1, 0.975) }, mean_at(k, 0.025))
}

/// True if the upper one of [`poisson_limits`] is at most this mean: told by one tail, and not by a search for the limit.
pub fn poisson_is_below(k: u64, mean: f64) -> bool {
    poisson_cdf(k, mean) <= 0.025
}

/// True if the lower one of [`poisson_limits`] is above this mean.
pub fn poisson_is_above(k: u64, mean: f64) -> bool {
    k > 0 && poisson_cdf(k - 1, mean) > 0.975
}

#[cfg(test)]
#[allow(clippy::excessive_precision)] // reference values stand as their source prints them
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_distribution_agrees_with_scipy() {
        // scipy.stats.poisson.cdf
        for (k, mean, wanted) in [
            (0, 0.5, 0.606_530_659_712_633_4),
            (3, 0.1, 0.999_996_153_166_074_7),
            (7, 2.0, 0.998_903_281_032_141_3),
            (43, 20.0, 0.999_997_575_685_193_2),
            (250, 200.0, 0.999_715_378_599_711_7),
            (99_990, 1e5, 0.488_226_904_732_188_16),
        ] {
            let value = poisson_cdf(k, mean);
            assert!((value - wanted).abs() < 1e-9, "P(X <= {k}) at {mean}: {value} is not {wanted}");
        }
    }

    #[test]
    fn quantiles_agree_with_scipy() {
        // scipy.stats.poisson.ppf
        for (q, mean, wanted) in [(0.5, 3.3, 3), (0.975, 10.0, 17), (0.5, 0.0, 0)] {
            assert_eq!(poisson_quantile(q, mean), wanted);
        }
    }

    #[test]
    fn limits_of_a_mean_agree_with_scipy() {
        // scipy.stats.chi2.ppf(0.025, 2 * k) / 2 and ppf(0.975, 2 * k + 2) / 2
        for (k, low, high) in [
            (0, 0.0, 3.688_879_454_1),
            (3, 0.618_672_122_9, 8.767_273_069_7),
            (10, 4.795_388_696_1, 18.390_356_042_0),
            (400, 361.756_296_631_1, 441.186_648_096_7),
        ] {
            let limits = poisson_limits(k);
            assert!((limits.0 - low).abs() < 1e-6 && (limits.1 - high).abs() < 1e-6, "{k}: {limits:?}");
            // One tail tells on which side of a mean both limits are.
            assert!(poisson_is_below(k, high + 1e-6) && !poisson_is_below(k, high - 1e-6), "{k}");
            assert!(k == 0 || poisson_is_above(k, low - 1e-6) && !poisson_is_above(k, low + 1e-6), "{k}");
        }
    }

    #[test]
    fn scan_thresholds_are_as_the_design_says() {
        // 1, 5, 20, 50 and 200 connections a second in bins of 100 ms, 100 of them.
        for (mean, wanted) in [(0.1, 4), (0.5, 7), (2.0, 11), (5.0, 18), (20.0, 43)] {
            assert_eq!(scan_threshold(mean, 100), wanted);
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_first_that_reaches_its_share(q in 0.01f64..0.999_99, mean in 0.0f64..500.0) {
            let k = poisson_quantile(q, mean);
            prop_assert!(poisson_cdf(k, mean) >= q);
            prop_assert!(k == 0 || poisson_cdf(k - 1, mean) < q);
        }
    }
}
