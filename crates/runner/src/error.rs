//! Why a run could not be carried out. Each message says what, where and what to do.

use std::io;
use std::path::PathBuf;

use murphy_core::{EdgeName, FaultId, ServiceName};
use murphy_docker::{ComposeError, EngineError, FindError};

use crate::{GuardError, Lack, LockError, StateError, UndoLogError};

/// Why a run could not be carried out: exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run's folder cannot be made.
    #[error("cannot create the run directory {}: {source}; give another with --report-dir", path.display())]
    RunDirectory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal or a file beside it cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No undo can be put on disk, so nothing may be done.
    #[error(transparent)]
    UndoLog(#[from] UndoLogError),
    /// The same at the beginning, or nobody watches over the undo log.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Something of an earlier run is in the way.
    #[error(transparent)]
    State(#[from] StateError),
    /// The run needs what this machine cannot do. Nothing was begun.
    #[error(
        "this run cannot be carried out here:{}\n  `murphy doctor` says what works on this machine",
        listed(lacks)
    )]
    Unable {
        /// All that is lacking.
        lacks: Vec<Lack>,
    },
    /// A caller cannot be sat in on.
    #[error("edge {edge}: {why}")]
    SitIn {
        /// Which.
        edge: EdgeName,
        /// Why, and what to do.
        why: String,
    },
    /// TLS on an edge cannot be set up.
    #[error("tls of edge {edge}: {why}")]
    Tls {
        /// Which.
        edge: EdgeName,
        /// Why, and what to do.
        why: String,
    },
    /// A proxy cannot listen.
    #[error("{why}")]
    Listen {
        /// For which edge.
        edge: EdgeName,
        /// What is in the way and what to do.
        why: String,
    },
    /// A service cannot be started.
    #[error("service {service} could not be started: {why}")]
    Spawn {
        /// Which.
        service: ServiceName,
        /// Why.
        why: String,
    },
    /// A service died before it was ready.
    #[error(
        "service {service} died before it was ready ({status}); its last output:{}",
        indented(last_output)
    )]
    DiedEarly {
        /// Which.
        service: ServiceName,
        /// `exit code 1` or `signal 9`.
        status: String,
        /// The last lines that it wrote.
        last_output: Vec<String>,
    },
    /// A service did not get ready in time.
    #[error(
        "service {service} was not ready within {within} ({saw}); its last output:{}\n  \
         if it only needs longer, raise `within:` of the service",
        indented(last_output)
    )]
    NotReady {
        /// Which.
        service: ServiceName,
        /// How long it had.
        within: murphy_core::Span,
        /// The last answer to the ready check.
        saw: String,
        /// The last lines that it wrote.
        last_output: Vec<String>,
    },
    /// A load or probe cannot be made from the plan.
    #[error("{what}: {why}")]
    Setup {
        /// `load browse`, for example.
        what: String,
        /// Why.
        why: String,
    },
    /// The container engine is not there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The stack cannot be brought up, or did not get healthy.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The stack was to run already.
    #[error("the compose project `{project}` is not running; bring it up, or write `up: true` in `stack:`")]
    StackDown {
        /// Its name.
        project: String,
    },
    /// A fault finds no container.
    #[error("fault {fault} has no target: {source}")]
    Target {
        /// Which.
        fault: FaultId,
        /// Why.
        source: FindError,
    },
    /// A target is in other hands.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A fault could not be put into the world.
    #[error("fault {fault} could not be applied: {why}")]
    Inject {
        /// Which.
        fault: FaultId,
        /// Why.
        why: String,
    },
}

fn listed(lacks: &[Lack]) -> String {
    lacks.iter().map(|lack| format!("\n    {lack}")).collect()
}

fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return " (none)".to_owned();
    }
    lines.iter().map(|line| format!("\n    | {line}")).collect()
}
