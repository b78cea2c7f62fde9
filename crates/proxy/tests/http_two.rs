//! Faults on requests over HTTP/2 without TLS: what a caller of one stream is told, and that the others know nothing of it.

mod support;

use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use murphy_core::Directions;
use murphy_faults::{Effect, Fault, Match, Which};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use support::http::http_stage;
use support::{Stage, armed, fault, within};

const BODY: &str = "hello";

/// That nothing comes cannot be waited for.
const SHORT: Duration = Duration::from_millis(50);

/// What a caller sees of a stream that is reset as `INTERNAL_ERROR`. Of `NO_ERROR` or `CANCEL` some think that it is an end.
const RESET: &str = "stream error received: unexpected internal error encountered";

/// A dependency that speaks HTTP/2 alone, and counts what it is asked.
struct Service {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

async fn service() -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let count = Arc::clone(&count);
            let answers = service_fn(move |_: Request<Incoming>| {
                count.fetch_add(1, Ordering::SeqCst);
                async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(BODY.as_bytes())))) }
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            connections.spawn(async move {
                let _ = http.serve_connection(TokioIo::new(stream), answers).await;
            });
        }
    });
    Service { address, asked, _tasks: tasks }
}

/// A caller that keeps its connection.
struct Caller {
    asks: SendRequest<Empty<Bytes>>,
    _tasks: JoinSet<()>,
}

impl Caller {
    async fn dial(stage: &Stage) -> Caller {
        let io = TokioIo::new(stage.dial().await);
        let (asks, connection): (SendRequest<Empty<Bytes>>, _) =
            within("a greeting", http2::handshake(TokioExecutor::new(), io)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Caller { asks, _tasks: tasks }
    }

    /// The head of an answer, or what came instead.
    async fn ask(&self, path: &str) -> Result<Response<Incoming>, String> {
        let mut asks = self.asks.clone();
        asks.ready().await.map_err(|error| why(&error))?;
        let request = Request::get(format!("http://shop{path}")).body(Empty::new()).unwrap();
        asks.send_request(request).await.map_err(|error| why(&error))
    }

    /// All that is told of one request.
    async fn told(&self, path: &str) -> Told {
        match within("an answer", self.ask(path)).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let (body, broken) = read(answer.into_body()).await;
                Told { status: Some(status), body, broken }
            }
            Err(why) => Told { status: None, body: String::new(), broken: Some(why) },
        }
    }

    /// A request that nothing is meant for is answered, on this connection.
    async fn others_are_served(&self, said: &str) {
        assert_eq!(self.told("/other").await, told(200, BODY), "{said}");
    }
}

/// What a caller was told of one request.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: Option<u16>,
    body: String,
    /// What ended it before its time.
    broken: Option<String>,
}

fn told(status: u16, body: &str) -> Told {
    Told { status: Some(status), body: body.to_owned(), broken: None }
}

fn reset() -> Told {
    Told { status: None, body: String::new(), broken: Some(RESET.to_owned()) }
}

fn reset_after(body: &str) -> Told {
    Told { broken: Some(RESET.to_owned()), ..told(200, body) }
}

/// The cause, for the error itself only says where it was met.
fn why(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

async fn read(mut body: Incoming) -> (String, Option<String>) {
    let mut text = String::new();
    loop {
        match within("more of a body", body.frame()).await {
            None => return (text, None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    text.push_str(std::str::from_utf8(&data).unwrap());
                }
            }
            Some(Err(error)) => return (text, Some(why(&error))),
        }
    }
}

/// Puts up a fault for the requests of one path.
fn arm(stage: &Stage, yaml: &str) {
    let meant: Match = serde_yaml::from_str("{ method: GET, host: shop, path: /item }").unwrap();
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    let Some(Effect::Edge(effect)) = fault.on_requests(&meant, &Which::default()) else {
        panic!("{yaml} acts on requests")
    };
    stage.handle.arm(armed("f", effect, Directions::default()));
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

#[tokio::test]
async fn what_ends_a_request_ends_its_stream_alone() {
    let upstream = service().await;
    let stage = http_stage(upstream.address).await;
    let caller = Caller::dial(&stage).await;
    caller.others_are_served("before").await;
    for (yaml, wanted, reached) in [
        ("abort: 503", told(503, "Service Unavailable (injected by murphy)\n"), 0),
        ("{ abort: { status: 429, body: later, when: after-upstream } }", told(429, "later"), 1),
        ("{ abort: { with: reset } }", reset(), 0),
        ("{ abort: { with: close } }", reset(), 0),
        ("{ abort: { with: reset, when: after-upstream } }", reset(), 1),
        ("lose-response", reset(), 1),
        ("lose-response: close", reset(), 1),
        // Frames cannot be broken as lines can.
        ("malform: length-too-long", reset(), 1),
        ("malform: length-too-short", reset(), 1),
        ("malform: chunk", reset(), 1),
        ("malform: header", reset(), 1),
        ("malform: json", told(200, "hell"), 1),
        ("malform: empty", told(200, ""), 1),
        ("{ body: { replace: other } }", told(200, "other"), 1),
        ("drip: 1MB/s", told(200, BODY), 1),
        ("delay: 1ms", told(200, BODY), 1),
        ("stale-keep-alive", reset(), 0),
        // Status and headers are good, and the bytes are those that were asked for.
        ("truncate: 0B", reset_after(""), 1),
        ("truncate: 3B", reset_after("hel"), 1),
        ("{ truncate: { bytes: 3B, then: reset } }", reset_after("hel"), 1),
        // No byte of it is cut off.
        ("truncate: 5B", told(200, BODY), 1),
        ("truncate: 6B", told(200, BODY), 1),
    ] {
        arm(&stage, yaml);
        // What is thrown away and what is not is a race between two tasks.
        for _ in 0..5 {
            let before = upstream.asked.load(Ordering::SeqCst);
            assert_eq!(caller.told("/item").await, wanted, "{yaml}");
            assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, reached, "{yaml}");
        }
        caller.others_are_served(yaml).await;
        assert_eq!(stage.handle.lift(&fault("f")).unwrap().hits, 5, "{yaml}");
    }
    assert_eq!(caller.told("/item").await, told(200, BODY), "lifted");
    assert_eq!(stage.handle.meter().accepted, 1, "one connection for all of it");
}

#[tokio::test]
async fn headers_and_a_rate_are_those_of_the_chosen_streams() {
    let upstream = service().await;
    let stage = http_stage(upstream.address).await;
    let caller = Caller::dial(&stage).await;
    arm(&stage, "{ headers: { of: response, set: { x-stock: none } } }");
    let answer = within("an answer", caller.ask("/item")).await.unwrap();
    assert_eq!(answer.headers()["x-stock"], "none");
    assert_eq!(read(answer.into_body()).await, (BODY.to_owned(), None));
    let other = within("an answer", caller.ask("/other")).await.unwrap();
    assert!(!other.headers().contains_key("x-stock"), "{other:?}");
    assert_eq!(stage.handle.lift(&fault("f")).unwrap().hits, 1);

    arm(&stage, "{ rate-limit: { rate: 0.001/s } }");
    assert_eq!(caller.told("/item").await, told(200, BODY));
    let answer = within("an answer", caller.ask("/item")).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "1");
    caller.others_are_served("above the rate").await;
    assert_eq!(stage.handle.lift(&fault("f")).unwrap().hits, 1);
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 4, "one was too many");
}

#[tokio::test]
async fn an_answer_that_is_kept_back_comes_when_the_fault_is_lifted_and_keeps_no_other() {
    let upstream = service().await;
    let stage = http_stage(upstream.address).await;
    let caller = Caller::dial(&stage).await;
    for (yaml, reached) in [
        ("hang", 0),
        ("hang: after-upstream", 1),
        ("lose-response: hang", 1),
        ("delay: 1h", 1),
        ("{ delay: { delay: 1h, before: headers } }", 1),
    ] {
        arm(&stage, yaml);
        let before = upstream.asked.load(Ordering::SeqCst);
        let mut asking = pin!(caller.told("/item"));
        tokio::select! {
            told = asking.as_mut() => panic!("{yaml}: {told:?}"),
            () = acted(&stage) => {}
        }
        let more = tokio::time::timeout(SHORT, asking.as_mut()).await;
        assert!(more.is_err(), "{yaml}: {more:?}");
        assert_eq!(upstream.asked.load(Ordering::SeqCst) - before, reached, "{yaml}");
        caller.others_are_served(yaml).await;
        stage.handle.lift(&fault("f")).unwrap();
        assert_eq!(asking.await, told(200, BODY), "{yaml}");
    }
}

#[tokio::test]
async fn a_body_that_is_kept_back_or_stalls_has_its_head_before_it_and_an_end_at_the_lift() {
    let upstream = service().await;
    let stage = http_stage(upstream.address).await;
    let caller = Caller::dial(&stage).await;
    for (yaml, first, rest, broken) in [
        ("{ delay: { delay: 1h, before: body } }", "", BODY, None),
        // What was cut off is not taken up again in mid-answer, and nobody waits for it for ever.
        ("{ truncate: { bytes: 3B, then: stall } }", "hel", "", Some(RESET.to_owned())),
        ("{ drip: { rate: 1MB/s, stall-after: 3B } }", "hel", "", Some(RESET.to_owned())),
    ] {
        arm(&stage, yaml);
        let answer = within("a head", caller.ask("/item")).await.unwrap();
        assert_eq!(answer.status(), 200, "{yaml}");
        let mut body = answer.into_body();
        let mut text = String::new();
        while text.len() < first.len() {
            let frame = within("the first bytes", body.frame()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
        assert_eq!(text, first, "{yaml}");
        let more = tokio::time::timeout(SHORT, body.frame()).await;
        assert!(more.is_err(), "{yaml}: {more:?}");
        caller.others_are_served(yaml).await;
        stage.handle.lift(&fault("f")).unwrap();
        assert_eq!(read(body).await, (rest.to_owned(), broken), "{yaml}");
    }
}
