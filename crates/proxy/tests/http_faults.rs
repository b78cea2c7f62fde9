//! Faults on requests, over real sockets: exactly the chosen ones, exactly what was asked for.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::http::{HeaderMap, HeaderValue, StatusCode};
use murphy_core::{Answerer, Directions, ExchangeEnd, Rate, Side};
use murphy_faults::{Effect, FaultSpec, Latency};
use murphy_proxy::Ending;
use murphy_proxy::http::{Answer, HttpEffect, HttpStep, Malformed, Part, Selection, Then, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use support::http::{ask, calls, canned, converse, http_stage, on_requests, status, step};
use support::{armed, fault, within};

const GET: &[u8] = b"GET /items/7?x=1 HTTP/1.1\r\nHost: shop\r\n\r\n";
const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Own: yes\r\n\r\nhello";

fn unavailable(when: When) -> HttpStep {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("2"));
    let body = Bytes::from_static(b"no");
    HttpStep::Answer {
        when,
        answer: Arc::new(Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body }),
    }
}

#[tokio::test]
async fn first_three_fails_exactly_three_across_connections() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let selection = Selection { first: Some(3), ..Selection::default() };
    let effect = HttpEffect { selection, ..HttpEffect::new(vec![unavailable(When::BeforeUpstream)]) };
    stage.handle.arm(on_requests("abort-1", effect));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let address = stage.address;
        callers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut seen = Vec::new();
            for _ in 0..10 {
                let (head, body) = ask(&mut stream, GET).await;
                assert_eq!(&body[..], if status(&head) == 200 { &b"hello"[..] } else { b"no" });
                seen.push(status(&head));
            }
            seen
        });
    }
    let mut seen = Vec::new();
    while let Some(more) = within("callers", callers.join_next()).await {
        seen.extend(more.unwrap());
    }
    assert_eq!(seen.iter().filter(|status| **status == 503).count(), 3);
    assert_eq!(seen.iter().filter(|status| **status == 200).count(), 77);
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 77, "a rejected request does not reach the dependency");
    let tally = stage.handle.lift(&fault("abort-1")).unwrap();
    assert_eq!(tally.hits, 3);
    let calls = calls(stage).await;
    assert_eq!(calls.len(), 80);
    let injected: Vec<_> = calls.iter().filter(|call| call.answerer == Answerer::Murphy).collect();
    assert_eq!(injected.len(), 3);
    for call in injected {
        assert_eq!((call.status, call.service_status, call.reached), (Some(503), None, false));
        assert_eq!(call.faults, [fault("abort-1")]);
    }
    for call in &calls {
        assert_eq!((call.end, call.by, call.route.as_str()), (ExchangeEnd::Answered, None, "/items/7"));
        assert!(call.began <= call.answered.unwrap() && call.answered.unwrap() <= call.ended);
    }
}

#[tokio::test]
async fn an_answer_lost_after_commit_reaches_the_service_and_not_the_caller() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    stage.handle.arm(step("lose-1", HttpStep::Break { when: When::AfterUpstream, how: Ending::Reset }));
    let mut caller = stage.dial().await;
    let (answer, ended) = converse(&mut caller, GET).await;
    assert!(answer.is_empty() && ended.is_err(), "{answer:?} {ended:?}");
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 1);
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].end, calls[0].by), (ExchangeEnd::Failed, Some(Side::Proxy)));
    assert_eq!((calls[0].status, calls[0].service_status, calls[0].reached), (None, Some(200), true));
}

#[tokio::test]
async fn a_cut_body_is_exact_to_the_byte_and_ends_as_asked() {
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (canned_answer, tail) in [(FINE, &b"\r\n\r\nhel"[..]), (chunked, b"\r\n\r\n5\r\nhel")] {
        for (how, resets) in [(Ending::Close, false), (Ending::Reset, true)] {
            let upstream = canned(canned_answer).await;
            let stage = http_stage(upstream.address).await;
            stage.handle.arm(step("cut-1", HttpStep::Cut { after: 3, then: Then::End(how) }));
            let mut caller = stage.dial().await;
            let (answer, ended) = converse(&mut caller, GET).await;
            assert!(answer.ends_with(tail), "{}", String::from_utf8_lossy(&answer));
            assert_eq!(ended.is_err(), resets, "{ended:?}");
            stage.empty().await;
            let calls = calls(stage).await;
            assert_eq!((calls[0].end, calls[0].by), (ExchangeEnd::Failed, Some(Side::Proxy)));
            assert_eq!((calls[0].status, calls[0].answerer), (Some(200), Answerer::Altered));
        }
    }
}

#[tokio::test]
async fn malformed_answers_are_malformed_as_asked() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    for (kind, length, tail) in [
        (Malformed::LengthTooLong, "content-length: 21\r\n", "\r\n\r\nhello"),
        (Malformed::LengthTooShort, "content-length: 2\r\n", "\r\n\r\nhello"),
        (Malformed::Chunk, "transfer-encoding: chunked\r\n", "\r\n\r\nxyz\r\nhello\r\n"),
        (Malformed::Header, "content-length: 5\r\n", "\r\n\r\nhello"),
    ] {
        stage.handle.arm(step("malform-1", HttpStep::Malform(kind)));
        let mut caller = stage.dial().await;
        let (answer, ended) = converse(&mut caller, GET).await;
        let answer = String::from_utf8(answer).unwrap();
        let told = answer.to_ascii_lowercase().contains(length);
        assert!(told && answer.ends_with(tail) && ended.is_ok(), "{kind:?}: {answer}");
        assert_eq!(answer.contains("this line is no header\r\n"), kind == Malformed::Header);
        stage.handle.lift(&fault("malform-1")).unwrap();
    }
}

#[tokio::test]
async fn a_hanging_request_goes_on_when_the_fault_is_lifted() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    stage.handle.arm(step("hang-1", HttpStep::Withhold { when: When::BeforeUpstream }));
    let mut caller = stage.dial().await;
    let asking = ask(&mut caller, GET);
    let lifting = async {
        while stage.handle.tally(&fault("hang-1")).unwrap().hits == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(upstream.asked.load(Ordering::SeqCst), 0);
        stage.handle.lift(&fault("hang-1")).unwrap()
    };
    let ((head, body), tally) = tokio::join!(asking, lifting);
    assert_eq!((status(&head), &body[..], tally.hits), (200, &b"hello"[..], 1));
}

#[tokio::test]
async fn a_caller_that_leaves_a_hanging_request_is_told_of_with_its_age() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    stage.handle.arm(step("hang-1", HttpStep::Withhold { when: When::BeforeUpstream }));
    let mut caller = stage.dial().await;
    let start = Instant::now();
    caller.write_all(GET).await.unwrap();
    // From here on the age counts whatever the machine is busy with.
    while stage.handle.tally(&fault("hang-1")).unwrap().hits == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let patience = Duration::from_millis(150);
    assert!(tokio::time::timeout(patience, caller.read_u8()).await.is_err(), "nothing comes");
    drop(caller);
    stage.empty().await;
    let gone = start.elapsed();
    let calls = calls(stage).await;
    assert_eq!(
        (calls[0].end, calls[0].by, calls[0].reached),
        (ExchangeEnd::GivenUp, Some(Side::Client), false)
    );
    let age = calls[0].ended.since(calls[0].began).as_duration();
    assert!(age >= Duration::from_millis(140) && age <= gone, "{age:?} of {gone:?}");
}

#[tokio::test]
async fn a_delay_comes_on_top_and_does_not_hold_up_other_connections() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let wait = |base| {
        let wait = HttpStep::Wait { before: Part::Head, base, jitter: Duration::ZERO };
        let selection = Selection { first: Some(1), ..Selection::default() };
        on_requests("delay-1", HttpEffect { selection, ..HttpEffect::new(vec![wait]) })
    };
    // One that nobody lives to see the end of: the others are answered nevertheless.
    stage.handle.arm(wait(Duration::from_secs(3600)));
    let (mut slow, mut quick) = (stage.dial().await, stage.dial().await);
    slow.write_all(GET).await.unwrap();
    while stage.handle.tally(&fault("delay-1")).unwrap().hits == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    within("the other one", ask(&mut quick, GET)).await;
    stage.handle.lift(&fault("delay-1")).unwrap();
    within("at the lift", ask(&mut slow, b"")).await;
    // Each of a few waits once: the quickest says that it is not twice, for a machine may stand still.
    const TIMES: usize = 4;
    for _ in 0..TIMES {
        stage.handle.arm(wait(Duration::from_millis(200)));
        ask(&mut slow, GET).await;
        stage.handle.lift(&fault("delay-1")).unwrap();
    }
    drop((slow, quick));
    stage.empty().await;
    let calls = calls(stage).await;
    assert_eq!(calls.iter().filter(|call| !call.touched).count(), 1);
    let took = calls[calls.len() - TIMES..].iter().map(|call| call.answered.unwrap().since(call.began));
    let took: Vec<Duration> = took.map(|span| span.as_duration()).collect();
    assert!(took.iter().all(|took| *took >= Duration::from_millis(200)), "{took:?}");
    assert!(took.iter().min().unwrap() < &Duration::from_millis(350), "{took:?}");
}

#[tokio::test]
async fn a_paced_body_comes_at_its_rate_and_whole() {
    let upstream = canned(
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n01234567890123456789012345678901234567890123456789",
    )
    .await;
    let stage = http_stage(upstream.address).await;
    stage.handle.arm(step("drip-1", HttpStep::Pace(Rate::from_bytes_per_sec(200))));
    let mut caller = stage.dial().await;
    let mut quickest = Duration::MAX;
    for _ in 0..4 {
        let start = Instant::now();
        let (_, body) = ask(&mut caller, GET).await;
        let took = start.elapsed();
        assert_eq!(body.len(), 50);
        assert!(took >= Duration::from_millis(240), "{took:?}");
        quickest = quickest.min(took);
    }
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
    drop(caller);
    stage.empty().await;
    // What the caller waited for the head is told apart from what it waited for all. A machine that stands still makes the head late.
    let calls = calls(stage).await;
    let behind = calls.iter().map(|call| call.ended.since(call.answered.unwrap()).as_duration()).max();
    assert!(behind >= Some(Duration::from_millis(200)), "{calls:?}");
}

#[tokio::test]
async fn a_reused_connection_closes_and_a_fresh_one_serves() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    stage.handle.arm(step("stale-1", HttpStep::BreakReused { how: Ending::Close }));
    let mut caller = stage.dial().await;
    assert_eq!(status(&ask(&mut caller, GET).await.0), 200);
    let (answer, ended) = converse(&mut caller, GET).await;
    assert!(answer.is_empty() && ended.is_ok(), "{ended:?}");
    assert_eq!(status(&ask(&mut stage.dial().await, GET).await.0), 200);
    assert_eq!(stage.handle.tally(&fault("stale-1")).unwrap().hits, 1);
}

#[tokio::test]
async fn a_delay_of_bytes_under_the_requests_counts_in_what_the_caller_waited() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let Effect::Edge(latency) = FaultSpec::effect(&serde_yaml::from_str::<Latency>("delay: 120ms").unwrap())
    else {
        panic!("latency sits on an edge")
    };
    stage.handle.arm(armed("latency-1", latency, Directions::ToClient));
    let mut caller = stage.dial().await;
    for _ in 0..5 {
        assert_eq!(status(&ask(&mut caller, GET).await.0), 200);
    }
    drop(caller);
    stage.empty().await;
    let mut quickest = u64::MAX;
    for call in calls(stage).await {
        let waited = call.answered.unwrap().as_micros() - call.began.as_micros();
        assert!(waited >= 120_000, "{waited} us");
        assert!(call.touched && call.answerer == Answerer::Service);
        quickest = quickest.min(waited);
    }
    assert!(quickest < 220_000, "{quickest} us");
}

#[tokio::test]
async fn a_fifth_of_ten_thousand_is_a_fifth_and_the_same_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let upstream = canned(FINE).await;
        let stage = http_stage(upstream.address).await;
        let chance = murphy_core::Chance::from_fraction(0.2).unwrap();
        let selection = Selection { chance, ..Selection::default() };
        let effect = HttpEffect { selection, ..HttpEffect::new(vec![unavailable(When::BeforeUpstream)]) };
        stage.handle.arm(on_requests("abort-1", effect));
        // Sent ahead on one connection, so that the order of arrival is known.
        let (mut answers, mut asks) = stage.dial().await.into_split();
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            asks.write_all(&GET.repeat(9_999)).await.unwrap();
            asks.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await.unwrap();
            asks
        });
        let mut text = String::new();
        within("all answers", answers.read_to_string(&mut text)).await.unwrap();
        let statuses = text.split("HTTP/1.1 ").skip(1);
        let failed: Vec<usize> =
            statuses.enumerate().filter(|(_, answer)| answer.starts_with("503")).map(|(n, _)| n).collect();
        assert_eq!(text.matches("HTTP/1.1 ").count(), 10_000);
        runs.push(failed);
    }
    // Five standard deviations of a binomial of 10 000 at 0.2 are 200.
    assert!((1_800..=2_200).contains(&runs[0].len()), "{}", runs[0].len());
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_caller_that_leaves_before_a_late_answer_gave_up_when_it_left() {
    let upstream = canned(FINE).await;
    let stage = http_stage(upstream.address).await;
    let latency: Latency = serde_yaml::from_str("delay: 3s").unwrap();
    let Effect::Edge(late) = latency.effect() else { panic!("latency sits on edges") };
    stage.handle.arm(armed("latency-1", late, Directions::ToClient));
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    // The dependency has answered; its bytes are on the line.
    within("the request at the dependency", async {
        while upstream.asked.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    stage.empty().await;
    let calls = calls(stage).await;
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.end, call.by, call.answered), (ExchangeEnd::GivenUp, Some(Side::Client), None));
    let age = call.ended.since(call.began).as_duration();
    assert!(age >= Duration::from_millis(100) && age < Duration::from_millis(2900), "{age:?}");
    assert!(call.touched);
}

#[tokio::test]
async fn an_answer_to_head_keeps_the_length_that_it_speaks_of() {
    let upstream = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    let stage = http_stage(upstream.address).await;
    let body: murphy_faults::Body = serde_yaml::from_str("replace: another one").unwrap();
    let Effect::Edge(replaced) = body.effect() else { panic!("body sits on edges") };
    stage.handle.arm(armed("body-1", replaced, Directions::default()));
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"HEAD /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
        let head = within("a head", support::http::head(&mut stream)).await.expect("an answer");
        assert!(head.to_ascii_lowercase().contains("content-length: 5\r\n"), "{head}");
    }
}

/// A request that came ahead, over the line of a fault, while the one before it is still under way: nobody wants it yet, and
/// it once kept its connection awake for that, for ever and on the same thread.
#[test]
fn a_request_that_waits_behind_another_on_a_slow_line_keeps_no_thread_busy() {
    let (done, waits) = std::sync::mpsc::channel();
    // A thread of its own, for a proxy that never lets go of it cannot be timed out from within.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stage = http_stage(upstream.local_addr().unwrap()).await;
            let slice: murphy_faults::Slice = serde_yaml::from_str("size: 3B").unwrap();
            let Effect::Edge(slice) = slice.effect() else { panic!("slice sits on edges") };
            stage.handle.arm(armed("slice-1", slice, Directions::Both));
            let mut caller = stage.dial().await;
            let (mut service, _) = upstream.accept().await.unwrap();
            caller.write_all(&GET.repeat(3)).await.unwrap();
            for _ in 0..3 {
                support::http::head(&mut service).await.expect("a request");
                // What was sent ahead is there, and the service takes its time.
                stage.meter("all of it", |meter| meter.from_client > GET.len() as u64).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                service.write_all(FINE).await.unwrap();
                ask(&mut caller, b"").await;
            }
        });
        let _ = done.send(());
    });
    waits.recv_timeout(support::PATIENCE).expect("the proxy lets others go on");
}
