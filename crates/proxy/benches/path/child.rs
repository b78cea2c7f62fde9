//! A role of a child process: listens, says where, and ends with its standard input.

use std::io::Read;

use murphy_core::{Chance, Directions, EdgeName, FaultId, Protocol, Recorder, RunClock, Seed};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_proxy::{Armed, EdgeTls, Limits, Proxy, ProxyConfig};
use tokio::net::TcpListener;

use crate::delay_line::{self, DelayLine};
use crate::http;
use crate::yardstick::{self, Way};

pub fn run(args: &[String]) {
    crate::process::raise_descriptors();
    let [kind, upstream, fault] = args else { panic!("a child takes a kind, an upstream and a fault") };
    // The watcher ends the process when the parent goes away.
    let watcher = std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    if kind == "busy" {
        return keep_busy();
    }
    if kind == "copy8-percore" {
        return yardstick::copy_on_each_processor(upstream);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let serve = tokio::task::JoinSet::from_iter([serve(kind.clone(), upstream.clone(), fault.clone())]);
        serve.join_all().await;
    });
    let _ = watcher.join();
}

/// Takes every processor until the watcher ends the process.
fn keep_busy() {
    fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }
    println!("busy");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(spin);
        }
    });
}

async fn serve(kind: String, upstream: String, fault: String) {
    if matches!(kind.as_str(), "murphy" | "recorded" | "murphy-http" | "recorded-http") {
        return murphy(&kind, upstream, &fault).await;
    }
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener: TcpListener = socket.listen(4096).expect("a listener");
    println!("{}", listener.local_addr().expect("its address"));
    match kind.as_str() {
        "http-upstream" => http::upstream(listener).await,
        "hyper" => http::plain(listener, upstream).await,
        "upstream" => yardstick::upstream(listener).await,
        "copy8" => yardstick::serve(listener, upstream, Way::Copy(8 * 1024)).await,
        "copy64" => yardstick::serve(listener, upstream, Way::Copy(64 * 1024)).await,
        "lazy" => yardstick::serve(listener, upstream, Way::Lazy).await,
        "delay-line" => {
            let line = DelayLine::read(&fault).expect("a delay and a queue");
            delay_line::serve(listener, upstream, line).await;
        }
        other => panic!("no role is called {other}"),
    }
}

async fn murphy(kind: &str, upstream: String, fault: &str) {
    let recorder = if kind.starts_with("recorded") {
        let (recorder, mut recording) = Recorder::new(RunClock::start(), 100_000);
        std::thread::spawn(move || while recording.next(std::time::Duration::from_secs(3600)).is_ok() {});
        recorder
    } else {
        Recorder::disabled()
    };
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("bench").expect("a name"),
        protocol: if kind.ends_with("-http") { Protocol::Http } else { Protocol::Tcp },
        listen: "127.0.0.1:0".to_owned(),
        upstream,
        tls: EdgeTls::default(),
        seed: Seed(1),
        recorder,
        limits: Limits::default(),
    })
    .await
    .expect("a free port")
    .on_each_processor();
    if !fault.is_empty() {
        let fault: Fault = serde_yaml::from_str(fault).expect("a fault");
        // On requests that the bench does not make.
        let elsewhere = Match { path: Some("/orders/*".parse().expect("a path")), ..Match::default() };
        let effect = fault.on_requests(&elsewhere, &Which::default()).unwrap_or_else(|| fault.effect());
        let Effect::Edge(effect) = effect else { panic!("not a fault of an edge") };
        proxy.handle().arm(Armed {
            id: FaultId::new("f").expect("a name"),
            effect,
            directions: Directions::ToClient,
            chance: Chance::ALWAYS,
        });
    }
    println!("{}", proxy.local_addr());
    proxy.serve(std::future::pending()).await;
}
