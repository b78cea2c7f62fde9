//! Every fault over real sockets: what each side sees, what the fault counts, and that it comes off cleanly.

#[path = "../../proxy/tests/support/mod.rs"]
mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use murphy_core::{Chance, Directions, EventKind, ExchangeEnd, Size, Tally};
use murphy_faults::{Effect, Fault};
use murphy_proxy::{Armed, EdgeEffect, Limits};
use support::{Stage, armed, fault, stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn effect(yaml: &str) -> EdgeEffect {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    match fault.effect() {
        Effect::Edge(effect) => effect,
        other => panic!("{other:?} is not for an edge"),
    }
}

fn arm(stage: &Stage, yaml: &str, directions: Directions) {
    stage.handle.arm(armed("f", effect(yaml), directions));
}

fn tally(stage: &Stage) -> Tally {
    stage.handle.tally(&fault("f")).unwrap()
}

async fn ask(client: &mut TcpStream, server: &mut TcpStream) -> Duration {
    let start = Instant::now();
    client.write_all(b"ask!").await.unwrap();
    within("question", server.read_exact(&mut [0; 4])).await.unwrap();
    server.write_all(b"told").await.unwrap();
    within("answer", client.read_exact(&mut [0; 4])).await.unwrap();
    start.elapsed()
}

async fn read_error(stream: &mut TcpStream) -> ErrorKind {
    let mut buffer = [0; 4096];
    loop {
        match within("reset", stream.read(&mut buffer)).await {
            Ok(0) => return ErrorKind::UnexpectedEof,
            Ok(_) => {}
            Err(error) => return error.kind(),
        }
    }
}

/// Nothing comes for a while.
async fn silent(stream: &mut TcpStream) {
    let mut byte = [0; 1];
    let read = tokio::time::timeout(Duration::from_millis(150), stream.read(&mut byte)).await;
    assert!(read.is_err(), "something came: {read:?}");
}

#[tokio::test]
async fn latency_is_a_delay_line_not_a_throttle() {
    const SIZE: usize = 24 << 20;
    let stage = stage().await;
    let delay = Duration::from_millis(100);
    arm(&stage, "{ latency: { delay: 100ms, queue: 64MiB } }", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..20 {
        assert!(ask(&mut client, &mut server).await >= delay);
    }
    let start = Instant::now();
    let send = async {
        server.write_all(&vec![7; SIZE]).await.unwrap();
        drop(server);
    };
    let mut got = Vec::new();
    let (_, read) = within("bulk", async { tokio::join!(send, client.read_to_end(&mut got)) }).await;
    read.unwrap();
    let took = start.elapsed();
    assert_eq!(got.len(), SIZE);
    assert!(got.iter().all(|byte| *byte == 7));
    assert!(took >= delay);
    // A sleep of 100 ms for each of the 384 reads would take 38 s.
    assert!(took < Duration::from_secs(30), "{took:?}");
    let tally = tally(&stage);
    assert_eq!((tally.connections, tally.bytes), (1, SIZE as u64 + 80));
    drop(client);
    stage.empty().await;
    stage.finish().await;
}

#[tokio::test]
async fn a_full_queue_runs_at_its_size_by_the_delay_and_pushes_back() {
    let stage = stage().await;
    arm(&stage, "{ latency: { delay: 200ms, queue: 256KiB } }", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    let size = 1 << 20;
    let start = Instant::now();
    let send = async {
        server.write_all(&vec![7; size]).await.unwrap();
        drop(server);
    };
    let mut got = Vec::new();
    within("bulk", async { tokio::join!(send, client.read_to_end(&mut got)) }).await.1.unwrap();
    assert_eq!(got.len(), size);
    // 1 MiB at 256 KiB in 200 ms: three further windows after the first.
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    stage.finish().await;
}

#[tokio::test]
async fn what_all_connections_hold_together_is_bounded() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = upstream.local_addr().unwrap().to_string();
    let limits = Limits { held: Size::from_kib(512), ..Limits::default() };
    let stage = support::stage_to(&target, Some(upstream), limits).await;
    arm(&stage, "latency: 1h", Directions::ToClient);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (client, server) = stage.pair().await;
        // A flood from each: far more than the sockets' own buffers take.
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_millis(100), server.writable()).await.is_ok() {
            sent += server.try_write(&[7; 65536]).unwrap_or(0);
            if sent > 64 << 20 {
                break;
            }
        }
        assert!(sent < 64 << 20, "no back-pressure");
        clients.push((client, server));
    }
    // The bound, and one read of each connection beyond it.
    let held = tally(&stage).bytes;
    assert!(held <= (512 << 10) + 8 * (64 << 10), "{held}");
    stage.handle.lift_all();
    for (client, _) in &mut clients {
        within("every connection goes on", client.read_exact(&mut [0; 60_000])).await.unwrap();
    }
    stage.finish().await;
}

#[tokio::test]
async fn lifting_and_editing_release_bytes_in_flight_at_once_and_in_order() {
    let stage = stage().await;
    arm(&stage, "latency: 1h", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    let sent: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    server.write_all(&sent).await.unwrap();
    while tally(&stage).bytes < 100_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stage.handle.set(armed("f", effect("latency: 50ms"), Directions::ToClient));
    let mut got = vec![0; sent.len()];
    within("release by an edit", client.read_exact(&mut got)).await.unwrap();
    assert!(got == sent);

    stage.handle.set(armed("f", effect("latency: 1h"), Directions::ToClient));
    server.write_all(&sent).await.unwrap();
    while tally(&stage).bytes < 200_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    silent(&mut client).await;
    let tally = stage.handle.lift(&fault("f")).unwrap();
    assert_eq!((tally.connections, tally.bytes), (1, 200_000));
    server.write_all(b"and more").await.unwrap();
    within("release by a lift", client.read_exact(&mut got)).await.unwrap();
    assert!(got == sent);
    let mut more = [0; 8];
    within("what follows", client.read_exact(&mut more)).await.unwrap();
    assert_eq!(&more, b"and more");
    assert!(stage.handle.lift(&fault("f")).is_none());
    stage.finish().await;
}

#[tokio::test]
async fn a_fault_reaches_connections_that_are_already_open() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    ask(&mut client, &mut server).await;
    arm(&stage, "latency: 120ms", Directions::ToClient);
    assert!(ask(&mut client, &mut server).await >= Duration::from_millis(120));
    stage.finish().await;
}

#[tokio::test]
async fn bandwidth_passes_no_faster_than_its_rate() {
    let stage = stage().await;
    arm(&stage, "bandwidth: 1MB/s", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    let start = Instant::now();
    let send = async {
        server.write_all(&vec![7; 500_000]).await.unwrap();
        drop(server);
    };
    let mut got = Vec::new();
    within("bulk", async { tokio::join!(send, client.read_to_end(&mut got)) }).await.1.unwrap();
    let took = start.elapsed().as_secs_f64();
    assert_eq!(got.len(), 500_000);
    assert!(took >= 0.495, "{took}");
    stage.finish().await;
}

/// How long this connection took from `start` until so many bytes had come.
async fn carried(start: Instant, (client, server): &mut (TcpStream, TcpStream), size: usize) -> Duration {
    let (block, mut got) = (vec![7; size], vec![0; size]);
    let both = async { tokio::join!(server.write_all(&block), client.read_exact(&mut got)) };
    let (sent, read) = within("bulk", both).await;
    sent.unwrap();
    read.unwrap();
    start.elapsed()
}

/// How long each of two connections took for 100 kB at 1 MB/s, both at once.
async fn two_at_once(scope: &str) -> (Duration, Duration) {
    let stage = stage().await;
    arm(&stage, &format!("{{ bandwidth: {{ rate: 1MB/s, scope: {scope} }} }}"), Directions::ToClient);
    let (mut one, mut two) = (stage.pair().await, stage.pair().await);
    let start = Instant::now();
    let took = tokio::join!(carried(start, &mut one, 100_000), carried(start, &mut two, 100_000));
    stage.finish().await;
    took
}

#[tokio::test]
async fn a_rate_of_the_proxy_is_for_all_its_connections_together_and_one_of_a_connection_for_each() {
    const BOTH: Duration = Duration::from_millis(195);
    // Whose bytes come first goes first, as on a line that both share: the last of them are there after the time of all.
    let (one, two) = two_at_once("proxy").await;
    assert!(one.max(two) >= BOTH, "200 kB at 1 MB/s in {one:?} and {two:?}");
    // The quickest of a few: a machine that stands still may hold both up.
    let mut own = Vec::new();
    for _ in 0..5 {
        let (one, two) = two_at_once("connection").await;
        assert!(one.min(two) >= Duration::from_millis(95), "100 kB at 1 MB/s in {one:?} and {two:?}");
        own.push(one.max(two));
        if one.max(two) < BOTH {
            break;
        }
    }
    assert!(own.iter().any(|second| *second < BOTH), "one waited for the other: {own:?}");
}

#[tokio::test]
async fn a_rate_of_zero_stalls_until_the_lift() {
    let stage = stage().await;
    arm(&stage, "bandwidth: 0B/s", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    server.write_all(b"held").await.unwrap();
    silent(&mut client).await;
    stage.handle.lift_all();
    let mut got = [0; 4];
    within("release", client.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"held");
    stage.finish().await;
}

#[tokio::test]
async fn slices_come_one_by_one() {
    let stage = stage().await;
    arm(&stage, "{ slice: { size: 10B, gap: 20ms } }", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    let start = Instant::now();
    server.write_all(&[7; 100]).await.unwrap();
    let mut buffer = [0; 100];
    within("slices", client.read_exact(&mut buffer)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(170), "{:?}", start.elapsed());
    assert_eq!(tally(&stage).hits, 10);
    // With a gap that no machine is slower than, each slice comes alone.
    stage.handle.set(armed("f", effect("{ slice: { size: 10B, gap: 1h } }"), Directions::ToClient));
    server.write_all(&[7; 100]).await.unwrap();
    assert_eq!(within("slice", client.read(&mut buffer)).await.unwrap(), 10);
    silent(&mut client).await;
    stage.handle.lift_all();
    within("the rest", client.read_exact(&mut buffer[..90])).await.unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn exactly_the_limit_passes() {
    for (then, end) in [("close", Ok(())), ("reset", Err(ErrorKind::ConnectionReset))] {
        let stage = stage().await;
        arm(&stage, &format!("{{ limit: {{ bytes: 70000B, then: {then} }} }}"), Directions::ToClient);
        let (mut client, mut server) = stage.pair().await;
        let _ = server.write_all(&vec![7; 100_000]).await;
        let mut got = Vec::new();
        let ended =
            within(then, client.read_to_end(&mut got)).await.map(|_| ()).map_err(|error| error.kind());
        assert_eq!((got.len(), ended), (70_000, end), "{then}");
        drop((client, server));
        stage.empty().await;
        stage.finish().await;
    }
    let stage = stage().await;
    arm(&stage, "{ limit: { bytes: 3B, then: stall } }", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    server.write_all(b"abcdef").await.unwrap();
    let mut got = [0; 3];
    within("before the stall", client.read_exact(&mut got)).await.unwrap();
    silent(&mut client).await;
    stage.handle.lift_all();
    within("after the lift", client.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"def");
    stage.finish().await;
}

#[tokio::test]
async fn a_blackhole_keeps_the_connection_and_gives_all_back_on_lift() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    arm(&stage, "{ blackhole: { after-bytes: 2B } }", Directions::Both);
    client.write_all(b"question").await.unwrap();
    let mut got = [0; 2];
    within("the bytes before", server.read_exact(&mut got)).await.unwrap();
    silent(&mut server).await;
    stage.handle.lift_all();
    let mut rest = [0; 6];
    within("the rest", server.read_exact(&mut rest)).await.unwrap();
    assert_eq!(&rest, b"estion");
    ask(&mut client, &mut server).await;
    stage.finish().await;
}

/// A dependency that closes behind its answer has not ended the wait of its caller.
#[tokio::test]
async fn a_withheld_answer_is_waited_for_though_the_dependency_has_closed() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    arm(&stage, "blackhole", Directions::ToClient);
    client.write_all(b"ask!").await.unwrap();
    within("question", server.read_exact(&mut [0; 4])).await.unwrap();
    server.write_all(b"told").await.unwrap();
    drop(server);
    // Longer than a connection is kept that can serve nobody.
    let linger = Limits::default().linger.as_duration();
    let read = tokio::time::timeout(linger + Duration::from_millis(700), client.read(&mut [0; 4])).await;
    assert!(read.is_err(), "ended under its caller: {read:?}");
    stage.handle.lift_all();
    let mut got = Vec::new();
    within("the answer", client.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"told");
    drop(client);
    stage.empty().await;
    stage.finish().await;
}

#[tokio::test]
async fn reset_breaks_idle_and_open_connections_on_both_sides() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    ask(&mut client, &mut server).await;
    arm(&stage, "reset", Directions::ToClient);
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(read_error(&mut server).await, ErrorKind::ConnectionReset);
    assert_eq!(tally(&stage).connections, 1);
    let mut fresh = stage.dial().await;
    assert_eq!(read_error(&mut fresh).await, ErrorKind::ConnectionReset);
    stage.empty().await;
    stage.handle.lift_all();

    arm(&stage, "{ reset: { after: 100ms } }", Directions::ToClient);
    // Its time begins with the connection, which is a moment before both ends of it are here.
    let start = Instant::now();
    let (mut client, mut server) = stage.pair().await;
    assert_eq!(read_error(&mut client).await, ErrorKind::ConnectionReset);
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    assert_eq!(read_error(&mut server).await, ErrorKind::ConnectionReset);
    stage.empty().await;
    stage.finish().await;
}

#[tokio::test]
async fn drop_ends_with_a_fin_even_over_unread_bytes() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    arm(&stage, "{ drop: { after: 100ms } }", Directions::ToClient);
    client.write_all(b"unanswered").await.unwrap();
    assert_eq!(read_error(&mut client).await, ErrorKind::UnexpectedEof);
    assert_eq!(read_error(&mut server).await, ErrorKind::UnexpectedEof);
    drop((client, server));
    stage.empty().await;
    let failed = stage.finish().await.into_iter().any(|event| {
        matches!(event.kind, EventKind::Exchange { end: ExchangeEnd::Failed, touched: true, .. })
    });
    assert!(failed);
}

#[tokio::test]
async fn refuse_closes_the_port_and_the_same_port_comes_back() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..3 {
        arm(&stage, "refuse", Directions::ToClient);
        stage.handle.settled().await;
        let refused = TcpStream::connect(stage.address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        ask(&mut client, &mut server).await;
        stage.handle.lift_all();
        stage.handle.settled().await;
        stage.pair().await;
    }
    stage.finish().await;
}

#[tokio::test]
async fn a_chance_of_refusal_resets_a_share_of_callers_and_the_same_ones_each_time() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stage = stage().await;
        let chance = Chance::from_fraction(0.5).unwrap();
        stage.handle.arm(Armed { chance, ..armed("f", effect("refuse"), Directions::Both) });
        let mut refused = Vec::new();
        for _ in 0..24 {
            let mut client = stage.dial().await;
            client.write_all(b"x").await.ok();
            let accepted = tokio::select! {
                accepted = stage.upstream.as_ref().unwrap().accept() => Some(accepted.unwrap()),
                kind = read_error(&mut client) => { assert_eq!(kind, ErrorKind::ConnectionReset); None }
            };
            refused.push(accepted.is_none());
        }
        let count = refused.iter().filter(|refused| **refused).count();
        assert_eq!(tally(&stage).connections, count as u64);
        assert!((4..=20).contains(&count), "{count}");
        runs.push(refused);
        stage.finish().await;
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn slow_close_holds_the_end_back_and_not_the_bytes() {
    let stage = stage().await;
    arm(&stage, "slow-close: 200ms", Directions::ToClient);
    let (mut client, mut server) = stage.pair().await;
    let start = Instant::now();
    server.write_all(b"all").await.unwrap();
    drop(server);
    let mut got = [0; 3];
    within("bytes", client.read_exact(&mut got)).await.unwrap();
    assert_eq!(within("end", client.read(&mut got)).await.unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(tally(&stage).connections, 1);
    stage.finish().await;
}

#[tokio::test]
async fn slow_open_delays_the_dial_and_a_lift_ends_the_wait() {
    let stage = stage().await;
    arm(&stage, "slow-open: 200ms", Directions::Both);
    let start = Instant::now();
    stage.pair().await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    stage.handle.set(armed("f", effect("slow-open: 1h"), Directions::Both));
    let _client = stage.dial().await;
    stage.meter("accepted", |meter| meter.accepted == 2).await;
    stage.handle.lift_all();
    within("dial after the lift", stage.upstream.as_ref().unwrap().accept()).await.unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn a_connection_limit_resets_or_queues_the_rest() {
    let stage = stage().await;
    arm(&stage, "connection-limit: 1", Directions::Both);
    let first = stage.pair().await;
    let mut second = stage.dial().await;
    assert_eq!(read_error(&mut second).await, ErrorKind::ConnectionReset);
    stage.handle.set(armed("f", effect("{ connection-limit: { max: 1, then: queue } }"), Directions::Both));
    let _third = stage.dial().await;
    stage.meter("accepted", |meter| meter.accepted == 3).await;
    drop(first);
    within("the queued one", stage.upstream.as_ref().unwrap().accept()).await.unwrap();
    stage.finish().await;
}

#[tokio::test]
async fn a_caller_that_times_out_behind_a_fault_gave_up_at_its_time_out() {
    for yaml in ["latency: 3s", "blackhole"] {
        let stage = stage().await;
        arm(&stage, yaml, Directions::ToClient);
        let (mut client, mut server) = stage.pair().await;
        let start = Instant::now();
        client.write_all(b"ask!").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        server.write_all(b"told").await.unwrap();
        let patience = Duration::from_millis(150);
        assert!(tokio::time::timeout(patience, client.read(&mut [0; 4])).await.is_err());
        drop(client);
        assert_eq!(within("end", server.read(&mut [0; 4])).await.unwrap(), 0);
        let gone = start.elapsed();
        drop(server);
        stage.empty().await;
        let ages: Vec<_> = stage
            .finish()
            .await
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::Exchange {
                    began,
                    ended,
                    end: ExchangeEnd::GivenUp,
                    answered: None,
                    touched: true,
                    ..
                } => Some(ended.since(began).as_duration()),
                EventKind::Exchange { .. } => panic!("{yaml}: {:?}", event.kind),
                _ => None,
            })
            .collect();
        assert_eq!(ages.len(), 1, "{yaml}");
        assert!(ages[0] >= Duration::from_millis(140) && ages[0] <= gone, "{yaml}: {ages:?} of {gone:?}");
    }
}
