//! Locks by target: two runs on one machine never break the same container or process at a time, and never bring up the
//! same stack. A lock is a file in the state directory that the kernel frees when its holder dies, however it dies.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use murphy_core::{ContainerIdentity, NamespaceIdentity, ProcessIdentity};

use crate::state::{StateDir, StateError};

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockable {
    /// A container.
    Container(ContainerIdentity),
    /// A process.
    Process(ProcessIdentity),
    /// A network namespace, which several containers may share. The kernel gives a freed number out again: to be released
    /// when the network is gone.
    Network(NamespaceIdentity),
    /// One thing that this machine has, by the name of the pressure on it.
    Machine(&'static str),
    /// A compose project, while it is brought up, used and taken down by its run.
    Project(String),
}

impl Lockable {
    fn file_name(&self) -> String {
        match self {
            Lockable::Container(container) => format!("container-{}.lock", container.id),
            Lockable::Process(process) => format!("process-{}-{}.lock", process.pid, process.born),
            Lockable::Network(network) => format!("network-{}.lock", network.inode),
            Lockable::Machine(pressure) => format!("machine-{pressure}.lock"),
            Lockable::Project(project) => format!("project-{project}.lock"),
        }
    }
}

impl fmt::Display for Lockable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lockable::Container(container) => write!(f, "container {container}"),
            Lockable::Process(process) => write!(f, "process {}", process.pid),
            Lockable::Network(network) => write!(f, "the network of process {}", network.process.pid),
            Lockable::Machine(pressure) => write!(f, "{pressure} of this machine"),
            Lockable::Project(project) => write!(f, "compose project {project}"),
        }
    }
}

/// Why something is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("{what} is in the hands of another run ({holder}); wait for it to end, or choose another target")]
    Held {
        /// What.
        what: Lockable,
        /// Who has it.
        holder: String,
    },
    /// The lock's file cannot be used.
    #[error("cannot lock {what} by {}: {source}", path.display())]
    File {
        /// What.
        what: Lockable,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its last holder died, and what it did is not taken back.
    #[error(transparent)]
    Left(#[from] StateError),
}

/// The locks of one run. They are held until this is dropped.
#[derive(Debug)]
pub struct Locks {
    state: StateDir,
    holder: String,
    /// By the name of the file: one container may have been found under two names.
    held: Mutex<BTreeMap<String, Held>>,
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    // Locked for as long as it is open.
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Before the lock goes: whoever opened the file meanwhile sees that it is gone, and makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}

impl Locks {
    /// None yet. `holder` is how others are told of this run.
    pub fn new(state: &StateDir, holder: &str) -> Locks {
        Locks { state: state.clone(), holder: holder.to_owned(), held: Mutex::default() }
    }

    /// Takes a lock; one that this run has already is no error.
    pub fn take(&self, what: &Lockable) -> Result<(), LockError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let name = what.file_name();
        if held.contains_key(&name) {
            return Ok(());
        }
        let path = self.state.path().join(&name);
        let failed = |source| LockError::File { what: what.clone(), path: path.clone(), source };
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    let holder = if holder.is_empty() {
                        "it has just begun".to_owned()
                    } else {
                        holder.trim().to_owned()
                    };
                    return Err(LockError::Held { what: what.clone(), holder });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            if !is_still_there(&path, &file) {
                continue;
            }
            let mut before = String::new();
            let _ = file.read_to_string(&mut before);
            if !before.is_empty() {
                // Its holder died with the lock in hand; its watchdog may be at work at this moment.
                self.state.refuse_leftovers()?;
            }
            let written =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", self.holder));
            // A full disk does not unlock it: the name is for people.
            drop(written);
            held.insert(name, Held { path, _file: file });
            return Ok(());
        }
    }

    /// Gives a lock back before the end; one that is not held is no error.
    pub(crate) fn release(&self, what: &Lockable) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&what.file_name());
    }
}

/// Removes the files of locks that a dead `holder` had; the locks themselves are free since its death. To be called before
/// its undo log is removed: until then nobody else takes them.
pub(crate) fn sweep(state: &Path, holder: &str) {
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "lock") {
            continue;
        }
        let Ok(mut file) = File::open(&path) else { continue };
        let mut text = String::new();
        if file.read_to_string(&mut text).is_ok() && text.trim() == holder && file.try_lock().is_ok() {
            // Left where it is, it does no harm.
            let _ = fs::remove_file(&path);
        }
    }
}

/// False if the file was removed by its holder between our opening and our locking it.
fn is_still_there(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Lockable {
        Lockable::Container(ContainerIdentity { id: "ab".repeat(32), name: "web".into() })
    }

    #[test]
    fn one_target_is_in_one_hand_at_a_time_and_the_other_is_told_whose() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        let first = Locks::new(&state, "\"a slow cache\", process 7");
        let second = Locks::new(&state, "another");
        first.take(&web()).unwrap();
        first.take(&web()).unwrap();
        let error = second.take(&web()).unwrap_err().to_string();
        assert!(error.contains("web") && error.contains("a slow cache"), "{error}");
        second.take(&Lockable::Project("shop".into())).unwrap();
        drop(first);
        second.take(&web()).unwrap();
        drop(second);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file is left");
    }

    #[test]
    fn one_container_under_two_names_is_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        let renamed = Lockable::Container(ContainerIdentity { id: "ab".repeat(32), name: "web-old".into() });
        let locks = Locks::new(&state, "a run");
        locks.take(&web()).unwrap();
        locks.take(&renamed).unwrap();
        Locks::new(&state, "another").take(&renamed).unwrap_err();
    }

    #[test]
    fn a_network_is_one_target_whoever_lives_in_it_until_it_is_released() {
        let network = |pid| {
            let process = ProcessIdentity { pid, born: 1 };
            Lockable::Network(NamespaceIdentity { inode: 4_026_532_000, process })
        };
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        let (first, second) = (Locks::new(&state, "a run"), Locks::new(&state, "another"));
        first.take(&network(7)).unwrap();
        second.take(&network(8)).unwrap_err();
        first.release(&network(9));
        first.release(&network(9));
        second.take(&network(8)).unwrap();
    }

    #[test]
    fn a_lock_whose_holder_died_is_free_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        fs::write(dir.path().join(web().file_name()), "a dead run\n").unwrap();
        Locks::new(&state, "the living").take(&web()).unwrap();
    }

    #[test]
    fn only_what_the_dead_held_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        let alive = Locks::new(&state, "the living");
        alive.take(&web()).unwrap();
        let dead = dir.path().join(Lockable::Project("shop".into()).file_name());
        fs::write(&dead, "a dead run\n").unwrap();
        sweep(dir.path(), "the living");
        sweep(dir.path(), "somebody else");
        assert!(dead.exists() && dir.path().join(web().file_name()).exists());
        sweep(dir.path(), "a dead run");
        assert!(!dead.exists());
    }

    #[test]
    fn of_many_at_once_exactly_one_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path().to_owned()).unwrap();
        let inside = std::sync::atomic::AtomicI32::new(0);
        let taken = std::sync::atomic::AtomicI32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let locks = Locks::new(&state, "x");
                        if locks.take(&web()).is_ok() {
                            use std::sync::atomic::Ordering::SeqCst;
                            assert_eq!(inside.fetch_add(1, SeqCst), 0);
                            taken.fetch_add(1, SeqCst);
                            inside.fetch_sub(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
