//! The undo log of one run: what may be in the world, and how to take it back. Each entry is on disk (fsync) before the
//! deed; a torn last line is a deed that was never done.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use murphy_core::{FaultId, ProcessIdentity, Undo, UndoEntry, UndoId};
use murphy_docker::Environment;
use serde::{Deserialize, Serialize};

/// Why an undo log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UndoLogError {
    /// The file could not be written; the deed must not be done.
    #[error("cannot write the undo log {}: {source}; nothing was done", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read the undo log {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is not the last is not an entry.
    #[error("line {line} of the undo log {} is not an entry of this version: {source}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// The first line of a log: whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process that wrote it.
    pub process: ProcessIdentity,
    /// The scenario, for messages.
    pub scenario: String,
    /// The run's directory, for messages.
    pub run_dir: PathBuf,
    /// Where its container engine is: a later process may have another `DOCKER_HOST`, and would find the containers gone.
    #[serde(default)]
    pub engine: Environment,
}

impl Owner {
    /// How others are told of it, by the locks that it holds.
    pub fn holder(&self) -> String {
        format!("\"{}\", process {}", self.scenario, self.process.pid)
    }
}

/// What a log still asks for, newest first: the order in which it must be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outstanding {
    /// Whose log it is; `None` if even the first line is torn.
    pub owner: Option<Owner>,
    /// What is due.
    pub due: Vec<(UndoId, Undo)>,
}

/// The writing side.
#[derive(Debug)]
pub struct UndoLog {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    next: u64,
}

impl UndoLog {
    /// Creates the log; the file must not exist. The directory entry is synced too, so that a power cut cannot lose it.
    pub fn create(path: &Path, owner: &Owner) -> Result<UndoLog, UndoLogError> {
        let failed = |source| UndoLogError::Write { path: path.to_owned(), source };
        // What takes something back may need a secret, as a command with a password.
        let mut file =
            OpenOptions::new().create_new(true).append(true).mode(0o600).open(path).map_err(failed)?;
        write_synced(&mut file, owner).map_err(failed)?;
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Ok(UndoLog { path: path.to_owned(), inner: Mutex::new(Inner { file, next: 1 }) })
    }

    /// Opens a dead run's log to note what is taken back.
    pub fn reopen(path: &Path) -> Result<UndoLog, UndoLogError> {
        let failed = |source| UndoLogError::Write { path: path.to_owned(), source };
        let mut file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        // Ends a torn last line, and excuses it by the empty line that follows.
        file.write_all(b"\n\n").map_err(failed)?;
        Ok(UndoLog { path: path.to_owned(), inner: Mutex::new(Inner { file, next: u64::MAX }) })
    }

    /// Puts on disk that something is about to be done. Returns only when it is safe to do it.
    pub fn due(&self, fault: Option<&FaultId>, undo: &Undo) -> Result<UndoId, UndoLogError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = UndoId(inner.next);
        let entry = UndoEntry::Due { id, fault: fault.cloned(), undo: undo.clone() };
        write_whole(&mut inner.file, &entry)
            .map_err(|source| UndoLogError::Write { path: self.path.clone(), source })?;
        inner.next += 1;
        Ok(id)
    }

    /// Puts on disk that something has been taken back.
    pub fn done(&self, id: UndoId) -> Result<(), UndoLogError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        write_whole(&mut inner.file, &UndoEntry::Done { id })
            .map_err(|source| UndoLogError::Write { path: self.path.clone(), source })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what a log still asks for.
    pub fn outstanding(path: &Path) -> Result<Outstanding, UndoLogError> {
        let failed = |source| UndoLogError::Read { path: path.to_owned(), source };
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut owner = None;
        let mut due = BTreeMap::new();
        let mut text = Vec::new();
        let mut line = 0;
        // A broken line is excused if it is the last, or if it is followed by a `reopen`'s empty line.
        let mut broken: Option<UndoLogError> = None;
        loop {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(failed)? == 0 {
                break;
            }
            line += 1;
            let whole = text.ends_with(b"\n");
            let content = text.trim_ascii();
            if content.is_empty() {
                broken = None;
                continue;
            }
            if let Some(error) = broken.take() {
                return Err(error);
            }
            let excused = |source| UndoLogError::Line { path: path.to_owned(), line, source };
            if line == 1 {
                match serde_json::from_slice(content) {
                    Ok(parsed) => owner = Some(parsed),
                    Err(source) => broken = Some(excused(source)),
                }
                continue;
            }
            match serde_json::from_slice::<UndoEntry>(content) {
                Ok(UndoEntry::Due { id, undo, .. }) => drop(due.insert(id, undo)),
                Ok(UndoEntry::Done { id }) => drop(due.remove(&id)),
                Err(source) if whole => broken = Some(excused(source)),
                Err(_) => break,
            }
        }
        Ok(Outstanding { owner, due: due.into_iter().rev().collect() })
    }
}

/// As [`write_synced`]; what a full disk took of an entry is cut off again, or the entries after it could not be read.
fn write_whole(file: &mut File, entry: &UndoEntry) -> io::Result<()> {
    let before = file.metadata()?.len();
    write_synced(file, entry).inspect_err(|_| drop(file.set_len(before)))
}

fn write_synced(file: &mut File, entry: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    // One write: a crash leaves a whole line or a torn last one, never two mixed.
    file.write_all(&line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::ServiceName;

    fn owner() -> Owner {
        Owner {
            process: ProcessIdentity { pid: 1, born: 2 },
            scenario: "a scenario".into(),
            run_dir: PathBuf::from("murphy-runs/x"),
            engine: Environment::default(),
        }
    }

    fn stop(marker: &str) -> Undo {
        Undo::StopMarked { marker: marker.into(), service: ServiceName::new("web").unwrap() }
    }

    #[test]
    fn what_is_not_done_is_outstanding_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo.ndjson");
        let log = UndoLog::create(&path, &owner()).unwrap();
        let first = log.due(None, &stop("a")).unwrap();
        log.due(None, &stop("b")).unwrap();
        log.due(None, &stop("c")).unwrap();
        log.done(first).unwrap();
        let outstanding = UndoLog::outstanding(&path).unwrap();
        assert_eq!(outstanding.owner, Some(owner()));
        let undos: Vec<_> = outstanding.due.into_iter().map(|(_, undo)| undo).collect();
        assert_eq!(undos, [stop("c"), stop("b")]);
    }

    #[test]
    fn a_torn_last_line_is_a_deed_that_was_never_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo.ndjson");
        let log = UndoLog::create(&path, &owner()).unwrap();
        log.due(None, &stop("a")).unwrap();
        log.due(None, &stop("b")).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in 1..40 {
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            // Without its line end alone the entry is whole: rather one undo too many than one too few.
            let expected = if cut == 1 { 2 } else { 1 };
            assert_eq!(UndoLog::outstanding(&path).unwrap().due.len(), expected, "cut by {cut}");
            // And a later process can go on writing after the tear.
            let again = UndoLog::reopen(&path).unwrap();
            again.done(UndoId(1)).unwrap();
            assert_eq!(UndoLog::outstanding(&path).unwrap().due.len(), expected - 1, "cut by {cut}");
        }
    }

    #[test]
    fn nobody_else_can_read_a_log_for_it_may_hold_a_secret() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo.ndjson");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        let log = UndoLog::create(&path, &owner()).unwrap();
        assert_eq!(mode(), 0o600, "{:o}", mode());
        log.due(None, &stop("a")).unwrap();
        UndoLog::reopen(&path).unwrap().done(UndoId(1)).unwrap();
        assert_eq!(mode(), 0o600, "{:o}", mode());
    }

    #[test]
    fn a_log_that_exists_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("undo.ndjson");
        UndoLog::create(&path, &owner()).unwrap();
        assert!(matches!(UndoLog::create(&path, &owner()), Err(UndoLogError::Write { .. })));
    }
}
