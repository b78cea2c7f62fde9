//! How exact a constant delay is: the error of messages at a steady rate, their order and drift, what each costs, a machine without a
//! free processor, and bulk that a delay must not throttle.

use std::time::Duration;

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, client, median, quantile};

/// Messages through one fault.
struct Case {
    name: &'static str,
    fault: &'static str,
    nominal: f64,
    connections: usize,
    /// Between two messages of a connection.
    beat: Duration,
    promise: Promise,
}

/// The bars, in ms, and what else the processors have to do.
#[derive(Debug, Clone, Copy)]
enum Promise {
    /// No fault: the way alone.
    Nothing,
    Quiet {
        p50: f64,
        p99: f64,
    },
    /// Beside a thread for each processor that never sleeps, where p99 is all that is promised.
    Saturated {
        p99: f64,
    },
}

const EVERY_5_MS: Duration = Duration::from_millis(5);

const CASES: [Case; 5] = [
    Case {
        name: "none",
        fault: "",
        nominal: 0.0,
        connections: 1,
        beat: EVERY_5_MS,
        promise: Promise::Nothing,
    },
    Case {
        name: "1 ms",
        fault: "latency: 1ms",
        nominal: 1.0,
        connections: 1,
        beat: EVERY_5_MS,
        promise: Promise::Quiet { p50: 0.15, p99: 0.40 },
    },
    Case {
        name: "100 ms",
        fault: "latency: 100ms",
        nominal: 100.0,
        connections: 1,
        beat: EVERY_5_MS,
        promise: Promise::Quiet { p50: 0.15, p99: 0.40 },
    },
    Case {
        name: "20 ms on 64, 3200/s",
        fault: "latency: 20ms",
        nominal: 20.0,
        connections: 64,
        beat: Duration::from_millis(20),
        promise: Promise::Quiet { p50: 0.15, p99: 0.50 },
    },
    Case {
        name: "100 ms, CPU saturated",
        fault: "latency: 100ms",
        nominal: 100.0,
        connections: 1,
        beat: EVERY_5_MS,
        promise: Promise::Saturated { p99: 1.5 },
    },
];

/// The first few messages of a connection meet cold caches and a growing window.
const WARM: usize = 20;

/// What three rounds of a case have shown.
#[derive(Default)]
struct Seen {
    p50: Vec<f64>,
    p99: Vec<f64>,
    drift: Vec<f64>,
    early: usize,
    disorder: usize,
    count: usize,
    cpu: f64,
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!(
        "\nlatency fault, 200 messages/s: error in ms, median of 3 rounds (early and out of order: all rounds)"
    );
    for case in &CASES {
        let mut seen = Seen::default();
        for _ in 0..3 {
            look(plan, case, &upstream, &mut seen);
        }
        hold(case, &mut seen, bars);
    }
    one_by_one(&upstream, bars);
    bulk(&upstream, bars);
}

fn look(plan: &Plan, case: &Case, upstream: &Child, seen: &mut Seen) {
    let proxy = Child::start(Kind::Murphy, &upstream.address, case.fault);
    let is_saturated = matches!(case.promise, Promise::Saturated { .. });
    let _busy = is_saturated.then(|| Child::start(Kind::Busy, "", ""));
    let before = proxy.cpu();
    let messages = client::messages(&proxy.address, case.connections, case.beat, plan.messages);
    seen.cpu += proxy.cpu() - before;
    seen.disorder += messages.disorder;
    let mut errors = Vec::new();
    let mut drifts = Vec::new();
    for ages in messages.ages {
        seen.count += ages.len();
        let ages = ages.get(WARM..).unwrap_or_default();
        seen.early += ages.iter().filter(|age| **age < case.nominal).count();
        drifts.push(drift(ages));
        errors.extend(ages.iter().map(|age| age - case.nominal));
    }
    seen.p50.push(quantile(&mut errors, 0.5));
    seen.p99.push(quantile(&mut errors, 0.99));
    seen.drift.push(median(&mut drifts));
}

/// The median of the last quarter less that of the first.
fn drift(ages: &[f64]) -> f64 {
    let quarter = ages.len() / 4;
    median(&mut ages[ages.len() - quarter..].to_vec()) - median(&mut ages[..quarter].to_vec())
}

fn hold(case: &Case, seen: &mut Seen, bars: &mut Bars) {
    let name = case.name;
    let (p50, p99, drift) = (median(&mut seen.p50), median(&mut seen.p99), median(&mut seen.drift));
    let each = seen.cpu * 1e6 / seen.count as f64;
    println!(
        "{name:<26}p50 {p50:.3}  p99 {p99:.3}  drift {drift:.3}  CPU us each {each:.0}  ({} messages, {} early, {} out of order)",
        seen.count, seen.early, seen.disorder
    );
    bars.at_most(&format!("{name}, messages early"), seen.early as f64, 0.0);
    bars.at_most(&format!("{name}, messages out of order"), seen.disorder as f64, 0.0);
    let error_p99 = format!("{name}, error p99 in ms");
    match case.promise {
        Promise::Nothing => {}
        Promise::Saturated { p99: most } => bars.at_most(&error_p99, p99, most),
        Promise::Quiet { p50: most_p50, p99: most_p99 } => {
            bars.at_most(&format!("{name}, error p50 in ms"), p50, most_p50);
            bars.at_most(&error_p99, p99, most_p99);
            bars.at_most(&format!("{name}, drift in ms"), drift.abs(), 0.15);
            // The machine's, and its target names no yardstick that is run here.
            bars.at_most(&format!("{name}, CPU us a message"), each, 60.0);
        }
    }
}

fn one_by_one(upstream: &Child, bars: &mut Bars) {
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
}

fn bulk(upstream: &Child, bars: &mut Bars) {
    // What the queue may hold passes once in each delay, and not more.
    let (queue, bytes) = (4 << 20, 200 << 20);
    let proxy = Child::start(Kind::Murphy, &upstream.address, "{ latency: { delay: 100ms, queue: 4MiB } }");
    let took = client::fetch(&proxy.address, bytes).as_secs_f64() - 0.1;
    let share = bytes as f64 / took / (queue as f64 / 0.1);
    println!("200 MiB, 100 ms, 4 MiB    {share:.3} of queue / delay");
    bars.within("200 MiB, 100 ms, 4 MiB, of queue / delay", share, 1.0, 0.05);
    let mut rates = Vec::new();
    for _ in 0..3 {
        let fault = "{ latency: { delay: 100ms, queue: 64MiB } }";
        let proxy = Child::start(Kind::Murphy, &upstream.address, fault);
        let took = client::fetch(&proxy.address, 100 << 20);
        rates.push((100 << 20) as f64 / took.as_secs_f64() / 1e9);
    }
    let rate = median(&mut rates);
    println!("100 MiB through 100 ms    {rate:.2} GB/s, the delay included");
    // The machine's: the delay line that its target was measured with is not run here.
    bars.at_least("100 MiB through 100 ms, GB/s", rate, 0.40);
}
