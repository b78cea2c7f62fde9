//! What everything that a run does in the networks of others needs: who they are, the undo log, the locks, and what
//! could not be taken back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use murphy_core::{EventKind, NamespaceIdentity, Recorder, Undo, UndoId};
use murphy_netns::TableName;

use crate::callers::{Callers, Found};
use crate::lock::{LockError, Lockable, Locks};
use crate::undo::revert;
use crate::undo_log::UndoLog;

/// What everything that is done in other networks needs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) recorder: Recorder,
    pub(crate) log: Arc<UndoLog>,
    pub(crate) callers: Callers,
    locks: Arc<Locks>,
    /// The run's name, by which its tables are known.
    pub(crate) run: String,
    tables: AtomicU32,
    failures: Mutex<Vec<String>>,
}

impl Site {
    pub(crate) fn new(
        recorder: Recorder,
        log: Arc<UndoLog>,
        callers: Callers,
        locks: Arc<Locks>,
        run: String,
    ) -> Site {
        let (tables, failures) = (AtomicU32::new(0), Mutex::default());
        Site { recorder, log, callers, locks, run, tables, failures }
    }

    /// Locks a target of a fault, or a caller that is sat in on, against other runs: itself, and the network that it may share with others.
    pub(crate) fn lock(&self, target: &Found) -> Result<(), LockError> {
        lock(&self.locks, target)
    }

    /// A network is gone, and its number with it.
    pub(crate) fn release(&self, network: NamespaceIdentity) {
        self.locks.release(&Lockable::Network(network));
    }

    /// The name of the next table of this run.
    pub(crate) fn table(&self) -> TableName {
        TableName::new(&self.run, self.tables.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes one thing back in another network, and notes it.
    pub(crate) async fn take_back(&self, id: UndoId, undo: Undo) -> Result<(), String> {
        match revert(&undo).await {
            Ok(()) => {
                // If this cannot be noted, doing it once more later is harmless.
                let _ = self.log.done(id);
                self.recorder.record(EventKind::Undone { undo });
                Ok(())
            }
            Err(error) => {
                let why = error.to_string();
                self.recorder.record(EventKind::UndoFailed { undo, why: why.clone() });
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(why.clone());
                Err(why)
            }
        }
    }

    /// What could not be taken back so far.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Locks one that is found: itself, and the network that it may share with others.
pub(crate) fn lock(locks: &Locks, target: &Found) -> Result<(), LockError> {
    locks.take(&target.owner)?;
    locks.take(&Lockable::Network(target.namespace))
}
