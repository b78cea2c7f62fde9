//! One proxy between a caller and a service that the test plays, and one conversation at a time through it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use murphy_core::{Directions, EventKind};
use murphy_faults::{Effect, FaultSpec, Slice};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::reader::{Kind, Manner, Read, read};
use crate::support::http::http_stage;
use crate::support::{Stage, armed, within};

/// How the caller's bytes travel within the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Straight through.
    Clear,
    /// Over the line of a fault that cuts them into pieces of three bytes.
    Sliced,
}

/// How long nothing must have happened before a conversation counts as over.
#[derive(Debug, Clone, Copy)]
pub enum Calm {
    /// So many turns of the runtime.
    Turns,
    /// A time, for a machine that stood still.
    Seconds,
}

pub struct Lane {
    stage: Stage,
    upstream: TcpListener,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Said {
    /// What the service heard.
    pub heard: Vec<u8>,
    /// What the caller got.
    pub got: Vec<u8>,
    /// The caller's connection was ended.
    pub closed: bool,
}

type Record = Arc<Mutex<Said>>;

async fn keep(mut from: OwnedReadHalf, record: Record) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        record.lock().unwrap().got.extend_from_slice(&buffer[..read]);
    }
    record.lock().unwrap().closed = true;
}

/// A service that answers every request that has come whole, and no other.
async fn serve(mut service: TcpStream, record: Record) {
    let (mut buffer, mut told) = ([0; 4096], 0);
    while let Ok(got @ 1..) = service.read(&mut buffer).await {
        let mut answers = Vec::new();
        {
            let mut said = record.lock().unwrap();
            said.heard.extend_from_slice(&buffer[..got]);
            while let Read::Whole(_, length) = read(&said.heard[told..], Kind::Request, Manner::Strict) {
                told += length;
                answers.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        }
        if service.write_all(&answers).await.is_err() {
            return;
        }
    }
}

/// Lets everybody go on once, what has come over sockets included.
async fn turn() {
    tokio::task::yield_now().await;
}

impl Lane {
    pub async fn open(line: Line) -> Lane {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = http_stage(upstream.local_addr().unwrap()).await;
        if line == Line::Sliced {
            let slice: Slice = serde_yaml::from_str("size: 3B").unwrap();
            let Effect::Edge(effect) = slice.effect() else { panic!("slice sits on edges") };
            stage.handle.arm(armed("slice-1", effect, Directions::Both));
        }
        Lane { stage, upstream }
    }

    /// Ends it. No connection may have panicked.
    pub async fn end(self) {
        for event in self.stage.finish().await {
            assert!(!matches!(event.kind, EventKind::ConnPanicked { .. }), "{event:?}");
        }
    }

    /// Both leave with a reset where nothing else is the point: hundreds of conversations a second that end in good order
    /// fill the kernel's table of connections, where each is kept for two minutes, until nobody can dial any more.
    async fn pair(&self) -> (TcpStream, TcpStream) {
        let caller = self.stage.dial().await;
        let (service, _) = within("accept", self.upstream.accept()).await.unwrap();
        service.set_nodelay(true).unwrap();
        for end in [&caller, &service] {
            SockRef::from(end).set_linger(Some(Duration::ZERO)).unwrap();
        }
        (caller, service)
    }

    /// Waits a little for the proxy to have read so many bytes. It need not: it may have heard enough.
    async fn taken(&self, taken: impl Fn() -> bool) {
        for _ in 0..20 {
            if taken() {
                return;
            }
            turn().await;
        }
    }

    async fn calm(&self, record: &Record, calm: Calm) {
        let look = || (record.lock().unwrap().clone(), self.stage.handle.meter());
        let (mut before, mut still) = (look(), 0);
        while still < 30 && !before.0.closed {
            match calm {
                Calm::Turns => turn().await,
                Calm::Seconds => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            let now = look();
            still = if now == before { still + 1 } else { 0 };
            before = now;
        }
    }

    /// Both sides have left: the proxy must let go.
    async fn empty(&self) {
        within("the end of the connection", async {
            while self.stage.handle.meter().open > 0 {
                turn().await;
            }
        })
        .await;
    }

    /// A caller says this in pieces, to a service that answers what it understands.
    pub async fn ask(&self, pieces: &[Vec<u8>], calm: Calm) -> Said {
        let record = Record::default();
        let (caller, service) = self.pair().await;
        let (from, mut to) = caller.into_split();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(from, Arc::clone(&record)));
        tasks.spawn(serve(service, Arc::clone(&record)));
        let mut wanted = self.stage.handle.meter().from_client;
        for piece in pieces {
            wanted += piece.len() as u64;
            if to.write_all(piece).await.is_err() {
                break;
            }
            self.taken(|| self.stage.handle.meter().from_client >= wanted).await;
        }
        self.calm(&record, calm).await;
        to.forget();
        tasks.shutdown().await;
        self.empty().await;
        let said = record.lock().unwrap();
        said.clone()
    }

    /// A service says this in pieces to a caller that asked so, and closes.
    pub async fn answer(&self, request: &[u8], pieces: &[Vec<u8>]) -> Said {
        let record = Record::default();
        let (caller, service) = self.pair().await;
        let (from, mut to) = caller.into_split();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(from, Arc::clone(&record)));
        to.write_all(request).await.unwrap();
        let (mut heard, mut say) = service.into_split();
        let mut whole = vec![0; request.len()];
        within("the request", heard.read_exact(&mut whole)).await.unwrap();
        assert_eq!(whole, request);
        let mut wanted = self.stage.handle.meter().from_upstream;
        for piece in pieces {
            wanted += piece.len() as u64;
            if say.write_all(piece).await.is_err() {
                break;
            }
            self.taken(|| self.stage.handle.meter().from_upstream >= wanted).await;
        }
        let _ = say.shutdown().await;
        within("the end for the caller", tasks.join_next()).await.unwrap().unwrap();
        to.forget();
        drop((heard, say));
        self.empty().await;
        let said = record.lock().unwrap();
        said.clone()
    }
}

/// What bounds a test.
struct Bounds {
    time: Duration,
    /// A gate is to try the same cases on a fast machine as on a slow one, as far as that gets.
    most: u64,
    /// Tried however long they take: a machine that does other work shall neither fail the test nor pass it for less.
    least: u64,
}

impl Bounds {
    fn read() -> Bounds {
        let (seconds, most) = match murphy_testkit::number("MURPHY_FUZZ_SECONDS") {
            Some(seconds) => (seconds, u64::MAX),
            None if std::env::var("CI").as_deref() == Ok("true") => (90, 200_000),
            None => (3, 20_000),
        };
        Bounds { time: Duration::from_secs(seconds), most, least: LEAST }
    }
}

/// The cases that are enough to say that something was tried.
const LEAST: u64 = 50;

/// Beyond the time of a test: far longer than the least number of cases takes anywhere, reached only by a hang.
const HANG: Duration = Duration::from_secs(900);

/// True if one case alone was asked for.
pub fn is_alone() -> bool {
    std::env::var_os("MURPHY_FUZZ_CASE").is_some()
}

/// Runs cases on many lanes at a time until the time is up and they are enough, or one alone: how many they were.
pub async fn until<F, R>(case: F) -> u64
where
    F: Fn(u64, Arc<Lane>, Arc<Lane>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let bounds = Bounds::read();
    let guard = bounds.time + HANG;
    tokio::time::timeout(guard, within_bounds(bounds, case))
        .await
        .unwrap_or_else(|_| panic!("not over within {guard:?}"))
}

async fn within_bounds<F, R>(bounds: Bounds, case: F) -> u64
where
    F: Fn(u64, Arc<Lane>, Arc<Lane>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    const LANES: u64 = 8;
    let alone = murphy_testkit::number("MURPHY_FUZZ_CASE");
    let Bounds { time, most, least } = bounds;
    let over = tokio::time::Instant::now() + time;
    let tried = Arc::new(AtomicU64::new(0));
    let mut lanes = JoinSet::new();
    for first in 0..LANES {
        let (case, tried) = (case.clone(), Arc::clone(&tried));
        lanes.spawn(async move {
            let mut number = alone.unwrap_or(first);
            let is_over = |number| {
                let enough = tried.load(Ordering::Relaxed) >= least && tokio::time::Instant::now() >= over;
                enough || alone.is_none() && number >= most
            };
            while !is_over(number) {
                let (clear, sliced) =
                    (Arc::new(Lane::open(Line::Clear).await), Arc::new(Lane::open(Line::Sliced).await));
                // Not so many that the events of a lane are too many to be kept.
                for _ in 0..200 {
                    if is_over(number) {
                        break;
                    }
                    case(number, Arc::clone(&clear), Arc::clone(&sliced)).await;
                    number = alone.unwrap_or(number + LANES);
                    tried.fetch_add(1, Ordering::Relaxed);
                }
                for lane in [clear, sliced] {
                    Arc::into_inner(lane).expect("no case is left").end().await;
                }
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
    tried.load(Ordering::Relaxed)
}
