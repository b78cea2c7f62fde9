//! A fault that is armed meets everything that comes behind its edit, however late a connection learns of it; and what a
//! caller sent before it was accepted, or while it waits for a place.

use std::time::Duration;

use murphy_core::{Chance, Directions, EdgeName, FaultId, Protocol, Recorder, Seed};
use murphy_faults::{Blackhole, Effect, FaultSpec};
use murphy_proxy::{Armed, EdgeTls, Limits, Proxy, ProxyConfig, ProxyHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// On whose threads connections are carried.
#[derive(Clone, Copy)]
enum On {
    OwnThread,
    EachProcessor,
}

/// A proxy that is served, and its dependency.
struct Scene {
    address: std::net::SocketAddr,
    handle: ProxyHandle,
    server: TcpListener,
    _serving: JoinSet<()>,
}

async fn scene(on: On) -> Scene {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".to_owned(),
        upstream: server.local_addr().unwrap().to_string(),
        tls: EdgeTls::default(),
        seed: Seed(1),
        recorder: Recorder::disabled(),
        limits: Limits::default(),
    })
    .await
    .unwrap();
    let proxy = match on {
        On::OwnThread => proxy,
        On::EachProcessor => proxy.on_each_processor(),
    };
    let (address, handle) = (proxy.local_addr(), proxy.handle());
    let mut serving = JoinSet::new();
    serving.spawn(proxy.serve(std::future::pending()));
    Scene { address, handle, server, _serving: serving }
}

fn hole() -> FaultId {
    FaultId::new("hole").unwrap()
}

fn armed() -> Armed {
    let Effect::Edge(effect) = Blackhole::default().effect() else { panic!("not a fault of an edge") };
    Armed { id: hole(), effect, directions: Directions::Both, chance: Chance::ALWAYS }
}

/// Waits until the hole has taken a piece, and lifts it. No byte but those of the rounds before may have passed.
async fn takes_one(handle: &ProxyHandle, passed: u64, round: u64) {
    let waiting = async {
        while handle.tally(&hole()).expect("it stands").hits == 0 {
            // A byte is counted a moment after it is written.
            assert!(handle.meter().to_upstream <= passed, "round {round}: a byte passed an armed blackhole");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the byte was read");
    assert_eq!(handle.lift(&hole()).expect("it stood").hits, 1);
}

async fn behind_an_edit(on: On) {
    let scene = scene(on).await;
    let mut caller = TcpStream::connect(scene.address).await.unwrap();
    caller.set_nodelay(true).unwrap();
    caller.write_all(b"x").await.unwrap();
    let (mut server, _) = scene.server.accept().await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
    for round in 1..500 {
        scene.handle.arm(armed());
        caller.write_all(b"x").await.unwrap();
        takes_one(&scene.handle, round, round).await;
        server.read_exact(&mut [0]).await.unwrap();
    }
}

async fn before_it_is_accepted(on: On) {
    let scene = scene(on).await;
    // Those of the rounds before stay, or their ends would be counted.
    let mut open = Vec::new();
    for round in 1..200 {
        scene.handle.arm(armed());
        let mut caller = TcpStream::connect(scene.address).await.unwrap();
        caller.write_all(b"x").await.unwrap();
        takes_one(&scene.handle, round - 1, round).await;
        let (mut server, _) = scene.server.accept().await.unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        open.push((caller, server));
    }
}

#[tokio::test]
async fn a_byte_behind_an_edit_meets_the_fault() {
    behind_an_edit(On::OwnThread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_behind_an_edit_meets_the_fault_on_another_thread() {
    behind_an_edit(On::EachProcessor).await;
}

#[tokio::test]
async fn a_byte_of_a_caller_that_is_not_accepted_yet_meets_the_fault() {
    before_it_is_accepted(On::OwnThread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_of_a_caller_that_is_not_accepted_yet_meets_the_fault_on_another_thread() {
    before_it_is_accepted(On::EachProcessor).await;
}

mod line {
    use std::time::Instant;

    use bytes::Bytes;
    use murphy_core::{ConnId, Direction};
    use murphy_proxy::{Draws, Due, Front, Line, Table};

    use super::*;

    #[test]
    fn what_came_between_an_edit_and_its_taking_over_is_held() {
        let (mut line, mut table) = (Line::new(Direction::ToClient), Table::default());
        let mut draws = Draws::new(Seed(1), ConnId(1));
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        line.sync(&table, &mut draws, begun);
        table.put(armed(), at(10));
        line.sync(&table, &mut draws, at(30));
        line.push(Bytes::from_static(b"before"), at(9));
        assert_eq!(line.front(at(30)), Front::Bytes(&Bytes::from_static(b"before")));
        line.advance(6);
        line.push(Bytes::from_static(b"behind"), at(20));
        assert_eq!(line.front(at(30)), Front::Waiting(Due::Never));
    }

    #[test]
    fn what_came_before_the_line_was_there_comes_with_its_beginning() {
        let (mut line, mut table) = (Line::new(Direction::ToUpstream), Table::default());
        let begun = Instant::now() + Duration::from_secs(1);
        table.put(armed(), begun - Duration::from_millis(500));
        line.sync(&table, &mut Draws::new(Seed(1), ConnId(1)), begun);
        line.push(Bytes::from_static(b"early"), begun - Duration::from_millis(1));
        assert_eq!(line.front(begun), Front::Waiting(Due::Never));
    }
}
