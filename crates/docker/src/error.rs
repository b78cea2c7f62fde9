//! What can go wrong between Murphy and an engine, in words that say what to do. Raw client errors never leave this
//! crate: they are sorted here once.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use bollard::errors::Error as Raw;
use murphy_core::Span;

use crate::endpoint::{Endpoint, EndpointError, owning_group};

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `DOCKER_HOST` or its companions are wrong.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No socket is there.
    #[error(
        "no container engine found (looked for {}): start Docker (`sudo systemctl start docker`) or Podman's socket (`systemctl --user start podman.socket`), or set DOCKER_HOST",
        list(.tried)
    )]
    NoSocket {
        /// The sockets that were looked for.
        tried: Vec<PathBuf>,
    },
    /// The socket is there, but this user may not use it.
    #[error("no permission for {}: {}", .socket.display(), join_group(.group.as_deref()))]
    Permission {
        /// The socket.
        socket: PathBuf,
        /// The group that may.
        group: Option<String>,
    },
    /// Nobody answers there.
    #[error("the engine at {endpoint} does not answer: {why}; is it running? (`docker info`)")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the system said.
        why: String,
    },
    /// An engine from before everything that is needed here.
    #[error(
        "the engine at {endpoint} speaks API {found}, and Murphy needs {needed} or newer: update the engine"
    )]
    TooOld {
        /// Where.
        endpoint: String,
        /// What it speaks.
        found: String,
        /// What is needed.
        needed: &'static str,
    },
    /// No answer in time.
    #[error("the engine did not answer `{call}` within {within}")]
    Timeout {
        /// The call.
        call: &'static str,
        /// The time it had.
        within: Span,
    },
    /// The thing is not there (any more).
    #[error("{message}")]
    NotFound {
        /// The call.
        call: &'static str,
        /// What the engine said.
        message: String,
    },
    /// The thing is not in a state for that.
    #[error("the engine refused `{call}`: {message}")]
    Conflict {
        /// The call.
        call: &'static str,
        /// What the engine said.
        message: String,
    },
    /// The engine refused the request.
    #[error("the engine refused `{call}` ({status}): {message}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the engine said.
        message: String,
    },
    /// The engine failed.
    #[error("the engine failed at `{call}` ({status}): {message}")]
    Failed {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the engine said.
        message: String,
    },
    /// The engine's answer cannot be understood.
    #[error("the engine's answer to `{call}` cannot be read: {why}")]
    Malformed {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It speaks TLS only.
    #[error(
        "the engine at {endpoint} wants TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem"
    )]
    WantsTls {
        /// Where.
        endpoint: String,
    },
    /// One side's certificates are no good.
    #[error(
        "the certificates for {endpoint} cannot be used: {why}; look at ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH"
    )]
    Certificates {
        /// Where.
        endpoint: String,
        /// What is wrong with them.
        why: String,
    },
    /// It ended a connection as soon as TLS stood. With TLS 1.3 that is all that a client sees of a refused certificate
    /// when the connection's end overtakes the alert that names the cause (RFC 8446, section 4.4.2.4 and 6.2).
    #[error(
        "the certificates for {endpoint} seem to be refused: it ended the connection as soon as TLS stood ({why}); look at cert.pem and key.pem in DOCKER_CERT_PATH, and whether the engine is running"
    )]
    HungUp {
        /// Where.
        endpoint: String,
        /// What the client saw.
        why: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn join_group(group: Option<&str>) -> String {
    match group {
        Some("root") | None => "run as root, or set DOCKER_HOST to an engine of your own".to_owned(),
        Some(group) => {
            format!("join its group (`sudo usermod -aG {group} $USER`, then log in again), or run as root")
        }
    }
}

impl EngineError {
    /// True if the thing asked about is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, EngineError::NotFound { .. })
    }

    /// True if asking again later may help: nobody answered, or the engine itself failed.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            EngineError::Unreachable { .. }
                | EngineError::HungUp { .. }
                | EngineError::Timeout { .. }
                | EngineError::Failed { .. }
        )
    }

    /// Sorts a raw client error.
    pub(crate) fn sort(raw: Raw, call: &'static str, endpoint: &Endpoint) -> EngineError {
        let malformed = |why: String| EngineError::Malformed { call, why };
        match raw {
            Raw::DockerResponseServerError { status_code: 400, message }
                if message.contains("HTTP request to an HTTPS server") =>
            {
                EngineError::WantsTls { endpoint: endpoint.to_string() }
            }
            Raw::DockerResponseServerError { status_code, message } => by_status(status_code, &message, call),
            Raw::JsonDataError { message, .. } => malformed(message),
            Raw::JsonSerdeError { err } => malformed(err.to_string()),
            Raw::StrParseError { err } => malformed(err.to_string()),
            Raw::DockerStreamError { error } => EngineError::Failed { call, status: 200, message: error },
            other => not_reached(&other, endpoint),
        }
    }
}

fn by_status(status: u16, message: &str, call: &'static str) -> EngineError {
    let message = message.trim().to_owned();
    match status {
        404 => EngineError::NotFound { call, message },
        409 => EngineError::Conflict { call, message },
        500.. => EngineError::Failed { call, status, message },
        _ => EngineError::Refused { call, status, message },
    }
}

/// The innermost system error decides: permission, absence, or just nobody there.
fn not_reached(raw: &Raw, endpoint: &Endpoint) -> EngineError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = raw.source();
    let mut kind = None;
    let mut innermost = raw.to_string();
    while let Some(error) = source {
        innermost = error.to_string();
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        source = error.source();
    }
    match (kind, endpoint) {
        (Some(io::ErrorKind::PermissionDenied), Endpoint::Unix(socket)) => {
            EngineError::Permission { socket: socket.clone(), group: owning_group(socket) }
        }
        (Some(io::ErrorKind::NotFound), Endpoint::Unix(socket)) => {
            EngineError::NoSocket { tried: vec![socket.clone()] }
        }
        (_, Endpoint::Tls { .. }) if is_of_certificates(&innermost) => {
            EngineError::Certificates { endpoint: endpoint.to_string(), why: innermost }
        }
        (kind, Endpoint::Tls { .. }) if is_a_hang_up(kind, &innermost) => {
            EngineError::HungUp { endpoint: endpoint.to_string(), why: innermost }
        }
        _ => EngineError::Unreachable { endpoint: endpoint.to_string(), why: innermost },
    }
}

/// True for what the TLS library says when either side does not accept the other's certificate.
fn is_of_certificates(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    why.contains("certificate") || why.contains("unknownca")
}

/// True for an end of a connection that stood: by the system's word, or by that of the HTTP library, which was handed the
/// end before it sent anything and knows no cause.
fn is_a_hang_up(kind: Option<io::ErrorKind>, why: &str) -> bool {
    match kind {
        Some(kind) => matches!(
            kind,
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        ),
        None => why.contains("connection was not ready") || why.contains("connection closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_permission_names_the_group_to_join() {
        let error = EngineError::Permission { socket: "/s".into(), group: Some("docker".into()) };
        assert!(error.to_string().contains("usermod -aG docker"), "{error}");
        let error = EngineError::Permission { socket: "/s".into(), group: None };
        assert!(error.to_string().contains("root"), "{error}");
    }

    #[test]
    fn an_end_right_after_the_handshake_is_told_from_nobody_there() {
        assert!(is_a_hang_up(None, "connection was not ready"));
        assert!(is_a_hang_up(Some(io::ErrorKind::BrokenPipe), "broken pipe"));
        assert!(!is_a_hang_up(Some(io::ErrorKind::ConnectionRefused), "connection refused"));
        assert!(!is_a_hang_up(None, "dns error"));
    }

    #[test]
    fn statuses_are_told_apart() {
        assert!(by_status(404, "No such container: x", "inspect").is_not_found());
        assert!(matches!(by_status(409, "c", "kill"), EngineError::Conflict { .. }));
        assert!(by_status(503, "c", "kill").is_passing());
        assert!(!by_status(400, "c", "kill").is_passing());
    }
}
