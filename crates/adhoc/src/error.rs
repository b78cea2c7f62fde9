//! Why something was not done by hand. Each message says what, and what to type instead.

use murphy_docker::{ActError, EngineError, FindError, SelectError};
use murphy_runner::{GuardError, LockError, RunError, StateError, UndoLogError};

/// Why nothing was done, or not all of it. Whatever had been done is taken back.
#[derive(Debug, thiserror::Error)]
pub enum AdhocError {
    /// The engine does not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No container is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A container cannot be treated like that.
    #[error(transparent)]
    Act(#[from] ActError),
    /// No process is meant.
    #[error(transparent)]
    FindProcess(#[from] murphy_host::FindError),
    /// All processes that match are excluded.
    #[error("all that {target} matches is excluded: narrow `--exclude`")]
    AllExcluded {
        /// Whom.
        target: String,
    },
    /// More were asked for than there are.
    #[error("asked to pick {wanted} of {target}, but only {} can be touched: {}", .found.len(), .found.join(", "))]
    TooFew {
        /// Whom.
        target: String,
        /// How many were asked for.
        wanted: u32,
        /// Those that are there.
        found: Vec<String>,
    },
    /// More would be touched than the cap allows.
    #[error(
        "{target} would touch {count} {what}, and at most {max} may be: {}; narrow it, or raise the maximum",
        .found.join(", ")
    )]
    OverMax {
        /// Whom.
        target: String,
        /// How many would be touched.
        count: usize,
        /// `processes` or `networks`.
        what: &'static str,
        /// The cap.
        max: u32,
        /// Their names.
        found: Vec<String>,
    },
    /// A network cannot be treated like that.
    #[error(transparent)]
    Network(#[from] RunError),
    /// Many would be touched, and nobody agreed to it.
    #[error(
        "{deed} would touch {} targets at once: {}; if that is meant, add --yes, else narrow it (--pick, --exclude)",
        .targets.len(), .targets.join(", ")
    )]
    NotAgreed {
        /// What.
        deed: String,
        /// Their names.
        targets: Vec<String>,
    },
    /// The machine has not so much to spare.
    #[error(transparent)]
    Pressure(#[from] murphy_host::PressureError),
    /// A container has not so much to spare.
    #[error("{container}: {source}")]
    PressureIn {
        /// Which.
        container: String,
        /// Why.
        source: murphy_host::PressureError,
    },
    /// A container cannot be entered.
    #[error(transparent)]
    Inside(#[from] murphy_runner::InsideError),
    /// No undo can be put on disk, so nothing may be done.
    #[error(transparent)]
    UndoLog(#[from] UndoLogError),
    /// Something of an earlier run is in the way.
    #[error(transparent)]
    State(#[from] StateError),
    /// A target is in other hands.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The same at the beginning, or nobody watches over the undo log.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A signal came before anything was done.
    #[error("interrupted before anything was done")]
    Interrupted,
}

impl AdhocError {
    /// True if the targets cannot be meant so, whatever the world does: none of that name, or too many.
    pub fn is_about_targets(&self) -> bool {
        match self {
            AdhocError::Find(FindError::Select(error)) => !matches!(error, SelectError::NotRunning { .. }),
            error => matches!(
                error,
                AdhocError::OverMax { .. } | AdhocError::TooFew { .. } | AdhocError::AllExcluded { .. }
            ),
        }
    }

    /// True if the engine is why: it is not there, or did not answer.
    pub fn is_engine(&self) -> bool {
        matches!(
            self,
            AdhocError::Engine(_)
                | AdhocError::Find(FindError::Engine(_))
                | AdhocError::Act(ActError::Engine(_))
                | AdhocError::Network(RunError::Engine(_))
        )
    }
}
