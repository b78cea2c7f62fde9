//! One call: a connection of its own, a bound on how long it may take and on how long its answer may be.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use murphy_core::Span;
use tokio::net::TcpStream;

use crate::json::{Kind, Object, first_value};
use crate::listen::system_text;
use crate::native::Token;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address of an API.
    #[error("`{url}` is not the address of a control API; write for example http://127.0.0.1:8474")]
    BadUrl {
        /// As given.
        url: String,
    },
    /// Nobody answers there.
    #[error("no control API at {authority}: {why}; start one with `murphy serve`")]
    Unreachable {
        /// Host and port.
        authority: String,
        /// What the system said.
        why: String,
    },
    /// The API said no.
    #[error("{message} (HTTP {status})")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// A server of Toxiproxy's API alone.
    #[error(
        "{authority} has no /v1, so it is not `murphy serve`; `murphy toxiproxy` drives Toxiproxy's own server"
    )]
    NotNative {
        /// Host and port.
        authority: String,
    },
    /// What answers there is not such an API.
    #[error("{authority} does not answer as a control API does: {why}")]
    NotAnApi {
        /// Host and port.
        authority: String,
        /// What was wrong.
        why: String,
    },
}

/// A client of one API.
#[derive(Clone)]
pub struct Client {
    authority: String,
    token: Option<Token>,
}

/// The longest that a call may take: longer than a look-up of a name by the daemon.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const ANSWER: usize = 64 * 1024 * 1024;
/// Between two looks for a daemon that is not there yet.
const LOOK: Duration = Duration::from_millis(50);

impl Client {
    /// A client of the API at `http://host:port`; `host:port` alone will do. The token is sent with every call.
    pub fn new(url: &str, token: Option<Token>) -> Result<Client, ClientError> {
        let bad = || ClientError::BadUrl { url: url.to_owned() };
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let plain = !host.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']);
        if !plain || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Client { authority: rest.to_owned(), token })
    }

    /// Waits until something listens there, at most so long; then the error is that of the last look.
    pub async fn reachable_within(&self, wait: Span) -> Result<(), ClientError> {
        let end = Instant::now() + wait.as_duration();
        loop {
            match TcpStream::connect(&self.authority).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(self.unreachable(system_text(&error))),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    pub(super) fn odd(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::NotAnApi { authority: self.authority.clone(), why: why.to_string() }
    }

    fn unreachable(&self, why: String) -> ClientError {
        ClientError::Unreachable { authority: self.authority.clone(), why }
    }

    /// Sends a request; the body of an answer that says that it went well.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Bytes, ClientError> {
        self.in_time(self.try_exchange(method, path, body)).await
    }

    /// Waits for an answer, but not for ever.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// A connection of its own, to be driven while it is spoken on.
    async fn dial(&self) -> Result<(SendRequest<Full<Bytes>>, Connection), ClientError> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .map_err(|error| self.unreachable(system_text(&error)))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(error.to_string()))?;
        Ok((sender, Box::pin(connection)))
    }

    async fn try_exchange(&self, method: Method, path: &str, body: String) -> Result<Bytes, ClientError> {
        let (mut sender, connection) = self.dial().await?;
        let request = self.request(method, path, body)?;
        let talk = async {
            let answer = sender.send_request(request).await.map_err(|error| self.odd(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            Ok((status, body.map_err(|error| self.odd(&error))?.to_bytes()))
        };
        // The connection is driven until the answer is there, then dropped.
        let (status, bytes): (StatusCode, Bytes) = tokio::select! {
            biased;
            answer = talk => answer?,
            Err(error) = connection => return Err(self.unreachable(error.to_string())),
        };
        if status.is_success() { Ok(bytes) } else { Err(self.refused(status, path, &bytes)) }
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("murphy/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        request.body(Full::<Bytes>::from(body)).map_err(|error| self.odd(&error))
    }

    /// Opens a stream of the API; it stands as long as what is handed out.
    pub(super) async fn open(&self, path: &str) -> Result<Listening, ClientError> {
        self.in_time(self.try_open(path)).await
    }

    async fn try_open(&self, path: &str) -> Result<Listening, ClientError> {
        let (mut sender, mut connection) = self.dial().await?;
        let request = self.request(Method::GET, path, String::new())?;
        let answer = tokio::select! {
            biased;
            answer = sender.send_request(request) => answer.map_err(|error| self.odd(&error))?,
            Err(error) = &mut connection => return Err(self.unreachable(error.to_string())),
        };
        let status = answer.status();
        let mut listening =
            Listening { body: answer.into_body(), connection: Some(connection), text: Vec::new() };
        if status.is_success() {
            return Ok(listening);
        }
        while listening.more().await.is_some() {}
        Err(self.refused(status, path, &listening.text))
    }

    fn refused(&self, status: StatusCode, path: &str, bytes: &[u8]) -> ClientError {
        // The words of Toxiproxy's router: no answer of ours to a path below /v1.
        if status == StatusCode::NOT_FOUND && path.starts_with("/v1/") && bytes.starts_with(b"404 page") {
            return ClientError::NotNative { authority: self.authority.clone() };
        }
        ClientError::Refused { status, message: message(bytes) }
    }
}

type Connection = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// The longest notice that is read, and the longest refusal of a stream.
const NOTICE: usize = 1024 * 1024;

/// A stream of notices. Closed when dropped.
pub struct Listening {
    body: Incoming,
    /// Until it has ended by itself.
    connection: Option<Connection>,
    text: Vec<u8>,
}

/// One notice: its kind and what it says, in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `fault-armed`, `traffic`, and so on.
    pub event: String,
    /// JSON.
    pub data: String,
}

impl Listening {
    /// The next notice; `None` once the stream is over. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let frame: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(heard) = heard(&String::from_utf8_lossy(&frame)) {
                    return Some(heard);
                }
            }
            self.more().await?;
        }
    }

    /// Reads on.
    async fn more(&mut self) -> Option<()> {
        loop {
            let frame = match &mut self.connection {
                None => self.body.frame().await,
                Some(connection) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    _ = connection => {
                        // What it has read before is still there to be taken.
                        self.connection = None;
                        continue;
                    }
                },
            };
            if let Some(data) = frame?.ok()?.data_ref() {
                self.text.extend_from_slice(data);
                return (self.text.len() <= NOTICE).then_some(());
            }
        }
    }
}

/// One frame of server-sent events; `None` for a comment.
fn heard(frame: &str) -> Option<Heard> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    Some(Heard { event: field("event: ")?, data: field("data: ")? })
}

/// The words of an error answer, with all findings.
fn message(bytes: &[u8]) -> String {
    let text = || String::from_utf8_lossy(bytes).trim().to_owned();
    let Ok(json) = first_value(bytes) else { return text() };
    let Ok(object) = Object::of(&json, "", Kind::Struct("")) else { return text() };
    let Ok(Some(error)) = object.field("error").text() else { return text() };
    let mut message = error.to_owned();
    let findings = object.field("findings").list(Kind::List("list of findings"));
    for finding in findings.ok().flatten().unwrap_or_default() {
        let Ok(finding) = Object::of(finding, "finding", Kind::Struct("finding")) else { continue };
        let text = |name| finding.field(name).text().ok().flatten().unwrap_or_default();
        let field = match text("field") {
            "" => String::new(),
            field => format!("{field}: "),
        };
        message += &format!("\n  {field}{}; {}", text("message"), text("help"));
    }
    message
}

/// A path of escaped segments.
pub(super) fn path(segments: &[&str]) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port_and_no_path() {
        for good in ["http://localhost:8474", "127.0.0.1:8474", "http://[::1]:1/"] {
            assert!(Client::new(good, None).is_ok(), "{good}");
        }
        for bad in ["", "localhost", "https://a:1", "http://a:x", "http://a:1/b", "http://:1", "http://u@a:1"]
        {
            assert!(Client::new(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_notice_has_a_kind_and_a_comment_has_none() {
        let frame = "event: fault-armed\ndata: {\"proxy\":\"db\"}\n\n";
        let told = heard(frame).unwrap();
        assert_eq!((told.event.as_str(), told.data.as_str()), ("fault-armed", "{\"proxy\":\"db\"}"));
        assert_eq!(heard(": alive\n\n"), None);
    }

    #[test]
    fn names_are_escaped_and_errors_keep_their_words() {
        assert_eq!(path(&["proxies", "<a b>/ü"]), "/proxies/%3Ca%20b%3E%2F%C3%BC");
        assert_eq!(message(br#"{"error":"proxy not found","status":404}"#), "proxy not found");
        assert_eq!(message(b"404 page not found\n"), "404 page not found");
    }

    #[test]
    fn all_findings_are_told() {
        let answer = br#"{"error":"latency cannot be meant so","findings":[
            {"field":"jitter","message":"1h is too long","help":"write less"},
            {"field":null,"message":"it does nothing","help":"leave it out"}]}"#;
        assert_eq!(
            message(answer),
            "latency cannot be meant so\n  jitter: 1h is too long; write less\n  it does nothing; leave it out"
        );
    }
}
