//! Both control APIs under requests that are nearly right and bytes that are none: every request that can be read has an answer, soon,
//! and none is a server error (but off `/v1` where Toxiproxy has one for an address); bytes that cannot be read cost their own connection and nothing else. Memory is bounded.
//!
//! `MURPHY_FUZZ_SECONDS` says how long; without it, a minute for each test where `CI=true`, else two seconds, and at least 200
//! cases however long they take. `MURPHY_FUZZ_SEED` takes other cases than the usual ones, and `MURPHY_FUZZ_CASE` one of them alone, without what came
//! before it.

mod make;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use murphy_control::Compat;
use murphy_core::{Dice, Seed};
use murphy_testkit::{most_memory_kib, number};
use socket2::SockRef;
use support::{Daemon, daemon, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use make::Request;

/// Cases that are tried however long they take.
const LEAST: u64 = 200;
/// What the process may ever have had in memory: measured are a few tens of MiB.
const MEMORY_KIB: u64 = 256 * 1024;
/// Everything is taken away so often, as its owner would do: else all that is left is that there are too many.
const CLEARED_EVERY: u64 = 300;

/// A connection that leaves with a reset: ones that end in good order are kept by the kernel for a minute, and there are thousands.
async fn connect(daemon: &Daemon) -> TcpStream {
    let stream = within("dial", TcpStream::connect(daemon.address)).await.unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    stream
}

/// True if the answer says that an address cannot be listened on: Toxiproxy answers a caller's mistake there with 500, and so must
/// what answers in its place (docs/toxiproxy.md).
fn is_of_an_address(answer: &str) -> bool {
    ["in address", "unknown port", "invalid port", "listen tcp", "lookup "]
        .iter()
        .any(|part| answer.contains(part))
}

/// What was answered.
struct Answer {
    status: u16,
    /// As much of it as has been read.
    text: String,
}

/// `None` if the connection was ended without an answer.
async fn answered(stream: &mut TcpStream, case: &str) -> Option<Answer> {
    let (mut got, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        match within(case, stream.read(&mut buffer)).await {
            Ok(read @ 1..) => got.extend_from_slice(&buffer[..read]),
            Ok(0) | Err(_) => break,
        }
        // Some answer for as long as one listens; that they have begun is enough.
        if got.windows(4).any(|window| window == b"\r\n\r\n") {
            break;
        }
    }
    if got.is_empty() {
        return None;
    }
    let head = String::from_utf8_lossy(&got);
    // A caller of HTTP/1.0 is answered in that version.
    let rest = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "));
    let status = rest.and_then(|rest| rest.get(..3)).and_then(|text| text.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {head}\n{case}"));
    Some(Answer { status, text: head.into_owned() })
}

/// One request, and the status of its answer; outside the native API, that of an address which cannot be listened on as a refusal.
async fn ask(daemon: &Daemon, request: &Request, case: &str) -> Option<u16> {
    let mut stream = connect(daemon).await;
    // A refusal may come before all has been sent.
    let _ = within(case, stream.write_all(&request.bytes)).await;
    if !request.is_whole {
        // What is missing never comes.
        let _ = stream.shutdown().await;
    }
    let Answer { status, text } = answered(&mut stream, case).await?;
    let is_excused = !request.is_native() && status == 500 && is_of_an_address(&text);
    Some(if is_excused { 400 } else { status })
}

#[tokio::test]
async fn no_request_meets_a_server_error_a_hang_or_a_panic() {
    fuzz("better", Compat::Better).await;
}

#[tokio::test]
async fn nor_does_it_where_answers_are_those_of_toxiproxy() {
    fuzz("strict", Compat::Strict).await;
}

async fn fuzz(what: &str, compat: Compat) {
    let (seed, alone) = (Seed(number("MURPHY_FUZZ_SEED").unwrap_or(1)), number("MURPHY_FUZZ_CASE"));
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    let time = Duration::from_secs(number("MURPHY_FUZZ_SECONDS").unwrap_or(if is_ci { 60 } else { 2 }));
    let daemon = daemon(compat).await;
    let begun = Instant::now();
    let (mut case, mut tried, mut done, mut refused) = (alone.unwrap_or(0), 0, 0, 0);
    while tried == 0 || alone.is_none() && (tried < LEAST || begun.elapsed() < time) {
        let request = make::request(&mut Dice::new(seed.derive(what, case)));
        let text = format!("case {case}: {}", request.bytes.escape_ascii());
        let status = ask(&daemon, &request, &text).await;
        match status {
            Some(500..) => panic!("{status:?}\n{text}"),
            // A panic ends the connection, and so does whatever else forgets its caller.
            None => assert!(!request.is_http, "no answer\n{text}"),
            Some(200..300) => done += 1,
            Some(_) => refused += 1,
        }
        (case, tried) = (case + 1, tried + 1);
        if tried.is_multiple_of(CLEARED_EVERY) {
            clear(&daemon).await;
        }
    }
    clear(&daemon).await;
    daemon.call("GET", "/version", "").await.expect(200);
    daemon.call("GET", "/v1/proxies", "").await.expect(200);
    daemon.end().await;
    let memory = most_memory_kib();
    eprintln!("{what}: {tried} requests, {done} done, {refused} refused, {} MiB at most", memory / 1024);
    if alone.is_none() {
        // Nearly right: what is always refused never comes to what could break.
        assert!(done * 20 > tried && refused * 20 > tried, "{done} done and {refused} refused of {tried}");
    }
    assert!(memory < MEMORY_KIB, "{memory} KiB at most");
}

/// Takes away all that the requests have left.
async fn clear(daemon: &Daemon) {
    for (list, each) in [("/v1/proxies", "name"), ("/v1/leases", "name")] {
        let all = daemon.call("GET", list, "").await.expect(200);
        let all: serde_json::Value = serde_json::from_str(&all.body).unwrap();
        for one in all.as_array().unwrap_or_else(|| panic!("{list}: {all}")) {
            let name = make::escaped(one[each].as_str().unwrap_or_else(|| panic!("{one}")));
            let gone = daemon.call("DELETE", &format!("{list}/{name}"), "").await;
            assert!([200, 204, 404].contains(&gone.status), "{name}: {gone:?}");
        }
    }
}
