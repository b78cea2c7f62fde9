//! Does a short series only climb? Mann and Kendall's rank test (1945, 1938) with its exact distribution, for series too
//! short for the normal approximation of [`super::trend`].

/// How likely is a series of distinct values at least as much on the rise as this one, if every order is alike? One-sided;
/// ties count as no rise, which errs on the careful side. `None` for fewer than 3 values or more than 50.
pub fn rise_by_chance(values: &[f64]) -> Option<f64> {
    let n = values.len();
    if !(3..=50).contains(&n) {
        return None;
    }
    let pairs = (0..n).flat_map(|first| (first + 1..n).map(move |second| (first, second)));
    // Discordant pairs: inversions of the permutation, ties included.
    let inversions = pairs.filter(|&(first, second)| values[second] <= values[first]).count();
    let shares = inversion_shares(n);
    Some(shares[..=inversions.min(shares.len() - 1)].iter().sum::<f64>().min(1.0))
}

/// The share of the permutations of n that have so many inversions (Mahonian numbers over n!).
fn inversion_shares(n: usize) -> Vec<f64> {
    let mut shares = vec![1.0];
    for size in 2..=n {
        let mut next = vec![0.0; shares.len() + size - 1];
        for (inversions, share) in shares.iter().enumerate() {
            for more in 0..size {
                next[inversions + more] += share / size as f64;
            }
        }
        shares = next;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_chance_of_a_rise_agrees_with_scipy() {
        // scipy.stats.kendalltau(range(n), x, method="exact", alternative="greater")
        for (values, wanted) in [
            (vec![1.0, 2.0, 3.0], 0.166_666_666_666_666_66),
            (vec![1.0, 2.0, 3.0, 4.0], 0.041_666_666_666_666_664),
            (vec![1.0, 2.0, 3.0, 4.0, 5.0], 0.008_333_333_333_333_333),
            (vec![1.0, 2.0, 3.0, 5.0, 4.0], 0.041_666_666_666_666_664),
            (vec![2.0, 1.0, 3.0, 4.0, 6.0, 5.0], 0.027_777_777_777_777_776),
            (vec![5.0, 4.0, 3.0, 2.0, 1.0], 1.0),
        ] {
            let chance = rise_by_chance(&values).unwrap();
            assert!((chance - wanted).abs() < 1e-12, "{values:?}: {chance}");
        }
        assert_eq!(rise_by_chance(&[1.0, 2.0]), None);
    }

    #[test]
    fn a_level_series_is_no_rise() {
        assert!(rise_by_chance(&[4.0; 6]).unwrap() > 0.999);
    }

    proptest! {
        #[test]
        fn a_chance_is_a_share(values in proptest::collection::vec(0u32..20, 3..20)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            prop_assert!((0.0..=1.0).contains(&rise_by_chance(&values).unwrap()));
        }
    }
}
