//! Is a series going somewhere? The slope of Theil and Sen with the rank test of Mann and Kendall.

/// A monotone trend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Median slope for each step of x.
    pub slope: f64,
    /// Mann and Kendall's standard normal deviate (without tie correction, so on the careful side); beyond ±2.576 a trend is significant at 1 %.
    pub z: f64,
}

/// The trend of (x, y) points with distinct x in order; `None` for fewer than 8. At most a few hundred points: the cost is
/// quadratic.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let n = points.len();
    if n < 8 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut score = 0.0;
    for (index, first) in points.iter().enumerate() {
        for second in &points[index + 1..] {
            let (dx, dy) = (second.0 - first.0, second.1 - first.1);
            if dx > 0.0 {
                slopes.push(dy / dx);
                score += if dy > 0.0 {
                    1.0
                } else if dy < 0.0 {
                    -1.0
                } else {
                    0.0
                };
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    let slope = if slopes.len().is_multiple_of(2) {
        f64::midpoint(slopes[middle - 1], slopes[middle])
    } else {
        slopes[middle]
    };
    let count = n as f64;
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    let continuous = if score > 0.0 {
        score - 1.0
    } else if score < 0.0 {
        score + 1.0
    } else {
        0.0
    };
    Some(Trend { slope, z: continuous / deviation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_slope_agrees_with_scipy_and_shrugs_off_an_outlier() {
        let y = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 8.0, 7.0, 9.0, 30.0];
        let points: Vec<_> = y.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect();
        let trend = trend(&points).unwrap();
        assert_eq!(trend.slope, 1.0); // scipy.stats.theilslopes
        // Kendall's tau of the same data is 0.8667 of 45 pairs: a score of 39, (39 - 1) / sqrt(125) = 3.399.
        assert!((trend.z - 3.399).abs() < 1e-3, "{}", trend.z);
    }

    #[test]
    fn a_flat_series_has_no_trend() {
        let points: Vec<_> = (0..20).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        assert!(trend(&points).unwrap().z.abs() < 1.96);
        assert_eq!(trend(&points[..7]), None);
    }

    proptest! {
        #[test]
        fn a_mirrored_series_has_the_mirrored_trend(y in proptest::collection::vec(0u32..100, 8..40)) {
            let up: Vec<_> = y.iter().enumerate().map(|(x, y)| (x as f64, f64::from(*y))).collect();
            let down: Vec<_> = up.iter().map(|(x, y)| (*x, -y)).collect();
            let (up, down) = (trend(&up).unwrap(), trend(&down).unwrap());
            prop_assert!((up.slope + down.slope).abs() < 1e-9 && (up.z + down.z).abs() < 1e-9);
        }
    }
}
