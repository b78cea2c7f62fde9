//! A proxy on another ground: all its sockets are made there, also those it needs again later.

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use murphy_core::{ConnId, Directions, EdgeName, EventKind, Protocol, Recorder, RunClock, Seed};
use murphy_proxy::{Dialling, EdgeEffect, EdgeTls, Ground, Limits, OwnGround, Proxy, ProxyConfig};
use socket2::Socket;
use support::{PATIENCE, armed, fault, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Dials one address whatever is configured, and counts.
#[derive(Debug)]
struct Elsewhere {
    dials: SocketAddr,
    listened: AtomicUsize,
}

impl Ground for Elsewhere {
    fn listening_socket(&self, address: SocketAddr) -> io::Result<Socket> {
        self.listened.fetch_add(1, Ordering::Relaxed);
        OwnGround.listening_socket(address)
    }

    fn dial<'a>(&'a self, caller: &'a TcpStream, _upstream: &'a str) -> Dialling<'a> {
        assert!(caller.peer_addr().is_ok(), "the caller is there to be asked");
        Box::pin(TcpStream::connect(self.dials))
    }
}

#[tokio::test]
async fn every_socket_of_a_proxy_comes_from_its_ground() {
    let dependency = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ground =
        Arc::new(Elsewhere { dials: dependency.local_addr().unwrap(), listened: AtomicUsize::new(0) });
    let (recorder, mut recording) = Recorder::new(RunClock::start(), 100);
    let config = ProxyConfig {
        protocol: Protocol::Tcp,
        name: EdgeName::new("edge").unwrap(),
        listen: "127.0.0.1:0".to_owned(),
        // Nobody is there: only the ground's own choice can be reached.
        upstream: "192.0.2.1:9".to_owned(),
        tls: EdgeTls::default(),
        seed: Seed(7),
        recorder,
        limits: Limits::default(),
    };
    let proxy =
        Proxy::bind_on(config, Arc::<Elsewhere>::clone(&ground)).await.unwrap().numbered_from(1 << 40);
    let (address, handle) = (proxy.local_addr(), proxy.handle());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(proxy.serve(async { drop(stopped.await) }));

    let mut client = within("dial", TcpStream::connect(address)).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let (mut server, _) = within("accept", dependency.accept()).await.unwrap();
    within("byte", server.read_exact(&mut [0])).await.unwrap();

    // One to have a port picked, and one that takes it for good: a refusal closes and opens that one where it stands.
    assert_eq!(ground.listened.load(Ordering::Relaxed), 2);
    handle.arm(armed("refuse", EdgeEffect::Refuse, Directions::Both));
    within("closed", handle.settled()).await;
    assert_eq!(ground.listened.load(Ordering::Relaxed), 2);
    assert!(TcpStream::connect(address).await.is_err());
    handle.lift(&fault("refuse"));
    within("open again", handle.settled()).await;
    within("dial", TcpStream::connect(address)).await.unwrap();
    drop(stop);
    within("stop", tasks.join_next()).await.unwrap().unwrap();
    let first = recording.next(PATIENCE).unwrap().unwrap().kind;
    assert!(
        matches!(first, EventKind::ConnOpened { conn, .. } if conn == ConnId((1 << 40) + 1)),
        "{first:?}"
    );
}
