//! What floods cost (i of docs/toxiproxy.md). In a test binary of its own, for memory is the process's.

mod support;

use std::time::Duration;

use murphy_control::Compat;
use support::{daemon, pair, upstream, within};
use tokio::task::JoinSet;

#[tokio::test]
async fn i_ten_connections_under_a_minute_of_latency_and_a_flood_stay_under_64_mib() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let proxy = daemon.proxy("p", address).await;
    daemon.toxic("p", r#"{"type":"latency","stream":"both","attributes":{"latency":60000}}"#).await;
    let mut floods = JoinSet::new();
    let mut callers = Vec::new();
    for _ in 0..10 {
        let (caller, server) = pair(proxy, &listener).await;
        callers.push(caller);
        floods.spawn(async move {
            let block = vec![0x5a; 64 * 1024];
            let mut sent = 0u64;
            loop {
                match server.try_write(&block) {
                    Ok(written) => sent += written as u64,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        // Nothing more is taken: the flood has met its bound.
                        let more = tokio::time::timeout(Duration::from_secs(1), server.writable()).await;
                        if more.is_err() {
                            return (server, sent);
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let mut sent = 0;
    while let Some(done) = within("floods", floods.join_next()).await {
        let (server, bytes) = done.unwrap();
        sent += bytes;
        callers.push(server);
    }
    let peak = murphy_testkit::most_memory_kib() / 1024;
    assert!(sent > 20 << 20, "only {sent} bytes were taken: no flood");
    assert!(peak < 64, "{peak} MiB for {sent} bytes");
    eprintln!("{peak} MiB at most, this test included; {} MiB were sent", sent >> 20);
    daemon.done("DELETE", "/proxies/p", "").await;
    drop(callers);
    daemon.end().await;
}
