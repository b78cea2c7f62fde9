//! What the daemon's process uses: from `/proc`, and its tasks from its metrics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::http;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    pub(crate) descriptors: usize,
    pub(crate) memory_kib: u64,
    pub(crate) tasks: u64,
}

pub(crate) fn look(pid: Pid, api: SocketAddr) -> Vitals {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process has memory");
    let memory_kib = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    let metrics = http::call(api, "GET", "/metrics", "").body;
    let line = metrics.lines().find(|line| line.starts_with("go_goroutines ")).expect("tasks are counted");
    let tasks = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    Vitals { descriptors, memory_kib, tasks }
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

/// KiB of memory that chance explains.
const MEMORY: u64 = 16 * 1024;

/// By how much more than before something may be without having grown.
fn allowed(before: u64, chance: u64) -> u64 {
    before + before / 2 + chance
}

/// The last quarter must not need more than the quarter before it by more than chance explains: a leak grows for ever,
/// and what is held at a time is bounded.
pub(crate) fn assert_flat(seen: &[Vitals]) {
    let quarter = seen.len() / 4;
    let (before, last) = (&seen[quarter * 2..quarter * 3], &seen[quarter * 3..]);
    let held = |name: &str, what: fn(&Vitals) -> u64, chance: u64| {
        let (before, last) = (most(before, what), most(last, what));
        eprintln!("{name}: at most {before} in the third quarter, {last} in the last");
        assert!(last <= allowed(before, chance), "{name} grew: {before} to {last}");
    };
    held("descriptors", |vitals| vitals.descriptors as u64, 20);
    held("tasks", |vitals| vitals.tasks, 20);
    held("KiB of memory", |vitals| vitals.memory_kib, MEMORY);
}

/// When all is over, no more memory is left than the first quarter needed with all that was under way then.
pub(crate) fn assert_let_go(seen: &[Vitals], end: Vitals) {
    let first = most(&seen[..seen.len() / 4], |vitals| vitals.memory_kib);
    let left = end.memory_kib;
    assert!(
        left <= allowed(first, MEMORY),
        "memory grew: at most {first} KiB in the first quarter, {left} KiB at the end"
    );
}

fn most(part: &[Vitals], what: fn(&Vitals) -> u64) -> u64 {
    part.iter().map(what).max().unwrap_or_default()
}
