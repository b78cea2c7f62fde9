//! Drives a running `murphy serve` with two unmodified Rust clients of Toxiproxy. Usage: `murphy-rust-clients PORT`.
//! Prints a line for each client; any surprise is a panic.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use noxious_client::{StreamDirection, Toxic, ToxicKind};
use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::ProxyPack;

/// A dependency that answers what it is sent; its address.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A question of five bytes: how many came back, and how long that took.
fn call(address: &str) -> (usize, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    let mut got = 0;
    while got < 5 {
        match stream.read(&mut answer[got..]) {
            Ok(0) | Err(_) => break,
            Ok(read) => got += read,
        }
    }
    (got, begun.elapsed())
}

fn toxiproxy_rust(port: u16, upstream: &str) {
    let client = Client::new(("127.0.0.1", port));
    assert!(client.is_running());
    assert!(client.version().unwrap().contains("2.12.0"));
    let pack = ProxyPack::new("socket".into(), "127.0.0.1:0".into(), upstream.into());
    let proxies = client.populate(vec![pack]).unwrap();
    let listen = proxies[0].proxy_pack.listen.clone();
    assert_eq!(call(&listen).0, 5);
    let proxy = client.find_and_reset_proxy("socket").unwrap();
    proxy
        .with_latency("downstream".into(), 300, 0, 1.0)
        .apply(|| assert!(call(&listen).1 >= Duration::from_millis(300)))
        .unwrap();
    proxy
        .with_limit_data("downstream".into(), 2, 1.0)
        .with_slicer("downstream".into(), 100, 10, 1, 1.0)
        .with_bandwidth("upstream".into(), 1000, 0.5)
        .with_slow_close("upstream".into(), 1, 1.0)
        .apply(|| {
            assert_eq!(call(&listen).0, 2);
            assert_eq!(client.find_proxy("socket").unwrap().toxics().unwrap().len(), 4);
        })
        .unwrap();
    proxy.with_timeout("downstream".into(), 50, 1.0).apply(|| assert_eq!(call(&listen).0, 0)).unwrap();
    assert!(proxy.toxics().unwrap().is_empty());
    proxy.with_down(|| assert!(TcpStream::connect(&listen).is_err())).unwrap();
    assert_eq!(call(&listen).0, 5);
    client.reset().unwrap();
    assert_eq!(client.all().unwrap().len(), 1);
    proxy.delete().unwrap();
    assert!(client.find_proxy("socket").is_err());
    println!("toxiproxy_rust: ok");
}

async fn noxious(port: u16, upstream: &str) {
    let client = noxious_client::Client::new(&format!("127.0.0.1:{port}"));
    client.create_proxy("echo", "127.0.0.1:0", upstream).await.unwrap();
    // As the server has it: the one just made would save port 0 again.
    let mut proxy = client.proxy("echo").await.unwrap();
    let listen = proxy.config.listen.clone();
    assert_eq!(call(&listen).0, 5);
    let limit = |direction| Toxic {
        name: "cut".into(),
        kind: ToxicKind::LimitData { bytes: 2 },
        toxicity: 1.0,
        direction,
    };
    proxy.add_toxic(&limit(StreamDirection::Downstream)).await.unwrap();
    assert_eq!(call(&listen).0, 2);
    proxy.remove_toxic("cut").await.unwrap();
    // It says `direction` where Toxiproxy has `stream`, and lands on the way that it means.
    proxy.add_toxic(&limit(StreamDirection::Upstream)).await.unwrap();
    // What came through may still be answered.
    assert!(call(&listen).0 <= 2);
    proxy.remove_toxic("cut").await.unwrap();
    proxy.disable().await.unwrap();
    assert!(TcpStream::connect(&listen).is_err());
    proxy.enable().await.unwrap();
    client.reset_state().await.unwrap();
    assert_eq!(call(&listen).0, 5);
    proxy.delete().await.unwrap();
    assert!(client.proxy("echo").await.is_err());
    println!("noxious-client: ok");
}

fn main() {
    let port: u16 = std::env::args().nth(1).expect("a port").parse().expect("a port");
    let upstream = echo();
    toxiproxy_rust(port, &upstream);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(noxious(port, &upstream));
}
