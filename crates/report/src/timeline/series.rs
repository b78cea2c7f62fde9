//! Requests of users and calls on edges over time: counted into bins, each with its quantiles. A series must never grow with the
//! run: a longer one has wider bins, not more.

use std::collections::BTreeMap;

use murphy_core::{EdgeName, LoadName, Offset, Rule, RunBrief, Sample, Span, Subject, SuccessRule};

use super::WindowOf;

/// A series has at most so many bins: more than a screen can show apart is of no use.
const MOST_BINS: u64 = 240;
/// A quantile of fewer than this says little; bins are wider where requests are rare.
const ENOUGH: f64 = 20.0;
/// Bins are never so wide that a series has fewer than this.
const FEWEST_BINS: u64 = 40;

/// What a series is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// Requests of users.
    Load,
    /// Calls on an edge.
    Edge,
}

/// Requests or calls over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which kind.
    pub kind: SeriesKind,
    /// Its name.
    pub name: String,
    /// What is sent, or who calls whom.
    pub what: String,
    /// Width of a bin.
    pub step: Span,
    /// One for each step, from the beginning of the load.
    pub bins: Vec<Bin>,
    /// What is asserted of latency: text and bound.
    pub limits: Vec<(String, Span)>,
    /// What is asserted of success, as a share.
    pub least: Option<f64>,
}

/// What began within one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bin {
    /// How many.
    pub n: u32,
    /// How many were answered as expected, degraded answers included.
    pub good: u32,
    /// How many were answered by a stand-in: an older answer, a default, a part.
    pub degraded: u32,
    /// Half of them took no longer.
    pub p50: Span,
    /// 95 % of them took no longer.
    pub p95: Span,
    /// 99 % of them took no longer.
    pub p99: Span,
    /// None took longer.
    pub max: Span,
}

/// One request or call, before it is counted.
struct Point {
    at: Offset,
    took: u64,
    good: bool,
    degraded: bool,
}

#[derive(Default)]
pub(super) struct Collected {
    loads: BTreeMap<LoadName, Vec<Point>>,
    edges: BTreeMap<EdgeName, Vec<Point>>,
}

impl Collected {
    pub(super) fn sample(&mut self, sample: &Sample) {
        let point = Point {
            at: sample.intended,
            took: sample.latency().as_micros(),
            good: sample.is_ok(),
            degraded: sample.is_ok() && !sample.served.is_fresh(),
        };
        match self.loads.get_mut(&sample.load) {
            Some(points) => points.push(point),
            None => drop(self.loads.insert(sample.load.clone(), vec![point])),
        }
    }

    pub(super) fn call(&mut self, edge: &EdgeName, at: Offset, took: Span, good: bool) {
        let point = Point { at, took: took.as_micros(), good, degraded: false };
        match self.edges.get_mut(edge) {
            Some(points) => points.push(point),
            None => drop(self.edges.insert(edge.clone(), vec![point])),
        }
    }
}

pub(super) fn series(brief: &RunBrief, collected: &mut Collected, window: WindowOf) -> Vec<Series> {
    let limits = |subject: &Subject| {
        let mut limits: Vec<(String, Span)> = Vec::new();
        let mut least = None;
        for expectation in brief.expectations.iter().filter(|expectation| &expectation.subject == subject) {
            match &expectation.rule {
                Rule::Latency { quantile, at_most } => limits.push((quantile.to_string(), *at_most)),
                Rule::Timeout { at_most } => limits.push(("timeout".to_owned(), *at_most)),
                Rule::Success { rule: SuccessRule::AtLeast(share), .. } => least = Some(share.as_fraction()),
                _ => {}
            }
        }
        (limits, least)
    };
    let mut all = Vec::new();
    for load in &brief.loads {
        let points = collected.loads.remove(&load.name).unwrap_or_default();
        let (limits, least) = limits(&Subject::Load(load.name.clone()));
        let (step, bins) = binned(points, window);
        let raised = load.ramp.map_or_else(String::new, |ramp| format!(", {ramp}"));
        let (name, what) = (load.name.to_string(), format!("{}, {}{raised}", load.what, load.rate));
        all.push(Series { kind: SeriesKind::Load, name, what, step, bins, limits, least });
    }
    for edge in &brief.edges {
        let points = collected.edges.remove(&edge.name).unwrap_or_default();
        let (limits, least) = limits(&Subject::Edge(edge.name.clone()));
        let (step, bins) = binned(points, window);
        let from = edge.from.as_deref().unwrap_or("callers");
        let what = format!("{from} → {}", edge.to);
        all.push(Series {
            kind: SeriesKind::Edge,
            name: edge.name.to_string(),
            what,
            step,
            bins,
            limits,
            least,
        });
    }
    all
}

/// The next of 1, 2, 5 times a power of ten milliseconds.
fn nice(micros: u64) -> u64 {
    let mut unit = 1_000;
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= micros || unit >= 1_000_000_000_000 {
                return unit * factor;
            }
        }
        unit *= 10;
    }
}

fn binned(mut points: Vec<Point>, window: WindowOf) -> (Span, Vec<Bin>) {
    let length = window.length.as_micros();
    let since = |point: &Point| point.at.since(window.begin).as_micros();
    let finest = length.div_ceil(MOST_BINS);
    let sparse = (length as f64 * ENOUGH / points.len().max(1) as f64) as u64;
    let step = nice(finest.max(sparse.min(length.div_ceil(FEWEST_BINS))).max(1));
    let count = length.div_ceil(step);
    points.retain(|point| since(point) < length);
    points.sort_unstable_by_key(|point| (since(point) / step, point.took));
    let mut bins = vec![Bin::default(); count as usize];
    let mut rest = points.as_slice();
    while let Some(first) = rest.first() {
        let index = since(first) / step;
        let (these, others) = rest.split_at(rest.partition_point(|point| since(point) / step <= index));
        rest = others;
        // Nearest rank: the smallest value that so many are not above.
        let quantile = |share: f64| {
            let rank = (these.len() as f64 * share).ceil() as usize;
            Span::from_micros(these[rank.clamp(1, these.len()) - 1].took)
        };
        let number = |what: fn(&Point) -> bool| these.iter().filter(|point| what(point)).count() as u32;
        bins[index as usize] = Bin {
            n: these.len() as u32,
            good: number(|point| point.good),
            degraded: number(|point| point.degraded),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: quantile(1.0),
        };
    }
    (Span::from_micros(step), bins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Timeline;

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([0, 1_000, 1_001, 4_999, 237_500].map(nice), [1_000, 1_000, 2_000, 5_000, 500_000]);
    }

    #[test]
    fn quantiles_are_ranks_of_what_began_in_a_bin() {
        let begin = Offset::from_micros(7);
        let points = (0..1000).map(|n| Point {
            at: begin + Span::from_micros(n * 100),
            took: n + 1,
            good: n % 2 == 0,
            degraded: false,
        });
        let (step, bins) = binned(points.collect(), WindowOf { begin, length: Span::from_millis(100) });
        assert_eq!(step, Span::from_millis(2));
        assert_eq!(bins.len(), 50);
        assert_eq!(bins.iter().map(|bin| bin.n).sum::<u32>(), 1000);
        let first = bins[0];
        assert_eq!((first.n, first.good), (20, 10));
        let micros = [first.p50, first.p95, first.p99, first.max].map(Span::as_micros);
        assert_eq!(micros, [10, 19, 20, 20]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(Timeline::of(&[]).is_empty());
        assert_eq!(binned(Vec::new(), WindowOf { begin: Offset::ZERO, length: Span::ZERO }).1, []);
    }
}
