//! What stands behind an ad hoc command while it acts: its undo log on disk, and a watchdog process that carries the log
//! out if this process dies. It must be open before anything is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use murphy_core::{Timestamp, Undo, UndoId};
use murphy_docker::Environment;
use murphy_host as host;
use murphy_runner::{Base, GuardedLog, Owner, Rest, StateDir, UndoLog};

use crate::error::AdhocError;

/// An open undo log with its guard.
pub(crate) struct Session {
    guarded: GuardedLog,
    name: String,
    owed: usize,
}

/// A daemon has many at a time.
static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// Whose the undo log and the locks are.
pub(crate) fn owner(title: &str, state: &StateDir) -> Owner {
    Owner {
        process: host::myself(),
        scenario: title.to_owned(),
        run_dir: state.path().to_owned(),
        engine: Environment::of_process(),
    }
}

impl Session {
    /// Makes the log and starts the guard. `title` is what `murphy undo` calls it.
    pub(crate) fn open(base: &Base, title: &str) -> Result<Session, AdhocError> {
        let owner = owner(title, &base.state);
        let ordinal = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-by-hand-{}-{ordinal}", Timestamp::now().compact(), owner.process.pid);
        let guarded = GuardedLog::open(&base.state.log_path(&name), &owner, &base.program)?;
        Ok(Session { guarded, name, owed: 0 })
    }

    /// Puts undos on disk, in the order of doing. Only then may the thing be done.
    pub(crate) fn due(&mut self, undos: &[Undo]) -> Result<Vec<(UndoId, Undo)>, AdhocError> {
        let mut ids = Vec::new();
        for undo in undos {
            ids.push((self.guarded.log().due(None, undo)?, undo.clone()));
        }
        // Counted only if all are on disk: else nothing is done, and nothing is owed.
        self.owed += ids.len();
        Ok(ids)
    }

    /// Puts on disk that something is as before.
    pub(crate) fn done(&mut self, id: UndoId) {
        self.owed = self.owed.saturating_sub(1);
        // What cannot be noted is taken back once more by `murphy undo`, which is harmless.
        let _ = self.guarded.log().done(id);
    }

    /// For what writes its undos itself.
    pub(crate) fn log(&self) -> Arc<UndoLog> {
        Arc::clone(self.guarded.log())
    }

    /// A name that no other session has.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Something is owed that it has not written: the log stays.
    pub(crate) fn owe(&mut self) {
        self.owed += 1;
    }

    /// A text by which the guard is known among processes.
    pub(crate) fn mark(&self) -> String {
        self.guarded.log().path().display().to_string()
    }

    /// Lets the guard go; the log goes too if nothing is owed.
    pub(crate) async fn close(self) {
        self.guarded.close(if self.owed == 0 { Rest::Nothing } else { Rest::Something }).await;
    }
}
