//! How bytes get to an engine: through its socket file, TCP, TLS, or a program that carries them (`ssh`). One HTTP client
//! over one kind of stream, so that each way costs no client of its own. It knows no call, and keeps no connection that a
//! call is through with longer than the client's pool does.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard::errors::Error as Raw;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use murphy_tls::{Identity, TlsError, Upstream, UpstreamSettings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::endpoint::{Endpoint, SshHost};
use crate::error::EngineError;

/// The client library's own limit in seconds; the real ones are set call by call, and this one must only not come first.
const CLIENT_LIMIT: u64 = 24 * 3600;

/// What is kept of what `ssh` says when it fails, in bytes.
const SAID: u64 = 2_000;

/// A client of the engine at this address. Nothing is dialled yet.
///
/// # Errors
/// Certificates that cannot be read, and an address that is none.
pub(crate) fn client(endpoint: &Endpoint) -> Result<Docker, EngineError> {
    let (way, host) = match endpoint {
        Endpoint::Unix(path) => (Way::Unix(Arc::from(path.as_path())), "localhost"),
        Endpoint::Tcp(host) => (Way::Tcp(Arc::from(host.as_str())), host.as_str()),
        Endpoint::Tls { host, certificates } => {
            let file = |name: &str| certificates.join(name);
            let settings = UpstreamSettings {
                ca: Some(file("ca.pem")),
                identity: Some(Identity { cert: file("cert.pem"), key: file("key.pem") }),
                ..UpstreamSettings::default()
            };
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let unusable = |error: TlsError| EngineError::Certificates {
                endpoint: endpoint.to_string(),
                why: error.to_string(),
            };
            let trust = Arc::new(Upstream::read(&settings, name).map_err(unusable)?);
            (Way::Tls(Arc::from(host.as_str()), trust), host.as_str())
        }
        Endpoint::Ssh(host) => (Way::Ssh(Arc::new(host.clone())), "localhost"),
    };
    let client = Arc::new(Client::builder(TokioExecutor::new()).build(Dial(way)));
    let ask = move |request: BollardRequest| {
        let client = Arc::clone(&client);
        async move {
            client
                .request(request)
                .await
                .map_err(|error| Raw::IOError { err: io::Error::other(Whole(error)) })
        }
    };
    let docker = Docker::connect_with_custom_transport(
        ask,
        Some(format!("http://{host}")),
        CLIENT_LIMIT,
        API_DEFAULT_VERSION,
    );
    docker.map_err(|raw| EngineError::sort(raw, "connect", endpoint))
}

/// The client's error with its own text as its source: an `io::Error` hides what it was made of.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Whole(#[source] hyper_util::client::legacy::Error);

#[derive(Clone)]
enum Way {
    Unix(Arc<std::path::Path>),
    Tcp(Arc<str>),
    Tls(Arc<str>, Arc<Upstream>),
    Ssh(Arc<SshHost>),
}

/// Dials the engine, whatever the request's own address says.
#[derive(Clone)]
struct Dial(Way);

impl Service<Uri> for Dial {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move { dial(way).await.map(TokioIo::new) })
    }
}

async fn dial(way: Way) -> io::Result<Stream> {
    Ok(match way {
        Way::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        Way::Tcp(host) => Stream::Tcp(tcp(&host).await?),
        Way::Tls(host, trust) => {
            let plain = tcp(&host).await?;
            let shaken = TlsConnector::from(trust.offering(&[])).connect(trust.name(), plain).await?;
            Stream::Tls(Box::new(shaken))
        }
        Way::Ssh(host) => Stream::Ssh(Box::new(Carrier::start(&host)?)),
    })
}

async fn tcp(host: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection to an engine.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Ssh(Box<Carrier>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Ssh(carrier) => carrier.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Ssh(carrier) => Pin::new(&mut carrier.to).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Ssh(carrier) => Pin::new(&mut carrier.to).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Ssh(carrier) => Pin::new(&mut carrier.to).poll_shutdown(cx),
        }
    }
}

/// `ssh` with the engine's own client at the far end: what goes in comes out of the engine's socket there. It ends with
/// the connection.
struct Carrier {
    to: ChildStdin,
    from: ChildStdout,
    /// Nothing has come yet: an end now is a failure of `ssh`, which has said why.
    silent: bool,
    said: Option<Pin<Box<dyn Future<Output = String> + Send + Sync>>>,
    _child: Child,
}

impl Carrier {
    fn start(host: &SshHost) -> io::Result<Carrier> {
        let mut child = Command::new("ssh")
            .args(host.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is meant for Murphy, who has to take things back through it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("`ssh` cannot be started: {error}")))?;
        let (Some(to), Some(from), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let said = Box::pin(async move {
            let mut said = Vec::new();
            let _ = errors.take(SAID).read_to_end(&mut said).await;
            String::from_utf8_lossy(&said).trim().replace(['\r', '\n'], " ")
        });
        Ok(Carrier { to, from, silent: true, said: Some(said), _child: child })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.from).poll_read(cx, buffer);
        match &read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => self.silent = false,
            Poll::Ready(Ok(())) if self.silent => {
                let Some(said) = &mut self.said else { return read };
                return said.as_mut().poll(cx).map(|said| {
                    self.said = None;
                    Err(io::Error::new(io::ErrorKind::ConnectionRefused, format!("ssh: {said}")))
                });
            }
            _ => {}
        }
        read
    }
}
