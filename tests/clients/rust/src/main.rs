//! Drives a running `murphy serve` with two unmodified Rust clients of Toxiproxy. Usage: `murphy-rust-clients PORT CLIENT…`.
//! Prints a line for each client; any surprise is a panic. Each makes proxies, populates, puts toxics on, changes them where it can
//! (`toxiproxy_rust` cannot), takes them off, switches proxies off and on, resets and deletes, and each effect is looked for in traffic.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use noxious_client::{ProxyConfig, StreamDirection, Toxic, ToxicKind};
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

    // Off stays off until somebody switches it on, with the same port and toxics.
    proxy.disable().unwrap();
    assert!(!client.find_proxy("socket").unwrap().proxy_pack.enabled);
    assert!(TcpStream::connect(&listen).is_err());
    proxy.enable().unwrap();
    assert!(client.find_proxy("socket").unwrap().proxy_pack.enabled);
    proxy.with_limit_data("downstream".into(), 2, 1.0);
    assert_eq!(call(&listen).0, 2);
    let toxics = proxy.toxics().unwrap();
    assert_eq!((toxics.len(), toxics[0].name.as_str()), (1, "limit_data_downstream"));
    proxy.delete_all_toxics().unwrap();
    assert_eq!(call(&listen).0, 5);

    // A reset takes all toxics off and switches all proxies on.
    proxy.with_limit_data("downstream".into(), 2, 1.0);
    proxy.disable().unwrap();
    client.reset().unwrap();
    assert!(proxy.toxics().unwrap().is_empty());
    assert_eq!(call(&listen).0, 5);

    // Populating again: one is as it was, with its toxic, and one is new.
    proxy.with_limit_data("downstream".into(), 2, 1.0);
    let same = ProxyPack::new("socket".into(), listen.clone(), upstream.into());
    let new = ProxyPack::new("second".into(), "127.0.0.1:0".into(), upstream.into());
    let proxies = client.populate(vec![same, new]).unwrap();
    assert_eq!((proxies.len(), proxies[0].proxy_pack.toxics.len()), (2, 1));
    assert_eq!(call(&listen).0, 2);
    assert_eq!(call(&proxies[1].proxy_pack.listen).0, 5);
    assert_eq!(client.all().unwrap().len(), 2);
    // One of them elsewhere: another in its place, without toxics.
    let elsewhere = ProxyPack::new("socket".into(), "127.0.0.1:0".into(), upstream.into());
    let moved = client.populate(vec![elsewhere]).unwrap();
    assert!(moved[0].toxics().unwrap().is_empty());
    assert_eq!(call(&moved[0].proxy_pack.listen).0, 5);

    for name in ["socket", "second"] {
        client.find_proxy(name).unwrap().delete().unwrap();
        assert!(client.find_proxy(name).is_err());
    }
    assert!(client.all().unwrap().is_empty());
    println!("toxiproxy_rust: ok");
}

async fn noxious(port: u16, upstream: &str) {
    let client = noxious_client::Client::new(&format!("127.0.0.1:{port}"));
    client.create_proxy("echo", "127.0.0.1:0", upstream).await.unwrap();
    // As the server has it: the one just made would save port 0 again.
    let mut proxy = client.proxy("echo").await.unwrap();
    let listen = proxy.config.listen.clone();
    assert_eq!(call(&listen).0, 5);
    assert!(client.create_proxy("echo", "127.0.0.1:0", upstream).await.is_err());
    let limit = |direction| Toxic {
        name: "cut".into(),
        kind: ToxicKind::LimitData { bytes: 2 },
        toxicity: 1.0,
        direction,
    };
    let added = proxy.add_toxic(&limit(StreamDirection::Downstream)).await.unwrap();
    assert_eq!((added.kind, added.toxicity), (ToxicKind::LimitData { bytes: 2 }, 1.0));
    assert_eq!(call(&listen).0, 2);
    assert!(proxy.add_toxic(&limit(StreamDirection::Downstream)).await.is_err());
    // A change is in force at once, for connections to come as well.
    let longer = ToxicKind::LimitData { bytes: 4 };
    let changed = proxy.update_toxic("cut", 1.0, longer, StreamDirection::Downstream).await.unwrap();
    assert_eq!(changed.kind, longer);
    assert_eq!(call(&listen).0, 4);
    let changed = proxy.update_toxic("cut", 0.0, longer, StreamDirection::Downstream).await.unwrap();
    assert_eq!(changed.toxicity, 0.0);
    assert_eq!(call(&listen).0, 5);
    assert_eq!(proxy.toxics().await.unwrap().len(), 1);
    proxy.remove_toxic("cut").await.unwrap();
    assert!(proxy.remove_toxic("cut").await.is_err());
    assert!(proxy.toxics().await.unwrap().is_empty());
    every_kind(&proxy).await;
    // It says `direction` where Toxiproxy has `stream`, and lands on the way that it means.
    proxy.add_toxic(&limit(StreamDirection::Upstream)).await.unwrap();
    // What came through may still be answered.
    assert!(call(&listen).0 <= 2);
    proxy.remove_toxic("cut").await.unwrap();
    proxy.disable().await.unwrap();
    assert!(TcpStream::connect(&listen).is_err());
    proxy.enable().await.unwrap();
    assert_eq!(call(&listen).0, 5);
    // A reset takes all toxics off and switches all proxies on.
    proxy.add_toxic(&limit(StreamDirection::Downstream)).await.unwrap();
    proxy.disable().await.unwrap();
    client.reset_state().await.unwrap();
    assert!(client.proxy("echo").await.unwrap().is_enabled());
    assert!(proxy.toxics().await.unwrap().is_empty());
    assert_eq!(call(&listen).0, 5);

    let second = ProxyConfig {
        name: "second".into(),
        listen: "127.0.0.1:0".into(),
        upstream: upstream.into(),
        enabled: true,
        rand_seed: None,
    };
    // It reads the answer of its own server, a list, and not that of Toxiproxy; what it asked for is done all the same.
    assert!(client.populate(&[second]).await.is_err());
    let all = client.proxies().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(call(&all["second"].config.listen).0, 5);
    for (name, proxy) in all {
        proxy.delete().await.unwrap();
        assert!(client.proxy(&name).await.is_err());
    }
    assert!(client.proxies().await.unwrap().is_empty());
    println!("noxious-client: ok");
}

/// Each kind of toxic that this client knows is taken and comes back as it was sent. But `noop`: the client cannot read the empty `attributes`
/// with which Toxiproxy answers.
async fn every_kind(proxy: &noxious_client::Proxy) {
    for kind in [
        ToxicKind::Latency { latency: 10, jitter: 5 },
        ToxicKind::Timeout { timeout: 10 },
        ToxicKind::Bandwidth { rate: 100 },
        ToxicKind::SlowClose { delay: 10 },
        ToxicKind::Slicer { average_size: 9, size_variation: 2, delay: 1 },
        ToxicKind::LimitData { bytes: 10 },
    ] {
        let toxic = Toxic { name: "any".into(), kind, toxicity: 0.5, direction: StreamDirection::Upstream };
        let added = proxy.add_toxic(&toxic).await.unwrap();
        assert_eq!((added.kind, added.direction), (kind, StreamDirection::Upstream));
        proxy.remove_toxic("any").await.unwrap();
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().expect("a port").parse().expect("a port");
    let upstream = echo();
    for client in args {
        match client.as_str() {
            "toxiproxy_rust" => toxiproxy_rust(port, &upstream),
            "noxious-client" => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(noxious(port, &upstream));
            }
            other => panic!("no client is called {other}"),
        }
    }
}
