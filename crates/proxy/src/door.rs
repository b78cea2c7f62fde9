//! The door of a proxy: one listening socket for life, closed and opened again where it stands.
//!
//! It is closed in the kernel, at once and for whoever accepts on it: callers are refused, those who waited are
//! reset, and nobody else gets the port. It must never give the socket up while a reactor still watches it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::bind::{reserve, start};
use crate::ground::Ground;

/// Whether callers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They are, for the so-and-so-manyth time. Whoever watches the socket must do so anew each time: that it was closed
    /// stays with the watch.
    Open(u64),
    /// They are refused.
    Closed,
    /// For good: whoever watches the socket lets it go.
    Gone,
}

/// A listening socket.
pub(crate) struct Door {
    listener: TcpListener,
}

impl Door {
    /// Takes an address on this ground and listens there.
    pub(crate) fn open_on(ground: &dyn Ground, address: SocketAddr) -> io::Result<Door> {
        let mut socket = reserve(ground, address)?;
        if address.port() == 0 {
            // The kernel takes a port that it picked itself away when the door closes; one that was asked for stays.
            let picked = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
            socket = reserve(ground, picked)?;
        }
        start(&socket)?;
        socket.set_nonblocking(true)?;
        Ok(Door { listener: socket.into() })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Refuses callers from now on, and keeps the port. Harmless where it is closed already.
    pub(crate) fn close(&self) {
        let socket = SockRef::from(&self.listener);
        // Nearly every server asks to share its port with sockets that do not listen and ask for it, too. Before it is
        // closed, or somebody else could take the port between the two.
        let _ = socket.set_reuse_address(false);
        // Fails only where it does not listen.
        let _ = socket.shutdown(Shutdown::Read);
    }

    /// Refuses callers for good: others may have the port, though some thread still holds the socket.
    pub(crate) fn give_up(&self) {
        let socket = SockRef::from(&self.listener);
        let _ = socket.shutdown(Shutdown::Read);
        let _ = socket.set_reuse_address(true);
    }

    /// Takes callers again.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let socket = SockRef::from(&self.listener);
        // Connections that are carried have the port, too, and so will those to come.
        socket.set_reuse_address(true)?;
        start(&socket).inspect_err(|_| drop(socket.set_reuse_address(false)))
    }

    /// The next caller who waits, with a socket that does not block and that no reactor watches yet.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = acceptfrom_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok((stream.into(), peer.ok_or(io::ErrorKind::AddrNotAvailable)?))
    }
}

/// A door as the reactor of one thread watches it.
pub(crate) struct Ear(AsyncFd<Watched>);

struct Watched(Arc<Door>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.listener.as_raw_fd()
    }
}

impl Ear {
    /// On the current runtime.
    pub(crate) fn at(door: &Arc<Door>) -> io::Result<Ear> {
        // Deprecated in favour of an unsafe function, whose condition is that the descriptor stays the same and open: a
        // door owns its descriptor for life, and this holds the door. This workspace forbids unsafe code.
        #[allow(deprecated)]
        AsyncFd::with_interest(Watched(Arc::clone(door)), Interest::READABLE).map(Ear)
    }

    /// Waits until somebody may be there.
    pub(crate) async fn knock(&self) -> io::Result<Knock<'_>> {
        self.0.readable().await.map(Knock)
    }
}

/// Somebody may be there.
pub(crate) struct Knock<'a>(tokio::io::unix::AsyncFdReadyGuard<'a, Watched>);

impl Knock<'_> {
    /// The next caller; `None` if there was none left, so that the next knock is waited for.
    pub(crate) fn accept(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        self.0.try_io(|watched| watched.get_ref().0.accept()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::OwnGround;

    #[test]
    fn a_door_on_a_picked_port_closes_and_opens_where_it_stands() {
        let door = Door::open_on(&OwnGround, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = door.address().unwrap();
        for _ in 0..3 {
            let _waiting = TcpStream::connect(address).unwrap();
            door.close();
            door.close();
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            // It asks to share the port, as nearly every server does.
            assert_eq!(TcpListener::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            door.reopen().unwrap();
            assert_eq!(door.address().unwrap(), address);
        }
        let caller = TcpStream::connect(address).unwrap();
        let (taken, peer) = door.accept().unwrap();
        assert_eq!(peer, caller.local_addr().unwrap());
        assert!(taken.nodelay().unwrap(), "what was set before it closed is still set");
    }

    #[test]
    fn a_door_that_was_given_up_leaves_the_port_to_others_though_somebody_holds_it() {
        let door = Door::open_on(&OwnGround, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = door.address().unwrap();
        door.close();
        door.give_up();
        let other = TcpListener::bind(address).unwrap();
        assert!(door.reopen().is_err(), "the other one listens there");
        drop(other);
        door.reopen().unwrap();
    }

    #[tokio::test]
    async fn whoever_waited_at_a_door_that_closes_is_reset_and_nobody_is_accepted() {
        let door = Arc::new(Door::open_on(&OwnGround, "127.0.0.1:0".parse().unwrap()).unwrap());
        let _waiting = TcpStream::connect(door.address().unwrap()).unwrap();
        let ear = Ear::at(&door).unwrap();
        door.close();
        let mut knock = ear.knock().await.unwrap();
        assert!(knock.accept().is_none_or(|accepted| accepted.is_err()));
    }
}
