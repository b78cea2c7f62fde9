//! Calls to a container engine's API by hand, blocking, on a connection each: so that a test looks at the engine with
//! other eyes than the code under test, and can clean up in a `drop`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::Engine;

/// What the engine answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineCallError {
    /// The socket failed.
    #[error("{call}: {source}")]
    Socket {
        /// The call.
        call: String,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is not HTTP.
    #[error("{call}: not an HTTP answer: {head}")]
    Malformed {
        /// The call.
        call: String,
        /// Its beginning.
        head: String,
    },
}

impl EngineAnswer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body, if the status says that all went well.
    ///
    /// # Panics
    /// With the engine's own words otherwise.
    pub fn expect(self, what: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..400).contains(&self.status), "{what}: {} {text}", self.status);
        self.json()
    }
}

impl Engine {
    /// Makes one call. `path` begins with a slash and has no version.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<EngineAnswer, EngineCallError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, "application/json", body.as_bytes())
    }

    /// Makes one call with a body of any kind.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &[u8],
    ) -> Result<EngineAnswer, EngineCallError> {
        let call = format!("{method} {path}");
        let socket = |source| EngineCallError::Socket { call: call.clone(), source };
        let mut stream = UnixStream::connect(&self.socket).map_err(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(socket)?;
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).map_err(socket)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(socket)?;
        parse(&answer).ok_or_else(|| EngineCallError::Malformed {
            call,
            head: String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned(),
        })
    }
}

fn parse(answer: &[u8]) -> Option<EngineAnswer> {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..split]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(EngineAnswer { status, body: answer[split + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n{\"message\":\"x\"}").unwrap();
        assert_eq!((answer.status, answer.json()["message"].as_str()), (404, Some("x")));
        assert_eq!(parse(b"nonsense"), None);
    }
}
