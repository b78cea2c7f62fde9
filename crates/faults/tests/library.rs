//! The proxy and a fault in somebody's own test: the example of docs/library.md, as it stands there, and what it may rely on.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use murphy_core::{FaultId, Seed, Span};
use murphy_faults::{FaultSpec, Latency};
use murphy_proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn my_client_gives_up_in_time() {
    let proxy = Proxy::in_front_of(&my_server().await, Seed(7)).await.unwrap();
    proxy.arm(Latency::of(Span::from_secs(5)).armed(FaultId::new("slow").unwrap()).unwrap());
    let mut client = MyClient::connect(proxy.address()).await;
    assert!(client.get("cart").await.is_err_and(|error| error.is_timeout()));
    proxy.lift(&FaultId::new("slow").unwrap());
}

/// A server that answers what it is sent, for as long as the test runs; its address.
async fn my_server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Ends with the process: the last of its callers may still be answered when the test is over.
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut back = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut stream, &mut back);
        }
    });
    address
}

/// A client with an idea of how long it waits.
struct MyClient(TcpStream);

#[derive(Debug)]
struct MyError(ErrorKind);

impl MyError {
    fn is_timeout(&self) -> bool {
        self.0 == ErrorKind::TimedOut
    }
}

impl MyClient {
    const PATIENCE: Duration = Duration::from_millis(200);

    async fn connect(address: SocketAddr) -> MyClient {
        MyClient(TcpStream::connect(address).await.unwrap())
    }

    async fn get(&mut self, key: &str) -> Result<String, MyError> {
        let call = async {
            let mut answer = vec![0; key.len()];
            self.0.write_all(key.as_bytes()).await?;
            self.0.read_exact(&mut answer).await?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answered: std::io::Result<String> =
            tokio::time::timeout(MyClient::PATIENCE, call).await.unwrap_or(Err(ErrorKind::TimedOut.into()));
        answered.map_err(|error| MyError(error.kind()))
    }
}

#[tokio::test]
async fn without_the_fault_the_same_client_is_answered() {
    let proxy = Proxy::in_front_of(&my_server().await, Seed(7)).await.unwrap();
    let mut client = MyClient::connect(proxy.address()).await;
    // A machine may stand still for as long as this client waits; then its next try is answered on a connection of its own.
    let mut answer = client.get("cart").await;
    while answer.as_ref().is_err_and(MyError::is_timeout) {
        client = MyClient::connect(proxy.address()).await;
        answer = client.get("cart").await;
    }
    assert_eq!(answer.unwrap(), "cart");
}

/// The blocks of Rust in a page, without what fences them.
fn rust_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.starts_with("rust"), String::new())),
            (Some(_), Some(_)) => {
                let (is_rust, text) = open.take().unwrap_or_default();
                blocks.extend(is_rust.then_some(text));
            }
            (Some((_, text)), None) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn every_block_of_rust_in_the_documentation_is_in_this_test_to_the_letter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut pages = BTreeMap::new();
    for folder in [root.to_owned(), root.join("docs"), root.join("docs/adr")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                pages.insert(path, text);
            }
        }
    }
    let mut found = 0;
    for (path, page) in &pages {
        for block in rust_blocks(page) {
            found += 1;
            assert!(
                include_str!("library.rs").contains(&block),
                "{}: not compiled anywhere:\n{block}",
                path.display()
            );
        }
    }
    // The imports, and the example.
    assert_eq!(found, 2, "docs/library.md shows what it is about");
}

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
