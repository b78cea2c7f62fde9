//! Connections to one address, and one exchange over one of them.
//!
//! A request is written at most once, with one exception that every HTTP client makes: if a kept-alive connection
//! turns out to be closed *before any byte of the request was written*, hyper hands the request back, and it goes out
//! on a fresh connection. If bytes were written, the service may have acted on them, and the failure is the answer:
//! a service that closes idle connections just as its users come back does fail them.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::head::Head;
use crate::request::HttpRequest;

/// At most so much of a body is kept for matching; all of it is read.
pub(crate) const BODY_KEPT: usize = 64 * 1024;

/// One connection. Its driver is a task of its own; dropping the connection aborts the driver and closes the socket,
/// so a request that is given up is seen as such by the service at once.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// At most so much of a body is kept.
    kept: usize,
    _driver: JoinSet<()>,
}

/// Why there was no whole answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This machine ran out of descriptors or ports: the service is not to blame.
    Exhausted(io::Error),
    /// The connection could not be made.
    Connect(io::Error),
    /// It broke after the request went out and before the head of the answer came.
    Broken(hyper::Error),
    /// It broke in the body of the answer.
    Cut,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub head: Head,
    pub headers: HeaderMap,
    /// The beginning of the body, as much as is kept.
    pub body: Bytes,
    /// Bytes in the body.
    pub length: u64,
}

/// A request that a connection did not take, or what came of it.
enum Attempt {
    Answered(Result<Answer, Failure>),
    NotWritten(hyper::Error),
}

impl Connection {
    pub(crate) async fn dial(request: &HttpRequest) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(request.address()).await.map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw) {
                Some(
                    Errno::EMFILE | Errno::ENFILE | Errno::EADDRNOTAVAIL | Errno::ENOBUFS | Errno::ENOMEM,
                ) => Failure::Exhausted(error),
                _ => Failure::Connect(error),
            }
        })?;
        // Requests are written whole; waiting to fill a segment would only add a delay. A failure is one on use, too.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Broken)?;
        let mut driver = JoinSet::new();
        driver.spawn(murphy_core::boxed(async move {
            // How it ends is told to the sender.
            let _ = connection.await;
        }));
        Ok(Connection { sender, kept: BODY_KEPT, _driver: driver })
    }

    /// The same, with so much of each body kept.
    pub(crate) fn keeping(self, kept: usize) -> Connection {
        Connection { kept, ..self }
    }

    /// One exchange on a connection without a history.
    pub(crate) async fn exchange(
        &mut self,
        request: &HttpRequest,
        head: &mut Option<Head>,
    ) -> Result<Answer, Failure> {
        match self.attempt(request.message(), head).await {
            Attempt::Answered(result) => result,
            Attempt::NotWritten(error) => Err(Failure::Broken(error)),
        }
    }

    /// Sends, and reads the answer to its end. `head` is set as soon as the head is there, for whoever gives up later.
    async fn attempt(&mut self, message: hyper::Request<Full<Bytes>>, head: &mut Option<Head>) -> Attempt {
        let response = match self.sender.try_send_request(message).await {
            Ok(response) => response,
            Err(mut error) => {
                return match error.take_message() {
                    Some(_) => Attempt::NotWritten(error.into_error()),
                    None => Attempt::Answered(Err(Failure::Broken(error.into_error()))),
                };
            }
        };
        let seen = Head::new(response.status().as_u16(), response.headers());
        *head = Some(seen);
        // hyper checks the length against Content-Length or the chunks, and fails on a body that is cut.
        let (parts, body) = response.into_parts();
        Attempt::Answered(match read_body(body, self.kept).await {
            Ok((body, length)) => Ok(Answer { head: seen, headers: parts.headers, body, length }),
            Err(_) => Err(Failure::Cut),
        })
    }
}

async fn read_body(mut body: Incoming, most: usize) -> Result<(Bytes, u64), hyper::Error> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            length += data.len() as u64;
            let room = most - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok((kept.into(), length))
}

/// Kept-alive connections of one load. The last one given back is the first one taken, so that a pool that has grown
/// in a stall shrinks again by the service's own idle timeout.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Closed ones are swept out when so many are idle; doubled with what is left, so a sweep costs little.
    sweep_at: usize,
}

/// How a request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// On a kept-alive connection if one is idle.
    Pooled,
    /// On a connection of its own.
    Fresh,
}

/// What an exchange through a pool did besides its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Effort {
    /// Connections that it opened.
    pub dialled: u64,
    /// Times that the request came back unwritten from a closed connection.
    pub resent: u64,
}

impl Pool {
    /// One exchange; the connection comes back if it can be used again.
    pub(crate) async fn exchange(
        &self,
        request: &HttpRequest,
        route: Route,
        head: &mut Option<Head>,
        effort: &mut Effort,
    ) -> (Result<Answer, Failure>, Option<Connection>) {
        if route == Route::Pooled {
            // Lets the runtime look at its sockets first, so that a connection which the service has closed by now is
            // known to be closed when the pool is asked.
            tokio::task::yield_now().await;
        }
        if route == Route::Pooled
            && let Some(mut connection) = self.take()
        {
            match connection.attempt(request.message(), head).await {
                Attempt::Answered(result) => return (result, Some(connection)),
                Attempt::NotWritten(_) => effort.resent += 1,
            }
        }
        effort.dialled += 1;
        let mut connection = match Connection::dial(request).await {
            Ok(connection) => connection,
            Err(failure) => return (Err(failure), None),
        };
        let result = connection.exchange(request, head).await;
        (result, (route == Route::Pooled).then_some(connection))
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.connections.pop() {
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    /// Gives a connection back once it is ready for another request; drops it if it is not going to be.
    pub(crate) async fn give_back(&self, mut connection: Connection) {
        if connection.sender.ready().await.is_err() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.connections.len() >= idle.sweep_at {
            idle.connections.retain(|connection| !connection.sender.is_closed());
            idle.sweep_at = (idle.connections.len() * 2).max(32);
        }
        idle.connections.push(connection);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc;

    use super::*;

    /// A server that answers one request on each connection, closes it when told to, and says when that is done. On a
    /// thread, so that it goes on while the test's runtime stands still.
    struct ClosingServer {
        request: HttpRequest,
        close: mpsc::Sender<()>,
        closed: mpsc::Receiver<()>,
        thread: std::thread::JoinHandle<()>,
    }

    fn closing_server(answers: usize) -> ClosingServer {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let request =
            HttpRequest::new("GET", &format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let ((close, told), (done, closed)) = (mpsc::channel(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            for _ in 0..answers {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "closed without a request");
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                told.recv().unwrap();
                drop(stream);
                done.send(()).unwrap();
            }
        });
        ClosingServer { request, close, closed, thread }
    }

    #[tokio::test]
    async fn a_connection_that_the_service_closed_between_two_requests_is_not_an_error() {
        let server = closing_server(5);
        let (pool, mut effort) = (Pool::default(), Effort::default());
        for n in 1..=5 {
            let (result, connection) =
                pool.exchange(&server.request, Route::Pooled, &mut None, &mut effort).await;
            assert_eq!(result.unwrap().length, 2);
            assert_eq!(effort.dialled, n);
            pool.give_back(connection.unwrap()).await;
            // The runtime has one thread, which is kept here: it cannot have seen the close yet.
            server.close.send(()).unwrap();
            server.closed.recv().unwrap();
        }
        server.thread.join().unwrap();
    }

    #[tokio::test]
    async fn a_request_comes_back_unwritten_from_a_connection_that_is_going_down() {
        let server = closing_server(1);
        let mut connection = Connection::dial(&server.request).await.unwrap();
        connection._driver.abort_all();
        assert!(!connection.sender.is_closed(), "it does not know yet");
        let attempt = connection.attempt(server.request.message(), &mut None).await;
        assert!(matches!(attempt, Attempt::NotWritten(_)), "and so it can go out once more");
        drop(connection);
        assert!(server.thread.join().is_err(), "not a byte was read from it");
    }
}
