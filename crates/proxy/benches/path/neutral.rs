//! What a fault of no effect costs that is armed. That is the same program twice, so a difference of a twentieth has to be seen in figures that
//! scatter by a fifth: many short rounds, these two alone in alternation, and each of them first in every other round.

use crate::bars::Bars;
use crate::carrying::{COLUMNS, CONNECTS, CPU, P50, round};
use crate::process::{Child, Kind};
use crate::{Plan, median};

/// What a connection passes that has nothing to do with it, and with which faults.
const FAULTS: [&str; 2] = ["", "latency: 0ms"];

/// How many times the rounds of other parts, each so many times as short.
const OFTEN: usize = 9;
const SHORT: usize = 3;

pub fn table(plan: &Plan, bars: &mut Bars) {
    let plan = Plan {
        rounds: plan.rounds * OFTEN,
        slice: plan.slice / SHORT as u32,
        pings: plan.pings / SHORT,
        ..*plan
    };
    let upstream = Child::start(Kind::Upstream, "", "");
    let mut ratios: [Vec<f64>; COLUMNS.len()] = Default::default();
    for turn in 0..plan.rounds {
        let mut seen = [[0.0; COLUMNS.len()]; FAULTS.len()];
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let proxy = Child::start(Kind::Murphy, &upstream.address, FAULTS[which]);
            seen[which] = round(&plan, &proxy);
        }
        let [none, neutral] = seen;
        for (column, ratios) in ratios.iter_mut().enumerate() {
            ratios.push(neutral[column] / none[column]);
        }
    }
    println!(
        "\na fault of no effect against none, medians of {} rounds, first and third quartile",
        plan.rounds
    );
    for (name, ratios) in COLUMNS.iter().zip(&mut ratios) {
        let middle = median(ratios);
        println!(
            "{name:<13}{middle:.3}x  ({:.3} to {:.3})",
            ratios[ratios.len() / 4],
            ratios[ratios.len() * 3 / 4]
        );
    }
    let of = |column: usize| median(&mut ratios[column].clone());
    for (column, name) in COLUMNS.iter().enumerate() {
        let what = format!("murphy, neutral fault / murphy, {name}");
        if column < CPU || column == CONNECTS {
            bars.at_least(&what, of(column), 0.95);
        } else if column == CPU || column == P50 {
            // Not p99, which differs by more than a twentieth between two runs of the same.
            bars.at_most(&what, of(column), 1.05);
        }
    }
}
