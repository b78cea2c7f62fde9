//! An undo log with a watchdog process over it, which carries the log out if this process dies. It must be open before
//! anything is touched.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::undo_log::{Owner, UndoLog, UndoLogError};
use crate::watchdog::Watchdog;

/// Why there is no guarded log, so that nothing may be done.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The log cannot be written.
    #[error(transparent)]
    UndoLog(#[from] UndoLogError),
    /// The second process could not be started.
    #[error("cannot start the watchdog process: {source}; nothing was done")]
    Watchdog {
        /// What the system said.
        source: io::Error,
    },
}

/// Whether something that the log asks for may still be in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// All is as before: the log goes.
    Nothing,
    /// The log stays, for `murphy undo`.
    Something,
}

/// An open undo log with its guard. Dropped without [`GuardedLog::close`], it leaves everything to the guard.
#[derive(Debug)]
pub struct GuardedLog {
    log: Arc<UndoLog>,
    all_well: CancellationToken,
    guards: JoinSet<()>,
}

impl GuardedLog {
    /// Makes the log and starts the guard; `program` is this binary. Must be called inside a runtime.
    pub fn open(path: &Path, owner: &Owner, program: &Path) -> Result<GuardedLog, GuardError> {
        let log = Arc::new(UndoLog::create(path, owner)?);
        let watchdog = match Watchdog::start(program, path) {
            Ok(watchdog) => watchdog,
            Err(source) => {
                // It asks for nothing yet; one that stays is removed by whoever finds its owner dead.
                let _ = std::fs::remove_file(path);
                return Err(GuardError::Watchdog { source });
            }
        };
        let all_well = CancellationToken::new();
        let mut guards = JoinSet::new();
        guards.spawn(murphy_core::boxed(watchdog.keep(all_well.clone())));
        Ok(GuardedLog { log, all_well, guards })
    }

    /// The log.
    pub fn log(&self) -> &Arc<UndoLog> {
        &self.log
    }

    /// Lets the guard go.
    pub async fn close(self, rest: Rest) {
        self.all_well.cancel();
        self.guards.join_all().await;
        if rest == Rest::Nothing {
            // One that stays asks for nothing.
            let _ = std::fs::remove_file(self.log.path());
        }
    }
}
