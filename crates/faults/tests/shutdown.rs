//! A proxy that is told to stop ends, whatever was edited just before.

use std::time::Duration;

use murphy_core::{EdgeName, FaultId, Protocol, Recorder, RunClock, Seed, Span};
use murphy_faults::{FaultSpec, Latency};
use murphy_proxy::{EdgeTls, Limits, Proxy, ProxyConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_behind_an_edit_is_never_overlooked_by_an_open_connection() {
    for round in 0..300 {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (recorder, _recording) = Recorder::new(RunClock::start(), 1 << 10);
        let proxy = Proxy::bind(ProxyConfig {
            name: EdgeName::new("cache").unwrap(),
            protocol: Protocol::Tcp,
            listen: "127.0.0.1:0".to_owned(),
            upstream: server.local_addr().unwrap().to_string(),
            tls: EdgeTls::default(),
            seed: Seed(round),
            recorder,
            limits: Limits::default(),
        })
        .await
        .unwrap();
        let (address, handle, stop) = (proxy.local_addr(), proxy.handle(), CancellationToken::new());
        let mut serving = JoinSet::new();
        serving.spawn(proxy.serve(stop.clone().cancelled_owned()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = server.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        client.read_exact(&mut [0; 4]).await.unwrap();
        let slow = Latency::of(Span::from_millis(20)).armed(FaultId::new("slow").unwrap()).unwrap();
        for _ in 0..2 {
            handle.arm(slow.clone());
            handle.lift(&FaultId::new("slow").unwrap());
        }
        handle.arm(slow);
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), serving.join_next()).await;
        assert!(ended.is_ok(), "it still serves in round {round}");
    }
}
