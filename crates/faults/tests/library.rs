//! The proxy and a fault in somebody's own test: the example of docs/library.md.

use std::time::{Duration, Instant};

use murphy_core::{FaultId, Seed, Span};
use murphy_faults::{FaultSpec, Latency};
use murphy_proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_slow_answer_is_slow() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::in_front_of(&server.local_addr().unwrap().to_string(), Seed(7)).await.unwrap();
    proxy.arm(Latency::of(Span::from_millis(200)).armed(FaultId::new("slow").unwrap()).unwrap());
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = server.accept().await.unwrap();

    let begun = Instant::now();
    server.write_all(b"answer").await.unwrap();
    client.read_exact(&mut [0; 6]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));

    let slow = FaultId::new("slow").unwrap();
    assert_eq!(proxy.lift(&slow).unwrap().bytes, 6);
    // The quickest of a few: a machine may stand still once.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        server.write_all(b"answer").await.unwrap();
        client.read_exact(&mut [0; 6]).await.unwrap();
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_millis(200), "{quickest:?}");

    // Dropping the proxy ends its connections.
    drop(proxy);
    let ended = tokio::time::timeout(Duration::from_secs(10), client.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
}
