//! What the tests of the services share: services on free ports, dependencies that misbehave, and a user.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser as _;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use murphy_demo::{Args, Bound};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

/// A command line.
#[derive(Debug, clap::Parser)]
pub struct Line {
    #[command(flatten)]
    pub args: Args,
}

/// Everything that a test started. All of it ends when this is dropped.
#[derive(Debug, Default)]
pub struct World {
    tasks: JoinSet<()>,
    /// Bound, and not listening.
    held: Vec<TcpSocket>,
}

impl World {
    /// Starts a service on a free port; `--listen` and `--log` are added to what is given.
    pub async fn service(&mut self, line: &str) -> SocketAddr {
        self.service_at(line, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a service at an address.
    pub async fn service_at(&mut self, line: &str, listen: SocketAddr) -> SocketAddr {
        let line = format!("demo-service {line} --listen {listen} --log nothing");
        let args = Line::try_parse_from(line.split_whitespace()).expect("a good command line").args;
        let bound = Bound::bind(args).await.expect("a free port");
        let address = bound.local_addr().expect("an address");
        self.tasks.spawn(async move { bound.serve(std::future::pending()).await.expect("the service runs") });
        address
    }

    /// A dependency that takes connections and requests, and never answers.
    pub async fn hanging(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        self.tasks.spawn(async move {
            let mut readers = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                readers.spawn(async move {
                    let mut bytes = [0; 1024];
                    while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
                });
            }
        });
        address
    }

    /// An address that refuses connections. It is held, so that nobody else can listen there.
    pub fn refusing(&mut self) -> SocketAddr {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("an address");
        self.held.push(socket);
        address
    }
}

/// An address for somebody who listens there later.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], murphy_testkit::free_port()))
}

/// What a user saw.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub took: Duration,
}

impl Seen {
    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// One who asks.
#[derive(Debug)]
pub struct User {
    client: Client<HttpConnector, Full<Bytes>>,
    at: SocketAddr,
}

impl User {
    /// Of the service at this address.
    pub fn of(at: SocketAddr) -> User {
        User { client: Client::builder(TokioExecutor::new()).build_http(), at }
    }

    /// Asks, and waits as long as it takes.
    pub async fn ask(&self, method: Method, path: &str, body: &str) -> Seen {
        let began = Instant::now();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.at))
            .body(Full::new(Bytes::from(body.to_owned())))
            .expect("a good request");
        let response = self.client.request(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        Seen {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).expect("JSON"),
            took: began.elapsed(),
        }
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.ask(Method::GET, path, "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Seen {
        self.ask(Method::POST, path, body).await
    }

    /// True if no answer comes within this time.
    pub async fn waits_for(&self, path: &str, at_least: Duration) -> bool {
        tokio::time::timeout(at_least, self.get(path)).await.is_err()
    }
}
