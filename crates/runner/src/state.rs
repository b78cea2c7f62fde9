//! Where runs leave their undo logs, so that any later process finds what a dead one left behind.
//!
//! One log a run, named after it. A log whose owner lives belongs to a run in progress; one whose owner is dead and that
//! still asks for something is a leftover, and no new run starts over it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use murphy_core::Undo;
use murphy_docker::Environment;
use murphy_host as host;

use crate::lock::sweep;
use crate::undo::Reverter;
use crate::undo_log::{Owner, UndoLog, UndoLogError};

/// Why a run may not start, or the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be used.
    #[error("cannot use the state directory {}: {source}; set MURPHY_STATE_DIR to one that can be written", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] UndoLogError),
    /// A dead run left something behind.
    #[error("an earlier run was not taken back:{}\n  take it back first: murphy undo", listed(leftovers))]
    Leftovers {
        /// What is there.
        leftovers: Vec<Leftover>,
    },
}

fn listed(leftovers: &[Leftover]) -> String {
    leftovers.iter().map(|leftover| format!("\n    {leftover}")).collect()
}

/// What one dead run left behind.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Its log.
    pub log: PathBuf,
    /// Whose it was, if the first line can be read.
    pub owner: Option<Owner>,
    /// What is due, newest first.
    pub due: Vec<(murphy_core::UndoId, Undo)>,
}

impl Leftover {
    /// Takes it back, with the engine that its owner had.
    pub fn reverter(&self) -> Reverter {
        Reverter::new(self.owner.as_ref().map_or_else(Environment::of_process, |owner| owner.engine.clone()))
    }

    /// To be called when all of it is taken back: its log and what else it left in the state directory go.
    pub fn clear(&self) {
        if let (Some(owner), Some(state)) = (&self.owner, self.log.parent()) {
            sweep(state, &owner.holder());
        }
        // A log that asks for nothing does no harm.
        let _ = fs::remove_file(&self.log);
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "\"{}\" (process {}, dead)", owner.scenario, owner.process.pid)?,
            None => write!(f, "{}", self.log.display())?,
        }
        write!(f, ": {} to take back", self.due.len())
    }
}

/// The folder of undo logs.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

const SUFFIX: &str = ".undo.ndjson";

impl StateDir {
    /// `MURPHY_STATE_DIR`, else the XDG state home, else a folder of this user in the temporary directory.
    pub fn from_environment() -> Result<StateDir, StateError> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = variable("MURPHY_STATE_DIR")
            .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("murphy")))
            .or_else(|| variable("HOME").map(|home| home.join(".local/state/murphy")))
            .unwrap_or_else(|| std::env::temp_dir().join(format!("murphy-{}", nix::unistd::getuid())));
        StateDir::at(path)
    }

    /// A folder of one's own choice; created as needed.
    pub fn at(path: PathBuf) -> Result<StateDir, StateError> {
        fs::create_dir_all(&path).map_err(|source| StateError::Directory { path: path.clone(), source })?;
        Ok(StateDir { path })
    }

    /// The log of a run.
    pub fn log_path(&self, run: &str) -> PathBuf {
        self.path.join(format!("{run}{SUFFIX}"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What dead runs left behind. Logs of dead runs that ask for nothing are removed on the way.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, StateError> {
        let failed = |source| StateError::Directory { path: self.path.clone(), source };
        let mut logs: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX)) {
                logs.push(path);
            }
        }
        murphy_core::sort_short(&mut logs, Ord::cmp);
        let mut leftovers = Vec::new();
        for log in logs {
            let outstanding = match UndoLog::outstanding(&log) {
                Ok(outstanding) => outstanding,
                // The run that owned it ended between the listing and the reading.
                Err(UndoLogError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if outstanding.owner.as_ref().is_some_and(|owner| host::is_alive(&owner.process)) {
                continue;
            }
            let leftover = Leftover { log, owner: outstanding.owner, due: outstanding.due };
            if leftover.due.is_empty() {
                leftover.clear();
            } else {
                leftovers.push(leftover);
            }
        }
        Ok(leftovers)
    }

    /// An error if there is anything to take back first.
    pub fn refuse_leftovers(&self) -> Result<(), StateError> {
        let leftovers = self.leftovers()?;
        if leftovers.is_empty() { Ok(()) } else { Err(StateError::Leftovers { leftovers }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{ProcessIdentity, ServiceName};

    fn log_of(state: &StateDir, run: &str, process: ProcessIdentity, due: usize) {
        let owner =
            Owner { process, scenario: run.into(), run_dir: PathBuf::from("x"), engine: Default::default() };
        let log = UndoLog::create(&state.log_path(run), &owner).unwrap();
        for n in 0..due {
            let service = ServiceName::new("web").unwrap();
            log.due(None, &Undo::StopMarked { marker: format!("{run}.{n}"), service }).unwrap();
        }
    }

    #[test]
    fn only_what_a_dead_run_still_owes_is_a_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().join("state")).unwrap();
        let alive = host::identity_of(std::process::id() as i32).unwrap();
        let dead = ProcessIdentity { pid: alive.pid, born: alive.born + 1 };
        log_of(&state, "in-progress", alive, 1);
        log_of(&state, "dead-and-clean", dead, 0);
        assert!(state.refuse_leftovers().is_ok());
        assert!(!state.log_path("dead-and-clean").exists(), "a log that asks for nothing is removed");
        log_of(&state, "dead-and-dirty", dead, 2);
        let error = state.refuse_leftovers().unwrap_err().to_string();
        assert!(error.contains("dead-and-dirty") && error.contains("murphy undo"), "{error}");
    }
}
