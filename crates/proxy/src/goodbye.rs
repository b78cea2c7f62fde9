//! How a connection's sockets are closed: as the peers did it, or as a fault wants it.

use std::io;
use std::time::Duration;

use murphy_core::CloseHow;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How long a peer is given to take note of an ending that a fault made.
const GOODBYE: Duration = Duration::from_secs(1);

/// How both sockets are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewells {
    Orderly,
    Lingering,
    Reset,
}

impl Farewells {
    /// Readies both sockets for their close; what is dropped after this ends as meant.
    pub(crate) async fn say(self, client: &TcpStream, upstream: &TcpStream) {
        match self {
            Farewells::Reset => {
                abort(client);
                abort(upstream);
            }
            Farewells::Orderly => {}
            Farewells::Lingering => {
                let both = async { tokio::join!(say_goodbye(client), say_goodbye(upstream)) };
                let _ = tokio::time::timeout(GOODBYE, Box::pin(both)).await;
            }
        }
    }
}

/// The next close sends a RST.
fn abort(stream: &TcpStream) {
    // Fails only on a socket that is already gone.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Sends FIN, then reads until the peer has ended too: a close over unread bytes would send a RST instead.
async fn say_goodbye(stream: &TcpStream) {
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    // Not an array: it would be part of every connection's task, also of those that never come here.
    let mut waste = vec![0; 4096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut waste) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Ends a connection that never had another side.
pub(crate) async fn close_alone(client: TcpStream, how: CloseHow) {
    match how {
        CloseHow::Rst => abort(&client),
        CloseHow::Fin => {
            let _ = tokio::time::timeout(GOODBYE, say_goodbye(&client)).await;
        }
    }
}

/// True if the peer answers our last bytes with a RST: it had closed before they came. It has a moment to say so.
pub(crate) async fn rejects(stream: &TcpStream) -> bool {
    const MOMENT: Duration = Duration::from_millis(20);
    tokio::time::timeout(MOMENT, stream.ready(Interest::ERROR)).await.is_ok()
}
