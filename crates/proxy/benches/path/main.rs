//! Measures the data path against yardsticks in the same alternation: `cargo bench -p murphy-proxy [-- --quick]`;
//! `-- --carrying`, `--connecting`, `--delays`, `--rates`, `--idle`, `--http` measure that part only. nginx and HAProxy are skipped where they are not installed
//! (Debian: `nginx libnginx-mod-stream haproxy`).
//!
//! Every proxy and the dependency run in processes of their own. Absolute figures belong to the machine and the
//! moment; ratios within one run are what counts. Faults' errors are absolute.
//!
//! Exits with 1 if a bar of docs/performance.md is missed, each with a line `MISS`.
//!
//! BBR paces even loopback and hides the differences. For figures to compare, use a network namespace with reno:
//! `unshare -rn sh -c 'ip link set lo up; echo reno >/proc/sys/net/ipv4/tcp_congestion_control; cargo bench …'`.

mod bars;
mod child;
mod client;
mod connecting;
mod http;
mod others;
mod process;
mod yardstick;

use std::process::ExitCode;
use std::time::Duration;

use bars::Bars;
use process::{Child, Kind};

/// One part of the bench.
type Measure = fn(&Plan, &mut Bars);

struct Plan {
    rounds: usize,
    slice: Duration,
    pings: usize,
    messages: Duration,
    shaped: Duration,
    idle: usize,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--child") {
        child::run(&args[at + 1..]);
        return ExitCode::SUCCESS;
    }
    if !args.iter().any(|arg| arg == "--bench") {
        println!("a benchmark: run it with `cargo bench -p murphy-proxy`");
        return ExitCode::SUCCESS;
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let plan = if quick {
        Plan {
            rounds: 3,
            slice: Duration::from_millis(400),
            pings: 1500,
            messages: Duration::from_secs(2),
            shaped: Duration::from_secs(1),
            idle: 3000,
        }
    } else {
        Plan {
            rounds: 7,
            slice: Duration::from_millis(700),
            pings: 4000,
            messages: Duration::from_secs(4),
            shaped: Duration::from_secs(3),
            idle: 10_000,
        }
    };
    let descriptors = process::raise_descriptors();
    let plan = Plan { idle: plan.idle.min((descriptors as usize).saturating_sub(200) / 2), ..plan };
    println!("congestion control {}; {} rounds in alternation, medians", process::congestion(), plan.rounds);
    let parts: [(&str, Measure); 6] = [
        ("--carrying", carrying),
        ("--connecting", connecting::table),
        ("--delays", delays),
        ("--rates", rates),
        ("--idle", idle),
        ("--http", http::table),
    ];
    let asked = |part: &str| args.iter().any(|arg| arg == part);
    let mut bars = Bars::default();
    let all = !parts.iter().any(|(part, _)| asked(part));
    for (part, measure) in parts {
        if all || asked(part) {
            measure(&plan, &mut bars);
        }
    }
    bars.verdict()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() { f64::NAN } else { values[values.len() / 2] }
}

/// The proxies of the first table: a name, a kind, a fault.
const RIVALS: [(&str, Kind, &str); 9] = [
    ("direct", Kind::Direct, ""),
    ("copy 8 KiB", Kind::Copy8, ""),
    ("copy 64 KiB", Kind::Copy64, ""),
    ("lazy 64 KiB", Kind::Lazy, ""),
    ("nginx stream", Kind::NginxStream, ""),
    ("HAProxy tcp", Kind::HaProxy, ""),
    ("murphy", Kind::Murphy, ""),
    ("murphy, neutral fault", Kind::Murphy, "latency: 0ms"),
    ("murphy, recording", Kind::Recorded, ""),
];
const COLUMNS: [&str; 7] =
    ["GB/s 1", "GB/s 8", "CPU s/GB", "RTT p50 us", "RTT p99 us", "connects/s", "CPU us each"];

fn carrying(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    let mut figures = vec![vec![Vec::new(); COLUMNS.len()]; RIVALS.len()];
    for _ in 0..plan.rounds {
        for (rival, (_, kind, fault)) in RIVALS.iter().enumerate() {
            let Some(proxy) = Child::try_start(*kind, &upstream.address, fault) else { continue };
            let target = &proxy.address;
            let before = proxy.cpu();
            let one = client::download(target, 1, plan.slice);
            let eight = client::download(target, 8, plan.slice);
            let cpu = (proxy.cpu() - before) / ((one.bytes + eight.bytes) as f64 / 1e9);
            let mut trips = client::pings(target, plan.pings);
            trips.sort_by(f64::total_cmp);
            let at = |quantile: f64| trips[(trips.len() as f64 * quantile) as usize];
            let before = proxy.cpu();
            let opened = client::connects(target, plan.slice);
            let each = (proxy.cpu() - before) * 1e6 / (opened * plan.slice.as_secs_f64());
            let row =
                [one.gigabytes_per_sec(), eight.gigabytes_per_sec(), cpu, at(0.5), at(0.99), opened, each];
            for (column, value) in row.into_iter().enumerate() {
                figures[rival][column].push(value);
            }
        }
    }
    println!("\n{:<24}{}", "no fault", COLUMNS.map(|name| format!("{name:>12}")).concat());
    for ((name, _, _), columns) in RIVALS.iter().zip(&figures) {
        if columns[0].is_empty() {
            println!("{name:<24}skipped: it is not installed, or does not start");
            continue;
        }
        let cells = columns.iter().map(|values| {
            let value = median(&mut values.clone());
            let digits = if value >= 100.0 {
                0
            } else if value >= 10.0 {
                1
            } else {
                2
            };
            format!("{value:>12.digits$}")
        });
        println!("{name:<24}{}", cells.collect::<String>());
    }
    // Ratios are taken round by round, so that a slow round slows both sides of one.
    let ratio = |mine: usize, other: usize, column: usize| {
        let pairs = figures[mine][column].iter().zip(&figures[other][column]);
        median(&mut pairs.map(|(mine, other)| mine / other).collect::<Vec<f64>>())
    };
    for (mine, other) in [(6, 1), (6, 2), (6, 3), (6, 4), (6, 5), (7, 6), (8, 6)] {
        if figures[other][0].is_empty() {
            continue;
        }
        println!(
            "{} / {}: {:.2}x GB/s on 1, {:.2}x on 8, {:.2}x CPU/GB, {:.2}x RTT p50, {:.2}x RTT p99, {:.2}x connects/s, \
             {:.2}x CPU/connect",
            RIVALS[mine].0,
            RIVALS[other].0,
            ratio(mine, other, 0),
            ratio(mine, other, 1),
            ratio(mine, other, 2),
            ratio(mine, other, 3),
            ratio(mine, other, 4),
            ratio(mine, other, 5),
            ratio(mine, other, 6),
        );
    }
    let against = "murphy / copy 8 KiB";
    bars.at_least(&format!("{against}, GB/s on 1 connection"), ratio(6, 1, 0), 1.8);
    bars.at_least(&format!("{against}, GB/s on 8"), ratio(6, 1, 1), 1.8);
    bars.at_most(&format!("{against}, RTT p50"), ratio(6, 1, 3), 1.1);
    bars.at_most("murphy, CPU us a connection", median(&mut figures[6][6].clone()), 50.0);
}

fn delays(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!(
        "\nlatency fault, 200 messages/s: error in ms, median of 3 rounds (early and out of order: all rounds)"
    );
    for (name, fault, connections) in [
        ("none", "", 1),
        ("1 ms", "latency: 1ms", 1),
        ("100 ms", "latency: 100ms", 1),
        ("20 ms on 16 connections", "latency: 20ms", 16),
    ] {
        let nominal = match name {
            "1 ms" => 1.0,
            "100 ms" => 100.0,
            "none" => 0.0,
            _ => 20.0,
        };
        let (mut p50, mut p99, mut early, mut disorder, mut count) = (Vec::new(), Vec::new(), 0, 0, 0);
        let mut cpu = 0.0;
        for _ in 0..3 {
            let proxy = Child::start(Kind::Murphy, &upstream.address, fault);
            let before = proxy.cpu();
            let (mut delays, swapped) = client::messages(&proxy.address, connections, plan.messages);
            cpu += proxy.cpu() - before;
            delays.sort_by(f64::total_cmp);
            early += delays.iter().filter(|delay| **delay < nominal).count();
            disorder += swapped;
            count += delays.len();
            let at = |quantile: f64| delays[(delays.len() as f64 * quantile) as usize] - nominal;
            p50.push(at(0.5));
            p99.push(at(0.99));
        }
        let (p50, p99) = (median(&mut p50), median(&mut p99));
        println!(
            "{name:<26}p50 {p50:.3}  p99 {p99:.3}  CPU us each {:.0}  ({count} messages, {early} early, {disorder} out of order)",
            cpu * 1e6 / count as f64
        );
        bars.at_most(&format!("{name}, messages early"), early as f64, 0.0);
        bars.at_most(&format!("{name}, messages out of order"), disorder as f64, 0.0);
        if connections == 1 && !fault.is_empty() {
            bars.at_most(&format!("{name}, error p50 in ms"), p50, 0.15);
            bars.at_most(&format!("{name}, error p99 in ms"), p99, 0.5);
        }
    }
    let proxy = Child::start(Kind::Murphy, &upstream.address, "latency: 100ms");
    let trips = client::pings(&proxy.address, 20);
    let (least, most) =
        trips.iter().fold((f64::MAX, f64::MIN), |(least, most), trip| (least.min(*trip), most.max(*trip)));
    println!(
        "20 requests, one by one   {:.2} to {:.2} ms each on one connection through 100 ms",
        least / 1e3,
        most / 1e3
    );
    bars.at_least("20 requests through 100 ms, the least in ms", least / 1e3, 100.0);
    // What the queue may hold passes once in each delay, and not more.
    let (queue, bytes) = (4 << 20, 200 << 20);
    let proxy = Child::start(Kind::Murphy, &upstream.address, "{ latency: { delay: 100ms, queue: 4MiB } }");
    let took = client::fetch(&proxy.address, bytes).as_secs_f64() - 0.1;
    let share = bytes as f64 / took / (queue as f64 / 0.1);
    println!("200 MiB, 100 ms, 4 MiB    {share:.3} of queue / delay");
    bars.within("200 MiB, 100 ms, 4 MiB, of queue / delay", share, 1.0, 0.05);
    let proxy = Child::start(Kind::Murphy, &upstream.address, "{ latency: { delay: 100ms, queue: 64MiB } }");
    let took = client::fetch(&proxy.address, 100 << 20);
    println!(
        "100 MiB through 100 ms    {:.2} GB/s, the delay included",
        (100 << 20) as f64 / took.as_secs_f64() / 1e9
    );
}

fn rates(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!("\nbandwidth fault: delivered / nominal, the largest error of 3 rounds");
    for (name, rate) in [("100kB/s", 1e5), ("1MB/s", 1e6), ("10MB/s", 1e7), ("100MB/s", 1e8)] {
        let mut worst: f64 = 1.0;
        for _ in 0..3 {
            let proxy = Child::start(Kind::Murphy, &upstream.address, &format!("bandwidth: {name}"));
            let bytes = (rate * plan.shaped.as_secs_f64()) as u64;
            let share = bytes as f64 / client::fetch(&proxy.address, bytes).as_secs_f64() / rate;
            if (share - 1.0).abs() >= (worst - 1.0).abs() {
                worst = share;
            }
        }
        println!("{name:<26}{worst:.4}");
        bars.within(&format!("bandwidth {name}, delivered / nominal"), worst, 1.0, 0.01);
    }
}

fn idle(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!();
    for (name, kind) in [
        ("copy 8 KiB", Kind::Copy8),
        ("lazy 64 KiB", Kind::Lazy),
        ("nginx stream", Kind::NginxStream),
        ("HAProxy tcp", Kind::HaProxy),
        ("murphy", Kind::Murphy),
    ] {
        let Some(proxy) = Child::try_start(kind, &upstream.address, "") else {
            println!("idle connections, {name:<12} skipped: it is not installed, or does not start");
            continue;
        };
        drop(client::hold(&proxy.address, 50));
        let before = proxy.rss();
        let held = client::hold(&proxy.address, plan.idle);
        let each = (proxy.rss() - before) / held.len() as f64;
        println!("idle connections, {name:<12} {} open, {each:.1} KiB resident each", held.len());
        bars.at_least(&format!("{name}, idle connections open"), held.len() as f64, plan.idle as f64);
    }
}
