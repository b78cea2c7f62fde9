//! `murphy serve --containers` and its API, called by hand.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use murphy_tests::{Bench, Daemon};
use serde_json::{Value, json};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const FAULTS: &str = "/v1/containers/faults";

/// Sends one request, and reads the head of the answer.
pub fn send(daemon: &Daemon, request: (&str, &str), token: Option<&str>, body: &str) -> BufReader<TcpStream> {
    let (method, path) = request;
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).expect("to send it");
    BufReader::new(stream)
}

/// Asks; the status, and the answer's JSON or null.
pub fn ask(daemon: &Daemon, request: (&str, &str), token: Option<&str>, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut answer = String::new();
    send(daemon, request, token, &body).read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&answer);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A daemon that acts on containers, with the token `secret`.
pub struct Api<'b> {
    pub bench: &'b Bench,
    pub daemon: Daemon,
}

impl Api<'_> {
    pub fn start(bench: &Bench) -> Api<'_> {
        Api { bench, daemon: Daemon::start(bench, &["--containers", "--token", "secret", "--seed", "7"]) }
    }

    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.daemon, (method, path), Some("secret"), body)
    }

    /// Begins a fault for ten minutes; its name.
    pub fn begin(&self, fault: Value) -> String {
        let mut body = fault;
        body["for"] = json!("10m");
        let (status, made) = self.ask("POST", FAULTS, &body);
        assert_eq!((status, &made["state"]), (201, &json!("standing")), "{body}: {made}");
        made["name"].as_str().expect("a name").to_owned()
    }

    pub fn refused(&self, body: &Value, status: u16, says: &str) {
        let (got, answer) = self.ask("POST", FAULTS, body);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(says), "{body}: {got} {answer}");
    }

    pub fn lift(&self, name: &str) {
        let (status, answer) = self.ask("DELETE", &format!("{FAULTS}/{name}"), &Value::Null);
        assert_eq!(status, 204, "{name}: {answer}");
        assert_eq!(self.ask("GET", &format!("{FAULTS}/{name}"), &Value::Null).0, 404);
    }

    pub fn none_is_left(&self) {
        assert!(self.bench.undo_logs().is_empty(), "{:?}", self.bench.undo_logs());
        assert_eq!(self.ask("GET", FAULTS, &Value::Null), (200, json!([])));
    }
}
