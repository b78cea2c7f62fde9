//! Processes that carry a mark in their environment: what a run started and all that came of it, also grandchildren
//! that left the process group or made a session of their own. A mark can be chosen, and put on disk, before the process
//! exists; a pid cannot.
//!
//! It must never signal a process whose start environment does not carry exactly the mark.

use std::fs;
use std::time::{Duration, Instant};

use murphy_core::{ProcessIdentity, Span};

use crate::group::StopError;
use crate::process::identity_of;
use crate::signal::{SendError, Signal, send};
use crate::stat::Stat;

/// The variable that carries the mark.
pub const MARK_VARIABLE: &str = "MURPHY_RUN";

/// How long a process may take to vanish after SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// This process.
pub fn myself() -> ProcessIdentity {
    let pid = std::process::id() as i32;
    // A process can always read its own status line; the fallback only keeps this total.
    identity_of(pid).unwrap_or(ProcessIdentity { pid, born: 0 })
}

/// The running processes that carry the mark, by pid. Processes of other users are seen by root only.
pub fn marked(mark: &str) -> Vec<ProcessIdentity> {
    let entry = format!("{MARK_VARIABLE}={mark}");
    Stat::all()
        .into_iter()
        .filter(|stat| stat.is_running() && carries(stat.pid, entry.as_bytes()))
        .map(|stat| stat.identity())
        .collect()
}

fn carries(pid: i32, entry: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| variable == entry)
}

/// Ends everything that carries the mark: SIGTERM (and SIGCONT, so that a frozen one can hear it), after the grace
/// SIGKILL. Returns when nobody was there in two looks in a row: one that was between fork and exec at the first look
/// carries the mark by the second.
pub async fn stop_marked(mark: &str, grace: Span) -> Result<(), StopError> {
    let begun = Instant::now();
    let mut asked: Vec<ProcessIdentity> = Vec::new();
    let mut empty_looks = 0;
    loop {
        let running = marked(mark);
        let elapsed = begun.elapsed();
        if running.is_empty() {
            empty_looks += 1;
            if empty_looks == 2 {
                return Ok(());
            }
        } else {
            empty_looks = 0;
            if elapsed > grace.as_duration() + KILL_PATIENCE {
                return Err(StopError::Stuck { pids: running.iter().map(|process| process.pid).collect() });
            }
        }
        for process in running {
            if elapsed >= grace.as_duration() {
                settled(send(&process, Signal::KILL))?;
            } else if !asked.contains(&process) {
                settled(send(&process, Signal::TERM))?;
                settled(send(&process, Signal::CONT))?;
                asked.push(process);
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One that is gone by now is as good as signalled.
fn settled(sent: Result<(), SendError>) -> Result<(), SendError> {
    match sent {
        Err(SendError::Gone { .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    #[tokio::test]
    async fn a_grandchild_in_a_session_of_its_own_is_found_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("test-{}-{}", std::process::id(), line!());
        let ready = dir.path().join("ready");
        let script = format!(
            "setsid sh -c 'trap \"\" TERM; touch {}; while :; do sleep 1; done' & sleep 600",
            ready.display()
        );
        let mut command = Command::new(["sh", "-c", &script], dir.path().join("log"));
        command.env.insert(MARK_VARIABLE.to_owned(), mark.clone());
        let mut child = command.start().unwrap();
        while !ready.exists() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        assert!(marked(&mark).len() >= 3, "{:?}", marked(&mark));
        assert!(marked("another").is_empty());
        let (stopped, _) = tokio::join!(stop_marked(&mark, Span::from_millis(200)), child.wait());
        stopped.unwrap();
        assert!(marked(&mark).is_empty());
    }
}
