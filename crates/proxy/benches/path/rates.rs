//! How exact a rate is: over all bytes, in each short window, ahead of its line, and between two arrivals.

use crate::bars::Bars;
use crate::client::{self, Arrival};
use crate::process::{Child, Kind};
use crate::{Plan, median};

const RATES: [(&str, f64); 4] = [("100kB/s", 1e5), ("1MB/s", 1e6), ("10MB/s", 1e7), ("100MB/s", 1e8)];

/// Every window of this length is looked at, once the rate has had time to settle.
const WINDOW: f64 = 0.1;
const SETTLED: f64 = 0.5;

/// What one download at a rate has shown; each but the gap as a share of what the rate gives.
struct Shape {
    delivered: f64,
    least: f64,
    most: f64,
    /// Bytes by which it was ahead of a line that begins with the first arrival.
    lead: f64,
    /// The longest time between two arrivals, in ms.
    gap: f64,
}

impl Shape {
    fn of(arrivals: &[Arrival], rate: f64) -> Shape {
        let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
            panic!("nothing has come");
        };
        let mut shape = Shape {
            delivered: last.total as f64 / last.at / rate,
            // No window has no figure, which meets no bar.
            least: f64::NAN,
            most: f64::NAN,
            lead: 0.0,
            gap: 0.0,
        };
        for pair in arrivals.windows(2) {
            shape.gap = shape.gap.max((pair[1].at - pair[0].at) * 1e3);
        }
        for arrival in arrivals {
            let line = first.total as f64 + rate * (arrival.at - first.at);
            shape.lead = shape.lead.max(arrival.total as f64 - line);
        }
        shape.look_through_windows(arrivals, rate);
        shape
    }

    /// A window holds least if it begins just behind an arrival, and most if it begins with one.
    fn look_through_windows(&mut self, arrivals: &[Arrival], rate: f64) {
        let last = arrivals.last().map_or(0.0, |last| last.at);
        let mut end = 0;
        for (begin, arrival) in arrivals.iter().enumerate().skip(1) {
            let until = arrival.at + WINDOW;
            if arrival.at < SETTLED || until > last {
                continue;
            }
            while arrivals[end].at < until {
                end += 1;
            }
            // What came before the end of the window, which is the last moment at which `end` has not come.
            let total = arrivals[end - 1].total;
            let behind = (total - arrival.total) as f64 / (rate * WINDOW);
            let with = (total - arrivals[begin - 1].total) as f64 / (rate * WINDOW);
            self.least = self.least.min(behind);
            self.most = self.most.max(with);
        }
    }
}

/// Bytes that may be ahead: what 2 ms give, or two quanta of 5 ms, which are 256 B to 64 KiB.
fn most_lead(rate: f64) -> f64 {
    let quantum = (rate * 0.005).clamp(256.0, 65_536.0);
    (rate * 0.002).max(2.0 * quantum)
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!(
        "\nbandwidth fault: delivered / nominal, the largest error of 3 rounds; medians of 3 rounds: the least and the most in any \
         100 ms from 0.5 s on, bytes ahead, the longest gap"
    );
    for (name, rate) in RATES {
        let mut shapes = Vec::new();
        for _ in 0..3 {
            let proxy = Child::start(Kind::Murphy, &upstream.address, &format!("bandwidth: {name}"));
            let bytes = (rate * plan.shaped.as_secs_f64()) as u64;
            shapes.push(Shape::of(&client::arrivals(&proxy.address, bytes), rate));
        }
        hold(name, rate, &shapes, bars);
    }
}

fn hold(name: &str, rate: f64, shapes: &[Shape], bars: &mut Bars) {
    let worst = shapes
        .iter()
        .map(|shape| shape.delivered)
        .fold(1.0_f64, |worst, share| if (share - 1.0).abs() >= (worst - 1.0).abs() { share } else { worst });
    let of = |take: fn(&Shape) -> f64| median(&mut shapes.iter().map(take).collect::<Vec<f64>>());
    let (least, most) = (of(|shape| shape.least), of(|shape| shape.most));
    let (lead, gap) = (of(|shape| shape.lead), of(|shape| shape.gap));
    println!("{name:<26}{worst:.4}  {least:.3} to {most:.3}  {lead:.0} B ahead  {gap:.1} ms at most");
    bars.within(&format!("bandwidth {name}, delivered / nominal"), worst, 1.0, 0.01);
    bars.at_least(&format!("bandwidth {name}, the least in 100 ms"), least, 0.9);
    bars.at_most(&format!("bandwidth {name}, the most in 100 ms"), most, 1.1);
    bars.at_most(&format!("bandwidth {name}, bytes ahead"), lead, most_lead(rate));
    bars.at_most(&format!("bandwidth {name}, the longest gap in ms"), gap, 20.0);
}
