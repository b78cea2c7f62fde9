//! A proxy between real sockets, with its events, for tests.
#![allow(dead_code)] // each test binary uses a part

pub mod http;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use murphy_core::{
    Chance, Dice, Directions, EdgeName, Event, FaultId, Protocol, Recorder, Recording, RunClock, Seed,
};
use murphy_proxy::{
    Armed, Chunk, EdgeEffect, EdgeTls, EffectFactory, Limits, MeterSnapshot, Outbox, Proxy, ProxyConfig,
    ProxyHandle, StreamEffect,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Far longer than anything here takes: reached only by a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

pub struct Stage {
    pub address: SocketAddr,
    pub handle: ProxyHandle,
    pub upstream: Option<TcpListener>,
    tasks: JoinSet<()>,
    stop: Option<oneshot::Sender<()>>,
    /// Behind a lock only so that a stage can be shared between tasks.
    recording: Mutex<Recording>,
}

/// A proxy in front of a listener that the test answers itself.
pub async fn stage() -> Stage {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = upstream.local_addr().unwrap().to_string();
    stage_to(&target, Some(upstream), Limits::default()).await
}

/// The same, with connections on threads of their own, one for each processor.
pub async fn stage_on_each_processor() -> Stage {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = upstream.local_addr().unwrap().to_string();
    let (proxy, recording) = bound(&target, Limits::default()).await;
    Stage::of(proxy.on_each_processor(), Some(upstream), recording)
}

pub async fn stage_to(target: &str, upstream: Option<TcpListener>, limits: Limits) -> Stage {
    let (proxy, recording) = bound(target, limits).await;
    Stage::of(proxy, upstream, recording)
}

async fn bound(target: &str, limits: Limits) -> (Proxy, Recording) {
    let (recorder, recording) = Recorder::new(RunClock::start(), 10_000);
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".to_owned(),
        upstream: target.to_owned(),
        tls: EdgeTls::default(),
        seed: Seed(7),
        recorder,
        limits,
    })
    .await
    .unwrap();
    (proxy, recording)
}

impl Stage {
    /// Serves a proxy.
    pub fn of(proxy: Proxy, upstream: Option<TcpListener>, recording: Recording) -> Stage {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, handle) = (proxy.local_addr(), proxy.handle());
        let mut tasks = JoinSet::new();
        tasks.spawn(proxy.serve(async {
            let _ = stopped.await;
        }));
        Stage { address, handle, upstream, tasks, stop: Some(stop), recording: Mutex::new(recording) }
    }

    pub async fn dial(&self) -> TcpStream {
        let stream = within("dial", TcpStream::connect(self.address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection through the proxy: the caller's end and the dependency's end.
    pub async fn pair(&self) -> (TcpStream, TcpStream) {
        let client = self.dial().await;
        let accepted = within("accept", self.upstream.as_ref().unwrap().accept()).await;
        let (server, _) = accepted.unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }

    /// Waits until the meter shows what is wanted.
    pub async fn meter(&self, what: &str, wanted: impl Fn(&MeterSnapshot) -> bool) {
        let start = Instant::now();
        while !wanted(&self.handle.meter()) {
            assert!(start.elapsed() < PATIENCE, "{what}: {:?}", self.handle.meter());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the proxy holds no connection.
    pub async fn empty(&self) {
        self.meter("connections left", |meter| meter.accepted > 0 && meter.open == 0).await;
    }

    /// Stops the proxy and gives all its events.
    pub async fn finish(mut self) -> Vec<Event> {
        drop(self.stop.take());
        while let Some(done) = within("stop", self.tasks.join_next()).await {
            done.unwrap();
        }
        drop(self.handle);
        let mut events = Vec::new();
        // Recorders live in the proxy alone, so the stream ends by itself.
        while let Ok(Some(event)) = self.recording.get_mut().unwrap().next(PATIENCE) {
            events.push(event);
        }
        events
    }
}

/// Each way once: both ends are there, and are carried.
pub async fn echo(client: &mut TcpStream, server: &mut TcpStream) {
    for (from, to) in [(client, server)] {
        from.write_all(b"ping").await.unwrap();
        within("ping", to.read_exact(&mut [0; 4])).await.unwrap();
        to.write_all(b"pong").await.unwrap();
        within("pong", from.read_exact(&mut [0; 4])).await.unwrap();
    }
}

pub fn armed(id: &str, effect: EdgeEffect, directions: Directions) -> Armed {
    Armed { id: fault(id), effect, directions, chance: Chance::ALWAYS }
}

pub fn fault(id: &str) -> FaultId {
    FaultId::new(id).unwrap()
}

/// Closes with a RST.
#[allow(clippy::needless_pass_by_value)] // closing is the point
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Takes nothing right behind some bytes, and the next time it is asked takes some again: as one does that waits for less than a moment.
pub struct Blink;

struct Blinking {
    is_shut: AtomicBool,
}

impl EffectFactory for Blink {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Blinking { is_shut: AtomicBool::new(false) })
    }
}

impl StreamEffect for Blinking {
    fn on_chunk(&mut self, chunk: Chunk, _: &mut Dice, out: &mut Outbox) {
        out.send(chunk);
        *self.is_shut.get_mut() = true;
    }

    fn appetite(&self) -> usize {
        1000
    }

    fn capacity(&self) -> usize {
        if self.is_shut.swap(false, Ordering::Relaxed) { 0 } else { usize::MAX }
    }
}
