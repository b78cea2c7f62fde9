//! Measures the data path against yardsticks in the same alternation: `cargo bench -p murphy-proxy [-- --quick]`;
//! `-- --carrying`, `--neutral`, `--connecting`, `--trips`, `--delays`, `--jitter`, `--rates`, `--idle`, `--http` measure that part only. nginx and HAProxy are
//! skipped where they are not installed (Debian: `nginx libnginx-mod-stream haproxy`). All parts together take some fifteen minutes.
//!
//! Every proxy and the dependency run in processes of their own. Absolute figures belong to the machine and the
//! moment; ratios within one run are what counts. A bar in GB/s, in microseconds of a processor or in milliseconds that something is late
//! was set for one machine: beside each a yardstick runs, and a miss says how it stands to a multiple of
//! the yardstick's figure in the same rounds (ADR 19).
//!
//! Exits with 1 if a bar of docs/performance.md is missed, each with a line `MISS`.
//!
//! BBR paces even loopback and hides the differences. For figures to compare, use a network namespace with reno:
//! `unshare -rn sh -c 'ip link set lo up; echo reno >/proc/sys/net/ipv4/tcp_congestion_control; cargo bench …'`.

mod bars;
mod carrying;
mod child;
mod client;
mod connecting;
mod delay_line;
mod delays;
mod http;
mod idle;
mod jitter;
mod neutral;
mod others;
mod process;
mod rates;
mod trips;
mod yardstick;

use std::process::ExitCode;
use std::time::Duration;

use bars::Bars;

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
    let parts: [(&str, Measure); 9] = [
        ("--carrying", carrying::table),
        ("--neutral", neutral::table),
        ("--connecting", connecting::table),
        ("--trips", trips::table),
        ("--delays", delays::table),
        ("--jitter", jitter::table),
        ("--rates", rates::table),
        ("--idle", idle::table),
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

/// The value below which this share of them lies; they are sorted by it.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios of each round, so that a slow round slows both sides of one.
fn against<T>(mine: &[T], others: &[T], take: fn(&T) -> f64) -> f64 {
    median(&mut mine.iter().zip(others).map(|(mine, other)| take(mine) / take(other)).collect::<Vec<f64>>())
}
