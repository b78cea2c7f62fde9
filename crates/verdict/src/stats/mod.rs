//! Statistics, each checked against published or library values. Pure; a random draw comes from a fixed seed.

mod beta;
mod bootstrap;
mod chi_square;
mod holm;
mod kendall;
mod poisson;
mod proportion;
mod quantile;
mod resample;
mod survival;
mod trend;

pub use beta::{binomial_cdf, incomplete_beta, ln_gamma};
pub use bootstrap::ratio_of_rates;
pub use chi_square::by_chance;
pub use holm::holm;
pub use kendall::rise_by_chance;
pub use poisson::{
    poisson_cdf, poisson_is_above, poisson_is_below, poisson_limits, poisson_quantile, scan_threshold,
};
pub use proportion::{Blocks, Interval, Share, newcombe, requests_to_settle, wilson};
pub use quantile::{Estimate, Ranks, fewest_for_upper, quantile, ranks};
pub use resample::{deviation, median, percentile, resampled};
pub use survival::Survival;
pub use trend::{Trend, trend};

/// Two-sided 95 % point of the normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;
