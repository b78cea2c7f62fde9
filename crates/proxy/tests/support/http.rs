//! A dependency that speaks HTTP as scripted, and callers that speak it byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use murphy_core::{EdgeName, EventKind, HttpCall, Protocol, Recorder, RunClock, Seed};
use murphy_proxy::http::{HttpEffect, HttpStep};
use murphy_proxy::{Armed, EdgeEffect, EdgeTls, Limits, Proxy, ProxyConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Stage, armed, within};

/// A proxy of an HTTP edge.
pub async fn http_stage(target: SocketAddr) -> Stage {
    stage_with(Protocol::Http, target, EdgeTls::default()).await
}

/// One of any protocol, with TLS on some of its sides.
pub async fn stage_with(protocol: Protocol, target: SocketAddr, tls: EdgeTls) -> Stage {
    let (recorder, recording) = Recorder::new(RunClock::start(), 100_000);
    let config = ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol,
        listen: "127.0.0.1:0".to_owned(),
        upstream: target.to_string(),
        tls,
        seed: Seed(7),
        recorder,
        limits: Limits::default(),
    };
    Stage::of(Proxy::bind(config).await.unwrap(), None, recording)
}

pub fn on_requests(id: &str, effect: HttpEffect) -> Armed {
    armed(id, EdgeEffect::Http(effect), murphy_core::Directions::default())
}

pub fn step(id: &str, step: HttpStep) -> Armed {
    on_requests(id, HttpEffect::new(vec![step]))
}

/// A dependency that answers each request (without a body) with the same bytes.
pub struct Canned {
    pub address: SocketAddr,
    pub asked: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

pub async fn canned(answer: &'static [u8]) -> Canned {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let count = Arc::clone(&asked);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let count = Arc::clone(&count);
            connections.spawn(async move {
                let (asks, mut answers) = stream.into_split();
                let mut asks = BufReader::new(asks);
                while head(&mut asks).await.is_some() {
                    count.fetch_add(1, Ordering::SeqCst);
                    if answers.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Canned { address, asked, _tasks: tasks }
}

/// Reads up to the end of a message's head; `None` if the peer ended before.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        bytes.push(byte);
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// Sends bytes and reads until the other side ends. The error tells of a reset.
pub async fn converse(stream: &mut TcpStream, request: &[u8]) -> (Vec<u8>, std::io::Result<()>) {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let ended = within("the end of an answer", async {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) => return Err(error),
            }
        }
    })
    .await;
    (answer, ended)
}

/// Sends a request and reads an answer with a content-length; the connection stays.
pub async fn ask(stream: &mut TcpStream, request: &[u8]) -> (String, Vec<u8>) {
    stream.write_all(request).await.unwrap();
    let head = within("a head", head(stream)).await.expect("an answer");
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse().unwrap())
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    within("a body", stream.read_exact(&mut body)).await.unwrap();
    (head, body)
}

pub fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The requests that were told of, in order of their end.
pub async fn calls(stage: Stage) -> Vec<HttpCall> {
    let events = stage.finish().await;
    events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Request(call) => Some(*call),
            _ => None,
        })
        .collect()
}
