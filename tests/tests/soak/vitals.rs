//! What the daemon's process uses: from `/proc`, and its tasks from its metrics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::flat::{Chance, Medians, medians, trend};
use crate::http;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    pub(crate) descriptors: u64,
    pub(crate) memory_kib: u64,
    pub(crate) tasks: u64,
}

pub(crate) fn look(pid: Pid, api: SocketAddr) -> Vitals {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count() as u64;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process has memory");
    let memory_kib = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    let metrics = http::call(api, "GET", "/metrics", "").body;
    let line = metrics.lines().find(|line| line.starts_with("go_goroutines ")).expect("tasks are counted");
    let tasks = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    Vitals { descriptors, memory_kib, tasks }
}

/// How many connections the daemon says are open on a proxy.
pub(crate) fn open_connections(api: SocketAddr, proxy: &str) -> u64 {
    let shown = http::call(api, "GET", &format!("/v1/proxies/{proxy}"), "");
    let shown: serde_json::Value = serde_json::from_str(&shown.body).expect("a proxy as JSON");
    shown["traffic"]["open"].as_u64().unwrap_or_else(|| panic!("no connections are counted: {shown}"))
}

/// What is used while nobody does anything: the least of some looks, for the connection of the call before may still be open.
pub(crate) fn at_rest(pid: Pid, api: SocketAddr) -> Vitals {
    let looks = (0..10).map(|_| {
        std::thread::park_timeout(Duration::from_millis(20));
        look(pid, api)
    });
    let least = |one: Vitals, other: Vitals| Vitals {
        descriptors: one.descriptors.min(other.descriptors),
        memory_kib: one.memory_kib.min(other.memory_kib),
        tasks: one.tasks.min(other.tasks),
    };
    looks.reduce(least).expect("it was looked")
}

/// Looks every tenth of a second.
pub(crate) fn follow(pid: Pid, api: SocketAddr, time: Duration) -> Vec<Vitals> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < time {
        seen.push(look(pid, api));
        // A pause between two looks at another process; nothing in this one could be awaited.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    seen
}

/// Of eight callers each has a connection or none, and edits decide how long it stays: in runs of 20 and 150 s on a busy machine the
/// medians have differed by 3 descriptors, 2 tasks and 1.1 MiB at most.
pub(crate) const DESCRIPTORS: Chance = Chance(8);
const TASKS: Chance = Chance(8);
const MEMORY_KIB: Chance = Chance(3 * 1024);

fn of(seen: &[Vitals], what: fn(&Vitals) -> u64) -> Vec<u64> {
    seen.iter().map(what).collect()
}

/// Descriptors, tasks and memory show no trend beside all that goes on.
pub(crate) fn assert_flat(seen: &[Vitals]) {
    let mut grown = Vec::new();
    for (name, what, chance) in [
        ("descriptors", (|vitals| vitals.descriptors) as fn(&Vitals) -> u64, DESCRIPTORS),
        ("tasks", |vitals| vitals.tasks, TASKS),
        ("KiB of memory", |vitals| vitals.memory_kib, MEMORY_KIB),
    ] {
        let values = of(seen, what);
        let Medians { second, last } = medians(&values);
        eprintln!(
            "{name}: median {second} in the second third, {last} in the last; {} may be chance",
            chance.0
        );
        grown.extend(trend(name, &values, chance));
    }
    assert!(grown.is_empty(), "{}", grown.join("; "));
}

/// When all is over, no more memory is left than was needed while all was under way.
pub(crate) fn assert_let_go(seen: &[Vitals], end: Vitals) {
    let before = medians(&of(seen, |vitals| vitals.memory_kib)).second;
    let left = end.memory_kib;
    assert!(
        left <= before + MEMORY_KIB.0,
        "memory grew: {before} KiB in the second third, {left} KiB at the end"
    );
}
