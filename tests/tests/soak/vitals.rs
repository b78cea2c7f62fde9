//! What the daemon's process uses, from `/proc`.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    pub(crate) descriptors: usize,
    pub(crate) memory_kib: u64,
}

pub(crate) fn look(pid: Pid) -> Vitals {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process has memory");
    let memory_kib = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    Vitals { descriptors, memory_kib }
}

/// Looks every tenth of a second.
pub(crate) fn follow(pid: Pid, time: Duration) -> Vec<Vitals> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < time {
        seen.push(look(pid));
        // A pause between two looks at another process; nothing in this one could be awaited.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    seen
}

/// The last quarter must not need more than the quarter before it by more than chance explains: a leak grows for ever,
/// and what is held at a time is bounded.
pub(crate) fn assert_flat(seen: &[Vitals]) {
    let most = |part: &[Vitals]| {
        let descriptors = part.iter().map(|vitals| vitals.descriptors).max().unwrap_or_default();
        let memory = part.iter().map(|vitals| vitals.memory_kib).max().unwrap_or_default();
        (descriptors, memory)
    };
    let quarter = seen.len() / 4;
    let (before, last) = (most(&seen[quarter * 2..quarter * 3]), most(&seen[quarter * 3..]));
    assert!(last.0 <= before.0 + before.0 / 2 + 20, "descriptors grew: {before:?} to {last:?}");
    assert!(last.1 <= before.1 + before.1 / 2 + 16 * 1024, "memory grew (KiB): {before:?} to {last:?}");
}
