//! Workers of a pressure, and what they really take.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use murphy_tests::{Bench, eventually, processes_with};
use nix::unistd::{SysconfVar, sysconf};

const PATIENCE: Duration = Duration::from_secs(60);

/// The workers of everything that runs in a bench: they stand where Murphy stands.
pub fn workers(bench: &Bench) -> Vec<u32> {
    let here =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == bench.path());
    processes_with("pressure-worker").into_iter().filter(here).collect()
}

/// The one worker, once it is there.
pub fn worker(bench: &Bench) -> u32 {
    eventually("there is a worker", PATIENCE, || workers(bench).len() == 1);
    workers(bench)[0]
}

/// Seconds of processor time that a process has had.
pub fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().expect("a clock") as f64;
    (ticks(11) + ticks(12)) / a_second
}

/// Bytes of memory that a process has in its hands.
pub fn resident(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Bytes on disk of the files without a name that a process holds open.
pub fn held_on_disk(pid: u32) -> u64 {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let nameless = open
        .filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().contains(".murphy-")));
    // The file system below a container may count no blocks of a file without a name (fuse-overlayfs); then its length.
    let of = |file: std::fs::Metadata| if file.blocks() == 0 { file.len() } else { file.blocks() * 512 };
    nameless.filter_map(|fd| std::fs::metadata(fd.path()).ok()).map(of).sum()
}
