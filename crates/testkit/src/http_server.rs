//! A small HTTP/1.1 server on a port of its own, which also misbehaves as told: answers late, never, cut or frozen.
//! It writes bytes as given and checks nothing, so that a test can send what no proper server would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Ordinal over the whole server, from 0.
    pub n: u64,
    /// Ordinal of its connection, from 0.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, by its `Content-Length`.
    pub body: Vec<u8>,
}

impl Asked {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    bytes: Vec<u8>,
    after: Duration,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Read,
    Close,
    Hang,
}

impl Answer {
    /// A proper answer with a body.
    pub fn new(status: u16, body: &str) -> Answer {
        Answer::with_headers(status, &[], body)
    }

    /// A proper answer with headers and a body.
    pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        Answer::raw(format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
    }

    /// These bytes, whatever they are.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { bytes: bytes.into(), after: Duration::ZERO, then: Then::Read }
    }

    /// Nothing, with the connection kept open.
    pub fn never() -> Answer {
        Answer::raw("").then_hang()
    }

    /// The same, after a delay.
    pub fn after(mut self, delay: Duration) -> Answer {
        self.after = delay;
        self
    }

    /// The same, and then the connection is closed.
    pub fn then_close(mut self) -> Answer {
        self.then = Then::Close;
        self
    }

    /// The same, and then silence on an open connection.
    pub fn then_hang(mut self) -> Answer {
        self.then = Then::Hang;
        self
    }
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Requests read to their end.
    pub requests: u64,
}

struct Shared<F> {
    answer: F,
    counts: watch::Sender<Counts>,
    frozen: watch::Receiver<bool>,
}

/// A running server; its drop ends it and all its connections.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    counts: watch::Receiver<Counts>,
    frozen: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl HttpServer {
    /// Starts one on a free port of 127.0.0.1, answering each request as the function says.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start<F>(answer: F) -> HttpServer
    where
        F: Fn(&Asked) -> Answer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (counting, counts) = watch::channel(Counts::default());
        let (frozen, freezing) = watch::channel(false);
        let shared = Arc::new(Shared { answer, counts: counting, frozen: freezing });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared));
        HttpServer { address, counts, frozen, _accepting: accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT` with this path behind it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Frozen, it accepts and reads, and answers nothing until it is thawed.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as wanted.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    pub async fn until(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut counts = self.counts.clone();
        let reached = tokio::time::timeout(Duration::from_secs(60), counts.wait_for(wanted)).await;
        *reached
            .unwrap_or_else(|_| panic!("the counts stay at {:?}", self.counts()))
            .expect("the server runs")
    }
}

async fn accept<F>(listener: TcpListener, shared: Arc<Shared<F>>)
where
    F: Fn(&Asked) -> Answer + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    let mut ordinal = 0;
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.counts.send_modify(|counts| {
            counts.accepted += 1;
            counts.open += 1;
        });
        let shared = Arc::clone(&shared);
        let connection = ordinal;
        connections.spawn(async move {
            // An error is the caller's end of the connection.
            let _ = serve(stream, connection, &shared).await;
            shared.counts.send_modify(|counts| counts.open -= 1);
        });
        ordinal += 1;
    }
}

async fn serve<F>(stream: TcpStream, connection: u64, shared: &Shared<F>) -> std::io::Result<()>
where
    F: Fn(&Asked) -> Answer + Send + Sync + 'static,
{
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut frozen = shared.frozen.clone();
    while let Some(mut asked) = read_request(&mut stream, connection).await? {
        shared.counts.send_modify(|counts| {
            asked.n = counts.requests;
            counts.requests += 1;
        });
        let answer = (shared.answer)(&asked);
        let due = async {
            tokio::time::sleep(answer.after).await;
            let _ = frozen.wait_for(|frozen| !frozen).await;
        };
        if !answer.after.is_zero() || *shared.frozen.borrow() {
            // A caller that gives up meanwhile is noticed, and its connection is closed.
            tokio::select! {
                () = due => {}
                gone = stream.fill_buf() => if gone?.is_empty() { return Ok(()) },
            }
        }
        stream.write_all(&answer.bytes).await?;
        match answer.then {
            Then::Read => {}
            Then::Close => return Ok(()),
            Then::Hang => {
                while stream.read(&mut [0; 512]).await? > 0 {}
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next request; `None` when the caller has closed.
async fn read_request(stream: &mut BufReader<TcpStream>, connection: u64) -> std::io::Result<Option<Asked>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked { n: 0, connection, method, path, headers, body: Vec::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body).await?;
    Ok(Some(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_keeps_the_connection_and_counts() {
        let server = HttpServer::start(|asked| {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            Answer::new(200, &format!("{} {} {} {body}", asked.n, asked.method, asked.path))
        })
        .await;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        for n in 0..2 {
            stream.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            let wanted = format!("HTTP/1.1 200 Status\r\ncontent-length: 12\r\n\r\n{n} POST /a hi");
            let mut answer = vec![0; wanted.len()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(String::from_utf8(answer).unwrap(), wanted);
        }
        assert_eq!(server.counts(), Counts { accepted: 1, open: 1, requests: 2 });
        drop(stream);
        server.until(|counts| counts.open == 0).await;
    }

    #[tokio::test]
    async fn frozen_it_reads_and_answers_only_when_thawed() {
        let server = HttpServer::start(|_| Answer::new(204, "")).await;
        server.set_frozen(true);
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        server.until(|counts| counts.requests == 1).await;
        let early = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
        assert!(early.is_err(), "nothing while frozen");
        server.set_frozen(false);
        assert_eq!(stream.read_u8().await.unwrap(), b'H');
    }
}
