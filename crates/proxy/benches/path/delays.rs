//! How exact a constant delay is: the error of messages at a steady rate, their order and drift, what each costs, a machine without a
//! free processor, and bulk that a delay must not throttle; beside the plainest delay line in alternation, which says what this machine can.

use std::time::Duration;

use crate::bars::{Bars, Multiple};
use crate::delay_line::DelayLine;
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

impl Case {
    /// The same delay without Murphy, with the queue that a delay has if none is said.
    fn line(&self) -> Option<DelayLine> {
        let delay = Duration::from_secs_f64(self.nominal / 1e3);
        (!delay.is_zero()).then_some(DelayLine { delay, queue: 4 << 20 })
    }
}

/// How many times the figures of the plainest delay line are still good (ADR 19): what the bars were to those of one where they were set.
const ERROR: f64 = 2.0;
const CPU: f64 = 1.5;
const BULK: f64 = 0.87;

fn of_line(measured: f64, times: f64) -> Multiple<'static> {
    Multiple { yardstick: "delay line", measured, times }
}

const EVERY_5_MS: Duration = Duration::from_millis(5);

/// No delay is a multiple of the time between two messages: else one falls due just as another arrives, and one wake-up serves both.
const CASES: [Case; 6] = [
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
        name: "102.5 ms",
        fault: "latency: 102500us",
        nominal: 102.5,
        connections: 1,
        beat: EVERY_5_MS,
        promise: Promise::Quiet { p50: 0.15, p99: 0.40 },
    },
    Case {
        name: "none on 64, 3200/s",
        fault: "",
        nominal: 0.0,
        connections: 64,
        beat: Duration::from_millis(20),
        promise: Promise::Nothing,
    },
    Case {
        name: "20.15 ms on 64, 3200/s",
        fault: "latency: 20150us",
        nominal: 20.15,
        connections: 64,
        beat: Duration::from_millis(20),
        promise: Promise::Quiet { p50: 0.15, p99: 0.50 },
    },
    Case {
        name: "102.5 ms, CPU saturated",
        fault: "latency: 102500us",
        nominal: 102.5,
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
        let (mut seen, mut beside) = (Seen::default(), Seen::default());
        for _ in 0..3 {
            seen.look(plan, case, &Child::start(Kind::Murphy, &upstream.address, case.fault));
            if let Some(line) = case.line() {
                beside.look(plan, case, &Child::start(Kind::DelayLine, &upstream.address, &line.words()));
            }
        }
        let figures = seen.figures();
        figures.print(case.name);
        if case.line().is_some() {
            beside.figures().print("  the plainest delay line");
        }
        hold(case, &figures, &beside.figures(), bars);
    }
    one_by_one(&upstream, bars);
    bulk(&upstream, bars);
}

impl Seen {
    /// One round.
    fn look(&mut self, plan: &Plan, case: &Case, proxy: &Child) {
        let is_saturated = matches!(case.promise, Promise::Saturated { .. });
        let _busy = is_saturated.then(|| Child::start(Kind::Busy, "", ""));
        let before = proxy.cpu();
        let messages = client::messages(&proxy.address, case.connections, case.beat, plan.messages);
        self.cpu += proxy.cpu() - before;
        self.disorder += messages.disorder;
        let mut errors = Vec::new();
        let mut drifts = Vec::new();
        for ages in messages.ages {
            self.count += ages.len();
            let ages = ages.get(WARM..).unwrap_or_default();
            self.early += ages.iter().filter(|age| **age < case.nominal).count();
            drifts.push(drift(ages));
            errors.extend(ages.iter().map(|age| age - case.nominal));
        }
        self.p50.push(quantile(&mut errors, 0.5));
        self.p99.push(quantile(&mut errors, 0.99));
        self.drift.push(median(&mut drifts));
    }

    fn figures(&mut self) -> Figures {
        Figures {
            p50: median(&mut self.p50),
            p99: median(&mut self.p99),
            drift: median(&mut self.drift),
            each: self.cpu * 1e6 / self.count as f64,
            count: self.count,
            early: self.early,
            disorder: self.disorder,
        }
    }
}

/// The same, of all rounds.
struct Figures {
    p50: f64,
    p99: f64,
    drift: f64,
    /// Processor time a message, in us.
    each: f64,
    count: usize,
    early: usize,
    disorder: usize,
}

impl Figures {
    fn print(&self, name: &str) {
        let Figures { p50, p99, drift, each, count, early, disorder } = self;
        println!(
            "{name:<26}p50 {p50:.3}  p99 {p99:.3}  drift {drift:.3}  CPU us each {each:.0}  ({count} messages, {early} early, \
             {disorder} out of order)"
        );
    }
}

/// The median of the last quarter less that of the first.
fn drift(ages: &[f64]) -> f64 {
    let quarter = ages.len() / 4;
    median(&mut ages[ages.len() - quarter..].to_vec()) - median(&mut ages[..quarter].to_vec())
}

fn hold(case: &Case, murphy: &Figures, line: &Figures, bars: &mut Bars) {
    let name = case.name;
    bars.at_most(&format!("{name}, messages early"), murphy.early as f64, 0.0);
    bars.at_most(&format!("{name}, messages out of order"), murphy.disorder as f64, 0.0);
    let error_p99 = format!("{name}, error p99 in ms");
    match case.promise {
        Promise::Nothing => {}
        // Not as a multiple: how long a busy thread is let run is the kernel's, and the scatter is more than any multiple.
        Promise::Saturated { p99 } => bars.at_most(&error_p99, murphy.p99, p99),
        Promise::Quiet { p50, p99 } => {
            let error_p50 = format!("{name}, error p50 in ms");
            bars.at_most_here(&error_p50, murphy.p50, p50, of_line(line.p50, ERROR));
            bars.at_most_here(&error_p99, murphy.p99, p99, of_line(line.p99, ERROR));
            bars.at_most(&format!("{name}, drift in ms"), murphy.drift.abs(), 0.15);
            let each = format!("{name}, CPU us a message");
            bars.at_most_here(&each, murphy.each, 60.0, of_line(line.each, CPU));
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
    let line = DelayLine { delay: Duration::from_millis(100), queue: 64 << 20 };
    let (mut rates, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let fault = "{ latency: { delay: 100ms, queue: 64MiB } }";
        rates.push(rate(&Child::start(Kind::Murphy, &upstream.address, fault)));
        beside.push(rate(&Child::start(Kind::DelayLine, &upstream.address, &line.words())));
    }
    let (rate, beside) = (median(&mut rates), median(&mut beside));
    println!(
        "100 MiB through 100 ms    {rate:.2} GB/s, the delay included; the plainest delay line {beside:.2}"
    );
    bars.at_least_here("100 MiB through 100 ms, GB/s", rate, 0.40, of_line(beside, BULK));
}

/// Of 100 MiB, in GB/s.
fn rate(proxy: &Child) -> f64 {
    let bytes = 100 << 20;
    bytes as f64 / client::fetch(&proxy.address, bytes).as_secs_f64() / 1e9
}
