//! A daemon between real sockets, and a client that shows answers as they are on the wire.
#![allow(dead_code)] // each test binary uses a part

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use murphy_control::{Compat, MetricsChoice, Proxies, Served, Server, ServerConfig, Token};
use murphy_core::Seed;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Far longer than anything here takes: reached only by a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a control call may take: less than anything that it could wait for by mistake. The promise of 100 ms is held by a
/// test of its own, for one slow call says nothing on a machine that stands still now and then.
pub const PROMPT: Duration = Duration::from_secs(10);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

/// A daemon that serves until it is dropped.
pub struct Daemon {
    pub address: SocketAddr,
    pub proxies: Proxies,
    pub state: tempfile::TempDir,
    /// The token that it has made for itself.
    pub made: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

pub async fn daemon(compat: Compat) -> Daemon {
    daemon_seeded(compat, Seed(7)).await
}

pub async fn daemon_seeded(compat: Compat, seed: Seed) -> Daemon {
    daemon_guarded(compat, seed, None).await
}

pub async fn daemon_guarded(compat: Compat, seed: Seed, token: Option<Token>) -> Daemon {
    daemon_on("127.0.0.1", compat, seed, token).await
}

pub async fn daemon_on(host: &str, compat: Compat, seed: Seed, token: Option<Token>) -> Daemon {
    let state = tempfile::tempdir().unwrap();
    let server = Server::bind(ServerConfig {
        host: host.to_owned(),
        port: 0,
        seed,
        compat,
        metrics: MetricsChoice { proxy: Served::Yes, runtime: Served::No },
        state: state.path().to_owned(),
        token,
        containers: None,
    })
    .await
    .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (address, proxies) = (server.local_addr(), server.proxies());
    let made = server.made_token().map(|token| token.reveal().to_owned());
    let mut tasks = JoinSet::new();
    tasks.spawn(async {
        let ended = async { drop(stopped.await) };
        assert_eq!(server.serve(ended).await, []);
    });
    Daemon { address, proxies, state, made, stop: Some(stop), tasks }
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub took: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let known = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, value)| value.as_str())
    }

    /// Fails the test on another status, with the whole answer.
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Daemon {
    /// One request over a connection of its own.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.call_with(method, path, &[], body).await
    }

    pub async fn call_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let begun = Instant::now();
        let whole = within(path, async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut whole = Vec::new();
            stream.read_to_end(&mut whole).await.unwrap();
            String::from_utf8(whole).unwrap()
        })
        .await;
        let took = begun.elapsed();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Reply { status, headers, body: body.to_owned(), took }
    }

    /// A call that must succeed, and promptly.
    pub async fn done(&self, method: &str, path: &str, body: &str) -> Reply {
        let reply = self.call(method, path, body).await;
        assert!((200..300).contains(&reply.status), "{method} {path} {body}: {reply:?}");
        assert!(reply.took < PROMPT, "{method} {path}: {:?}", reply.took);
        reply
    }

    /// A proxy in front of an upstream; its address.
    pub async fn proxy(&self, name: &str, upstream: SocketAddr) -> SocketAddr {
        let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{upstream}"}}"#);
        let reply = self.done("POST", "/proxies", &body).await;
        field(&reply.body, "listen").parse().unwrap()
    }

    /// Puts a toxic on a proxy.
    pub async fn toxic(&self, proxy: &str, toxic: &str) -> Reply {
        self.done("POST", &format!("/proxies/{proxy}/toxics"), toxic).await
    }

    pub async fn end(mut self) {
        drop(self.stop.take());
        while let Some(done) = within("end", self.tasks.join_next()).await {
            done.unwrap();
        }
    }
}

/// The first string field of that name.
pub fn field(json: &str, name: &str) -> String {
    let from =
        json.find(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("{name} in {json}")) + name.len() + 4;
    json[from..].split('"').next().unwrap().to_owned()
}

/// Lets this process have so many open files at least; false, said aloud, where it may not.
pub fn may_open(files: u64) -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < files {
        murphy_testkit::skip(format_args!("only {hard} open files are allowed, {files} are needed"));
        return false;
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(files), hard).unwrap();
    true
}

/// A listener that the test answers itself.
pub async fn upstream() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connection through a proxy: the caller's end and the dependency's end.
pub async fn pair(proxy: SocketAddr, upstream: &TcpListener) -> (TcpStream, TcpStream) {
    let client = within("dial", TcpStream::connect(proxy)).await.unwrap();
    client.set_nodelay(true).unwrap();
    let (server, _) = within("accept", upstream.accept()).await.unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// Exactly so many bytes.
pub async fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    within("bytes", stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// How long a byte takes from one end to the other.
pub async fn lag(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    from.write_all(b"x").await.unwrap();
    read_exactly(to, 1).await;
    begun.elapsed()
}

/// The quickest of a few: a delay that is there is in all of them, a machine that stands still is not.
pub async fn quickest(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..4 {
        least = least.min(lag(from, to).await);
    }
    least
}

/// True if one byte sent at one end arrives at the other within the time.
pub async fn passes(from: &mut TcpStream, to: &mut TcpStream, time: Duration) -> bool {
    from.write_all(b"x").await.unwrap();
    let mut byte = [0];
    matches!(tokio::time::timeout(time, to.read(&mut byte)).await, Ok(Ok(1)))
}
