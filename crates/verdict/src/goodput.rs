//! Does a service stay down once its fault is gone? (verdicts 2.15) Good answers by the second in which they *came*, held
//! against the baseline: so that the same can be asked while requests are still under way, which is when a runner must know
//! whether to stop the load.

use std::collections::BTreeMap;

use crate::phase::HORIZON;
use crate::stats::{Trend, Z95, poisson_limits, trend};

/// A second, in microseconds.
const SECOND: u64 = 1_000_000;
/// Edges are at rest that are quiet for so long, in microseconds,
pub const REST: u64 = 3 * SECOND;
/// and have fewer calls than this share of the baseline's in it.
pub const QUIET: f64 = 0.01;
/// Good answers are counted by the tenth of a second.
const GRAIN: u64 = SECOND / 10;
/// Fewer seconds than this tell no level.
const FEWEST: usize = 5;
/// The share of the baseline below which a service is down.
const DOWN: f64 = 0.5;
/// A rise that would take longer than so many times the watched time is none.
const PATIENCE: f64 = 10.0;

/// Good answers over time.
#[derive(Debug, Clone, Default)]
pub struct Goodput {
    tenths: BTreeMap<u64, u32>,
}

/// Good answers a second, with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// On average.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What became of a load after its fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course {
    /// Too little was seen.
    Unknown,
    /// Half of the baseline or more, as far as can be told.
    Up(Level),
    /// Less than half with the whole interval, and more from second to second; with how significant a rise, in standard
    /// deviations.
    Rising(Level, f64),
    /// Less than half with the whole interval, and no rise.
    Down(Level),
}

impl Goodput {
    /// A good answer that came at this time, in microseconds.
    pub fn take(&mut self, ended: u64) {
        *self.tenths.entry(ended / GRAIN).or_default() += 1;
    }

    /// By second, whole ones only, from `from` to before `to` in microseconds.
    fn seconds(&self, from: u64, to: u64) -> Vec<f64> {
        let first = from.div_ceil(GRAIN);
        let whole = (to.min(HORIZON) / GRAIN).saturating_sub(first) / 10;
        let mut seconds = vec![0.0; whole as usize];
        for (tenth, count) in self.tenths.range(first..first + whole * 10) {
            seconds[((tenth - first) / 10) as usize] += f64::from(*count);
        }
        seconds
    }

    /// The level from `from` to before `to`; `None` for fewer than 5 whole seconds.
    pub fn level(&self, from: u64, to: u64) -> Option<Level> {
        let seconds = self.seconds(from, to);
        if seconds.len() < FEWEST {
            return None;
        }
        let n = seconds.len() as f64;
        let mean = seconds.iter().sum::<f64>() / n;
        let spread = seconds.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (n - 1.0);
        // Never narrower than by chance alone; and of none at all in n seconds, the exact upper end (Poisson) is 3.689 / n.
        let half = Z95 * (spread.max(mean) / n).sqrt();
        Some(Level { mean, low: (mean - half).max(0.0), high: mean + half.max(poisson_limits(0).1 / n) })
    }

    /// Where a load stands at the end of what was watched after its fault: the later half decides on the level, all of it on
    /// the rise. Both stretches are (from, to) in microseconds.
    pub fn course(&self, baseline: (u64, u64), watched: (u64, u64)) -> Course {
        let later = watched.0 + watched.1.saturating_sub(watched.0) / 2;
        let (Some(usual), Some(now)) = (self.level(baseline.0, baseline.1), self.level(later, watched.1))
        else {
            return Course::Unknown;
        };
        if usual.mean <= 0.0 {
            return Course::Unknown;
        }
        if now.high >= DOWN * usual.mean {
            return Course::Up(now);
        }
        let seconds = self.seconds(watched.0, watched.1);
        match leads_to(&seconds, DOWN * usual.mean) {
            Some(rise) => Course::Rising(now, rise.z),
            None => Course::Down(now),
        }
    }
}

/// The trend of values by the second, if it is significant at 5 % and leads to a level above (or below) theirs before long. Of more
/// than two minutes every second, third … stands for all: the test looks at each pair.
pub(crate) fn leads_to(seconds: &[f64], level: f64) -> Option<Trend> {
    let step = seconds.len().div_ceil(120).max(1);
    let points: Vec<(f64, f64)> =
        seconds.iter().enumerate().step_by(step).map(|(second, value)| (second as f64, *value)).collect();
    let found = trend(&points)?;
    let later = &seconds[seconds.len() / 2..];
    let gap = level - later.iter().sum::<f64>() / later.len() as f64;
    let before_long = found.slope * gap.signum() * PATIENCE * seconds.len() as f64 >= gap.abs();
    (found.z * gap.signum() > Z95 && before_long).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Dice, Seed};

    const BASELINE: (u64, u64) = (0, 20 * SECOND);
    const AFTER: (u64, u64) = (30 * SECOND, 90 * SECOND);

    /// A load with so many good answers in each second, at random times of it.
    fn load(count: impl Fn(u64) -> f64, seed: u64) -> Goodput {
        let mut dice = Dice::new(Seed(seed));
        let mut goodput = Goodput::default();
        for second in 0..90 {
            let mut at = dice.exponential() / count(second);
            while at < 1.0 {
                goodput.take(second * SECOND + (at * SECOND as f64) as u64);
                at += dice.exponential() / count(second);
            }
        }
        goodput
    }

    #[test]
    fn a_load_that_stays_down_is_told_from_one_that_rises_and_one_that_is_up() {
        let kinds = |after: fn(f64) -> f64| {
            let course = |seed| {
                let count = |second| if second < 20 { 20.0 } else { after(second as f64 - 30.0).max(1e-3) };
                load(count, seed).course(BASELINE, AFTER)
            };
            let (mut down, mut rising, mut up) = (0, 0, 0);
            for seed in 0..200 {
                match course(seed) {
                    Course::Down(_) => down += 1,
                    Course::Rising(..) => rising += 1,
                    Course::Up(_) => up += 1,
                    Course::Unknown => {}
                }
            }
            (down, rising, up)
        };
        let (down, rising, up) = kinds(|_| 2.0);
        assert!(down >= 190 && up == 0, "{down} {rising} {up}");
        assert_eq!(kinds(|_| 0.0), (200, 0, 0));
        // From nothing to 40 % of the baseline in a minute.
        let (down, rising, up) = kinds(|second| second * 8.0 / 60.0);
        assert!(rising >= 195, "{down} {rising} {up}");
        let (down, rising, up) = kinds(|_| 12.0);
        assert_eq!((down, rising), (0, 0), "{up}");
    }

    #[test]
    fn too_short_a_look_tells_nothing() {
        let load = load(|_| 20.0, 1);
        assert_eq!(load.course(BASELINE, (30 * SECOND, 39 * SECOND)), Course::Unknown);
        assert_eq!(load.course((0, 0), AFTER), Course::Unknown);
        assert_eq!(
            Goodput::default().course(BASELINE, AFTER),
            Course::Unknown,
            "no good answer in the baseline"
        );
    }

    #[test]
    fn a_level_of_nothing_has_an_exact_upper_end() {
        let level = Goodput::default().level(0, 10 * SECOND).unwrap();
        // scipy.stats.chi2.ppf(0.975, 2) / 2 / 10
        assert!((level.high - 0.368_888).abs() < 1e-6 && level.mean == 0.0 && level.low == 0.0, "{level:?}");
    }

    #[test]
    fn waits_that_grow_shorter_lead_down_and_level_ones_lead_nowhere() {
        let falling: Vec<f64> = (0..60).map(|second| 6.0 - f64::from(second) * 0.05).collect();
        assert!(leads_to(&falling, 0.1).is_some_and(|trend| trend.z < -2.576));
        let level: Vec<f64> = (0..60).map(|second| 6.0 + f64::from(second % 3)).collect();
        assert!(leads_to(&level, 0.1).is_none());
        let slow: Vec<f64> = (0..60).map(|second| 60.0 - f64::from(second) * 0.01).collect();
        assert!(leads_to(&slow, 0.1).is_none(), "it would take more than an hour");
    }
}
