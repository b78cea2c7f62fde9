//! What connections cost that say nothing: memory, descriptors and processor time while they are open, after a burst on each of
//! them, and when they have gone.

use std::time::{Duration, Instant};

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, client};

const RIVALS: [(&str, Kind); 5] = [
    ("copy 8 KiB", Kind::Copy8),
    ("lazy 64 KiB", Kind::Lazy),
    ("nginx stream", Kind::NginxStream),
    ("HAProxy tcp", Kind::HaProxy),
    ("murphy", Kind::Murphy),
];

const BURST: usize = 16 * 1024;

/// How long all say nothing while processor time is looked at.
const STILL: Duration = Duration::from_secs(2);

/// Of one proxy; memory in KiB, and where it says so by connection.
struct Idle {
    /// Resident before the first connection.
    base: f64,
    open: usize,
    each: f64,
    descriptors_each: f64,
    /// Seconds while all of them say nothing.
    cpu: f64,
    after_burst_each: f64,
    after_close_each: f64,
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    println!();
    for (name, kind) in RIVALS {
        let Some(proxy) = Child::try_start(kind, &upstream.address, "") else {
            println!("idle connections, {name:<12} skipped: it is not installed, or does not start");
            continue;
        };
        let idle = look(plan, &proxy);
        println!(
            "idle connections, {name:<12} {} open, {:.1} KiB resident each, {:.1} after a burst of 16 KiB, {:.1} after close; {:.2} \
             descriptors each, {:.0} ms CPU in {STILL:?}; {:.1} MiB before the first",
            idle.open,
            idle.each,
            idle.after_burst_each,
            idle.after_close_each,
            idle.descriptors_each,
            idle.cpu * 1e3,
            idle.base / 1024.0,
        );
        bars.at_least(&format!("{name}, idle connections open"), idle.open as f64, plan.idle as f64);
        if kind == Kind::Murphy {
            hold(&idle, bars);
        }
    }
}

fn look(plan: &Plan, proxy: &Child) -> Idle {
    let base = proxy.rss();
    drop(client::hold(&proxy.address, 50));
    gone(proxy, 0);
    let (before, descriptors) = (proxy.rss(), proxy.descriptors());
    let mut held = client::hold(&proxy.address, plan.idle);
    let open = held.len();
    let by_connection = |rss: f64| (rss - before) / open as f64;
    let each = by_connection(proxy.rss());
    let descriptors_each = (proxy.descriptors() - descriptors) as f64 / open as f64;
    // What opening them has left to do is done.
    std::thread::park_timeout(Duration::from_millis(300));
    let cpu = proxy.cpu();
    std::thread::park_timeout(STILL);
    let cpu = proxy.cpu() - cpu;
    client::burst(&mut held, BURST);
    let after_burst_each = by_connection(proxy.rss());
    drop(held);
    gone(proxy, descriptors);
    let after_close_each = by_connection(proxy.rss());
    Idle { base, open, each, descriptors_each, cpu, after_burst_each, after_close_each }
}

/// Waits until the proxy has no more descriptors than this, or none go any more.
fn gone(proxy: &Child, descriptors: usize) {
    let (begun, mut last) = (Instant::now(), usize::MAX);
    while begun.elapsed() < Duration::from_secs(10) {
        let now = proxy.descriptors();
        if now <= descriptors || now == last {
            return;
        }
        last = now;
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

fn hold(idle: &Idle, bars: &mut Bars) {
    bars.at_most("murphy, KiB an idle connection", idle.each, 6.0);
    bars.at_most("murphy, descriptors an idle connection", idle.descriptors_each, 2.0);
    bars.at_most("murphy, CPU s while all are idle", idle.cpu, 0.0);
    // None: a page among forty connections is what the allocator moves by itself.
    let growth = idle.after_burst_each - idle.each;
    bars.at_most("murphy, KiB a connection more after a burst of 16 KiB", growth, 0.1);
    bars.at_most("murphy, KiB a connection after close", idle.after_close_each, 3.0);
    // Of the data path alone; that of `murphy serve` is in the bench of murphy-tests.
    bars.at_most("murphy, MiB before the first connection", idle.base / 1024.0, 12.0);
}
