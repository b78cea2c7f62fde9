//! What is beneath requests and around them: bytes that are held or cut, faults that stand one behind the other, and what ties
//! attempts together.

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use murphy_core::{Answerer, AttemptOf, Directions, ExchangeEnd, Side};
use murphy_faults::{Effect, Fault, FaultSpec, Latency, Limit, Match, Slice, Which};
use murphy_proxy::Armed;
use murphy_proxy::http::{Answer, HeaderEdits, HttpEffect, HttpStep, Selection, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use support::http::{ask, calls, canned, converse, head, http_stage, on_requests, status, step};
use support::{Stage, armed, fault, within};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n";
const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The caller's end and the dependency's end of one connection.
async fn pair() -> (Stage, TcpStream, TcpStream) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = http_stage(upstream.local_addr().unwrap()).await;
    let caller = stage.dial().await;
    let (service, _) = within("accept", upstream.accept()).await.unwrap();
    (stage, caller, service)
}

fn marked(name: &'static str) -> HttpStep {
    let set = vec![(HeaderName::from_static(name), HeaderValue::from_static("yes"))];
    HttpStep::EditReply(HeaderEdits { remove: Vec::new(), set })
}

#[tokio::test]
async fn faults_of_one_edge_act_in_the_order_in_which_they_stand() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let answer = Answer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"no"),
    };
    let abort = HttpStep::Answer { when: When::BeforeUpstream, answer: Arc::new(answer) };
    let once = Selection { first: Some(1), ..Selection::default() };
    stage.handle.arm(step("headers-1", marked("x-before")));
    stage.handle.arm(on_requests("abort-1", HttpEffect { selection: once, ..HttpEffect::new(vec![abort]) }));
    stage.handle.arm(step("headers-2", marked("x-behind")));
    let mut caller = stage.dial().await;
    let (refused, _) = ask(&mut caller, GET).await;
    let (served, _) = ask(&mut caller, GET).await;
    let marks = |head: &str| [head.contains("x-before: yes"), head.contains("x-behind: yes")];
    // What stands behind an answer that is made up never sees the request.
    assert_eq!((status(&refused), marks(&refused)), (503, [true, false]), "{refused}");
    assert_eq!((status(&served), marks(&served)), (200, [true, true]), "{served}");
    drop(caller);
    stage.empty().await;
    let told: Vec<_> =
        calls(stage).await.into_iter().map(|call| (call.answerer, call.reached, call.faults)).collect();
    let wanted = [
        (Answerer::Murphy, false, vec![fault("headers-1"), fault("abort-1")]),
        (Answerer::Altered, true, vec![fault("headers-1"), fault("headers-2")]),
    ];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_limit_of_bytes_under_the_requests_is_exact_in_the_head_and_in_the_body() {
    let upstream = canned(FINE).await;
    for bytes in [1, 20, FINE.len() - 5, FINE.len() - 2] {
        for then in ["close", "reset", "stall"] {
            let stage = http_stage(upstream.address).await;
            let limit: Limit = serde_yaml::from_str(&format!("{{ bytes: {bytes}B, then: {then} }}")).unwrap();
            let Effect::Edge(effect) = limit.effect() else { panic!("limit sits on edges") };
            stage.handle.arm(armed("limit-1", effect, Directions::ToClient));
            let mut caller = stage.dial().await;
            let got = if then == "stall" {
                caller.write_all(GET).await.unwrap();
                let mut got = vec![0; bytes];
                within("the bytes", caller.read_exact(&mut got)).await.unwrap();
                let more = tokio::time::timeout(Duration::from_millis(50), caller.read_u8()).await;
                assert!(more.is_err(), "{more:?} after {bytes}");
                got
            } else {
                let (got, ended) = converse(&mut caller, GET).await;
                assert_eq!(ended.is_err(), then == "reset", "{then} after {bytes}: {ended:?}");
                got
            };
            assert_eq!(got.escape_ascii().to_string(), FINE[..bytes].escape_ascii().to_string(), "{then}");
        }
    }
}

fn beneath(yaml: &str, directions: Directions) -> Armed {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    let Effect::Edge(effect) = fault.effect() else { panic!("{yaml} sits on edges") };
    armed("f", effect, directions)
}

#[tokio::test]
async fn a_reset_under_the_requests_is_exact_in_bytes_and_meets_a_connection_that_idles() {
    let upstream = canned(FINE).await;
    for bytes in [1, 20, FINE.len() - 5, FINE.len() - 2] {
        let stage = http_stage(upstream.address).await;
        let reset = format!("{{ reset: {{ after-bytes: {bytes}B }} }}");
        stage.handle.arm(beneath(&reset, Directions::ToClient));
        let (got, ended) = converse(&mut stage.dial().await, GET).await;
        assert!(ended.is_err(), "after {bytes}: {ended:?}");
        assert_eq!(got.escape_ascii().to_string(), FINE[..bytes].escape_ascii().to_string());
        stage.empty().await;
        let calls = calls(stage).await;
        let [call] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((call.end, call.by, call.touched), (ExchangeEnd::Failed, Some(Side::Proxy), true));
    }
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    assert_eq!(status(&ask(&mut caller, GET).await.0), 200);
    stage.handle.arm(beneath("reset", Directions::ToClient));
    let idle = within("a reset", caller.read_u8()).await;
    assert_eq!(idle.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_bandwidth_under_the_requests_paces_a_whole_answer_and_none_holds_it_until_the_lift() {
    let (stage, mut caller, mut service) = pair().await;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000));
    let mut told = vec![0; answer.len()];
    stage.handle.arm(beneath("bandwidth: 10kB/s", Directions::ToClient));
    let mut quickest = Duration::MAX;
    for _ in 0..4 {
        let begun = Instant::now();
        caller.write_all(GET).await.unwrap();
        within("a request", head(&mut service)).await.unwrap();
        service.write_all(answer.as_bytes()).await.unwrap();
        within("an answer", caller.read_exact(&mut told)).await.unwrap();
        assert_eq!(told.escape_ascii().to_string(), answer.as_bytes().escape_ascii().to_string());
        let took = begun.elapsed();
        // 204 ms, less what a late timer may make up for.
        assert!(took >= Duration::from_millis(170), "{took:?}");
        quickest = quickest.min(took);
    }
    assert!(quickest < Duration::from_millis(450), "{quickest:?}");
    stage.handle.lift(&fault("f")).unwrap();

    for upwards in [true, false] {
        let directions = if upwards { Directions::ToUpstream } else { Directions::ToClient };
        stage.handle.arm(beneath("bandwidth: 0B/s", directions));
        caller.write_all(GET).await.unwrap();
        if !upwards {
            within("a request", head(&mut service)).await.unwrap();
            service.write_all(answer.as_bytes()).await.unwrap();
        }
        let kept_from = if upwards { &mut service } else { &mut caller };
        let more = tokio::time::timeout(Duration::from_millis(50), kept_from.read_u8()).await;
        assert!(more.is_err(), "{directions:?}: {more:?}");
        stage.handle.lift(&fault("f")).unwrap();
        if upwards {
            within("a request", head(&mut service)).await.unwrap();
            service.write_all(answer.as_bytes()).await.unwrap();
        }
        within("an answer", caller.read_exact(&mut told)).await.unwrap();
        assert!(told.ends_with(b"xxx"), "{directions:?}");
    }
}

#[tokio::test]
async fn the_first_event_of_a_stream_is_not_kept_back_by_faults_on_other_requests() {
    let (stage, mut caller, mut service) = pair().await;
    let matching: Match = serde_yaml::from_str("{ path: /other }").unwrap();
    let faults = [
        ("body-1", "{ body: { replace: other } }"),
        ("malform-1", "malform: json"),
        ("drip-1", "drip: 1B/s"),
        ("delay-1", "delay: 1h"),
        ("truncate-1", "truncate: 3B"),
    ];
    for (id, yaml) in faults {
        let one: Fault = serde_yaml::from_str(yaml).unwrap();
        let Some(Effect::Edge(effect)) = one.on_requests(&matching, &Which::default()) else {
            panic!("{yaml} acts on requests")
        };
        stage.handle.arm(armed(id, effect, Directions::default()));
    }
    caller.write_all(GET).await.unwrap();
    within("a request", head(&mut service)).await.unwrap();
    // The service says no more until the event before has arrived.
    for piece in [
        &b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"[..],
        b"9\r\ndata: 2\n\n\r\n",
        b"0\r\n\r\n",
    ] {
        service.write_all(piece).await.unwrap();
        let mut told = vec![0; piece.len()];
        within("an event", caller.read_exact(&mut told)).await.unwrap();
        assert_eq!(told.escape_ascii().to_string(), piece.escape_ascii().to_string());
    }
    for (id, yaml) in faults {
        assert_eq!(stage.handle.lift(&fault(id)).unwrap().hits, 0, "{yaml}");
    }
}

/// More than all buffers on the way together.
const LARGE: usize = 64 << 20;
/// What the proxy may hold of a body: what it has read and nobody has taken from it. Both ends of HTTP have a buffer of
/// half a megabyte at the most.
const HELD: u64 = 2 << 20;

#[tokio::test]
async fn a_body_is_never_held_whole_in_either_direction() {
    for upwards in [true, false] {
        let (stage, mut caller, mut service) = pair().await;
        let request = if upwards {
            format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n")
        } else {
            String::from_utf8(GET.to_vec()).unwrap()
        };
        caller.write_all(request.as_bytes()).await.unwrap();
        head(&mut service).await.expect("a request");
        let (mut from, mut to) = if upwards { (caller, service) } else { (service, caller) };
        let mut sending = JoinSet::new();
        sending.spawn(async move {
            if !upwards {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                from.write_all(head.as_bytes()).await.unwrap();
            }
            let block = vec![b'x'; 1 << 20];
            for _ in 0..LARGE >> 20 {
                from.write_all(&block).await.unwrap();
            }
            from
        });
        let held = || {
            let meter = stage.handle.meter();
            let (read, written) = if upwards {
                (meter.from_client, meter.to_upstream)
            } else {
                (meter.from_upstream, meter.to_client)
            };
            // The two heads differ by a few bytes at most.
            (read, read.saturating_sub(written))
        };
        // Nobody takes anything, until nothing more is read.
        let (mut before, mut still) = (held().0, 0);
        while still < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = held().0;
            still = if now == before && now > 1 << 16 { still + 1 } else { 0 };
            before = now;
        }
        assert!(before < LARGE as u64 / 2, "{before} bytes were read for nobody");
        if !upwards {
            head(&mut to).await.expect("an answer");
        }
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 18];
        while taken < LARGE {
            let (_, held) = held();
            assert!(held < HELD, "{held} bytes are held after {taken}");
            let read = within("more of it", to.read(&mut buffer)).await.unwrap();
            assert!(read > 0, "it ends after {taken}");
            taken += read;
        }
        within("the sender", sending.join_next()).await.unwrap().unwrap();
    }
}

/// A body that is made as fast as it is taken; says how much that was.
struct Made {
    left: usize,
    taken: Arc<AtomicU64>,
}

static BLOCK: [u8; 1 << 16] = [b'x'; 1 << 16];

impl Body for Made {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= BLOCK.len();
        self.taken.fetch_add(BLOCK.len() as u64, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&BLOCK)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}

/// Far more than the windows and buffers of both connections together, which are five megabytes.
const STREAMED: usize = 24 << 20;
/// What the proxy may hold of a stream of HTTP/2: the window that it gives, of two megabytes at the most, and what it keeps for sending, of
/// one at the most.
const HELD_OF_A_STREAM: u64 = 4 << 20;

#[tokio::test]
async fn a_body_over_http_2_is_never_held_whole_either_and_its_sender_waits_for_its_reader() {
    for upwards in [true, false] {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = http_stage(upstream.local_addr().unwrap()).await;
        let mut tasks = JoinSet::new();
        let taken = Arc::new(AtomicU64::new(0));
        let (asked, answered) = if upwards { (STREAMED, 0) } else { (0, STREAMED) };

        let near = TokioIo::new(stage.dial().await);
        let (mut sender, caller) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), near).await.unwrap();
        tasks.spawn(async move {
            let _ = caller.await;
        });
        let (far, _) = within("accept", upstream.accept()).await.unwrap();
        let (bodies, mut heard) = mpsc::unbounded_channel();
        let all_read = Arc::new(Notify::new());
        let (made, over) = (Arc::clone(&taken), Arc::clone(&all_read));
        let service = service_fn(move |request: Request<Incoming>| {
            let (bodies, over) = (bodies.clone(), Arc::clone(&over));
            let answer = Made { left: answered, taken: Arc::clone(&made) };
            async move {
                bodies.send(request.into_body()).unwrap();
                if upwards {
                    over.notified().await;
                }
                Ok::<_, Infallible>(Response::new(answer))
            }
        });
        tasks.spawn(async move {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(far), service).await;
        });

        let body = Made { left: asked, taken: Arc::clone(&taken) };
        let answer = sender.send_request(Request::post("http://shop/").body(body).unwrap());
        let request = within("a request", heard.recv()).await.unwrap();
        let (mut body, answer) = if upwards {
            (request, Some(answer))
        } else {
            (within("an answer", answer).await.unwrap().into_body(), None)
        };
        // Nobody takes anything, until nothing more is made.
        let (mut before, mut still) = (0, 0);
        while still < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = taken.load(Ordering::SeqCst);
            still = if now == before && now > 1 << 16 { still + 1 } else { 0 };
            before = now;
        }
        let mut got = 0;
        while got < STREAMED {
            let ahead = taken.load(Ordering::SeqCst) - got as u64;
            assert!(ahead < STREAMED as u64 / 2, "{ahead} bytes were taken for nobody after {got}");
            let meter = stage.handle.meter();
            let (read, written) = if upwards {
                (meter.from_client, meter.to_upstream)
            } else {
                (meter.from_upstream, meter.to_client)
            };
            let held = read.saturating_sub(written);
            assert!(held < HELD_OF_A_STREAM, "{held} bytes are held after {got}");
            let frame = within("more of it", body.frame()).await.expect("its end comes later").unwrap();
            got += frame.into_data().map_or(0, |data| data.len());
        }
        assert_eq!(got, STREAMED);
        if let Some(answer) = answer {
            all_read.notify_one();
            assert_eq!(within("an answer", answer).await.unwrap().status(), StatusCode::OK);
        }
        tasks.shutdown().await;
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_refused_before_it_is_large() {
    for from_the_service in [false, true] {
        let (stage, mut caller, mut service) = pair().await;
        let begin = if from_the_service { "HTTP/1.1 200 OK\r\n" } else { "GET / HTTP/1.1\r\nHost: a\r\n" };
        if from_the_service {
            caller.write_all(GET).await.unwrap();
            head(&mut service).await.expect("a request");
        }
        let (mut answers, other) = caller.into_split();
        let (_asks, service) = service.into_split();
        let mut endless = if from_the_service { service } else { other };
        let mut sending = JoinSet::new();
        sending.spawn(async move {
            let header = format!("x-{}: 1\r\n", "a".repeat(1000));
            let mut next = endless.write_all(begin.as_bytes()).await;
            // What comes after the refusal is thrown away, for a while.
            while next.is_ok() {
                next = endless.write_all(header.as_bytes()).await;
            }
        });
        let mut told = Vec::new();
        // Its end may be a reset, for nobody read the rest.
        let _ = within("a refusal", answers.read_to_end(&mut told)).await;
        let wanted = if from_the_service { "HTTP/1.1 502 " } else { "HTTP/1.1 431 " };
        assert!(told.starts_with(wanted.as_bytes()), "{}", told.escape_ascii());
        let read = stage.handle.meter();
        assert!(read.from_client.max(read.from_upstream) < LARGE as u64, "{read:?}");
        sending.shutdown().await;
    }
}

#[tokio::test]
async fn attempts_are_told_by_their_key_else_by_their_trace() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let mut caller = stage.dial().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for more in [
        "Idempotency-Key: order-7\r\n".to_owned(),
        format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\n"),
        format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n"),
        format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\nIdempotency-Key: order-7\r\n"),
        String::new(),
    ] {
        ask(&mut caller, format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n").as_bytes()).await;
    }
    drop(caller);
    stage.empty().await;
    let told: Vec<_> = calls(stage).await.into_iter().map(|call| call.attempt_of).collect();
    let (key, traced) = (Some(AttemptOf::Key("order-7".into())), Some(AttemptOf::Trace(trace.into())));
    assert_eq!(told, [key.clone(), traced.clone(), traced, key, None]);
}

/// Cuts what goes to the caller.
fn sliced(how: &str) -> Armed {
    let slice: Slice = serde_yaml::from_str(how).unwrap();
    let Effect::Edge(effect) = slice.effect() else { panic!("slice sits on edges") };
    armed("slice-1", effect, Directions::ToClient)
}

const EARLY: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nlink: </a/very/long/path/of/a/sheet/of/styles.css>; rel=preload\r\n\r\n";

#[tokio::test]
async fn an_informational_answer_passes_whole_where_few_bytes_pass_at_a_time() {
    let (stage, mut caller, mut service) = pair().await;
    stage.handle.arm(sliced("{ size: 1B }"));
    for _ in 0..3 {
        caller.write_all(GET).await.unwrap();
        within("a request", head(&mut service)).await.unwrap();
        service.write_all(EARLY).await.unwrap();
        let early = within("hints", head(&mut caller)).await.unwrap();
        assert_eq!(early.as_bytes().escape_ascii().to_string(), EARLY.escape_ascii().to_string());
        service.write_all(FINE).await.unwrap();
        let mut fine = vec![0; FINE.len()];
        within("an answer", caller.read_exact(&mut fine)).await.unwrap();
        assert_eq!(fine.escape_ascii().to_string(), FINE.escape_ascii().to_string());
    }
}

#[tokio::test]
async fn an_informational_answer_that_must_wait_keeps_no_end_from_the_caller() {
    let (stage, mut caller, mut service) = pair().await;
    stage.handle.arm(sliced("{ size: 64B, gap: 1s }"));
    // The next piece may go a second after this one.
    caller.write_all(GET).await.unwrap();
    within("a request", head(&mut service)).await.unwrap();
    service.write_all(FINE).await.unwrap();
    let mut fine = vec![0; FINE.len()];
    within("an answer", caller.read_exact(&mut fine)).await.unwrap();
    caller.write_all(GET).await.unwrap();
    within("a request", head(&mut service)).await.unwrap();
    service.write_all(EARLY).await.unwrap();
    drop(service);
    let (rest, ended) = converse(&mut caller, b"").await;
    assert_eq!(rest.escape_ascii().to_string(), EARLY.escape_ascii().to_string(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_request_right_behind_an_edit_of_what_stands_does_not_pass_it() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let delayed = |delay: &str| {
        let latency: Latency = serde_yaml::from_str(&format!("{{ delay: {delay} }}")).unwrap();
        let Effect::Edge(effect) = latency.effect() else { panic!("latency sits on edges") };
        armed("latency-1", effect, Directions::ToUpstream)
    };
    let mut caller = stage.dial().await;
    for round in 0..400 {
        stage.handle.arm(delayed("50us"));
        ask(&mut caller, GET).await;
        stage.handle.arm(delayed("1h"));
        caller.write_all(GET).await.unwrap();
        // That nothing comes cannot be waited for.
        tokio::time::sleep(Duration::from_millis(3)).await;
        assert_eq!(upstream.asked.load(Ordering::SeqCst), 2 * round + 1, "in round {round}");
        stage.handle.lift(&fault("latency-1")).unwrap();
        ask(&mut caller, b"").await;
    }
}
