//! HTTP: the plainest reverse proxy that one would write with hyper, nginx, HAProxy, and ours; small requests on kept-alive
//! connections.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, median};

const REQUEST: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\nX-User: 7\r\n\r\n";
const CONNECTIONS: usize = 16;

/// Sits on no request of the bench.
const ELSEWHERE: &str = "{ abort: { status: 503 } }";

/// The first two are yardsticks. A fault of ours is for another path than that which is asked for.
const RIVALS: [(&str, Kind, &str); 7] = [
    ("direct", Kind::Direct, ""),
    ("plain hyper", Kind::Hyper, ""),
    ("nginx proxy_pass", Kind::Nginx, ""),
    ("HAProxy http", Kind::HaProxyHttp, ""),
    ("murphy", Kind::MurphyHttp, ""),
    ("murphy, fault elsewhere", Kind::MurphyHttp, ELSEWHERE),
    ("murphy, recording", Kind::RecordedHttp, ""),
];

const HAPROXY: usize = 3;

/// A dependency that answers each request with 256 bytes.
pub async fn upstream(listener: TcpListener) {
    let mut links = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        links.spawn(async move {
            let body = Bytes::from_static(&[b'x'; 256]);
            let service = service_fn(|_: Request<Incoming>| {
                let answer = Response::new(Full::new(body.clone()));
                async move { Ok::<_, Infallible>(answer) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while links.try_join_next().is_some() {}
    }
}

/// One connection to the dependency for each of a caller's, as ours has it.
pub async fn plain(listener: TcpListener, target: String) {
    let mut links = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let target = target.clone();
        links.spawn(async move {
            let Ok(dialled) = tokio::net::TcpStream::connect(target).await else { return };
            let _ = (client.set_nodelay(true), dialled.set_nodelay(true));
            let handshake = hyper::client::conn::http1::handshake::<_, Incoming>(TokioIo::new(dialled));
            let Ok((sender, upstream)) = handshake.await else { return };
            let sender = Arc::new(Mutex::new(sender));
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = Arc::clone(&sender);
                async move {
                    let mut sender = sender.lock().await;
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            });
            let server =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service);
            let _ = tokio::join!(server, upstream);
        });
        while links.try_join_next().is_some() {}
    }
}

/// Requests a second, and how many there were.
pub fn requests(address: &str, time: Duration) -> (f64, u64) {
    let barrier = Barrier::new(CONNECTIONS);
    let counts: Vec<(u64, f64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(address).expect("a connection");
                    stream.set_nodelay(true).expect("an option");
                    let length = first(&mut stream);
                    let mut answer = vec![0; length];
                    barrier.wait();
                    let (start, mut count) = (Instant::now(), 0);
                    while start.elapsed() < time {
                        stream.write_all(REQUEST).expect("a write");
                        // All answers are as long as the first.
                        stream.read_exact(&mut answer).expect("an answer");
                        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
                        count += 1;
                    }
                    (count, start.elapsed().as_secs_f64())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    let count = counts.iter().map(|(count, _)| count).sum();
    (counts.iter().map(|(count, seconds)| *count as f64 / seconds).sum(), count)
}

/// The length of the first answer, read to its end.
fn first(stream: &mut TcpStream) -> usize {
    stream.write_all(REQUEST).expect("a write");
    let (mut answer, mut byte) = (Vec::new(), [0; 1]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        answer.push(byte[0]);
    }
    stream.read_exact(&mut [0; 256]).expect("a body");
    answer.len() + 256
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::HttpUpstream, "", "");
    let mut figures: Vec<[Vec<f64>; 2]> = vec![Default::default(); RIVALS.len()];
    for _ in 0..plan.rounds {
        for (rival, (_, kind, fault)) in RIVALS.iter().enumerate() {
            let Some(proxy) = Child::try_start(*kind, &upstream.address, fault) else { continue };
            let before = proxy.cpu();
            let (rate, count) = requests(&proxy.address, plan.slice);
            figures[rival][0].push(rate);
            figures[rival][1].push((proxy.cpu() - before) * 1e6 / count as f64);
        }
    }
    println!("\n{:<26}{:>12}{:>16}", "HTTP, 16 kept alive", "requests/s", "CPU us/request");
    for ((name, _, _), [rates, cpu]) in RIVALS.iter().zip(figures.clone().iter_mut()) {
        if rates.is_empty() {
            println!("{name:<26}skipped: it is not installed, or does not start");
            continue;
        }
        println!("{name:<26}{:>12.0}{:>16.2}", median(rates), median(cpu));
    }
    let ratio = |mine: usize, other: usize, column: usize| {
        let pairs = figures[mine][column].iter().zip(&figures[other][column]);
        median(&mut pairs.map(|(mine, other)| mine / other).collect::<Vec<f64>>())
    };
    for (mine, other) in [(4, 1), (4, 2), (4, HAPROXY), (5, 4), (6, 4)] {
        // Skipped, as was said above.
        if figures[other][0].is_empty() {
            continue;
        }
        println!(
            "{} / {}: {:.2}x requests/s, {:.2}x CPU/request",
            RIVALS[mine].0,
            RIVALS[other].0,
            ratio(mine, other, 0),
            ratio(mine, other, 1),
        );
    }
    bars.at_least("murphy / plain hyper, requests/s", ratio(4, 1, 0), 0.8);
    if !figures[HAPROXY][0].is_empty() {
        bars.at_least("murphy / HAProxy http, requests/s", ratio(4, HAPROXY, 0), 0.9);
    }
    bars.at_least("murphy, fault elsewhere / murphy, requests/s", ratio(5, 4, 0), 0.95);
}
