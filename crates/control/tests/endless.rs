//! The two operations that answer for as long as one listens, `/v1/events` and `/v1/leases/{lease}/hold`, under requests that nobody should
//! send. The tests that are made of the OpenAPI document leave them out, for these answers have no end; here each is read as far as it
//! tells something. A wrong request is refused with 4xx, soon, and holds nothing.

mod support;

use std::time::{Duration, Instant};

use murphy_control::{Compat, Token};
use murphy_core::Seed;
use support::{Daemon, PROMPT, daemon, daemon_guarded, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EVENTS: &str = "/v1/events";
const HOLD: &str = "/v1/leases/mine/hold";

/// What came of a request: its connection, and what was answered until the head was whole; nothing if the connection was ended without.
struct Begun {
    stream: TcpStream,
    seen: String,
}

impl Begun {
    async fn of(daemon: &Daemon, request: &[u8]) -> Begun {
        let case = request[..request.len().min(200)].escape_ascii().to_string();
        let begun = Instant::now();
        let mut stream = within(&case, TcpStream::connect(daemon.address)).await.unwrap();
        // A refusal may come before all has been sent.
        let _ = within(&case, stream.write_all(request)).await;
        let mut begun_answer = Begun { stream, seen: String::new() };
        begun_answer.until("\r\n\r\n", &case).await;
        assert!(begun.elapsed() < PROMPT, "{case}: {:?}", begun.elapsed());
        begun_answer
    }

    /// Reads until this has come, or the end.
    async fn until(&mut self, text: &str, case: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            match within(case, self.stream.read(&mut buffer)).await {
                Ok(read @ 1..) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..read])),
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn status(&self) -> Option<u16> {
        self.seen.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

/// A request without a body, with more lines of its head.
fn request(method: &str, path: &str, lines: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

async fn refused(daemon: &Daemon, request: &[u8], status: u16) {
    let begun = Begun::of(daemon, request).await;
    let case = request[..request.len().min(200)].escape_ascii();
    assert_eq!(begun.status(), Some(status), "{case}: {}", begun.seen);
}

/// It is a stream, and says so at once.
async fn streams(daemon: &Daemon, request: &[u8]) -> Begun {
    let case = request[..request.len().min(200)].escape_ascii().to_string();
    let mut begun = Begun::of(daemon, request).await;
    assert_eq!(begun.status(), Some(200), "{case}: {}", begun.seen);
    begun.until(": alive", &case).await;
    assert!(begun.seen.contains(": alive"), "{case}: {}", begun.seen);
    begun
}

/// A daemon with a lease that nobody holds.
async fn with_a_lease() -> Daemon {
    let daemon = daemon(Compat::Better).await;
    daemon.proxies.put_lease("mine".parse().unwrap(), Duration::from_secs(600)).unwrap();
    daemon
}

#[tokio::test]
async fn another_method_is_refused_and_holds_nothing() {
    let daemon = with_a_lease().await;
    for path in [EVENTS, HOLD] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"] {
            refused(&daemon, &request(method, path, "Content-Length: 0\r\n"), 405).await;
        }
        // What its body is does not matter, nor that it is never sent.
        let json = "Content-Type: application/json\r\nContent-Length: 9\r\n";
        refused(&daemon, &request("POST", path, json), 405).await;
        refused(&daemon, &[request("POST", path, json), b"{\"for\":1}".to_vec()].concat(), 405).await;
    }
    // Nobody holds it, so that somebody can.
    drop(streams(&daemon, &request("GET", HOLD, "")).await);
    daemon.end().await;
}

#[tokio::test]
async fn a_path_that_is_nearly_right_is_refused() {
    let daemon = with_a_lease().await;
    let long = format!("/v1/leases/{}/hold", "l".repeat(2000));
    for (path, status) in [
        ("/v1/events/", 404),
        ("/v1/events/all", 404),
        ("/v1/Events", 404),
        ("/v1//events", 404),
        ("/v1/leases/mine/hold/", 404),
        ("/v1/leases/mine/holds", 404),
        ("/v1/leases//hold", 404),
        ("/v1/leases/other/hold", 404),
        // Not a name, or no text at all.
        ("/v1/leases/a%20b/hold", 400),
        ("/v1/leases/%00/hold", 400),
        ("/v1/leases/..%2Fmine/hold", 400),
        ("/v1/leases/%2E%2E/hold", 400),
        ("/v1/leases/%/hold", 400),
        ("/v1/leases/%zz/hold", 400),
        ("/v1/leases/%ff%fe/hold", 400),
        (long.as_str(), 400),
    ] {
        refused(&daemon, &request("GET", path, ""), status).await;
    }
    daemon.end().await;
}

#[tokio::test]
async fn queries_and_headers_that_mean_nothing_here_change_nothing() {
    let daemon = with_a_lease().await;
    for path in [EVENTS, HOLD] {
        for (query, lines) in [
            ("?after=x&after=-1&%zz", ""),
            ("?", "Last-Event-ID: 99999999999999999999\r\n"),
            ("", "Accept: image/png\r\nRange: bytes=9-1\r\n"),
            ("", "Content-Length: 0\r\n"),
        ] {
            drop(streams(&daemon, &request("GET", &format!("{path}{query}"), lines)).await);
            // The one before has gone with its connection, and so has its lease.
            if path == HOLD {
                within("the end of the lease", async {
                    while daemon.proxies.lease("mine").is_ok() {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
                daemon.proxies.put_lease("mine".parse().unwrap(), Duration::from_secs(600)).unwrap();
            }
        }
    }
    daemon.end().await;
}

/// An answer does not wait for a body that nobody wants. That such a connection has gone is noticed late, when a beat cannot be written:
/// its end stands behind the body that is not read.
#[tokio::test]
async fn a_body_is_not_waited_for() {
    let daemon = daemon(Compat::Better).await;
    let mut streams_of_all = Vec::new();
    for (number, (lines, body)) in [
        ("Content-Type: application/json\r\nContent-Length: 7\r\n", "{\"for\":"),
        // Announced, and never sent.
        ("Content-Length: 1048577\r\n", "x"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhel"),
        // No chunk at all.
        ("Transfer-Encoding: chunked\r\n", "zz\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let lease = format!("l{number}");
        daemon.proxies.put_lease(lease.parse().unwrap(), Duration::from_secs(600)).unwrap();
        for path in [EVENTS.to_owned(), format!("/v1/leases/{lease}/hold")] {
            let request = [request("GET", &path, lines), body.into()].concat();
            streams_of_all.push(streams(&daemon, &request).await);
        }
        daemon.call("GET", &format!("/v1/leases/{lease}"), "").await.expect(200);
    }
    // Nor does the daemon wait for them at its end.
    daemon.end().await;
}

#[tokio::test]
async fn bytes_that_are_no_request_cost_their_own_connection_alone() {
    let daemon = with_a_lease().await;
    let listener = streams(&daemon, &request("GET", EVENTS, "")).await;
    for path in [EVENTS, HOLD] {
        let many_lines: String = (0..1000).map(|n| format!("X-{n}: y\r\n")).collect();
        for bytes in [
            format!("GET {path} HTTP/9.9\r\nHost: localhost\r\n\r\n"),
            format!("GET {path}\r\n\r\n"),
            format!("GET  {path}  HTTP/1.1\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
            format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
            ),
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{many_lines}\r\n"),
            format!("GET {path}?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "q".repeat(70_000)),
        ] {
            let begun = Begun::of(&daemon, bytes.as_bytes()).await;
            let case = &bytes[..bytes.len().min(100)];
            // An answer of 4xx, or none at all: the connection is at its end.
            assert!(matches!(begun.status(), None | Some(400..500)), "{case}: {}", begun.seen);
        }
    }
    daemon.call("GET", "/v1/leases", "").await.expect(200);
    drop(listener);
    daemon.end().await;
}

#[tokio::test]
async fn strangers_are_refused_before_anything_is_held() {
    let daemon = with_a_lease().await;
    for path in [EVENTS, HOLD] {
        refused(&daemon, &request("GET", path, "Origin: http://evil.example\r\n"), 403).await;
        refused(&daemon, &request("GET", path, "Sec-Fetch-Site: cross-site\r\n"), 403).await;
        refused(&daemon, format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n").as_bytes(), 403).await;
    }
    drop(streams(&daemon, &request("GET", HOLD, "")).await);
    daemon.end().await;

    let guarded = daemon_guarded(Compat::Better, Seed(7), Token::new("secret")).await;
    guarded.proxies.put_lease("mine".parse().unwrap(), Duration::from_secs(600)).unwrap();
    for path in [EVENTS, HOLD] {
        for lines in
            ["", "Authorization: Bearer guess\r\n", "Authorization: secret\r\n", "Authorization: \r\n"]
        {
            refused(&guarded, &request("GET", path, lines), 401).await;
        }
    }
    drop(streams(&guarded, &request("GET", HOLD, "Authorization: Bearer secret\r\n")).await);
    guarded.end().await;
}

#[tokio::test]
async fn a_second_holder_and_a_listener_too_many_are_refused() {
    let daemon = with_a_lease().await;
    let holder = streams(&daemon, &request("GET", HOLD, "")).await;
    refused(&daemon, &request("GET", HOLD, ""), 409).await;
    let mut listeners = Vec::new();
    for _ in 0..64 {
        listeners.push(streams(&daemon, &request("GET", EVENTS, "")).await);
    }
    refused(&daemon, &request("GET", EVENTS, ""), 429).await;
    // The first one has lost nothing by it.
    daemon.call("GET", "/v1/leases/mine", "").await.expect(200);
    drop((holder, listeners));
    daemon.end().await;
}
