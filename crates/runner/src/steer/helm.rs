//! The hand on a run that another process carries out.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::words::{SteerAnswer, SteerAsk};
use super::{Door, line};

/// The longest answer.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Why a run cannot be steered.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// Nobody takes orders there.
    #[error("the run in {} takes no orders: {source}; it has ended, or it is another user's", .run.display())]
    NoRun {
        /// Its directory.
        run: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It takes no more than it has.
    #[error("turned away: {why}")]
    TurnedAway {
        /// What it said.
        why: String,
    },
    /// It took orders, and takes none any more.
    #[error("the run takes no orders any more: {why}")]
    Lost {
        /// What was said last.
        why: String,
    },
}

/// A hand on a run. What it has put there goes when it is dropped.
#[derive(Debug)]
pub struct Helm {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Helm {
    /// The longest that an answer may take: longer than a run needs whose machine stands still for a moment.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Of the run in this directory, once that has let it in. Must be called inside a runtime.
    pub async fn take(run: &Path) -> Result<Helm, SteerError> {
        Helm::take_within(run, Helm::PATIENCE).await
    }

    /// The same for one who does not wait as long to be let in.
    pub async fn take_within(run: &Path, patience: Duration) -> Result<Helm, SteerError> {
        let failed = |source| SteerError::NoRun { run: run.to_owned(), source };
        let door = Door::of(run).map_err(failed)?;
        let stream = UnixStream::connect(door.path()).await.map_err(failed)?;
        let (read, write) = stream.into_split();
        let mut helm = Helm { read: BufReader::new(read), write };
        match tokio::time::timeout(patience, line(&mut helm.read, LONGEST)).await {
            Err(_) => Err(lost(late(patience))),
            Ok(Err(error)) => Err(failed(error)),
            Ok(Ok(None)) => Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it hangs up"))),
            Ok(Ok(Some(said))) => match serde_json::from_slice(&said) {
                Ok(SteerAnswer::Welcome) => Ok(helm),
                Ok(SteerAnswer::Refused { why }) => Err(SteerError::TurnedAway { why }),
                Ok(_) => Err(lost("it says something else".to_owned())),
                Err(error) => Err(lost(error.to_string())),
            },
        }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&mut self, ask: &SteerAsk) -> Result<SteerAnswer, SteerError> {
        let mut said = serde_json::to_vec(ask).map_err(|error| lost(error.to_string()))?;
        said.push(b'\n');
        let talk = async {
            self.write.write_all(&said).await?;
            line(&mut self.read, LONGEST).await
        };
        match tokio::time::timeout(Helm::PATIENCE, talk).await {
            Err(_) => Err(lost(late(Helm::PATIENCE))),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Ok(Ok(None)) => Err(lost("it has ended".to_owned())),
            Ok(Ok(Some(answer))) => serde_json::from_slice(&answer).map_err(|error| lost(error.to_string())),
        }
    }
}

fn lost(why: String) -> SteerError {
    SteerError::Lost { why }
}

fn late(patience: Duration) -> String {
    format!("no answer within {patience:?}")
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_run_that_says_nothing_is_not_waited_for_beyond_the_patience_of_whoever_calls() {
        let folder = tempfile::tempdir().unwrap();
        // It is called at, and never answers: as a run that is stopped.
        let _listener = UnixListener::bind(folder.path().join("steer.sock")).unwrap();
        let error = Helm::take_within(folder.path(), Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, SteerError::Lost { .. }), "{error}");
        assert!(error.to_string().ends_with("no answer within 20ms"), "{error}");
    }
}
