//! Waiting for what another process brings about, where there is no event to await.

use std::time::{Duration, Instant};

/// Looks again and again until `condition` holds; fails with `what` after `patience`.
#[track_caller]
pub fn eventually(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    until(what, patience, || condition().then_some(()));
}

/// The same for something that is found.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < patience, "not within {patience:?}: {what}");
        // A pause between two looks at another process; nothing in this one could be awaited.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The live processes whose command line contains a text (zombies have none).
pub fn processes_with(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(pid);
        }
    }
    found
}
