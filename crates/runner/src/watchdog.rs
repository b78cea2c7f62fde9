//! A second process that outlives this one. It holds the reading end of a pipe; when the pipe closes without the word
//! that all is well, the run has died, and the watchdog takes everything back that the undo log asks for.
//!
//! It is the same binary (`murphy watchdog`), in a session of its own, so that a closed terminal does not reach it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use murphy_docker::Environment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::lock::sweep;
use crate::undo::Reverter;
use crate::undo_log::{UndoLog, UndoLogError};

/// The word that all is well.
const ALL_WELL: &[u8] = b"all well\n";

/// The guard of one run.
#[derive(Debug)]
pub struct Watchdog {
    program: PathBuf,
    log: PathBuf,
    guard: Guard,
}

/// One watchdog process. The pipe is kept apart from the child: tokio closes a child's standard input when it is waited
/// for, and to the watchdog that would be the run's death.
#[derive(Debug)]
struct Guard {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts it. `program` is this binary.
    pub fn start(program: &Path, log: &Path) -> io::Result<Watchdog> {
        Ok(Watchdog { program: program.to_owned(), log: log.to_owned(), guard: Guard::start(program, log)? })
    }

    /// Sees to it that a watchdog is there until `end`: one that is killed is replaced. Then says that all is well.
    pub async fn keep(mut self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                _ = self.guard.child.wait() => match Guard::start(&self.program, &self.log) {
                    Ok(guard) => self.guard = guard,
                    // Nothing more can be done here; `murphy undo` remains.
                    Err(_) => return end.cancelled().await,
                },
            }
        }
        if let Some(mut pipe) = self.guard.pipe.take() {
            let _ = pipe.write_all(ALL_WELL).await;
            let _ = pipe.shutdown().await;
        }
        let _ = self.guard.child.wait().await;
    }
}

impl Guard {
    fn start(program: &Path, log: &Path) -> io::Result<Guard> {
        let mut child = Command::new(program)
            .arg("watchdog")
            .arg(log)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        Ok(Guard { child, pipe })
    }
}

/// The watchdog's own life: waits on `pipe`, then either leaves in peace or takes back what the log asks for, newest
/// first, and removes the log when nothing is left to do. Returns how many undos failed.
pub async fn watch_and_revert(
    mut pipe: impl tokio::io::AsyncRead + Unpin,
    log: &Path,
) -> Result<usize, UndoLogError> {
    // Its own session: neither a closed terminal nor a job-control signal reaches it. Fails only for a group leader that
    // has one already, which is as good.
    let _ = nix::unistd::setsid();
    let mut said = Vec::new();
    // A read error means that the other end is gone as surely as an end of file does.
    let _ = pipe.read_to_end(&mut said).await;
    if said.ends_with(ALL_WELL) {
        return Ok(0);
    }
    take_back(log).await
}

/// Takes back everything that a log asks for; the log is removed if all went well. Returns how many undos failed.
pub(crate) async fn take_back(log: &Path) -> Result<usize, UndoLogError> {
    let outstanding = UndoLog::outstanding(log)?;
    // What cannot be noted (a full disk) is taken back all the same: doing it once more later is harmless.
    let writer = UndoLog::reopen(log).ok();
    let owner = outstanding.owner.as_ref();
    let environment = owner.map_or_else(Environment::of_process, |owner| owner.engine.clone());
    let reverter = Reverter::new(environment);
    let mut failed = 0;
    let died = Instant::now();
    let mut reverted = Vec::new();
    for (id, undo) in &outstanding.due {
        match reverter.revert(undo).await {
            Ok(()) => reverted.push((id, undo)),
            Err(_) => failed += 1,
        }
    }
    for (id, undo) in reverted {
        match reverter.revert_once_more(undo, died).await {
            Ok(()) => drop(writer.as_ref().map(|writer| writer.done(*id))),
            Err(_) => failed += 1,
        }
    }
    if failed == 0 {
        if let (Some(owner), Some(state)) = (owner, log.parent()) {
            sweep(state, &owner.holder());
        }
        let _ = std::fs::remove_file(log);
    }
    Ok(failed)
}
