//! Taking the address that callers dial, and saying who has it if it is taken.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use murphy_core::EdgeName;
use socket2::{Socket, TcpKeepalive};

use crate::ground::Ground;

/// Waiting callers that the kernel keeps for us.
const BACKLOG: i32 = 4096;

/// Why a proxy cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not a `host:port`.
    #[error(
        "edge `{edge}`: `{listen}` is not an address to listen on; write host:port, for example 127.0.0.1:18080"
    )]
    BadListen {
        /// The edge.
        edge: EdgeName,
        /// As written.
        listen: String,
    },
    /// Not a `host:port`.
    #[error(
        "edge `{edge}`: `{upstream}` is not an address to connect to; write host:port, for example 127.0.0.1:8080"
    )]
    BadUpstream {
        /// The edge.
        edge: EdgeName,
        /// As written.
        upstream: String,
    },
    /// The name of the host to listen on is unknown.
    #[error("edge `{edge}`: cannot look up `{listen}`: {source}")]
    Lookup {
        /// The edge.
        edge: EdgeName,
        /// As written.
        listen: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody listens there.
    #[error(
        "edge `{edge}`: {address} is taken by {holder}; stop it, or let the edge listen on another port (0 picks a free one)"
    )]
    Taken {
        /// The edge.
        edge: EdgeName,
        /// The address.
        address: SocketAddr,
        /// The process that listens there, as far as it can be seen.
        holder: String,
    },
    /// The port needs a privilege.
    #[error("edge `{edge}`: no permission to listen on {address}; use a port of 1024 or above")]
    Forbidden {
        /// The edge.
        edge: EdgeName,
        /// The address.
        address: SocketAddr,
    },
    /// The address is not one of this machine.
    #[error("edge `{edge}`: {address} is not an address of this machine; listen on 127.0.0.1 or 0.0.0.0")]
    Foreign {
        /// The edge.
        edge: EdgeName,
        /// The address.
        address: SocketAddr,
    },
    /// Something else.
    #[error("edge `{edge}`: cannot listen on {address}: {source}")]
    System {
        /// The edge.
        edge: EdgeName,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No timer: descriptors have run out.
    #[error("edge `{edge}`: cannot make a timer: {source}; raise the limit of open files (ulimit -n)")]
    Timer {
        /// The edge.
        edge: EdgeName,
        /// What the system said.
        source: io::Error,
    },
}

/// True for `host:port` with a port that can be dialled.
pub(crate) fn is_host_port(text: &str, port_zero: bool) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    !host.is_empty() && !bare_v6 && port.parse::<u16>().is_ok_and(|port| port_zero || port != 0)
}

/// The addresses of a `host:port`.
pub(crate) async fn look_up(edge: &EdgeName, listen: &str) -> Result<Vec<SocketAddr>, BindError> {
    if !is_host_port(listen, true) {
        return Err(BindError::BadListen { edge: edge.clone(), listen: listen.to_owned() });
    }
    let lookup = |source| BindError::Lookup { edge: edge.clone(), listen: listen.to_owned(), source };
    let found: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(lookup)?.collect();
    if found.is_empty() { Err(lookup(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

/// Holds the port without listening, with what accepted sockets inherit: no delay for small writes, and a probe of silent
/// peers.
pub(crate) fn reserve(ground: &dyn Ground, address: SocketAddr) -> io::Result<Socket> {
    let socket = ground.listening_socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(15)))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Begins to listen on a port that was held.
pub(crate) fn start(socket: &Socket) -> io::Result<()> {
    socket.listen(BACKLOG)
}

/// Says in our words why listening failed.
pub(crate) fn explain(edge: &EdgeName, address: SocketAddr, source: io::Error) -> BindError {
    let edge = edge.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { edge, address, holder: holder(address.port()) },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { edge, address },
        io::ErrorKind::AddrNotAvailable => BindError::Foreign { edge, address },
        _ => BindError::System { edge, address, source },
    }
}

/// The process that listens on a port, from `/proc`: only what this user may see.
fn holder(port: u16) -> String {
    const LISTEN: &str = "0A";
    const UNKNOWN: &str = "another process (of another user, or in another namespace)";
    let mut wanted = String::new();
    let _ = write!(wanted, "{port:04X}");
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|path| {
        fs::read_to_string(path).ok()?.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1)?.rsplit_once(':')?.1;
            (local == wanted && fields.get(3) == Some(&LISTEN))
                .then(|| fields.get(9).map(|i| (*i).to_owned()))?
        })
    });
    let Some(inode) = inode else { return UNKNOWN.to_owned() };
    let socket = format!("socket:[{inode}]");
    let Ok(processes) = fs::read_dir("/proc") else { return UNKNOWN.to_owned() };
    // Numbers only: `self` and `thread-self` are this process under other names.
    let numbered = |name: &std::ffi::OsStr| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    for process in processes.flatten().filter(|process| numbered(&process.file_name())) {
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else { continue };
        if fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
        {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return format!("process {} ({})", process.file_name().to_string_lossy(), name.trim());
        }
    }
    UNKNOWN.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_will_do() {
        for good in ["127.0.0.1:80", "redis:6379", "[::1]:80"] {
            assert!(is_host_port(good, false), "{good}");
        }
        for bad in ["127.0.0.1", ":80", "a:b", "::1:80", "a:70000", "a:0", ""] {
            assert!(!is_host_port(bad, false), "{bad}");
        }
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = holder(listener.local_addr().unwrap().port());
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
}
