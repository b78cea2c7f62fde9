//! Connections on threads of their own, one for each processor: as much in the hands of their proxy as on one. How they are
//! spread is a test of its own.

mod support;

use std::sync::Arc;

use murphy_core::{Directions, EdgeName, EventKind, Protocol, Recorder, Seed};
use murphy_proxy::{EdgeEffect, EdgeTls, Limits, Overflow, Proxy, ProxyConfig};
use support::{armed, echo, fault, stage_on_each_processor, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[tokio::test]
async fn the_door_closes_and_opens_at_once_for_all_threads_and_open_connections_stay() {
    let stage = stage_on_each_processor().await;
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
    let stage = stage_on_each_processor().await;
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
    let stage = stage_on_each_processor().await;
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
