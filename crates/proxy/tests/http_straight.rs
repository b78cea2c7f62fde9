//! Plain requests that no fault is for go on as they came, byte for byte, and their connection leaves that way with the first one
//! that is another or that a fault is for, without losing its place.

mod support;

use std::time::{Duration, Instant};

use murphy_core::{Answerer, Dice, Directions, EventKind, ExchangeEnd, Side};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_proxy::http::HttpStep;
use murphy_proxy::{Chunk, EdgeEffect, EffectFactory, Ending, Outbox, StreamEffect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use support::http::{ask, calls, canned, converse, head, http_stage, status, step};
use support::{Blink, Stage, armed, fault, reset, within};

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn pair() -> (Stage, TcpStream, TcpStream) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = http_stage(upstream.local_addr().unwrap()).await;
    let caller = stage.dial().await;
    let (service, _) = within("accept", upstream.accept()).await.unwrap();
    (stage, caller, service)
}

/// Arms `abort: 503` for requests to this path.
fn arm(stage: &Stage, path: &str) {
    let fault: Fault = serde_yaml::from_str("abort: 503").unwrap();
    let meant = Match { path: Some(path.parse().unwrap()), ..Match::default() };
    let effect = fault.on_requests(&meant, &Which::default()).unwrap();
    let Effect::Edge(effect) = effect else { panic!("it sits on edges") };
    stage.handle.arm(armed("f", effect, Directions::default()));
}

async fn exactly(stream: &mut TcpStream, wanted: &[u8], what: &str) {
    let mut heard = vec![0; wanted.len()];
    within(what, stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, wanted, "{what}: {}", heard.escape_ascii());
}

async fn in_pieces(stream: &mut TcpStream, bytes: &[u8], size: usize) {
    for piece in bytes.chunks(size) {
        stream.write_all(piece).await.unwrap();
        // So that most pieces are read alone; whether they are, nothing depends on.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_and_answers_go_on_byte_for_byte_in_whatever_pieces_they_come() {
    // Spaces and letters that the HTTP layer would write in its own way.
    let request = b"POST /a?b=%20c HTTP/1.1\r\nHOST:shop\r\nx-odd:   two  \r\nContent-Length: 4\r\n\r\nbody";
    let answer = b"HTTP/1.1 299 As I Like It\r\nsErVeR:mine\r\nTransfer-Encoding:chunked\r\n\r\n003\r\nabc\r\n1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n";
    for size in [1, 7, 1000] {
        let (stage, mut caller, mut service) = pair().await;
        for _ in 0..2 {
            in_pieces(&mut caller, request, size).await;
            exactly(&mut service, request, &format!("a request in pieces of {size}")).await;
            in_pieces(&mut service, answer, size).await;
            exactly(&mut caller, answer, &format!("an answer in pieces of {size}")).await;
        }
        drop(caller);
        stage.empty().await;
        let told: Vec<_> =
            calls(stage).await.into_iter().map(|call| (call.route, call.status, call.end)).collect();
        let once = ("/a".to_owned(), Some(299), ExchangeEnd::Answered);
        assert_eq!(told, [once.clone(), once]);
    }
}

#[tokio::test]
async fn a_fault_finds_its_request_among_others_of_one_connection_and_in_one_packet() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&ask(&mut caller, get("/before").as_bytes()).await.0), 200);
    arm(&stage, "/meant");
    for (path, wanted) in [("/other", 200), ("/meant", 503), ("/other", 200)] {
        assert_eq!(status(&ask(&mut caller, get(path).as_bytes()).await.0), wanted, "{path}");
    }
    let mut fresh = stage.dial().await;
    let ahead = [get("/one"), get("/meant"), get("/two")].concat();
    fresh.write_all(ahead.as_bytes()).await.unwrap();
    for wanted in [200, 503, 200] {
        let (told, _) = ask(&mut fresh, b"").await;
        assert_eq!(status(&told), wanted);
    }
    drop((caller, fresh));
    stage.empty().await;
    let told: Vec<_> = calls(stage)
        .await
        .into_iter()
        .map(|call| (call.route, call.status.unwrap(), call.answerer, call.reached, call.faults.len()))
        .collect();
    let served = |path: &str| (path.to_owned(), 200, Answerer::Service, true, 0);
    let broken = || ("/meant".to_owned(), 503, Answerer::Murphy, false, 1);
    assert_eq!(
        told,
        [
            served("/before"),
            served("/other"),
            broken(),
            served("/other"),
            served("/one"),
            broken(),
            served("/two")
        ]
    );
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_ends_so_and_a_broken_one_is_broken() {
    for breaks in [false, true] {
        let (stage, mut caller, mut service) = pair().await;
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        head(&mut service).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\nall of it";
        service.write_all(answer).await.unwrap();
        exactly(&mut caller, answer, "an answer").await;
        if breaks {
            reset(service);
        } else {
            drop(service);
        }
        let (rest, ended) = converse(&mut caller, b"").await;
        assert_eq!((rest.as_slice(), ended.is_err()), (&b""[..], breaks));
        drop(caller);
        stage.empty().await;
        let told = calls(stage).await.remove(0);
        let wanted = match breaks {
            false => (ExchangeEnd::Answered, None),
            true => (ExchangeEnd::Failed, Some(Side::Upstream)),
        };
        assert_eq!((told.end, told.by), wanted);
    }
}

#[tokio::test]
async fn the_rest_of_a_request_that_is_answered_already_goes_on_and_then_the_next_one() {
    let (stage, mut caller, mut service) = pair().await;
    for _ in 0..2 {
        caller.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        head(&mut service).await.unwrap();
        service.write_all(FINE).await.unwrap();
        exactly(&mut caller, FINE, "an early answer").await;
        caller.write_all(b"behind").await.unwrap();
        exactly(&mut service, b"halfbehind", "a body").await;
    }
    drop(caller);
    stage.empty().await;
    let events = stage.finish().await;
    let is_unheard = events.iter().any(|event| matches!(event.kind, EventKind::Exchange { .. }));
    assert!(!is_unheard, "the rest of a request asks for nothing");
    let told: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Request(call) => Some((call.end, call.status)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(ExchangeEnd::Answered, Some(200)); 2]);
}

#[tokio::test]
async fn an_answer_before_the_end_of_its_request_is_the_last_if_its_service_ends_behind_it() {
    for says_so in [false, true] {
        let (stage, mut caller, mut service) = pair().await;
        caller.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        head(&mut service).await.unwrap();
        exactly(&mut service, b"half", "half a body").await;
        let answer: &[u8] = match says_so {
            false => FINE,
            true => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        };
        service.write_all(answer).await.unwrap();
        let service = says_so.then_some(service);
        let (heard, ended) = converse(&mut caller, b"").await;
        assert_eq!((heard.as_slice(), ended.is_ok()), (answer, true));
        drop((caller, service));
        stage.empty().await;
        let told = calls(stage).await.remove(0);
        assert_eq!((told.end, told.status), (ExchangeEnd::Answered, Some(200)));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_an_idle_connection_is_said_goodbye_to_as_late_as_a_fault_will() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    assert_eq!(status(&ask(&mut caller, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.0), 200);
    let fault: Fault = serde_yaml::from_str("slow-close: 200ms").unwrap();
    let Effect::Edge(effect) = fault.effect() else { panic!("it sits on edges") };
    stage.handle.arm(armed("f", effect, Directions::ToClient));
    let left = Instant::now();
    caller.shutdown().await.unwrap();
    let (rest, ended) = converse(&mut caller, b"").await;
    assert_eq!((rest.as_slice(), ended.is_ok()), (&b""[..], true));
    assert!(left.elapsed() >= Duration::from_millis(200), "{:?}", left.elapsed());
}

#[tokio::test]
async fn a_request_in_chunks_behind_a_plain_one_of_the_same_packet_loses_no_byte() {
    let (stage, mut caller, mut service) = pair().await;
    let both = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nPOST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
    caller.write_all(both).await.unwrap();
    for (path, rest, body) in [("/one", &b""[..], &b""[..]), ("/two", b"0\r\n\r\n", b"1\r\na\r\n0\r\n\r\n")] {
        let asked = within("a request", head(&mut service)).await.unwrap();
        assert_eq!(asked.split(' ').nth(1), Some(path));
        caller.write_all(rest).await.unwrap();
        exactly(&mut service, body, "a body").await;
        service.write_all(FINE).await.unwrap();
        exactly(&mut caller, FINE, "an answer").await;
    }
    drop(caller);
    stage.empty().await;
    let told: Vec<_> = calls(stage).await.into_iter().map(|call| (call.route, call.end)).collect();
    assert_eq!(told, ["/one", "/two"].map(|route| (route.to_owned(), ExchangeEnd::Answered)));
}

#[tokio::test]
async fn what_a_service_says_unasked_answers_no_request() {
    for together in [true, false] {
        let (stage, mut caller, mut service) = pair().await;
        caller.write_all(b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        if together {
            caller.write_all(b"GET /two HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        }
        head(&mut service).await.unwrap();
        if together {
            service.write_all(&[FINE, FINE].concat()).await.unwrap();
            exactly(&mut caller, FINE, "an answer").await;
        } else {
            service.write_all(FINE).await.unwrap();
            exactly(&mut caller, FINE, "an answer").await;
            service.write_all(FINE).await.unwrap();
        }
        let (rest, _) = converse(&mut caller, b"").await;
        assert_eq!(rest.escape_ascii().to_string(), "", "together: {together}");
        drop(caller);
        stage.empty().await;
        let told: Vec<_> = calls(stage).await.into_iter().map(|call| (call.route, call.status)).collect();
        assert_eq!(told, [("/one".to_owned(), Some(200))]);
    }
}

#[tokio::test]
async fn a_connection_whose_requests_went_straight_has_been_used() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(status(&ask(&mut caller, get).await.0), 200);
    stage.handle.arm(step("stale-1", HttpStep::BreakReused { how: Ending::Close }));
    let (answer, ended) = converse(&mut caller, get).await;
    assert!(answer.is_empty() && ended.is_ok(), "{ended:?}");
    assert_eq!(status(&ask(&mut stage.dial().await, get).await.0), 200);
    assert_eq!(stage.handle.tally(&fault("stale-1")).unwrap().hits, 1);
}

#[tokio::test]
async fn chunks_that_are_none_end_the_connection_behind_the_good_ones() {
    let (stage, mut caller, mut service) = pair().await;
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    let good = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"[..];
    service.write_all(&[good, b"xyz\r\nno chunk"].concat()).await.unwrap();
    let (answer, _) = converse(&mut caller, b"").await;
    assert_eq!(answer, good, "{}", answer.escape_ascii());
    drop(caller);
    stage.empty().await;
    let told = calls(stage).await.remove(0);
    assert_eq!((told.end, told.by), (ExchangeEnd::Failed, Some(Side::Upstream)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_answer_right_behind_an_edit_of_what_stands_does_not_pass_it() {
    let (stage, mut caller, mut service) = pair().await;
    let late: Fault = serde_yaml::from_str("latency: 1h").unwrap();
    caller.write_all(b"G").await.unwrap();
    for round in 0..400 {
        caller.write_all(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        within("a request", head(&mut service)).await.unwrap();
        let Effect::Edge(effect) = late.effect() else { panic!("it sits on edges") };
        // Has the connection look while the faults change.
        caller.write_all(b"G").await.unwrap();
        stage.handle.arm(armed("f", effect, Directions::ToClient));
        service.write_all(FINE).await.unwrap();
        // That nothing comes cannot be waited for.
        let early = tokio::time::timeout(Duration::from_millis(3), caller.read_u8()).await;
        assert!(early.is_err(), "in round {round}");
        stage.handle.lift(&fault("f")).unwrap();
        exactly(&mut caller, FINE, "an answer").await;
    }
}

#[tokio::test]
async fn who_was_refused_by_a_line_that_holds_nothing_tries_again() {
    let end = "0\r\n\r\n";
    let body = "x".repeat(10_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n{body}");
    for (framing, size, behind) in
        [("Content-Length: 10005", "", ""), ("Transfer-Encoding: chunked", "2710\r\n", "\r\n")]
    {
        let (stage, mut caller, mut service) = pair().await;
        stage.handle.arm(armed("f", EdgeEffect::stream(Blink), Directions::Both));
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{size}{body}{behind}{end}");
        caller.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let read = within("a request", service.read_buf(&mut heard)).await.unwrap();
            assert!(read > 0, "{framing}: it ended after {}", heard.len());
        }
        service.write_all(answer.as_bytes()).await.unwrap();
        exactly(&mut caller, answer.as_bytes(), framing).await;
    }
}

/// Takes nothing.
struct Shut;

impl EffectFactory for Shut {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Shut)
    }
}

impl StreamEffect for Shut {
    fn on_chunk(&mut self, chunk: Chunk, _: &mut Dice, out: &mut Outbox) {
        out.send(chunk);
    }

    fn capacity(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn a_caller_that_leaves_an_answer_which_it_could_not_take_gives_it_up() {
    let (stage, mut caller, mut service) = pair().await;
    stage.handle.arm(armed("f", EdgeEffect::stream(Shut), Directions::ToClient));
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    head(&mut service).await.unwrap();
    service.write_all(FINE).await.unwrap();
    stage.meter("an answer", |meter| meter.from_upstream >= FINE.len() as u64).await;
    caller.shutdown().await.unwrap();
    assert!(!matches!(within("the end", service.read(&mut [0; 1])).await, Ok(1..)));
    stage.empty().await;
    let told = calls(stage).await.remove(0);
    assert_eq!((told.end, told.by), (ExchangeEnd::GivenUp, Some(Side::Client)));
}
