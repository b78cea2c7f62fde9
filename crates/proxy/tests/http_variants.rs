//! Every variant of the faults on requests as a scenario writes it, and what exactly comes over the wire of HTTP/1.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use murphy_core::{Answerer, Directions, ExchangeEnd};
use murphy_faults::{Effect, Fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use support::http::{ask, calls, canned, converse, head, http_stage, status};
use support::{Stage, armed, fault, within};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n";
const BODY: &str = "{\"a\":1}";
const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Own: yes\r\n\r\n{\"a\":1}";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: yes\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n";

/// That nothing comes cannot be waited for.
const SHORT: Duration = Duration::from_millis(50);

fn arm(stage: &Stage, yaml: &str) {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    let Effect::Edge(effect) = fault.effect() else { panic!("{yaml} sits on edges") };
    stage.handle.arm(armed("f", effect, Directions::default()));
}

/// Takes the fault off again; it has acted so often.
fn lift(stage: &Stage, yaml: &str, hits: u64) {
    assert_eq!(stage.handle.lift(&fault("f")).unwrap().hits, hits, "{yaml}");
}

/// Waits until the fault has acted.
async fn acted(stage: &Stage) {
    let acted = async {
        while stage.handle.tally(&fault("f")).unwrap().hits == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("the fault to act", acted).await;
}

async fn nothing_comes(caller: &mut TcpStream, said: &str) {
    let more = tokio::time::timeout(SHORT, caller.read_u8()).await;
    assert!(more.is_err(), "{said}: {more:?}");
}

/// True if one line of a head is this one.
fn says(head: &str, line: &str) -> bool {
    head.to_ascii_lowercase().lines().any(|known| known == line)
}

#[tokio::test]
async fn an_answer_with_a_flaw_has_that_flaw_and_no_other() {
    for answer in [SIZED, CHUNKED] {
        let upstream = canned(answer).await;
        let stage = http_stage(upstream.address).await;
        // Broken as HTTP: nobody can go on from there, so the connection ends in order.
        for (flaw, line, body) in [
            ("length-too-long", "content-length: 23", BODY),
            ("length-too-short", "content-length: 3", BODY),
            ("chunk", "transfer-encoding: chunked", "xyz\r\n{\"a\":1}\r\n"),
            ("header", "this line is no header", BODY),
        ] {
            arm(&stage, &format!("malform: {flaw}"));
            let (told, ended) = converse(&mut stage.dial().await, GET).await;
            let told = String::from_utf8(told).unwrap();
            let (head, rest) = told.split_once("\r\n\r\n").unwrap();
            assert!(ended.is_ok() && rest == body, "{flaw}: {told:?} {ended:?}");
            assert!(status(head) == 200 && says(head, line) && says(head, "x-own: yes"), "{flaw}: {head}");
            let lengths = head.to_ascii_lowercase().matches("content-length: ").count();
            assert_eq!(lengths, usize::from(flaw != "chunk"), "{flaw}: {head}");
            assert_eq!(says(head, "content-length: 7"), flaw == "header", "{flaw}: {head}");
            lift(&stage, flaw, 1);
        }
        // Good HTTP with bad content: the next request goes over the same connection.
        for (flaw, length, body) in
            [("json", "content-length: 6", "{\"a\":1"), ("empty", "content-length: 0", "")]
        {
            arm(&stage, &format!("{{ malform: {{ flaw: {flaw} }} }}"));
            let mut caller = stage.dial().await;
            for _ in 0..2 {
                let (head, rest) = ask(&mut caller, GET).await;
                assert_eq!(String::from_utf8(rest).unwrap(), body, "{flaw}");
                assert!(status(&head) == 200 && says(&head, length), "{flaw}: {head}");
                assert!(!says(&head, "transfer-encoding: chunked"), "{flaw}: {head}");
            }
            lift(&stage, flaw, 2);
            assert!(says(&ask(&mut caller, GET).await.0, "x-own: yes"), "{flaw}: lifted");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_broken_off_ends_as_written_and_reaches_the_service_or_not() {
    let upstream = canned(SIZED).await;
    let stage = http_stage(upstream.address).await;
    for (yaml, resets, reached) in [
        ("{ abort: { with: reset } }", true, 0),
        ("{ abort: { with: close } }", false, 0),
        ("{ abort: { with: reset, when: after-upstream } }", true, 1),
        ("{ abort: { with: close, when: after-upstream } }", false, 1),
        ("lose-response", true, 1),
        ("lose-response: reset", true, 1),
        ("{ lose-response: { instead: close } }", false, 1),
    ] {
        arm(&stage, yaml);
        let before = upstream.asked.load(Ordering::SeqCst);
        let (told, ended) = converse(&mut stage.dial().await, GET).await;
        assert!(told.is_empty(), "{yaml}: {}", told.escape_ascii());
        assert_eq!(ended.is_err(), resets, "{yaml}: {ended:?}");
        assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, reached, "{yaml}");
        lift(&stage, yaml, 1);
    }
}

#[tokio::test]
async fn an_answer_in_the_place_of_another_is_as_written_and_its_connection_goes_on() {
    let upstream = canned(SIZED).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    for (yaml, code, lines, body, reached) in [
        (
            "abort: 404",
            404,
            &["content-type: text/plain; charset=utf-8"][..],
            "Not Found (injected by murphy)\n",
            0,
        ),
        (
            "{ abort: { status: 429, retry-after: 3s, headers: { x-why: because }, body: '[1]' } }",
            429,
            &["retry-after: 3", "x-why: because", "content-type: application/json"],
            "[1]",
            0,
        ),
        ("{ abort: { status: 502, body: late, when: after-upstream } }", 502, &[], "late", 1),
        (
            "{ abort: { grpc-status: UNAVAILABLE } }",
            200,
            &["grpc-status: 14", "grpc-message: injected by murphy", "content-type: application/grpc"],
            "",
            0,
        ),
    ] {
        arm(&stage, yaml);
        let before = upstream.asked.load(Ordering::SeqCst);
        for _ in 0..2 {
            let (head, rest) = ask(&mut caller, GET).await;
            assert_eq!((status(&head), &*String::from_utf8(rest).unwrap()), (code, body), "{yaml}");
            assert!(lines.iter().all(|line| says(&head, line)), "{yaml}: {head}");
            assert!(!says(&head, "x-own: yes"), "{yaml}: {head}");
        }
        assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, 2 * reached, "{yaml}");
        lift(&stage, yaml, 2);
    }
    assert_eq!(ask(&mut caller, GET).await.1, BODY.as_bytes());
    assert_eq!(stage.handle.meter().accepted, 1);
}

#[tokio::test]
async fn an_answer_that_is_kept_back_comes_when_the_fault_is_lifted() {
    let upstream = canned(SIZED).await;
    let stage = http_stage(upstream.address).await;
    for (yaml, reached) in [
        ("hang", 0),
        ("{ hang: { when: before-upstream } }", 0),
        ("hang: after-upstream", 1),
        ("lose-response: hang", 1),
        ("delay: 1h", 1),
        ("{ delay: { delay: 1h, before: headers } }", 1),
    ] {
        arm(&stage, yaml);
        let before = upstream.asked.load(Ordering::SeqCst);
        let mut caller = stage.dial().await;
        caller.write_all(GET).await.unwrap();
        acted(&stage).await;
        nothing_comes(&mut caller, yaml).await;
        assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, reached, "{yaml}");
        lift(&stage, yaml, 1);
        let (head, body) = ask(&mut caller, b"").await;
        assert_eq!((status(&head), &body[..]), (200, BODY.as_bytes()), "{yaml}");
        assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, 1, "{yaml}");
    }
}

#[tokio::test]
async fn a_delay_before_the_body_lets_the_head_go_in_time() {
    let upstream = canned(SIZED).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    arm(&stage, "{ delay: { delay: 1h, before: body } }");
    caller.write_all(GET).await.unwrap();
    let before = within("a head", head(&mut caller)).await.unwrap();
    assert!(status(&before) == 200 && says(&before, "content-length: 7"), "{before}");
    nothing_comes(&mut caller, "the body waits").await;
    lift(&stage, "delay", 1);
    let mut body = vec![0; BODY.len()];
    within("a body", caller.read_exact(&mut body)).await.unwrap();
    assert_eq!(body, BODY.as_bytes());

    arm(&stage, "{ delay: { delay: 150ms, before: body } }");
    let begun = Instant::now();
    assert_eq!(ask(&mut caller, GET).await.1, BODY.as_bytes());
    assert!(begun.elapsed() >= Duration::from_millis(149), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_body_that_is_cut_off_ends_or_stalls_as_written() {
    let upstream = canned(SIZED).await;
    let stage = http_stage(upstream.address).await;
    for (yaml, bytes, resets) in [
        ("truncate: 3B", 3, false),
        ("{ truncate: { bytes: 3B, then: close } }", 3, false),
        ("{ truncate: { bytes: 6B, then: reset } }", 6, true),
        ("truncate: 0B", 0, false),
    ] {
        arm(&stage, yaml);
        let (told, ended) = converse(&mut stage.dial().await, GET).await;
        let told = String::from_utf8(told).unwrap();
        let (head, rest) = told.split_once("\r\n\r\n").unwrap();
        assert!(status(head) == 200 && says(head, "content-length: 7"), "{yaml}: {head}");
        assert_eq!((rest, ended.is_err()), (&BODY[..bytes], resets), "{yaml}: {ended:?}");
        lift(&stage, yaml, 1);
    }
    for (yaml, bytes) in [
        ("{ truncate: { bytes: 3B, then: stall } }", 3),
        ("{ drip: { rate: 1MB/s, stall-after: 3B } }", 3),
        ("{ drip: { rate: 1kB/s, stall-after: 5B } }", 5),
    ] {
        arm(&stage, yaml);
        let mut caller = stage.dial().await;
        caller.write_all(GET).await.unwrap();
        let told = within("a head", head(&mut caller)).await.unwrap();
        assert!(status(&told) == 200 && says(&told, "content-length: 7"), "{yaml}: {told}");
        let mut body = vec![0; bytes];
        within("the first bytes", caller.read_exact(&mut body)).await.unwrap();
        assert_eq!(body, &BODY.as_bytes()[..bytes], "{yaml}");
        nothing_comes(&mut caller, yaml).await;
        lift(&stage, yaml, 1);
        // What was cut off is not taken up again in mid-answer, and nobody waits for it for ever.
        let (rest, ended) = converse(&mut caller, b"").await;
        assert!(rest.is_empty() && ended.is_ok(), "{yaml}: {rest:?} {ended:?}");
    }
    // A body that is no longer than that is left alone, and so is its connection.
    let mut caller = stage.dial().await;
    for yaml in ["truncate: 7B", "{ truncate: { bytes: 8B, then: reset } }"] {
        arm(&stage, yaml);
        for _ in 0..2 {
            assert_eq!(ask(&mut caller, GET).await.1, BODY.as_bytes(), "{yaml}");
        }
        lift(&stage, yaml, 2);
    }
}

#[tokio::test]
async fn a_caller_of_http_1_0_gets_no_chunks_also_where_a_body_is_cut_off() {
    const OLD: &[u8] = b"GET /items/7 HTTP/1.0\r\nHost: shop\r\n\r\n";
    let upstream = canned(CHUNKED).await;
    let stage = http_stage(upstream.address).await;
    for (yaml, bytes, resets) in [
        ("truncate: 3B", 3, false),
        ("{ truncate: { bytes: 3B, then: reset } }", 3, true),
        ("truncate: 0B", 0, false),
        // No longer than that: left alone.
        ("{ truncate: { bytes: 7B, then: reset } }", 7, false),
    ] {
        arm(&stage, yaml);
        let (told, ended) = converse(&mut stage.dial().await, OLD).await;
        let told = String::from_utf8(told).unwrap();
        let (head, rest) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") && says(head, "x-own: yes"), "{yaml}: {head}");
        assert!(!says(head, "transfer-encoding: chunked"), "{yaml}: {head}");
        assert_eq!((rest, ended.is_err()), (&BODY[..bytes], resets), "{yaml}: {ended:?}");
        lift(&stage, yaml, 1);
    }
    // Where no chunk can be bad, there is no answer.
    arm(&stage, "malform: chunk");
    let (told, ended) = converse(&mut stage.dial().await, OLD).await;
    assert!(told.is_empty() && ended.is_err(), "{told:?} {ended:?}");
    lift(&stage, "malform: chunk", 1);
}

#[tokio::test]
async fn headers_change_on_the_side_that_is_written_and_there_alone() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = http_stage(upstream.local_addr().unwrap()).await;
    let mut caller = stage.dial().await;
    let (mut service, _) = within("accept", upstream.accept()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: shop\r\nX-One: 1\r\nX-Two: 2\r\nX-Two: 3\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-One: 1\r\nX-Two: 2\r\nX-Two: 3\r\n\r\n";
    let edits = "set: { x-one: other, x-new: 'yes' }, remove: [X-Two, x-unknown]";
    for (of, request_changes) in [("of: request, ", true), ("of: response, ", false), ("", false)] {
        arm(&stage, &format!("{{ headers: {{ {of}{edits} }} }}"));
        caller.write_all(request).await.unwrap();
        let asked = within("a request", head(&mut service)).await.unwrap();
        service.write_all(answer).await.unwrap();
        let told = within("an answer", head(&mut caller)).await.unwrap();
        for (text, changes) in [(&asked, request_changes), (&told, !request_changes)] {
            let lines = text.to_ascii_lowercase();
            let mut own: Vec<&str> = lines.lines().filter(|line| line.starts_with("x-")).collect();
            own.sort_unstable();
            let wanted = if changes {
                &["x-new: yes", "x-one: other"][..]
            } else {
                &["x-one: 1", "x-two: 2", "x-two: 3"]
            };
            assert_eq!(own, wanted, "{of:?}: {text}");
        }
        lift(&stage, of, 1);
    }
}

#[tokio::test]
async fn an_answer_whose_trailers_fall_away_for_an_edit_is_over_with_its_body() {
    const TRAILED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                             7\r\n{\"a\":1}\r\n0\r\nx-sum: 9\r\n\r\n";
    let upstream = canned(TRAILED).await;
    let stage = http_stage(upstream.address).await;
    arm(&stage, "{ body: { replace: other } }");
    let mut caller = stage.dial().await;
    for _ in 0..2 {
        let (head, body) = ask(&mut caller, GET).await;
        assert_eq!((status(&head), &body[..]), (200, &b"other"[..]), "{head}");
    }
    drop(caller);
    stage.empty().await;
    let calls = calls(stage).await;
    let [one, two] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((one.end, two.end), (ExchangeEnd::Answered, ExchangeEnd::Answered));
    // The first was over before the second was asked.
    assert!(one.ended <= two.began, "{calls:?}");
}

#[tokio::test]
async fn an_answer_in_which_an_edit_finds_nothing_passes_as_it_came() {
    let trailed: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                           7\r\n{\"a\":1}\r\n0\r\nx-sum: 9\r\n\r\n";
    let empty: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: yes\r\n\r\n0\r\n\r\n";
    for answer in [SIZED, CHUNKED, trailed, empty] {
        let upstream = canned(answer).await;
        let stage = http_stage(upstream.address).await;
        arm(&stage, "{ body: { at: /b, value: 2 } }");
        let mut caller = stage.dial().await;
        // The second tells that the first was over.
        for _ in 0..2 {
            caller.write_all(b"GET /items/7 HTTP/1.1\r\nHost: shop\r\nTE: trailers\r\n\r\n").await.unwrap();
            let mut told = vec![0; answer.len()];
            within("an answer", caller.read_exact(&mut told)).await.unwrap();
            assert_eq!(told.escape_ascii().to_string(), answer.escape_ascii().to_string());
        }
        lift(&stage, "body", 0);
        drop(caller);
        stage.empty().await;
        let calls = calls(stage).await;
        let [one, two] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((one.end, two.end), (ExchangeEnd::Answered, ExchangeEnd::Answered));
        assert!(one.answerer == Answerer::Service && two.answerer == Answerer::Service, "{calls:?}");
    }
}
