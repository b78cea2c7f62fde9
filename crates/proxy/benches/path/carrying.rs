//! The way of bytes without a fault: throughput in one direction and in both, processor time, round trips, connections; against
//! yardsticks and other people's proxies in the same alternation.

use crate::bars::{Bars, Multiple};
use crate::process::{Child, Kind};
use crate::{Plan, client, connecting, median, quantile};

/// A name, a kind.
const RIVALS: [(&str, Kind); 8] = [
    ("direct", Kind::Direct),
    ("copy 8 KiB", Kind::Copy8),
    ("copy 64 KiB", Kind::Copy64),
    ("lazy 64 KiB", Kind::Lazy),
    ("nginx stream", Kind::NginxStream),
    ("HAProxy tcp", Kind::HaProxy),
    ("murphy", Kind::Murphy),
    ("murphy, recording", Kind::Recorded),
];
const COPY: usize = 1;
const LAZY: usize = 3;
const MURPHY: usize = 6;
const RECORDED: usize = 7;

pub const COLUMNS: [&str; 9] = [
    "GB/s 1",
    "GB/s 8",
    "both ways 1",
    "both ways 8",
    "CPU s/GB",
    "RTT p50 us",
    "RTT p99 us",
    "connects/s",
    "CPU us each",
];
pub const CPU: usize = 4;
pub const P50: usize = 5;
const P99: usize = 6;
pub const CONNECTS: usize = 7;
const CPU_EACH: usize = 8;

/// Of each rival, of each column, the figures of all rounds.
struct Figures(Vec<Vec<Vec<f64>>>);

impl Figures {
    fn is_missing(&self, rival: usize) -> bool {
        self.0[rival][0].is_empty()
    }

    fn median(&self, rival: usize, column: usize) -> f64 {
        median(&mut self.0[rival][column].clone())
    }

    /// Taken round by round, so that a slow round slows both sides of one.
    fn ratio(&self, mine: usize, other: usize, column: usize) -> f64 {
        let pairs = self.0[mine][column].iter().zip(&self.0[other][column]);
        median(&mut pairs.map(|(mine, other)| mine / other).collect::<Vec<f64>>())
    }
}

/// One round of one rival, in the order of the columns.
pub fn round(plan: &Plan, proxy: &Child) -> [f64; COLUMNS.len()] {
    let target = &proxy.address;
    let before = proxy.cpu();
    let one = client::download(target, 1, plan.slice);
    let eight = client::download(target, 8, plan.slice);
    let cpu = (proxy.cpu() - before) / ((one.bytes + eight.bytes) as f64 / 1e9);
    let both_one = client::both_ways(target, 1, plan.slice);
    let both_eight = client::both_ways(target, 8, plan.slice);
    let mut trips = client::pings(target, plan.pings);
    let before = proxy.cpu();
    let opened = client::connects(target, plan.slice);
    let each = (proxy.cpu() - before) * 1e6 / (opened * plan.slice.as_secs_f64());
    [
        one.gigabytes_per_sec(),
        eight.gigabytes_per_sec(),
        both_one.gigabytes_per_sec(),
        both_eight.gigabytes_per_sec(),
        cpu,
        quantile(&mut trips, 0.5),
        quantile(&mut trips, 0.99),
        opened,
        each,
    ]
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    let mut figures = Figures(vec![vec![Vec::new(); COLUMNS.len()]; RIVALS.len()]);
    for _ in 0..plan.rounds {
        for (rival, (_, kind)) in RIVALS.iter().enumerate() {
            let Some(proxy) = Child::try_start(*kind, &upstream.address, "") else { continue };
            for (column, value) in round(plan, &proxy).into_iter().enumerate() {
                figures.0[rival][column].push(value);
            }
        }
    }
    print(&figures);
    hold(&figures, bars);
}

fn print(figures: &Figures) {
    println!("\n{:<24}{}", "no fault", COLUMNS.map(|name| format!("{name:>13}")).concat());
    for (rival, (name, _)) in RIVALS.iter().enumerate() {
        if figures.is_missing(rival) {
            println!("{name:<24}skipped: it is not installed, or does not start");
            continue;
        }
        let cells = (0..COLUMNS.len()).map(|column| {
            let value = figures.median(rival, column);
            let digits = if value >= 100.0 {
                0
            } else if value >= 10.0 {
                1
            } else {
                2
            };
            format!("{value:>13.digits$}")
        });
        println!("{name:<24}{}", cells.collect::<String>());
    }
    for (mine, other) in
        [(MURPHY, COPY), (MURPHY, 2), (MURPHY, LAZY), (MURPHY, 4), (MURPHY, 5), (RECORDED, MURPHY)]
    {
        if figures.is_missing(other) {
            continue;
        }
        let ratio = |column: usize| figures.ratio(mine, other, column);
        println!(
            "{} / {}: {:.2}x GB/s on 1, {:.2}x on 8, both ways {:.2}x on 1, {:.2}x on 8, {:.2}x CPU/GB, {:.2}x RTT p50, \
             {:.2}x RTT p99, {:.2}x connects/s, {:.2}x CPU/connect",
            RIVALS[mine].0,
            RIVALS[other].0,
            ratio(0),
            ratio(1),
            ratio(2),
            ratio(3),
            ratio(CPU),
            ratio(P50),
            ratio(P99),
            ratio(CONNECTS),
            ratio(CPU_EACH),
        );
    }
}

fn hold(figures: &Figures, bars: &mut Bars) {
    for (column, name) in COLUMNS.iter().enumerate().take(CPU) {
        let (copy, lazy) = (figures.ratio(MURPHY, COPY, column), figures.ratio(MURPHY, LAZY, column));
        bars.at_least(&format!("murphy / copy 8 KiB, {name}"), copy, 2.0);
        bars.at_least(&format!("murphy / lazy 64 KiB, {name}"), lazy, 0.9);
    }
    // The target is 0.22 s/GB where lazy copying takes 0.20: seconds are the machine's, their ratio is ours.
    bars.at_most("murphy / lazy 64 KiB, CPU s/GB", figures.ratio(MURPHY, LAZY, CPU), 1.1);
    bars.at_most("murphy / copy 8 KiB, RTT p50", figures.ratio(MURPHY, COPY, P50), 1.1);
    bars.at_most("murphy / copy 8 KiB, RTT p99", figures.ratio(MURPHY, COPY, P99), 1.2);
    // The machine's too. The multiple is that which `connecting` holds, over more rounds.
    let copy = figures.median(COPY, CPU_EACH);
    bars.at_most_here(
        "murphy, CPU us a connection",
        figures.median(MURPHY, CPU_EACH),
        50.0,
        Multiple { yardstick: "copy 8 KiB", measured: copy, times: connecting::CPU_OF_COPY },
    );
}
