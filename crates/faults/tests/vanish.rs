//! Callers that vanish: whatever a fault holds back, no socket of theirs may stay.

#[path = "../../proxy/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use murphy_core::{Directions, Protocol};
use murphy_faults::{Effect, Fault, catalogue};
use murphy_proxy::{EdgeEffect, EdgeTls};
use murphy_tls::{Authority, Upstream, UpstreamSettings};
use support::http::{canned, http_stage, stage_with};
use support::{Stage, armed, fault, reset, stage, within};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

/// Those that end a connection at a time of theirs have one that no test lives to see: an early end is the proxy's work.
const FAULTS: [&str; 18] = [
    "latency: 100ms",
    "bandwidth: 0B/s",
    "bandwidth: 100kB/s",
    "{ slice: { size: 100B, gap: 1ms } }",
    "blackhole",
    "{ blackhole: { after-bytes: 2B } }",
    "{ limit: { bytes: 2B, then: stall } }",
    "{ limit: { bytes: 2B, then: close } }",
    "{ drop: { after: 1h } }",
    "{ reset: { after: 1h } }",
    "slow-close: 200ms",
    "slow-open: 300ms",
    "loss: 20%",
    "corrupt: 50%",
    "{ timeout: { after: 1h } }",
    "{ connection-limit: { max: 1, then: queue } }",
    "{ connection-limit: { max: 1, then: refuse } }",
    "refuse",
];

/// The same for faults on requests, each with bytes that are still to come.
const ON_REQUESTS: [&str; 14] = [
    "abort: 503",
    "{ abort: { with: reset, when: after-upstream } }",
    "delay: 20s",
    "{ delay: { delay: 20s, before: body } }",
    "hang",
    "drip: 1B/s",
    "{ drip: { rate: 1MB/s, stall-after: 1B } }",
    "truncate: 1B",
    "malform: chunk",
    "{ headers: { remove: [etag] } }",
    "body: other",
    "rate-limit: 1/s",
    "lose-response",
    "stale-keep-alive",
];

/// The same for faults on handshakes.
const ON_HANDSHAKES: [&str; 3] =
    ["tls-handshake: stalled", "tls-handshake: refused", "{ tls-handshake: { meets: expired } }"];

/// Those of [`FAULTS`] that need not have touched anything when the caller has written.
fn may_wait(yaml: &str) -> bool {
    ["drop", "reset", "timeout", "slow-close", "slow-open", "loss", "corrupt", "connection-limit", "refuse"]
        .iter()
        .any(|name| yaml.contains(name))
}

/// The tests of this file count the descriptors of their process, so they take turns.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How many of this process's descriptors are TCP sockets.
fn tcp_sockets() -> usize {
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
    let inodes: BTreeSet<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?)))
        .collect();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| inodes.contains(&*target.to_string_lossy()))
        .count()
}

/// All sockets of a test are closed again: also those that no meter counts.
async fn as_before(before: usize) {
    let closed = async {
        while tcp_sockets() > before {
            tokio::task::yield_now().await;
        }
    };
    within("every socket closed", closed).await;
}

fn effect(yaml: &str) -> Option<EdgeEffect> {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    match fault.effect() {
        Effect::Edge(effect) => Some(effect),
        _ => None,
    }
}

fn arm(stage: &Stage, yaml: &str, directions: Directions) {
    stage.handle.arm(armed("f", effect(yaml).unwrap(), directions));
}

#[test]
fn every_fault_of_the_catalogue_that_sits_on_an_edge_is_among_these() {
    let names: Vec<String> = FAULTS
        .iter()
        .chain(&ON_REQUESTS)
        .chain(&ON_HANDSHAKES)
        .map(|yaml| serde_yaml::from_str::<Fault>(yaml).unwrap().name().to_owned())
        .collect();
    for entry in catalogue().iter().filter(|entry| effect(entry.example).is_some()) {
        assert!(names.iter().any(|name| name == entry.name), "{} is missing", entry.name);
    }
}

/// Nor behind a fault on requests, while the answer is on its way or kept back.
#[tokio::test]
async fn a_caller_that_vanishes_leaves_no_socket_behind_any_fault_on_requests() {
    let _turn = ALONE.lock().await;
    let before = tcp_sockets();
    const REQUEST: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n";
    let upstream = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}").await;
    let mut checks = tokio::task::JoinSet::new();
    for yaml in ON_REQUESTS {
        let target = upstream.address;
        checks.spawn(async move {
            for how in ["close", "reset"] {
                let stage = http_stage(target).await;
                arm(&stage, yaml, Directions::default());
                let mut client = stage.dial().await;
                client.write_all(REQUEST).await.unwrap();
                stage.meter("accepted", |meter| meter.accepted == 1).await;
                if how == "reset" {
                    reset(client);
                } else {
                    drop(client);
                }
                let what = format!("{yaml} {how}");
                stage.meter(&what, |meter| meter.accepted == 1 && meter.open == 0).await;
                stage.finish().await;
            }
        });
    }
    while let Some(check) = checks.join_next().await {
        check.unwrap();
    }
    drop(upstream);
    as_before(before).await;
}

/// Nor in the midst of a handshake.
#[tokio::test]
async fn a_caller_that_vanishes_leaves_no_socket_behind_any_fault_on_handshakes() {
    let _turn = ALONE.lock().await;
    let before = tcp_sockets();
    let state = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::of_state(state.path()).unwrap());
    let upstream = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let settings = UpstreamSettings { ca: Some(authority.certificate().to_owned()), ..Default::default() };
    let trust = Upstream::read(&settings, "localhost").unwrap();
    for yaml in ON_HANDSHAKES {
        for how in ["close", "reset"] {
            let tls = EdgeTls { terminate: Some(Arc::clone(&authority)), originate: None };
            let stage = stage_with(Protocol::Http, upstream.address, tls).await;
            arm(&stage, yaml, Directions::default());
            let client = stage.dial().await;
            if how == "reset" {
                socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            }
            {
                let greeting = TlsConnector::from(trust.offering(&[])).connect(trust.name(), client);
                let met = async {
                    while stage.handle.tally(&fault("f")).is_none_or(|tally| tally.hits == 0) {
                        tokio::task::yield_now().await;
                    }
                };
                let both = async {
                    tokio::select! {
                        shaken = greeting => assert!(shaken.is_err(), "{yaml}"),
                        () = met => {}
                    }
                };
                within(yaml, both).await;
            }
            stage.meter(&format!("{yaml} {how}"), |meter| meter.accepted == 1 && meter.open == 0).await;
            stage.finish().await;
        }
    }
    drop(upstream);
    as_before(before).await;
}

/// A caller may vanish in any way, behind any fault, with bytes in any state: no socket may stay.
#[tokio::test]
async fn a_caller_that_vanishes_leaves_no_socket_behind_any_fault() {
    let _turn = ALONE.lock().await;
    let before = tcp_sockets();
    let mut checks = tokio::task::JoinSet::new();
    for yaml in FAULTS {
        for directions in [Directions::ToUpstream, Directions::ToClient, Directions::Both] {
            checks.spawn(async move {
                for how in ["close", "reset"] {
                    let mut stage = stage().await;
                    let listener = stage.upstream.take().unwrap();
                    let mut servers = tokio::task::JoinSet::new();
                    servers.spawn(async move {
                        let mut echoes = tokio::task::JoinSet::new();
                        while let Ok((mut server, _)) = listener.accept().await {
                            echoes.spawn(async move {
                                let (mut read, mut write) = server.split();
                                let _ = tokio::io::copy(&mut read, &mut write).await;
                            });
                        }
                    });
                    let mut client = stage.dial().await;
                    stage.meter("accepted", |meter| meter.accepted == 1).await;
                    arm(&stage, yaml, directions);
                    let _ = client.write_all(&[7; 3000]).await;
                    if directions != Directions::ToClient && !may_wait(yaml) {
                        let hit = || stage.handle.tally(&fault("f")).is_some_and(|tally| tally.hits > 0);
                        stage.meter(yaml, |_| hit()).await;
                    }
                    let mut late = if yaml == "refuse" { None } else { Some(stage.dial().await) };
                    if let Some(late) = &mut late {
                        let _ = late.write_all(&[7; 3000]).await;
                    }
                    for stream in [Some(client), late].into_iter().flatten() {
                        if how == "reset" {
                            reset(stream);
                        }
                    }
                    let what = format!("{yaml} {directions:?} {how}");
                    stage.meter(&what, |meter| meter.accepted >= 1 && meter.open == 0).await;
                    stage.finish().await;
                }
            });
        }
    }
    while let Some(check) = checks.join_next().await {
        check.unwrap();
    }
    as_before(before).await;
}

/// Also with more in flight than the fault keeps, so that the proxy has long stopped reading.
#[tokio::test]
async fn a_caller_that_vanishes_in_mid_upload_leaves_no_socket() {
    let _turn = ALONE.lock().await;
    let before = tcp_sockets();
    for (how, size) in
        [("close", 300_000), ("reset", 300_000), ("close", (1 << 20) + 40_000), ("reset", 2 << 20)]
    {
        let stage = stage().await;
        arm(&stage, "blackhole", Directions::ToUpstream);
        let (mut client, _server) = stage.pair().await;
        client.write_all(&vec![7; size]).await.unwrap();
        if how == "reset" {
            reset(client);
        } else {
            drop(client);
        }
        stage.meter(how, |meter| meter.open == 0).await;
        stage.finish().await;
    }
    as_before(before).await;
}
