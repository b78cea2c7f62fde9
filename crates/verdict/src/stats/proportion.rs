//! Shares of a whole: intervals for one and for the difference of two, and what clustering does to them.

use std::collections::BTreeMap;

use super::Z95;

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A share of `n` observations; `n` is an effective size, so it need not be whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share, 0 to 1.
    pub p: f64,
    /// The effective number of independent observations, above 0.
    pub n: f64,
}

/// Wilson's score interval (1927) at 95 %.
pub fn wilson(share: Share) -> Interval {
    let Share { p, n } = share;
    if n <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the closed form is exact but for rounding.
    let low = if p <= 0.0 { 0.0 } else { (centre - half).clamp(0.0, 1.0) };
    let high = if p >= 1.0 { 1.0 } else { (centre + half).clamp(0.0, 1.0) };
    Interval { low, high }
}

/// The interval of `during - base` by Newcombe's hybrid score method (1998, method 10) at 95 %.
pub fn newcombe(during: Share, base: Share) -> Interval {
    let (d, b) = (wilson(during), wilson(base));
    let delta = during.p - base.p;
    let down = ((during.p - d.low).powi(2) + (b.high - base.p).powi(2)).sqrt();
    let up = ((d.high - during.p).powi(2) + (base.p - b.low).powi(2)).sqrt();
    Interval { low: (delta - down).max(-1.0), high: (delta + up).min(1.0) }
}

/// Successes and trials by block of one second. Failures come in clusters; the spread of the blocks tells how much less
/// than `n` independent observations the data are worth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    blocks: BTreeMap<u64, (u64, u64)>,
    good: u64,
    n: u64,
}

impl Blocks {
    /// Length of a block in microseconds.
    pub const LENGTH: u64 = 1_000_000;
    /// With fewer blocks than this their spread says nothing.
    const FEWEST: usize = 5;

    /// Counts one observation made at `at` microseconds.
    pub fn add(&mut self, at: u64, good: bool) {
        let block = self.blocks.entry(at / Blocks::LENGTH).or_default();
        block.0 += u64::from(good);
        block.1 += 1;
        self.good += u64::from(good);
        self.n += 1;
    }

    /// Successes.
    pub fn good(&self) -> u64 {
        self.good
    }

    /// Observations.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The design effect, at least 1: the variance of a ratio estimate over clusters (Cochran 1977, 2.11) over that of
    /// independent observations.
    pub fn design_effect(&self) -> f64 {
        let (n, count) = (self.n as f64, self.blocks.len());
        if count < Blocks::FEWEST || self.good == 0 || self.good == self.n {
            return 1.0;
        }
        let p = self.good as f64 / n;
        let squares: f64 = self.blocks.values().map(|&(good, n)| (good as f64 - p * n as f64).powi(2)).sum();
        let clustered = count as f64 / (count as f64 - 1.0) * squares / (n * n);
        (clustered / (p * (1.0 - p) / n)).max(1.0)
    }

    /// The share, at its effective size; `None` without observations.
    pub fn share(&self) -> Option<Share> {
        (self.n > 0).then(|| Share {
            p: self.good as f64 / self.n as f64,
            n: (self.n as f64 / self.design_effect()).max(1.0),
        })
    }
}

/// How many observations at the share seen would bring the whole interval to one side of `bound`. `None` if the share is
/// the bound itself, or more than a hundred million would be needed. `deff` scales effective to real observations.
pub fn requests_to_settle(p: f64, bound: f64, deff: f64) -> Option<u64> {
    let settled = |n: f64| {
        let interval = wilson(Share { p, n });
        interval.low >= bound || interval.high < bound
    };
    const MOST: u64 = 100_000_000;
    if !settled(MOST as f64) {
        return None;
    }
    let (mut low, mut high) = (1, MOST);
    while low < high {
        let middle = low + (high - low) / 2;
        if settled(middle as f64) { high = middle } else { low = middle + 1 }
    }
    Some((high as f64 * deff.max(1.0)).ceil() as u64)
}

#[cfg(test)]
#[allow(clippy::excessive_precision)] // reference values stand as their source prints them
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(good: u64, n: u64) -> Share {
        Share { p: good as f64 / n as f64, n: n as f64 }
    }

    fn near(interval: Interval, low: f64, high: f64) {
        assert!((interval.low - low).abs() < 1e-9 && (interval.high - high).abs() < 1e-9, "{interval:?}");
    }

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, and statsmodels proportion_confint(method="wilson").
        near(wilson(of(81, 263)), 0.255_288_519_878_274_2, 0.366_209_576_982_800_04);
        near(wilson(of(15, 148)), 0.062_386_399_530_736, 0.160_487_241_723_303_1);
        near(wilson(of(1, 29)), 0.006_113_214_292_762_667, 0.171_755_218_793_203);
        near(wilson(of(0, 10)), 0.0, 0.277_532_799_862_889_26);
        near(wilson(of(898, 900)), 0.991_933_923_535_282_6, 0.999_390_374_831_241_2);
    }

    #[test]
    fn without_a_failure_a_goal_needs_as_many_requests_as_the_design_says() {
        for (goal, fewest) in [(0.95, 73), (0.99, 381), (0.999, 3_838)] {
            assert!(wilson(of(fewest, fewest)).low >= goal);
            assert!(wilson(of(fewest - 1, fewest - 1)).low < goal);
            assert_eq!(requests_to_settle(1.0, goal, 1.0), Some(fewest));
        }
        assert_eq!(requests_to_settle(0.99, 0.99, 1.0), None);
    }

    #[test]
    fn newcombe_agrees_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/20;
        // the last by statsmodels confint_proportions_2indep(method="newcomb").
        near(newcombe(of(56, 70), of(48, 80)), 0.052_431_472_402_364_98, 0.333_872_654_036_906_04);
        near(newcombe(of(9, 10), of(3, 10)), 0.170_522_723_934_502_9, 0.809_017_973_535_488);
        near(newcombe(of(10, 10), of(0, 20)), 0.679_086_037_141_914_5, 1.0);
        near(newcombe(of(898, 900), of(1_800, 1_800)), -0.008_066_076_464_717_353, 0.000_449_043_547_503_53);
    }

    #[test]
    fn an_outage_of_whole_seconds_is_worth_few_observations() {
        let (mut clustered, mut spread) = (Blocks::default(), Blocks::default());
        for request in 0..900u64 {
            let at = request * Blocks::LENGTH / 30;
            clustered.add(at, request >= 90);
            spread.add(at, request % 10 != 0);
        }
        assert_eq!((clustered.good(), spread.good()), (810, 810));
        assert_eq!(spread.design_effect(), 1.0);
        // All of a block fails together: the effect is about the size of a block.
        assert!((25.0..=35.0).contains(&clustered.design_effect()), "{}", clustered.design_effect());
    }

    #[test]
    fn the_design_effect_is_the_variance_of_block_means_over_the_binomial() {
        // numpy: var(good / 20, ddof=1) / (p * (1 - p) / 20) for ten blocks of 20
        let mut blocks = Blocks::default();
        for (block, good) in [20, 20, 0, 18, 20, 5, 20, 20, 19, 20].into_iter().enumerate() {
            for request in 0..20u64 {
                blocks.add(block as u64 * Blocks::LENGTH + request, request < good);
            }
        }
        assert!((blocks.design_effect() - 17.529_420_258_465_1).abs() < 1e-9, "{}", blocks.design_effect());
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_shrinks_with_n(good in 0u64..500, bad in 0u64..500) {
            prop_assume!(good + bad > 0);
            let share = of(good, good + bad);
            let interval = wilson(share);
            prop_assert!(interval.low <= share.p + 1e-12 && share.p <= interval.high + 1e-12);
            let finer = wilson(Share { n: share.n * 4.0, ..share });
            prop_assert!(finer.high - finer.low <= interval.high - interval.low + 1e-12);
        }

        #[test]
        fn a_difference_turns_its_sign_with_its_sides(a in 0u64..=40, b in 0u64..=60) {
            let there = newcombe(of(a, 40), of(b, 60));
            let back = newcombe(of(b, 60), of(a, 40));
            prop_assert!((there.low + back.high).abs() < 1e-9 && (there.high + back.low).abs() < 1e-9);
        }
    }
}
