//! Steering a run by hand while it goes on: a socket in its directory takes orders for faults on its edges.
//!
//! Every change is an event of the run's journal. What somebody has done goes with his connection, however that ends: what he has put
//! on is off, and a fault of the plan is as the plan has it by then. All of it goes at the end of the run. Only who carries the run
//! out, and root, may.

mod desk;
mod helm;
mod server;
mod words;

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::net::UnixListener;

pub use self::helm::{Helm, SteerError};
pub(crate) use self::server::Steering;
pub use self::words::{
    SteerAnswer, SteerAsk, SteeredConnection, SteeredDecision, SteeredEdge, SteeredFault, WhoseFault,
};

/// Its name in the run's directory.
const SOCKET: &str = "steer.sock";
/// Who may call there: whose it is. Root may everywhere.
const MODE: u32 = 0o600;
/// Callers who may wait to be let in.
const WAITING: i32 = 128;

/// The way to the socket of a run. The address of a socket has room for 108 bytes, and the path of a run directory may be longer: so
/// it leads through the open directory.
struct Door {
    folder: File,
}

impl Door {
    fn of(run: &Path) -> io::Result<Door> {
        Ok(Door { folder: File::open(run)? })
    }

    /// Valid while this lives.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.folder.as_raw_fd()))
    }

    /// Makes the socket. Whatever the umask is, it has its mode before it listens, and until then nobody reaches it. Must be called
    /// inside a runtime.
    fn listen(&self) -> io::Result<UnixListener> {
        let path = self.path();
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        let listens = std::fs::set_permissions(&path, Permissions::from_mode(MODE))
            .and_then(|()| socket.listen(WAITING))
            .and_then(|()| UnixListener::from_std(OwnedFd::from(socket).into()));
        if listens.is_err() {
            // It is nobody's any more.
            let _ = std::fs::remove_file(&path);
        }
        listens
    }
}

/// Reads one line, and gives it without its end; `None` where nothing comes any more.
async fn line(from: &mut (impl AsyncBufRead + Unpin), longest: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(longest).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut or too long")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn lines_are_read_one_by_one_and_one_that_is_cut_or_too_long_is_none() {
        let mut text = b"one\n\nthree".as_slice();
        assert_eq!(line(&mut text, 100).await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(line(&mut text, 100).await.unwrap(), Some(Vec::new()));
        assert!(line(&mut text, 100).await.is_err());
        assert_eq!(line(&mut text, 100).await.unwrap(), None);
        assert!(line(&mut b"12345\n".as_slice(), 5).await.is_err());
    }

    #[tokio::test]
    async fn a_socket_is_reached_in_a_folder_whose_path_no_address_would_hold() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("a".repeat(200));
        std::fs::create_dir(&run).unwrap();
        let door = Door::of(&run).unwrap();
        let listener = door.listen().unwrap();
        assert!(UnixListener::bind(run.join("other")).is_err(), "the path is too long");
        let (connected, accepted) = tokio::join!(UnixStream::connect(door.path()), listener.accept());
        connected.unwrap();
        accepted.unwrap();
    }

    #[tokio::test]
    async fn only_its_owner_may_call_at_a_socket_that_listens() {
        let folder = tempfile::tempdir().unwrap();
        let _listener = Door::of(folder.path()).unwrap().listen().unwrap();
        let mode = std::fs::metadata(folder.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
}
