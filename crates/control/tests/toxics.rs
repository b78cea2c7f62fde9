//! Every type of toxic over the API and real sockets: what the ends of a connection see.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use murphy_control::Compat;
use murphy_testkit::free_port;
use support::{Daemon, PATIENCE, daemon, lag, pair, passes, quickest, read_exactly, upstream, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Scene {
    daemon: Daemon,
    listener: TcpListener,
    proxy: std::net::SocketAddr,
}

/// A proxy with these toxics.
async fn scene(toxics: &[&str]) -> Scene {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    let proxy = daemon.proxy("p", address).await;
    for toxic in toxics {
        daemon.toxic("p", toxic).await;
    }
    Scene { daemon, listener, proxy }
}

impl Scene {
    async fn pair(&self) -> (TcpStream, TcpStream) {
        pair(self.proxy, &self.listener).await
    }

    async fn lift(&self, toxic: &str) {
        self.daemon.done("DELETE", &format!("/proxies/p/toxics/{toxic}"), "").await;
    }
}

async fn end_of(stream: &mut TcpStream) -> Option<ErrorKind> {
    let mut rest = Vec::new();
    within("end", stream.read_to_end(&mut rest)).await.err().map(|error| error.kind())
}

/// Nothing comes for a while.
async fn silent(stream: &mut TcpStream) {
    let read = tokio::time::timeout(Duration::from_millis(150), stream.read(&mut [0; 1])).await;
    assert!(read.is_err(), "something came: {read:?}");
}

#[tokio::test]
async fn latencies_add_up_and_an_edit_and_a_lift_reach_open_connections() {
    let scene = scene(&[
        r#"{"type":"latency","attributes":{"latency":100}}"#,
        r#"{"type":"latency","name":"more","attributes":{"latency":100,"jitter":1}}"#,
    ])
    .await;
    let (mut caller, mut server) = scene.pair().await;
    let both = lag(&mut server, &mut caller).await;
    assert!(both >= Duration::from_millis(199), "{both:?}");
    let edit = r#"{"attributes":{"latency":0,"jitter":0}}"#;
    scene.daemon.done("PATCH", "/proxies/p/toxics/more", edit).await;
    let one = quickest(&mut server, &mut caller).await;
    assert!(one >= Duration::from_millis(100) && one < Duration::from_millis(199), "{one:?}");
    // What waits leaves at the lift, in order.
    let far = r#"{"attributes":{"latency":60000}}"#;
    scene.daemon.done("PATCH", "/proxies/p/toxics/latency_downstream", far).await;
    server.write_all(b"ab").await.unwrap();
    silent(&mut caller).await;
    scene.lift("latency_downstream").await;
    server.write_all(b"c").await.unwrap();
    assert_eq!(read_exactly(&mut caller, 3).await, b"abc");
    scene.daemon.end().await;
}

#[tokio::test]
async fn a_kilobyte_of_bandwidth_is_a_thousand_bytes_and_a_rate_of_nought_stalls_until_the_lift() {
    let scene = scene(&[r#"{"type":"bandwidth","attributes":{"rate":100}}"#]).await;
    let (mut caller, mut server) = scene.pair().await;
    // The quickest of a few, for the upper bound is the machine's, too.
    let mut quickest = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        server.write_all(&[1; 50_000]).await.unwrap();
        read_exactly(&mut caller, 50_000).await;
        let took = begun.elapsed().as_secs_f64();
        // 50 kB at 100 kB/s; with 1024 bytes to a kilobyte it would take 0.488 s.
        assert!(took >= 0.495, "{took} s");
        quickest = quickest.min(took);
        if quickest < 0.8 {
            break;
        }
    }
    assert!(quickest < 0.8, "{quickest} s");
    scene.daemon.done("POST", "/proxies/p/toxics/bandwidth_downstream", r#"{"attributes":{"rate":0}}"#).await;
    server.write_all(b"held").await.unwrap();
    silent(&mut caller).await;
    scene.lift("bandwidth_downstream").await;
    assert_eq!(read_exactly(&mut caller, 4).await, b"held");
    scene.daemon.end().await;
}

#[tokio::test]
async fn slow_close_holds_back_the_end_and_not_the_bytes() {
    let scene = scene(&[r#"{"type":"slow_close","attributes":{"delay":3600000}}"#]).await;
    let (mut caller, mut server) = scene.pair().await;
    server.write_all(b"x").await.unwrap();
    server.shutdown().await.unwrap();
    read_exactly(&mut caller, 1).await;
    silent(&mut caller).await;
    scene.lift("slow_close_downstream").await;
    assert_eq!(end_of(&mut caller).await, None);

    scene.daemon.toxic("p", r#"{"type":"slow_close","attributes":{"delay":400}}"#).await;
    let (mut caller, mut server) = scene.pair().await;
    let begun = Instant::now();
    server.shutdown().await.unwrap();
    assert_eq!(end_of(&mut caller).await, None);
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    scene.daemon.end().await;
}

#[tokio::test]
async fn a_timeout_closes_after_its_time_though_bytes_keep_coming_and_without_a_time_at_the_lift() {
    let scene = scene(&[r#"{"type":"timeout","attributes":{"timeout":400}}"#]).await;
    // Its time begins with the connection, which is a moment before both ends of it are here.
    let begun = Instant::now();
    let (mut caller, server) = scene.pair().await;
    // Toxiproxy starts its clock again with each byte, and stays open.
    let trickle = async {
        loop {
            let _ = server.try_write(b"x");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        end = end_of(&mut caller) => assert_eq!(end, None),
        () = trickle => unreachable!("it never ends"),
    }
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());

    scene.lift("timeout_downstream").await;
    scene.daemon.toxic("p", r#"{"type":"timeout","attributes":{"timeout":0}}"#).await;
    let (mut caller, mut server) = scene.pair().await;
    server.write_all(b"lost").await.unwrap();
    silent(&mut caller).await;
    scene.lift("timeout_downstream").await;
    let mut got = Vec::new();
    within("end", caller.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"", "bytes that were dropped came back");
    scene.daemon.end().await;
}

#[tokio::test]
async fn reset_peer_resets_open_and_idle_connections_and_never_holds_up_its_own_removal() {
    let scene = scene(&[]).await;
    let (mut idle, mut idle_server) = scene.pair().await;
    scene.daemon.toxic("p", r#"{"type":"reset_peer","attributes":{"timeout":100}}"#).await;
    assert_eq!(end_of(&mut idle).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(end_of(&mut idle_server).await, Some(ErrorKind::ConnectionReset));
    let (mut caller, mut server) = scene.pair().await;
    server.write_all(b"x").await.unwrap();
    assert_eq!(end_of(&mut caller).await, Some(ErrorKind::ConnectionReset));
    scene
        .daemon
        .done("PATCH", "/proxies/p/toxics/reset_peer_downstream", r#"{"attributes":{"timeout":60000}}"#)
        .await;
    let (mut caller, mut server) = scene.pair().await;
    server.write_all(b"x").await.unwrap();
    scene.lift("reset_peer_downstream").await;
    assert!(passes(&mut server, &mut caller, PATIENCE).await);
    scene.daemon.end().await;
}

#[tokio::test]
async fn a_slicer_cuts_with_its_gap_in_microseconds_and_loses_nothing() {
    let slicer = r#"{"type":"slicer","attributes":{"average_size":10,"size_variation":3,"delay":20000}}"#;
    let scene = scene(&[slicer]).await;
    let (mut caller, mut server) = scene.pair().await;
    let sent: Vec<u8> = (0..100).collect();
    let begun = Instant::now();
    server.write_all(&sent).await.unwrap();
    assert_eq!(read_exactly(&mut caller, sent.len()).await, sent);
    // At most 13 bytes in each: at least 8 pieces, and 7 gaps of 20 ms. In milliseconds they would take minutes.
    assert!(begun.elapsed() >= Duration::from_millis(140), "{:?}", begun.elapsed());

    // With gaps that nobody lives to see, the first piece comes alone; the rest is not lost.
    let hour = r#"{"attributes":{"average_size":10,"size_variation":3,"delay":3600000000}}"#;
    scene.daemon.done("PATCH", "/proxies/p/toxics/slicer_downstream", hour).await;
    server.write_all(&sent).await.unwrap();
    let mut got = vec![0; sent.len()];
    let first = within("piece", caller.read(&mut got)).await.unwrap();
    assert!((1..=13).contains(&first), "{first} bytes in the first piece");
    silent(&mut caller).await;
    scene.lift("slicer_downstream").await;
    within("the rest", caller.read_exact(&mut got[first..])).await.unwrap();
    assert_eq!(got, sent);
    scene.daemon.end().await;
}

#[tokio::test]
async fn limit_data_passes_exactly_its_bytes_and_keeps_its_count_over_an_edit() {
    let scene = scene(&[r#"{"type":"limit_data","attributes":{"bytes":10}}"#]).await;
    let (mut caller, mut server) = scene.pair().await;
    server.write_all(b"12345").await.unwrap();
    read_exactly(&mut caller, 5).await;
    scene
        .daemon
        .done("PATCH", "/proxies/p/toxics/limit_data_downstream", r#"{"attributes":{"bytes":8}}"#)
        .await;
    server.write_all(b"678").await.unwrap();
    let mut got = Vec::new();
    // It closes right after the last byte, without one more.
    within("end", caller.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"678");

    // Nothing may pass: an idle connection stays, the first byte ends it.
    scene
        .daemon
        .done("PATCH", "/proxies/p/toxics/limit_data_downstream", r#"{"attributes":{"bytes":0}}"#)
        .await;
    let (mut caller, mut server) = scene.pair().await;
    silent(&mut caller).await;
    server.write_all(b"x").await.unwrap();
    assert_eq!(end_of(&mut caller).await, None);
    scene.daemon.end().await;
}

#[tokio::test]
async fn packet_loss_delays_and_loses_no_byte() {
    let loss = r#"{"type":"packet_loss","attributes":{"loss_rate":0.1}}"#;
    let scene = scene(&[loss]).await;
    let (mut caller, mut server) = scene.pair().await;
    let sent: Vec<u8> = (0..60_000u32).map(|n| (n % 251) as u8).collect();
    server.write_all(&sent).await.unwrap();
    server.shutdown().await.unwrap();
    let begun = Instant::now();
    let mut got = Vec::new();
    within("bytes", caller.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, sent);
    assert!(begun.elapsed() >= Duration::from_millis(150), "nothing was late: {:?}", begun.elapsed());
    scene.daemon.end().await;
}

#[tokio::test]
async fn a_reset_of_all_proxies_keeps_open_connections_but_those_under_a_timeout() {
    let scene = scene(&[r#"{"type":"noop"}"#]).await;
    let (other_listener, address) = upstream().await;
    let other = scene.daemon.proxy("q", address).await;
    scene.daemon.toxic("q", r#"{"type":"timeout"}"#).await;
    let (mut caller, mut server) = scene.pair().await;
    let (mut timed_out, _server) = pair(other, &other_listener).await;
    scene.daemon.done("POST", "/proxies/p", r#"{"enabled":true}"#).await;
    scene.daemon.done("POST", "/reset", "").await;
    assert!(passes(&mut caller, &mut server, PATIENCE).await);
    assert_eq!(end_of(&mut timed_out).await, None);
    assert!(scene.daemon.done("GET", "/proxies", "").await.body.matches(r#""toxics":[]"#).count() == 2);
    scene.daemon.end().await;
}

#[tokio::test]
async fn a_disabled_proxy_refuses_ends_its_connections_and_comes_back_on_its_port_with_its_toxics() {
    let daemon = daemon(Compat::Better).await;
    let (listener, address) = upstream().await;
    // A port that the system gives to nobody, so that it is free yet when the proxy comes back.
    let proxy = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let body = format!(r#"{{"name":"p","listen":"{proxy}","upstream":"{address}"}}"#);
    daemon.done("POST", "/proxies", &body).await;
    daemon.toxic("p", r#"{"type":"latency","attributes":{"latency":50}}"#).await;
    let scene = Scene { daemon, listener, proxy };
    let (mut caller, _server) = scene.pair().await;
    scene.daemon.done("PATCH", "/proxies/p", r#"{"enabled":false}"#).await;
    assert_eq!(end_of(&mut caller).await, None);
    assert_eq!(TcpStream::connect(scene.proxy).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    scene.daemon.done("PATCH", "/proxies/p", r#"{"enabled":true}"#).await;
    let (mut caller, mut server) = scene.pair().await;
    assert!(lag(&mut server, &mut caller).await >= Duration::from_millis(50));
    scene.daemon.end().await;
}

#[tokio::test]
async fn the_counters_are_live_and_outlive_their_proxy() {
    let scene = scene(&[r#"{"type":"latency","attributes":{"latency":60000}}"#]).await;
    let (mut caller, mut server) = scene.pair().await;
    caller.write_all(b"question").await.unwrap();
    read_exactly(&mut server, 8).await;
    server.write_all(b"held").await.unwrap();
    let line = |text: &str, name: &str, direction: &str| -> u64 {
        let start = format!("toxiproxy_proxy_{name}_bytes_total{{direction=\"{direction}\"");
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    // The connection is open all the while.
    within("counters", async {
        loop {
            let text = scene.daemon.done("GET", "/metrics", "").await.body;
            let seen = ["received", "sent"]
                .map(|name| (line(&text, name, "upstream"), line(&text, name, "downstream")));
            if seen == [(8, 4), (8, 0)] {
                return;
            }
        }
    })
    .await;
    drop((caller, server));
    scene.daemon.done("DELETE", "/proxies/p", "").await;
    let text = scene.daemon.done("GET", "/metrics", "").await.body;
    assert_eq!(line(&text, "received", "upstream"), 8);
    scene.daemon.end().await;
}
