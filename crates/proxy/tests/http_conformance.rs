//! HTTP through the proxy with no fault armed: what one side says, the other hears, and what is not HTTP is refused.

mod support;

use std::sync::atomic::Ordering;

use murphy_core::{ExchangeEnd, Side};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use support::http::{ask, calls, canned, converse, head, http_stage, status};
use support::{Stage, reset, within};

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A proxy before a dependency that the test plays itself.
async fn played() -> (Stage, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (http_stage(upstream.local_addr().unwrap()).await, upstream)
}

/// The caller's end and the dependency's end of one connection.
async fn pair() -> (Stage, TcpStream, TcpStream) {
    let (stage, upstream) = played().await;
    let caller = stage.dial().await;
    let (service, _) = within("accept", upstream.accept()).await.unwrap();
    (stage, caller, service)
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    within("the expected bytes", async {
        while !bytes.ends_with(end) {
            bytes.push(stream.read_u8().await.unwrap_or_else(|error| panic!("{error} after {bytes:?}")));
        }
    })
    .await;
    bytes
}

#[tokio::test]
async fn headers_keep_their_case_their_order_and_their_doubles() {
    let (_stage, mut caller, mut service) = pair().await;
    let request =
        b"GET /a%20b?x=1&x=2 HTTP/1.1\r\nHost: shop\r\nX-Twice: one\r\nX-Twice: two\r\nACCEPT: */*\r\n\r\n";
    caller.write_all(request).await.unwrap();
    let heard = head(&mut service).await.unwrap();
    assert_eq!(heard.as_bytes(), request);
    let answer =
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-UP: 1\r\nContent-Length: 0\r\n\r\n";
    service.write_all(answer).await.unwrap();
    assert_eq!(head(&mut caller).await.unwrap().as_bytes(), answer);
}

#[tokio::test]
async fn the_first_event_of_a_stream_is_not_kept_back() {
    let (stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    let start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    service.write_all(start).await.unwrap();
    // The service says no more until the first event has arrived.
    read_until(&mut caller, b"data: 1\n\n\r\n").await;
    service.write_all(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut caller, b"0\r\n\r\n").await;
    drop(caller);
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!((calls.len(), calls[0].end, calls[0].status), (1, ExchangeEnd::Answered, Some(200)));
}

#[tokio::test]
async fn a_body_that_is_sent_in_chunks_and_its_trailers_arrive() {
    let (stage, mut caller, mut service) = pair().await;
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n";
    caller.write_all(request).await.unwrap();
    let heard = read_until(&mut service, b"x-sum: 5\r\n\r\n").await;
    assert!(heard.ends_with(b"5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n"), "{}", String::from_utf8_lossy(&heard));
    service
        .write_all(b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n")
        .await
        .unwrap();
    let answer = read_until(&mut caller, b"x-sum: 7\r\n\r\n").await;
    assert!(answer.ends_with(b"2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    drop(caller);
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!((calls.len(), calls[0].end, calls[0].by), (1, ExchangeEnd::Answered, None));
}

#[tokio::test]
async fn trailers_that_were_not_announced_or_not_asked_for_are_left_out_and_shift_nothing() {
    let (stage, mut caller, mut service) = pair().await;
    for (asks, announces) in [
        ("", ""),
        ("TE: trailers\r\n", ""),
        ("TE: trailers\r\nTrailer: x-other\r\n", "Trailer: x-other\r\n"),
        ("", "Trailer: x-sum\r\n"),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{asks}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n"
        );
        caller.write_all(request.as_bytes()).await.unwrap();
        let heard = read_until(&mut service, b"0\r\n\r\n").await;
        let wanted = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert!(heard.ends_with(wanted), "{asks:?}: {}", heard.escape_ascii());
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{announces}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"
        );
        service.write_all(answer.as_bytes()).await.unwrap();
        let told = read_until(&mut caller, b"0\r\n\r\n").await;
        let wanted = b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert!(told.ends_with(wanted), "{announces:?}: {}", told.escape_ascii());
    }
    drop(caller);
    stage.empty().await;
    let ends: Vec<_> = calls(stage).await.into_iter().map(|call| call.end).collect();
    assert_eq!(ends, [ExchangeEnd::Answered; 4]);
}

#[tokio::test]
async fn a_caller_that_waits_for_permission_gets_the_services() {
    let (_stage, mut caller, mut service) = pair().await;
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    caller.write_all(request).await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert_eq!(status(&head(&mut caller).await.unwrap()), 100);
    caller.write_all(b"ok").await.unwrap();
    assert!(read_until(&mut service, b"ok").await.ends_with(b"ok"));
    service.write_all(FINE).await.unwrap();
    assert!(read_until(&mut caller, b"hello").await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_refusal_comes_before_the_body_is_asked_for() {
    let (_stage, mut caller, mut service) = pair().await;
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    caller.write_all(request).await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(status(&head(&mut caller).await.unwrap()), 417);
}

#[tokio::test]
async fn informational_answers_pass() {
    let (_stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n").await.unwrap();
    let early = within("hints", head(&mut caller)).await.unwrap();
    assert!(early.starts_with("HTTP/1.1 103") && early.contains("link: </a.css>"), "{early}");
    service.write_all(FINE).await.unwrap();
    assert!(read_until(&mut caller, b"hello").await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn answers_without_a_body_do_not_shift_what_follows() {
    let (_stage, mut caller, mut service) = pair().await;
    for (method, answer) in [
        ("HEAD", &b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"[..]),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
    ] {
        caller.write_all(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        head(&mut service).await.unwrap();
        service.write_all(answer).await.unwrap();
        assert_eq!(within("a head", head(&mut caller)).await.unwrap().as_bytes(), answer, "{method}");
    }
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(FINE).await.unwrap();
    assert_eq!(read_until(&mut caller, b"hello").await, FINE);
}

#[tokio::test]
async fn a_body_where_there_is_none_neither_travels_on_nor_shifts_what_follows() {
    for status in ["204 No Content", "304 Not Modified"] {
        for (promised, surplus) in [
            ("Content-Length: 0\r\n", ""),
            // Of a 304 it speaks of another answer (RFC 9110, section 8.6).
            ("Content-Length: 5\r\n", ""),
            ("Transfer-Encoding: chunked\r\n", ""),
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("", "HTTP/1.1 200 Unasked\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let case = format!("{status}, {promised:?} and {surplus:?}");
            let (_stage, mut caller, mut service) = pair().await;
            caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            head(&mut service).await.unwrap();
            let answer = format!("HTTP/1.1 {status}\r\n{promised}ETag: \"a\"\r\n\r\n{surplus}");
            service.write_all(answer.as_bytes()).await.unwrap();
            let told = within("a head", head(&mut caller)).await.unwrap();
            assert_eq!(told, format!("HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n"), "{case}");
            if surplus.is_empty() {
                caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                within("a request", head(&mut service)).await.unwrap();
                service.write_all(FINE).await.unwrap();
                assert_eq!(read_until(&mut caller, b"hello").await, FINE, "{case}");
            } else {
                // The next request must not have it for an answer, so there is none.
                let (rest, _) = converse(&mut caller, b"").await;
                assert!(rest.is_empty(), "{case}: {}", rest.escape_ascii());
            }
        }
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_order() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    let three = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, ended) = converse(&mut caller, three).await;
    assert!(ended.is_ok());
    assert_eq!(answer.windows(5).filter(|window| window == b"hello").count(), 3);
    stage.empty().await;
    let calls = calls(stage).await;
    let routes: Vec<_> = calls.iter().map(|call| call.route.as_str()).collect();
    assert_eq!(routes, ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn a_message_that_two_readers_would_cut_differently_is_refused_or_made_plain() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    for bad in [
        &b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Fold: one\r\n two\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"NOT HTTP AT ALL\r\n\r\n",
    ] {
        let mut caller = stage.dial().await;
        let (answer, _) = converse(&mut caller, bad).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400"), "{}: {answer}", String::from_utf8_lossy(bad));
    }
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 0, "nothing of it reached the dependency");
    // Both lengths at once: chunked counts (RFC 9112, section 6.3), and the other one must not travel on.
    let (_stage, mut caller, mut service) = pair().await;
    caller
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        .await
        .unwrap();
    let heard = String::from_utf8(read_until(&mut service, b"0\r\n\r\n").await).unwrap().to_ascii_lowercase();
    assert!(heard.contains("transfer-encoding: chunked") && !heard.contains("content-length"), "{heard}");
    // Lines that end with LF alone are read, and written as they should be.
    let (_stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET / HTTP/1.1\nHost: a\n\n").await.unwrap();
    let heard = within("a head", head(&mut service)).await.unwrap();
    assert_eq!(heard, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[tokio::test]
async fn an_answer_that_two_readers_would_cut_differently_is_refused_or_made_plain() {
    let told = |answer: &'static [u8]| async move {
        let (_stage, mut caller, mut service) = pair().await;
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        head(&mut service).await.unwrap();
        service.write_all(answer).await.unwrap();
        drop(service);
        let (bytes, _) = converse(&mut caller, b"").await;
        String::from_utf8(bytes).unwrap()
    };
    for bad in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Unasked\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
    ] {
        let answer = told(bad).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{}: {answer}", String::from_utf8_lossy(bad));
    }
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for odd in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n \r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and what nobody asked for",
    ] {
        assert_eq!(
            told(odd).await.to_ascii_lowercase(),
            plain.to_ascii_lowercase(),
            "{}",
            odd.escape_ascii()
        );
    }
    let folded = told(b"HTTP/1.1 200 OK\r\nX-Fold: one\r\n two\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(folded.contains("X-Fold: one two\r\n"), "{folded}");
    // What stands before it and has no body says of none.
    let early = told(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let hints = "http/1.1 103 early hints\r\nlink: </a>\r\n\r\n";
    assert_eq!(early.to_ascii_lowercase(), format!("{hints}{}", plain.to_ascii_lowercase()));
}

#[tokio::test]
async fn large_heads_pass_and_monstrous_ones_are_refused() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let with = |headers: String| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes();
    for good in [
        format!("X-Big: {}\r\n", "a".repeat(64 * 1024)),
        (0..1_000).map(|n| format!("x-{n}: {n}\r\n")).collect(),
    ] {
        let mut caller = stage.dial().await;
        assert_eq!(status(&ask(&mut caller, &with(good)).await.0), 200);
    }
    let many = (0..2_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let mut caller = stage.dial().await;
    let (answer, _) = converse(&mut caller, &with(many)).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn an_upgraded_connection_carries_what_is_said_in_both_directions() {
    let (stage, mut caller, mut service) = pair().await;
    let request = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    caller.write_all(request).await.unwrap();
    assert_eq!(head(&mut service).await.unwrap().as_bytes(), request);
    service
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        )
        .await
        .unwrap();
    assert!(read_until(&mut caller, b"early").await.starts_with(b"HTTP/1.1 101"));
    for round in 0..3u8 {
        caller.write_all(&[0x81, round]).await.unwrap();
        let mut heard = [0; 2];
        within("a frame", service.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, [0x81, round]);
        service.write_all(&heard).await.unwrap();
        within("its echo", caller.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, [0x81, round]);
    }
    drop(caller);
    assert_eq!(within("the end", service.read(&mut [0; 1])).await.unwrap(), 0);
    drop(service);
    stage.empty().await;
}

#[tokio::test]
async fn a_caller_that_gives_up_is_told_of_and_takes_the_services_side_with_it() {
    let (stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    drop(caller);
    assert!(!matches!(within("the end", service.read(&mut [0; 1])).await, Ok(1..)));
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].end, calls[0].by, calls[0].status),
        (ExchangeEnd::GivenUp, Some(Side::Client), None)
    );
    assert!(calls[0].reached && calls[0].ended >= calls[0].began);
}

#[tokio::test]
async fn a_service_that_breaks_off_in_mid_body_is_told_of_and_its_bytes_arrive() {
    let (stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
    read_until(&mut caller, b"hello").await;
    reset(service);
    let ended = within("the end", caller.read(&mut [0; 1])).await;
    assert!(ended.is_err(), "a reset is passed on as one: {ended:?}");
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!(
        (calls[0].end, calls[0].by, calls[0].status),
        (ExchangeEnd::Failed, Some(Side::Upstream), Some(200))
    );
}

#[tokio::test]
async fn an_idle_connection_ends_when_the_service_puts_it_away() {
    let (stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(FINE).await.unwrap();
    read_until(&mut caller, b"hello").await;
    drop(service);
    assert_eq!(within("the end", caller.read(&mut [0; 1])).await.unwrap(), 0);
    drop(caller);
    let untouched = stage.finish().await;
    assert!(!untouched.is_empty());
}
