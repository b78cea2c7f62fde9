//! The plainest client of the control API: one connection for each call.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// No call may take longer, whatever is under way, on a machine that is busy with this test and stands still now and then: the slowest of
/// ten minutes has taken 0.80 s.
const SLOW: Duration = Duration::from_secs(5);

pub(crate) fn call(api: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(api).expect("the API listens");
    stream.set_read_timeout(Some(SLOW)).expect("a time");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the API reads");
    let mut whole = String::new();
    if let Err(error) = stream.read_to_string(&mut whole) {
        panic!("{method} {path} {body}: no answer within {SLOW:?}: {error}");
    }
    let (head, body) = whole.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let took = begun.elapsed();
    assert!(took < SLOW, "{method} {path}: {took:?}");
    Reply { status, body: body.to_owned(), took }
}
