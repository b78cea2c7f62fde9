//! Connections on threads of their own, one for each processor: spread evenly, numbered as they were accepted, and as
//! much in the hands of their proxy as on one.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use murphy_core::{Dice, Directions, EdgeName, EventKind, Protocol, Recorder, RunClock, Seed};
use murphy_proxy::{
    Chunk, EdgeEffect, EdgeTls, EffectFactory, Limits, Outbox, Overflow, Proxy, ProxyConfig, StreamEffect,
    tasks_of_connections,
};
use support::{Stage, armed, fault, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

async fn stage() -> Stage {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (recorder, recording) = Recorder::new(RunClock::start(), 10_000);
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".to_owned(),
        upstream: upstream.local_addr().unwrap().to_string(),
        tls: EdgeTls::default(),
        seed: Seed(7),
        recorder,
        limits: Limits::default(),
    })
    .await
    .unwrap();
    Stage::of(proxy.on_each_processor(), Some(upstream), recording)
}

/// Notes on which threads it is made: on the threads of the connections.
#[derive(Clone, Default)]
struct Census(Arc<Mutex<BTreeMap<String, usize>>>);

struct Counted;

impl EffectFactory for Census {
    fn make(&self) -> Box<dyn StreamEffect> {
        let name = thread::current().name().unwrap_or("?").to_owned();
        *self.0.lock().unwrap().entry(name).or_default() += 1;
        Box::new(Counted)
    }
}

impl StreamEffect for Counted {
    fn on_chunk(&mut self, chunk: Chunk, _: &mut Dice, out: &mut Outbox) {
        out.send(chunk);
    }
}

/// Each way once: both ends are there, and are carried.
async fn echo(client: &mut TcpStream, server: &mut TcpStream) {
    for (from, to) in [(client, server)] {
        from.write_all(b"ping").await.unwrap();
        within("ping", to.read_exact(&mut [0; 4])).await.unwrap();
        to.write_all(b"pong").await.unwrap();
        within("pong", from.read_exact(&mut [0; 4])).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_spread_evenly_and_numbered_in_the_order_of_their_coming() {
    const CALLERS: usize = 64;
    let stage = stage().await;
    let census = Census::default();
    stage.handle.arm(armed("census", EdgeEffect::stream(census.clone()), Directions::ToUpstream));
    let (mut pairs, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..CALLERS {
        let (mut client, mut server) = stage.pair().await;
        echo(&mut client, &mut server).await;
        peers.push(client.local_addr().unwrap().to_string());
        pairs.push((client, server));
    }
    let threads = thread::available_parallelism().unwrap().get().min(8);
    let seen = census.0.lock().unwrap().clone();
    if threads > 1 {
        assert_eq!(seen.len(), threads, "{seen:?}");
        assert!(seen.keys().all(|name| name.starts_with("connections-")), "{seen:?}");
        assert!(tasks_of_connections() >= CALLERS + threads);
        for count in seen.values() {
            // Other tests of this process have connections there, too.
            assert!(count.abs_diff(CALLERS / threads) <= CALLERS / threads / 2, "{seen:?}");
        }
    }
    drop(pairs);
    stage.empty().await;
    let opened = stage.finish().await.into_iter().filter_map(|event| match event.kind {
        EventKind::ConnOpened { conn, peer, .. } => Some((conn.0, peer)),
        _ => None,
    });
    // Threads tell of them as they come; the numbers are those of the callers.
    let opened: BTreeMap<u64, String> = opened.collect();
    assert_eq!(opened, (1..).zip(peers).collect());
}

#[tokio::test]
async fn the_door_closes_and_opens_at_once_for_all_threads_and_open_connections_stay() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..50 {
        stage.handle.arm(armed("refuse", EdgeEffect::Refuse, Directions::Both));
        within("closed", stage.handle.settled()).await;
        assert!(TcpStream::connect(stage.address).await.is_err());
        echo(&mut client, &mut server).await;
        stage.handle.lift(&fault("refuse")).unwrap();
        within("open", stage.handle.settled()).await;
        let (mut client, mut server) = stage.pair().await;
        echo(&mut client, &mut server).await;
    }
    assert_eq!(stage.handle.meter().accept_failed, 0);
}

#[tokio::test]
async fn its_port_is_free_as_soon_as_it_is_closed_and_every_connection_has_ended_when_it_has() {
    let stage = stage().await;
    let mut pairs = Vec::new();
    for _ in 0..10 {
        pairs.push(stage.pair().await);
    }
    let (address, handle) = (stage.address, stage.handle.clone());
    let bound = async move {
        handle.closed().await;
        // With it goes the last recorder, or the events would not end.
        drop(handle);
        std::net::TcpListener::bind(address)
    };
    let (events, bound) = tokio::join!(stage.finish(), within("closed", bound));
    bound.expect("its port is free");
    let closed = events.iter().filter(|event| matches!(event.kind, EventKind::ConnClosed { .. }));
    assert_eq!(closed.count(), 10);
}

#[tokio::test]
async fn a_proxy_that_is_dropped_refuses_at_once_and_its_connections_end() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".to_owned(),
        upstream: upstream.local_addr().unwrap().to_string(),
        tls: EdgeTls::default(),
        seed: Seed(7),
        recorder: Recorder::disabled(),
        limits: Limits::default(),
    })
    .await
    .unwrap()
    .on_each_processor();
    let address = proxy.local_addr();
    let mut serving = Box::pin(proxy.serve(std::future::pending()));
    let mut client = tokio::select! {
        () = &mut serving => panic!("it serves for ever"),
        pair = async {
            let client = TcpStream::connect(address).await.unwrap();
            (client, upstream.accept().await.unwrap())
        } => pair.0,
    };
    drop(serving);
    assert!(TcpStream::connect(address).await.is_err());
    let ended = within("its end", client.read(&mut [0])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_limit_are_carried_at_once_and_whoever_waits_gets_a_place() {
    const MOST: u64 = 3;
    let stage = stage().await;
    let crowd = EdgeEffect::Crowd { max: MOST, then: Overflow::Wait };
    stage.handle.arm(armed("crowd", crowd, Directions::Both));
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let address = stage.address;
        callers.spawn(async move {
            let mut client = within("dial", TcpStream::connect(address)).await.unwrap();
            client.write_all(b"x").await.unwrap();
            within("a place", client.read_exact(&mut [0])).await.unwrap();
        });
    }
    let upstream = stage.upstream.as_ref().unwrap();
    let (mut serving, mut open, mut most) = (JoinSet::new(), Vec::new(), 0);
    for _ in 0..200 {
        let (server, _) = within("the next one", upstream.accept()).await.unwrap();
        let server = Arc::new(server);
        open.push(Arc::clone(&server));
        serving.spawn(async move {
            // What is told as readable may have nothing yet.
            while server.try_read(&mut [0]).is_err() {
                within("asked", server.readable()).await.unwrap();
            }
            assert_eq!(server.try_write(b"y").unwrap(), 1);
            // It has said all: the caller ends the connection, and the proxy passes that on before the place is free.
            socket2::SockRef::from(&*server).shutdown(std::net::Shutdown::Write).unwrap();
        });
        open.retain(|server| !has_gone(server));
        most = most.max(open.len());
    }
    while let Some(done) = serving.join_next().await {
        done.unwrap();
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert!(most as u64 <= MOST, "{most} at once");
}

/// True if the proxy has passed the caller's end on: it does so before it gives the place to another.
fn has_gone(server: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::new(0)];
    match socket2::SockRef::from(server).peek(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
