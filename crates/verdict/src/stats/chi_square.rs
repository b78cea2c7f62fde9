//! Do counts fit expected shares? Pearson's χ², with its tail by the series of the incomplete gamma function (DLMF 8.7.1).

use super::ln_gamma;

/// How likely counts at least so far from equal shares are by chance; `None` for fewer than two of them, or none counted.
pub fn by_chance(counts: &[u64]) -> Option<f64> {
    let all: u64 = counts.iter().sum();
    if counts.len() < 2 || all == 0 {
        return None;
    }
    let each = all as f64 / counts.len() as f64;
    let distance: f64 = counts.iter().map(|count| (*count as f64 - each).powi(2) / each).sum();
    Some(tail((counts.len() - 1) as f64 / 2.0, distance / 2.0))
}

/// 1 - P(a, x), for a > 0 and x ≥ 0.
fn tail(a: f64, x: f64) -> f64 {
    // Far out the series needs too many terms, and what is left is nothing.
    if x > 300.0 {
        return 0.0;
    }
    let mut term = 1.0 / a;
    let mut sum = term;
    let mut n = a;
    while term > sum * 1e-16 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    (1.0 - sum * (a * x.ln() - x - ln_gamma(a)).exp()).clamp(0.0, 1.0)
}

#[cfg(test)]
#[allow(clippy::excessive_precision)] // reference values stand as their source prints them
mod tests {
    use super::*;

    #[test]
    fn chances_agree_with_scipy() {
        // scipy.stats.chisquare(counts).pvalue
        for (counts, wanted) in [
            (&[100, 100][..], 1.0),
            (&[60, 40], 0.045_500_263_896_358_57),
            (&[50, 50, 80], 0.006_737_946_999_085_468),
            (&[30, 30, 30, 33], 0.974_379_544_370_990_8),
            (&[900, 100], 0.0),
            (&[120, 80, 100, 95, 110], 0.058_434_134_977_548),
        ] {
            let chance = by_chance(counts).unwrap();
            assert!((chance - wanted).abs() < 1e-9, "{counts:?}: {chance} is not {wanted}");
        }
    }

    #[test]
    fn one_count_alone_and_none_at_all_tell_nothing() {
        assert_eq!(by_chance(&[7]), None);
        assert_eq!(by_chance(&[0, 0]), None);
    }
}
