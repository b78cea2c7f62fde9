//! Is there a container engine to test with? A test that cannot run says so aloud, and in CI it fails: a suite that
//! skips in silence proves nothing.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::skip;

/// A container engine that takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its socket.
    pub socket: PathBuf,
}

/// The engine of this machine, or `None` with a line on stderr that names the test's reason to be skipped.
///
/// # Panics
/// If there is none and `CI=true`: there, a skipped test is a failed one.
pub fn engine_or_skip(test: &str) -> Option<Engine> {
    let candidates = candidates(
        std::env::var("DOCKER_HOST").ok().as_deref(),
        std::env::var("XDG_RUNTIME_DIR").ok().as_deref(),
    );
    if let Some(socket) = candidates.iter().find(|socket| UnixStream::connect(socket).is_ok()) {
        return Some(Engine { socket: socket.clone() });
    }
    let tried = candidates.iter().map(|socket| socket.display().to_string()).collect::<Vec<_>>().join(", ");
    skip(format_args!("no engine: {test} (tried {tried}); start one, or set DOCKER_HOST=unix:///path"));
    None
}

/// Where an engine may listen, the most explicit first.
fn candidates(docker_host: Option<&str>, runtime_dir: Option<&str>) -> Vec<PathBuf> {
    let explicit = docker_host.and_then(|host| host.strip_prefix("unix://")).map(PathBuf::from);
    if explicit.is_some() {
        // An engine that was named is the one that is meant, and no other.
        return explicit.into_iter().collect();
    }
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(dir) = runtime_dir {
        sockets.push(PathBuf::from(dir).join("docker.sock"));
        sockets.push(PathBuf::from(dir).join("podman/podman.sock"));
    }
    sockets.push(PathBuf::from("/run/podman/podman.sock"));
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_engine_is_the_only_one_tried() {
        assert_eq!(candidates(Some("unix:///a.sock"), Some("/run/user/1")), [PathBuf::from("/a.sock")]);
        let by_default = candidates(None, Some("/run/user/1"));
        assert_eq!(by_default[0], PathBuf::from("/var/run/docker.sock"));
        assert!(by_default.contains(&PathBuf::from("/run/user/1/podman/podman.sock")));
    }
}
