//! Where a proxy's sockets are made: in the network that Murphy lives in, or in another one.
//!
//! A socket stays in the network in which it was made, so a proxy whose sockets come from another ground sits there,
//! while its tasks run here. This crate knows only its own network; who enters another one brings a ground of it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

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
        Box::pin(TcpStream::connect(upstream))
    }
}
