//! Seeded choices. Each decision-maker has dice of its own, derived from the run's seed and a label, so that adding a
//! fault or a connection never shifts another's draws. The generator is PCG (O'Neill 2014), the same on every platform.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::Chance;

/// The root of all choices of a run; printed in every report, so that a run can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed for a part, from a label and an ordinal. FNV-1a over both, finished by SplitMix64's mixer.
    pub fn derive(self, label: &str, ordinal: u64) -> Seed {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ self.0;
        for byte in label.bytes().chain(ordinal.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Seed(hash ^ (hash >> 31))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Seed, Self::Err> {
        text.parse().map(Seed)
    }
}

/// A source of choices for one decision-maker.
#[derive(Debug, Clone)]
pub struct Dice {
    generator: Pcg64Mcg,
}

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: Seed) -> Dice {
        // Two derived words fill the 128-bit state; the low bit is forced by the generator itself.
        let (high, low) = (seed.derive("dice", 0).0, seed.derive("dice", 1).0);
        Dice { generator: Pcg64Mcg::new((u128::from(high) << 64) | u128::from(low)) }
    }

    /// True with the given probability. Draws once whatever the chance, so that editing it shifts nothing else.
    pub fn chance(&mut self, chance: Chance) -> bool {
        self.unit() < chance.as_fraction()
    }

    /// A number in [0, 1), uniform.
    pub fn unit(&mut self) -> f64 {
        self.generator.random::<f64>()
    }

    /// A whole number in [0, bound), uniform; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.generator.random_range(0..bound) }
    }

    /// A number in [-1, 1), uniform.
    pub fn signed_unit(&mut self) -> f64 {
        self.unit() * 2.0 - 1.0
    }

    /// A standard normal deviate, by Box and Muller (1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// An exponential deviate of mean 1: the gap between arrivals of a Poisson process of rate 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.random::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_on_every_platform() {
        let mut dice = Dice::new(Seed(7));
        let first: Vec<u64> = (0..4).map(|_| dice.below(1000)).collect();
        let mut again = Dice::new(Seed(7));
        assert_eq!(first, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        assert_ne!(Seed(7).derive("latency-1", 1), Seed(7).derive("latency-1", 2));
        assert_ne!(Seed(7).derive("latency-1", 1), Seed(7).derive("latency-2", 1));
    }

    #[test]
    fn a_fifth_is_about_a_fifth() {
        let mut dice = Dice::new(Seed(1));
        let chance = Chance::from_fraction(0.2).unwrap();
        let hits = (0..10_000).filter(|_| dice.chance(chance)).count();
        // Five standard deviations of a binomial of 10 000 at 0.2 are 200.
        assert!((1_800..=2_200).contains(&hits), "{hits}");
    }

    #[test]
    fn normal_and_exponential_have_their_moments() {
        let mut dice = Dice::new(Seed(3));
        let n = 20_000;
        let normals: Vec<f64> = (0..n).map(|_| dice.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let gaps = (0..n).map(|_| dice.exponential()).sum::<f64>() / f64::from(n);
        assert!((gaps - 1.0).abs() < 0.05, "{gaps}");
    }
}
