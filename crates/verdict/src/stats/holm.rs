//! Several questions asked of one run: Holm's step-down adjustment (1979).

/// Adjusted p-values, in the order given; each is at most 1 and at least what it was.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_p_values_agree_with_statsmodels() {
        // statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method="holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - wanted).abs() < 1e-12, "{adjusted:?}");
        }
    }

    proptest! {
        #[test]
        fn no_p_value_gets_smaller(p_values in proptest::collection::vec(0.0f64..=1.0, 0..20)) {
            for (before, after) in p_values.iter().zip(holm(&p_values)) {
                prop_assert!(*before <= after && after <= 1.0);
            }
        }
    }
}
