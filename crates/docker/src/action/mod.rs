//! Acts on containers in three steps: prepare (look, and write down the undo), apply, revert. An apply does no more than
//! its undos can take back; a revert needs nothing but the undo, may come from any process, and may come twice.

mod apply;
mod attachment;
mod exec;
mod kind;
mod limit;
mod many;
mod prepare;
mod revert;
mod signal;

pub use apply::Applied;
pub use kind::{Action, Command, Limits, Networks, Removal};
pub use limit::restoring_options;
pub use many::Prepared;
pub use revert::{RevertError, Reverted};
pub use signal::{Signal, SignalError};

use murphy_core::{ContainerIdentity, Span};

use crate::endpoint::Endpoint;
use crate::error::EngineError;

/// Why a container is not acted on.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The engine did not do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It does not run.
    #[error("{container} does not run (it is {state})")]
    NotRunning {
        /// Which.
        container: ContainerIdentity,
        /// What it is instead.
        state: String,
    },
    /// Its end would delete it.
    #[error(
        "{container} was started with --rm: {action} would delete it for good. Start it without --rm, or use pause"
    )]
    AutoRemove {
        /// Which.
        container: ContainerIdentity,
        /// The action's name.
        action: &'static str,
    },
    /// A signal whose effect no undo takes back.
    #[error("{signal} freezes only the main process, and nothing would wake it: use pause")]
    UsePause {
        /// The signal.
        signal: Signal,
    },
    /// It is on no network of its own.
    #[error("{container} is on no network that it can be taken off (its network mode is `{mode}`)")]
    NoNetwork {
        /// Which.
        container: ContainerIdentity,
        /// Its network mode.
        mode: String,
    },
    /// It is not on that network.
    #[error("{container} is not on the network `{network}`{}; it is on {}", meant(.guess.as_deref()), .on.join(", "))]
    NotOnNetwork {
        /// Which.
        container: ContainerIdentity,
        /// As asked.
        network: String,
        /// The networks that it is on.
        on: Vec<String>,
        /// The nearest of these.
        guess: Option<String>,
    },
    /// No limit is given.
    #[error("a limit needs at least one of `cpus`, `memory` and `pids`")]
    NoLimit,
    /// The memory is in use already.
    #[error(
        "{container} uses more memory than {wanted} already, and the kernel cannot take it back: give more"
    )]
    MemoryInUse {
        /// Which.
        container: ContainerIdentity,
        /// The bytes asked for.
        wanted: murphy_core::Size,
    },
    /// The engine has no way to change them while a container runs.
    #[error(
        "Podman {version} at {endpoint} has no call that changes the limits of a running container; \
         cpu-pressure, memory-pressure and disk-pressure squeeze one without it"
    )]
    NoUpdate {
        /// Its version.
        version: String,
        /// Where it is.
        endpoint: Endpoint,
    },
    /// No command is given.
    #[error("an exec needs a command, and `revert` one too if it is given")]
    NoCommand,
    /// The command failed.
    #[error("`{command}` in {container} ended with code {code}: {output}")]
    CommandFailed {
        /// Which.
        container: ContainerIdentity,
        /// The command.
        command: String,
        /// Its exit code.
        code: i64,
        /// The end of what it wrote.
        output: String,
    },
    /// The command did not end in time; it may run on.
    #[error("`{command}` in {container} did not end within {within}; it may still run")]
    CommandTooLong {
        /// Which.
        container: ContainerIdentity,
        /// The command.
        command: String,
        /// The time it had.
        within: Span,
    },
}

impl ActError {
    /// True if the engine may go on with the act although it did not answer.
    pub fn may_still_come(&self) -> bool {
        matches!(self, ActError::Engine(EngineError::Timeout { .. } | EngineError::Unreachable { .. }))
    }
}

fn meant(guess: Option<&str>) -> String {
    guess.map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default()
}
