//! A connection on which nothing happens costs nothing, whatever has been said on it before: nobody is woken for it.

#[path = "../../proxy/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use murphy_core::Directions;
use murphy_faults::{Effect, Fault};
use support::http::http_stage;
use support::{Stage, armed, stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How often this thread's runtime may wake in half a second of rest: the timer of the pause itself, and what was
/// still under way.
const FEW: u64 = 20;

async fn woken(what: &str) {
    let metrics = tokio::runtime::Handle::current().metrics();
    // What the last act has set off comes to its end.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let woken = metrics.worker_park_count(0) - before;
    assert!(woken <= FEW, "{what}: woken {woken} times in half a second of rest");
}

fn arm(stage: &Stage, yaml: &str) {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    let Effect::Edge(effect) = fault.effect() else { unreachable!("faults on edges only") };
    stage.handle.arm(armed("f", effect, Directions::Both));
}

#[tokio::test]
async fn a_connection_that_one_side_has_half_closed_wakes_nobody() {
    for fault in ["", "latency: 5ms", "bandwidth: 1MB/s", "slow-close: 10ms"] {
        for caller_first in [true, false] {
            let stage = stage().await;
            if !fault.is_empty() {
                arm(&stage, fault);
            }
            let (mut client, mut server) = stage.pair().await;
            client.write_all(b"x").await.unwrap();
            within("a byte", server.read_exact(&mut [0])).await.unwrap();
            let (first, second) =
                if caller_first { (&mut client, &mut server) } else { (&mut server, &mut client) };
            first.shutdown().await.unwrap();
            within("its end", second.read(&mut [0])).await.unwrap();
            woken(&format!(
                "`{fault}`, {} first",
                if caller_first { "the caller" } else { "the dependency" }
            ))
            .await;
        }
    }
}

#[tokio::test]
async fn a_caller_that_has_asked_and_said_its_last_wakes_nobody() {
    for fault in ["", "latency: 5ms", "hang"] {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = http_stage(upstream.local_addr().unwrap()).await;
        if !fault.is_empty() {
            arm(&stage, fault);
        }
        let mut client = stage.dial().await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let server = within("a connection", upstream.accept()).await.unwrap();
        woken(&format!("`{fault}`")).await;
        drop((client, server));
    }
}
