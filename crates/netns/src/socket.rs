//! Sockets made inside a namespace. A socket stays in the namespace in which it was made, so it is then used from the
//! main runtime like any other.
//!
//! A socket for dialling on carries a mark, by which our own redirect lets it pass; anything else would be a loop.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{Netns, NetnsError};

/// The mark (SO_MARK) of sockets by which the proxy dials on. Without the bits that container networking uses for its
/// own marks (0x4000 and 0x8000 of Kubernetes, the upper half of Calico and Tailscale, 0x0f00 of Cilium).
pub const DIAL_MARK: u32 = 0x20d5;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(address: &SocketAddr) -> IpFamily {
        if address.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
    }

    fn domain(self) -> Domain {
        match self {
            IpFamily::V4 => Domain::IPV4,
            IpFamily::V6 => Domain::IPV6,
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
        })
    }
}

impl Netns {
    /// A listener inside the namespace, non-blocking, ready for `tokio::net::TcpListener::from_std`. An IPv6 one takes
    /// IPv6 only.
    pub async fn tcp_listener(&self, address: SocketAddr) -> Result<TcpListener, NetnsError> {
        let act = format!("listen on {address} in the network of process {}", self.identity().process.pid);
        self.run(move || listen(address)).await?.map_err(|error| NetnsError::io(act, error))
    }

    /// A TCP socket inside the namespace to listen on loopback, not bound yet. An IPv6 one takes both families; bind it
    /// to `[::]`: redirected calls of both then reach it, at one port, and nothing that comes in by another interface.
    /// Blocks for some microseconds, for places where one cannot await.
    pub fn loopback_socket(&self, family: IpFamily) -> Result<Socket, NetnsError> {
        let act = format!("make a socket in the network of process {}", self.identity().process.pid);
        self.run_blocking(move || on_loopback(family))?.map_err(|error| NetnsError::io(act, error))
    }

    /// A TCP socket inside the namespace, non-blocking, not connected, with [`DIAL_MARK`]: an interception lets it
    /// pass; partitions, losses and resets hit it like any other.
    pub async fn dial_socket(&self, family: IpFamily) -> Result<Socket, NetnsError> {
        let act = format!("make a socket in the network of process {}", self.identity().process.pid);
        self.run(move || dial(family)).await?.map_err(|error| NetnsError::io(act, error))
    }

    /// A UDP socket inside the namespace, non-blocking, connected to this address.
    pub(crate) async fn udp_socket(&self, peer: SocketAddr) -> Result<UdpSocket, NetnsError> {
        let act = format!("make a socket in the network of process {}", self.identity().process.pid);
        self.run(move || datagrams_to(peer)).await?.map_err(|error| NetnsError::io(act, error))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(IpFamily::of(&address).domain(), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn on_loopback(family: IpFamily) -> io::Result<Socket> {
    let socket = Socket::new(family.domain(), Type::STREAM, Some(Protocol::TCP))?;
    if family == IpFamily::V6 {
        socket.set_only_v6(false)?;
    }
    socket.bind_device(Some(b"lo"))?;
    Ok(socket)
}

fn dial(family: IpFamily) -> io::Result<Socket> {
    let socket = Socket::new(family.domain(), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_mark(DIAL_MARK)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn datagrams_to(peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(IpFamily::of(&peer).domain(), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&peer.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The address that the caller of a redirected connection dialled, from the accepted socket. An error (no such entry)
/// for a connection that was not redirected.
pub fn original_destination(accepted: &impl std::os::fd::AsFd) -> io::Result<SocketAddr> {
    let socket = SockRef::from(accepted);
    let address = match socket.local_addr()?.as_socket() {
        Some(SocketAddr::V6(local)) if local.ip().to_ipv4_mapped().is_none() => socket.original_dst_v6()?,
        _ => socket.original_dst_v4()?,
    };
    let address =
        address.as_socket().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
    address.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an IP address"))
}
