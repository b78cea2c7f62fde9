//! An HTTP client for one dependency: a pool of kept-alive connections. It knows no timeout and no retry; those are the
//! business of whoever calls it (a [`Guard`](crate::guard::Guard), or nobody).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use thiserror::Error;

use crate::Address;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// A client of one dependency.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    to: Address,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers besides `host` and `content-type`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; nothing for none.
    pub body: Bytes,
}

impl Call {
    /// A call without a body.
    pub fn get(path: String) -> Call {
        Call { method: Method::GET, path, headers: Vec::new(), body: Bytes::new() }
    }
}

/// What came back: below 500, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value, LinkError> {
        serde_json::from_slice(&self.body).map_err(|e| LinkError::NoJson { why: e.to_string() })
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LinkError {
    /// No connection.
    #[error("cannot connect to {to}: {why}")]
    Unreachable {
        /// The dependency.
        to: String,
        /// The system's words.
        why: String,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to {to} broke: {why}")]
    Broken {
        /// The dependency.
        to: String,
        /// The library's words.
        why: String,
    },
    /// The dependency says that it failed.
    #[error("{to} answered {status}")]
    Status {
        /// The dependency.
        to: String,
        /// 500 or above.
        status: StatusCode,
    },
    /// The call cannot be written down, because of a character in its path for example.
    #[error("the call cannot be written as HTTP: {why}")]
    Unspeakable {
        /// The library's words.
        why: String,
    },
    /// The body is no JSON.
    #[error("the answer is no JSON: {why}")]
    NoJson {
        /// The parser's words.
        why: String,
    },
}

impl Link {
    /// A client that has no connection yet.
    pub fn new(to: Address) -> Link {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Link { to, client }
    }

    /// Makes a call and reads the answer to its end. Dropping the future gives the call up and closes its connection.
    pub async fn call(&self, call: Call) -> Result<Answer, LinkError> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("http://{}{}", self.to, call.path))
            .header(HOST, self.to.as_str())
            .body(Full::new(call.body.clone()))
            .map_err(|e| LinkError::Unspeakable { why: e.to_string() })?;
        if !call.body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.headers_mut().extend(call.headers);
        let response = self.client.request(request).await.map_err(|error| {
            let (to, why) = (self.to.to_string(), innermost(&error));
            if error.is_connect() {
                LinkError::Unreachable { to, why }
            } else {
                LinkError::Broken { to, why }
            }
        })?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| LinkError::Broken { to: self.to.to_string(), why: innermost(&error) })?;
        if head.status.is_server_error() {
            return Err(LinkError::Status { to: self.to.to_string(), status: head.status });
        }
        Ok(Answer { status: head.status, body: body.to_bytes() })
    }
}

/// The last cause in a chain of errors: that is where the system's own words are.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
