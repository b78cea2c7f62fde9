//! Dialling the dependency for one caller, within a time, and saying plainly why it failed.
//!
//! It runs in the caller's own task: a dependency that does not answer must never hold up another caller.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::ground::Ground;

/// Why the dependency could not be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The system said no.
    #[error("cannot connect to {upstream}: {source}")]
    Refused { upstream: String, source: io::Error },
    /// It said nothing.
    #[error("no answer from {upstream} within {within:?}")]
    Silent { upstream: String, within: Duration },
}

/// A connection to `upstream`, a `host:port`, for this caller.
pub(crate) async fn dial(
    ground: &dyn Ground,
    caller: &TcpStream,
    upstream: &str,
    within: Duration,
) -> Result<TcpStream, DialError> {
    match tokio::time::timeout(within, ground.dial(caller, upstream)).await {
        Err(_) => Err(DialError::Silent { upstream: upstream.to_owned(), within }),
        Ok(Err(source)) => Err(DialError::Refused { upstream: upstream.to_owned(), source }),
        Ok(Ok(stream)) => {
            // Fails only on a connection that is already dead, which the first write tells as well.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
    }
}
