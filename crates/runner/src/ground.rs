//! The ground of a proxy that sits inside the network of a caller: joins what `proxy` asks for with what `netns` offers.

use std::io;
use std::net::SocketAddr;

use murphy_netns::{IpFamily, Netns, NetnsError, original_destination};
use murphy_proxy::{Dialling, Ground, connect};
use socket2::Socket;
use tokio::net::TcpStream;

/// The network of another process. Listens on its loopback, to which redirected calls come; dials on from inside it what
/// the caller itself has dialled, so that a replica that the caller chose is the one that it gets.
#[derive(Debug, Clone)]
pub(crate) struct NamespaceGround {
    netns: Netns,
}

impl NamespaceGround {
    pub(crate) fn of(netns: Netns) -> NamespaceGround {
        NamespaceGround { netns }
    }

    async fn dial_on(&self, caller: &TcpStream, upstream: &str) -> io::Result<TcpStream> {
        let to = match original_destination(caller) {
            Ok(dialled) => dialled,
            // Somebody in there has found our port and dials it.
            Err(_) => self.address_of(upstream).await?,
        };
        let socket = self.netns.dial_socket(IpFamily::of(&to)).await.map_err(plain)?;
        connect(socket, to).await
    }

    async fn address_of(&self, upstream: &str) -> io::Result<SocketAddr> {
        let unfit = || io::Error::from(io::ErrorKind::InvalidInput);
        let (host, port) = upstream.rsplit_once(':').ok_or_else(unfit)?;
        let port = port.parse().map_err(|_| unfit())?;
        let addresses = self.netns.resolve(host).await.map_err(io::Error::other)?;
        addresses.first().map(|ip| SocketAddr::new(*ip, port)).ok_or_else(unfit)
    }
}

impl Ground for NamespaceGround {
    fn listening_socket(&self, address: SocketAddr) -> io::Result<Socket> {
        self.netns.loopback_socket(IpFamily::of(&address)).map_err(plain)
    }

    fn dial<'a>(&'a self, caller: &'a TcpStream, upstream: &'a str) -> Dialling<'a> {
        Box::pin(self.dial_on(caller, upstream))
    }
}

/// The system's own error where there is one: the proxy judges by its kind.
fn plain(error: NetnsError) -> io::Error {
    match error {
        NetnsError::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}
