//! Whether a jitter is spread as it says, from end to end: the delays of messages that are far enough apart to wait for none before
//! them, against the distribution by Kolmogorov and Smirnov.

use std::f64::consts::SQRT_2;
use std::time::Duration;

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, client};

/// All in ms. Connections draw each for itself, so they count as one sample.
const DELAY: f64 = 60.0;
const JITTER: f64 = 10.0;
const CONNECTIONS: usize = 16;
/// Beyond the reach of the jitter, so that order holds nothing up.
const BEAT: Duration = Duration::from_millis(100);
const TIME: Duration = Duration::from_secs(4);

/// How it is spread, as a user writes it.
#[derive(Debug, Clone, Copy)]
enum Spread {
    Uniform,
    Normal,
    Pareto,
}

impl Spread {
    fn word(self) -> &'static str {
        match self {
            Spread::Uniform => "uniform",
            Spread::Normal => "normal",
            Spread::Pareto => "pareto",
        }
    }

    fn deviation(self) -> f64 {
        match self {
            Spread::Uniform => JITTER / 3_f64.sqrt(),
            Spread::Normal | Spread::Pareto => JITTER,
        }
    }

    /// The share of delays up to this one.
    fn share(self, delay: f64) -> f64 {
        let from_mean = (delay - DELAY) / JITTER;
        match self {
            Spread::Uniform => f64::midpoint(from_mean, 1.0).clamp(0.0, 1.0),
            Spread::Normal => f64::midpoint(erf(from_mean / SQRT_2), 1.0),
            // Of shape 3 and scale 1, which has mean 3/2 and variance 3/4.
            Spread::Pareto => 1.0 - (from_mean * 0.75_f64.sqrt() + 1.5).max(1.0).powi(-3),
        }
    }
}

/// The error function, to seven digits (Abramowitz and Stegun 7.1.26).
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let polynomial = sum.iter().fold(0.0_f64, |higher, factor| (higher + factor) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}

/// The largest distance between the shares of the delays and those of the distribution; they are sorted by it.
fn distance(delays: &mut [f64], spread: Spread) -> f64 {
    delays.sort_by(f64::total_cmp);
    let n = delays.len() as f64;
    let distances = delays.iter().enumerate().map(|(index, delay)| {
        let share = spread.share(*delay);
        (share - index as f64 / n).abs().max(((index + 1) as f64 / n - share).abs())
    });
    distances.fold(0.0, f64::max)
}

pub fn table(_plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!(
        "\njitter of {JITTER} ms around {DELAY} ms: mean and deviation against those of the distribution, distance from it"
    );
    for spread in [Spread::Uniform, Spread::Normal, Spread::Pareto] {
        let fault = format!(
            "{{ latency: {{ delay: {DELAY}ms, jitter: {JITTER}ms, distribution: {} }} }}",
            spread.word()
        );
        let proxy = Child::start(Kind::Murphy, &upstream.address, &fault);
        let messages = client::messages(&proxy.address, CONNECTIONS, BEAT, TIME);
        // The first of a connection meets what only it meets.
        let mut delays: Vec<f64> =
            messages.ages.iter().flat_map(|ages| ages.iter().skip(1)).copied().collect();
        hold(spread, &mut delays, bars);
        bars.at_most(
            &format!("jitter {}, messages out of order", spread.word()),
            messages.disorder as f64,
            0.0,
        );
    }
}

fn hold(spread: Spread, delays: &mut [f64], bars: &mut Bars) {
    let (name, n) = (spread.word(), delays.len() as f64);
    let mean = delays.iter().sum::<f64>() / n;
    let deviation = (delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / n).sqrt();
    let (mean, deviation) = (mean / DELAY, deviation / spread.deviation());
    let distance = distance(delays, spread);
    println!("{name:<26}{mean:.3}  {deviation:.3}  {distance:.3}  ({n} messages)");
    bars.within(&format!("jitter {name}, mean"), mean, 1.0, 0.03);
    // The deviation of a Pareto sample of shape 3 converges slowly: its fourth moment is infinite.
    if !matches!(spread, Spread::Pareto) {
        bars.within(&format!("jitter {name}, deviation"), deviation, 1.0, 0.08);
    }
    // 0.113 is what 1 of 20 samples of 144 from the distribution itself exceed. These are more, so that what 1 of 100
    // exceed is less.
    let most = (1.63 / n.sqrt()).min(0.113);
    bars.at_most(&format!("jitter {name}, distance from the distribution"), distance, most);
}
