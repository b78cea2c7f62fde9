//! Where a proxy's sockets are made: in the network that Murphy lives in, or in another one.
//!
//! A socket stays in the network in which it was made, so a proxy whose sockets come from another ground sits there,
//! while its tasks run here. This crate knows only its own network; who enters another one brings a ground of it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// A dial under way.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// Where sockets are made.
pub trait Ground: fmt::Debug + Send + Sync {
    /// A TCP socket that will listen on this address: not bound yet. May block for some microseconds, not longer.
    fn listening_socket(&self, address: SocketAddr) -> io::Result<Socket>;

    /// Dials on for a caller that has been accepted. `upstream` is the `host:port` of the proxy's configuration; a
    /// ground that knows what this caller dialled itself may dial that. The proxy bounds the time.
    fn dial<'a>(&'a self, caller: &'a TcpStream, upstream: &'a str) -> Dialling<'a>;
}

/// The network in which Murphy lives. A name is looked up at each dial, and its addresses are tried in turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnGround;

impl Ground for OwnGround {
    fn listening_socket(&self, address: SocketAddr) -> io::Result<Socket> {
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
    }

    fn dial<'a>(&'a self, _caller: &'a TcpStream, upstream: &'a str) -> Dialling<'a> {
        Box::pin(dial(upstream))
    }
}

async fn dial(upstream: &str) -> io::Result<TcpStream> {
    if let Ok(address) = upstream.parse() {
        return dial_one(address).await;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    // Boxed: a name is looked up in more room than an address needs.
    for address in Box::pin(tokio::net::lookup_host(upstream)).await? {
        match dial_one(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_one(address: SocketAddr) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    connect(Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?, address).await
}

/// Connects a socket of any ground, which must be non-blocking. A dependency on this machine has answered before the call returns: that
/// is asked for at once, and saves a sleep in each connection.
pub async fn connect(socket: Socket, address: SocketAddr) -> io::Result<TcpStream> {
    let target = address.into();
    let has_answered = match socket.connect(&target) {
        Ok(()) => true,
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {
            match socket.connect(&target) {
                Ok(()) => true,
                Err(error) if error.raw_os_error() == Some(Errno::EISCONN as i32) => true,
                Err(error) if error.raw_os_error() == Some(Errno::EALREADY as i32) => false,
                Err(error) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    let stream = TcpStream::from_std(socket.into())?;
    if !has_answered {
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tokio::net::TcpListener;

    use super::*;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).unwrap()
    }

    #[tokio::test]
    async fn a_dependency_on_this_machine_is_connected_without_a_sleep() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Nothing is awaited between, so whoever waits for the runtime is never told. A busy machine may answer late once.
        let answered = (0..20).any(|_| {
            let dial = pin!(connect(socket(), address));
            matches!(dial.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_)))
        });
        assert!(answered);
    }

    #[tokio::test]
    async fn nobody_there_is_told_as_the_system_tells_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(socket(), address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
