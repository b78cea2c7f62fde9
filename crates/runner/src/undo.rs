//! Carries undos out: idempotent, from any process, each with its own time budget.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use murphy_core::{Span, Undo};
use murphy_docker::{self as docker, Engine, EngineError, Environment};
use murphy_host::{self as host, SendError, StopError};
use murphy_netns as netns;
use tokio::sync::OnceCell;

use crate::by_hand::by_hand;
use crate::undo_log::UndoLog;

/// Why something could not be taken back. The message names the command that does it by hand.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// Processes do not die.
    #[error("service {service} could not be stopped: {source}")]
    Stop {
        /// Which.
        service: String,
        /// Why.
        source: StopError,
    },
    /// A worker does not end.
    #[error("{pressure} could not be ended: {source}")]
    Pressure {
        /// Which.
        pressure: String,
        /// Why.
        source: StopError,
    },
    /// What a worker filled is still there.
    #[error("{pressure} could not be ended: {source}; by hand: rm {}", .file.display())]
    Filled {
        /// Which.
        pressure: String,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A frozen process could not be thawed.
    #[error("{name} could not be let go on: {source}; by hand: kill -CONT {pid}")]
    Continue {
        /// For messages.
        name: String,
        /// Which process.
        pid: i32,
        /// Why.
        source: SendError,
    },
    /// The engine that knows the container cannot be reached.
    #[error("{undo}: {source}")]
    NoEngine {
        /// What is due.
        undo: String,
        /// Why.
        source: EngineError,
    },
    /// A container is not as before.
    #[error("{undo}: {source}; by hand: {by_hand}")]
    Container {
        /// What is due.
        undo: String,
        /// Why.
        source: docker::RevertError,
        /// The command that does it.
        by_hand: String,
    },
    /// A change in another network stays.
    #[error("{source}; by hand: {by_hand}")]
    Network {
        /// Why.
        source: netns::RevertError,
        /// The command.
        by_hand: String,
    },
}

/// Time between SIGTERM and SIGKILL.
const GRACE: Span = Span::from_secs(2);

/// Takes things back. It looks for a container's engine where the environment says, and only once it is needed.
#[derive(Debug, Default)]
pub struct Reverter {
    environment: Environment,
    engine: OnceCell<Engine>,
}

impl Reverter {
    /// Containers are those of this environment's engine.
    pub fn new(environment: Environment) -> Reverter {
        Reverter { environment, engine: OnceCell::new() }
    }

    /// Takes one thing back. Doing so twice is harmless; a target that is gone is a success.
    pub async fn revert(&self, undo: &Undo) -> Result<(), RevertError> {
        match undo {
            Undo::StopMarked { marker, service } => host::stop_marked(marker, GRACE)
                .await
                .map_err(|source| RevertError::Stop { service: service.to_string(), source }),
            Undo::StopGroup { leader, service } => host::stop_group(leader, GRACE)
                .await
                .map_err(|source| RevertError::Stop { service: service.to_string(), source }),
            Undo::EndPressure { marker, file, pressure } => {
                end_pressure(marker, file.as_deref(), pressure).await
            }
            Undo::Continue { process, name } => match host::thaw(process) {
                Ok(()) | Err(SendError::Gone { .. }) => Ok(()),
                Err(source) => Err(RevertError::Continue { name: name.clone(), pid: process.pid, source }),
            },
            Undo::Unpause { .. }
            | Undo::Start { .. }
            | Undo::Rename { .. }
            | Undo::Reconnect { .. }
            | Undo::RestoreLimits { .. }
            | Undo::Exec { .. }
            | Undo::TakeDown { .. } => self.in_engine(undo).await,
            Undo::DropTable { .. } | Undo::RemoveQdisc { .. } => netns::revert(undo)
                .await
                .map(drop)
                .map_err(|source| RevertError::Network { source, by_hand: by_hand(undo) }),
        }
    }

    /// Takes one thing back that another process had begun, which died at `died` or before. What could still come about is
    /// waited for, and taken back once more.
    pub async fn revert_once_more(&self, undo: &Undo, died: Instant) -> Result<(), RevertError> {
        let over = died + undo.may_still_come().as_duration();
        if over > died {
            tokio::time::sleep_until(over.into()).await;
            self.revert(undo).await?;
        }
        Ok(())
    }

    async fn in_engine(&self, undo: &Undo) -> Result<(), RevertError> {
        let connect = || Engine::connect_from(&self.environment);
        let engine = self
            .engine
            .get_or_try_init(connect)
            .await
            .map_err(|source| RevertError::NoEngine { undo: undo.to_string(), source })?;
        match engine.revert(undo).await {
            Ok(_) => Ok(()),
            Err(source) => {
                Err(RevertError::Container { undo: undo.to_string(), source, by_hand: by_hand(undo) })
            }
        }
    }
}

async fn end_pressure(marker: &str, file: Option<&Path>, pressure: &str) -> Result<(), RevertError> {
    host::stop_marked(marker, Span::ZERO)
        .await
        .map_err(|source| RevertError::Pressure { pressure: pressure.to_owned(), source })?;
    // It has had a name for a moment only; a container may be gone with it.
    match file.map(|file| (file, std::fs::remove_file(file))) {
        Some((file, Err(source))) if source.kind() != io::ErrorKind::NotFound => {
            Err(RevertError::Filled { pressure: pressure.to_owned(), file: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether something may still come about after it was taken back: an engine that did not answer a request goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsure {
    /// All that was begun has ended.
    No,
    /// Until then it may.
    Until(Instant),
}

impl Unsure {
    /// What was begun and not seen to end, as these undos tell.
    pub fn since<'a>(last_seen: Instant, undos: impl IntoIterator<Item = &'a Undo>) -> Unsure {
        let longest = undos.into_iter().map(Undo::may_still_come).max();
        longest.map_or(Unsure::No, |longest| Unsure::Until(last_seen + longest.as_duration()))
    }

    /// Waits until nothing comes any more.
    pub async fn over(self) {
        if let Unsure::Until(over) = self {
            tokio::time::sleep_until(over.into()).await;
        }
    }
}

/// Takes back whatever a run's log still asks for at the run's end, as after a panic in the middle of taking it back. What
/// could not be.
pub(crate) async fn take_back_rest(log: &UndoLog) -> Vec<String> {
    let outstanding = match UndoLog::outstanding(log.path()) {
        Ok(outstanding) => outstanding,
        Err(error) => return vec![error.to_string()],
    };
    let reverter = Reverter::new(Environment::of_process());
    let mut failures = Vec::new();
    for (id, undo) in outstanding.due {
        match reverter.revert(&undo).await {
            // What cannot be noted is taken back once more by another, which is harmless.
            Ok(()) => drop(log.done(id)),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}

/// Takes one thing back, with the engine of this process's environment.
pub async fn revert(undo: &Undo) -> Result<(), RevertError> {
    Reverter::new(Environment::of_process()).revert(undo).await
}
