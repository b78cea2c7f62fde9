//! Carrying without a fault: bytes, endings and failures look as if there were no proxy.

mod support;

use std::future::Future;
use std::io::ErrorKind;
use std::task::Poll;
use std::time::{Duration, Instant};

use murphy_core::{CloseHow, EdgeName, EventKind, ExchangeEnd, Protocol, Recorder, Seed, Side, Span};
use murphy_proxy::{BindError, EdgeTls, Limits, Proxy, ProxyConfig};
use support::{reset, stage, stage_to, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test]
async fn half_close_is_carried_in_both_directions() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    within("question", server.read_to_end(&mut asked)).await.unwrap();
    assert_eq!(asked, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    within("answer", client.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"answer");

    let (mut client, mut server) = stage.pair().await;
    server.shutdown().await.unwrap();
    let mut nothing = Vec::new();
    within("end", client.read_to_end(&mut nothing)).await.unwrap();
    client.write_all(b"still here").await.unwrap();
    drop(client);
    let mut rest = Vec::new();
    within("rest", server.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"still here");
    drop(server);
    stage.empty().await;
    let closed = stage
        .finish()
        .await
        .into_iter()
        .filter(|event| matches!(event.kind, EventKind::ConnClosed { how: CloseHow::Fin, .. }));
    assert_eq!(closed.count(), 2);
}

#[tokio::test]
async fn a_reset_reaches_the_other_side_as_a_reset() {
    let stage = stage().await;
    let (client, mut server) = stage.pair().await;
    reset(client);
    let error = within("reset", server.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (mut client, server) = stage.pair().await;
    reset(server);
    let error = within("reset", client.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    stage.empty().await;
    let by: Vec<Side> = stage
        .finish()
        .await
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::ConnClosed { by, how: CloseHow::Rst, .. } => Some(by),
            _ => None,
        })
        .collect();
    assert_eq!(by, [Side::Client, Side::Upstream]);
}

#[tokio::test]
async fn a_reset_does_not_wait_behind_bytes_that_nobody_takes() {
    let stage = stage().await;
    let (client, mut server) = stage.pair().await;
    // The dependency does not read: the pipes fill until the caller cannot write any more.
    let chunk = vec![1u8; 1 << 20];
    loop {
        tokio::select! {
            biased;
            ready = client.writable() => ready.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(300)) => break,
        }
        let _ = client.try_write(&chunk);
    }
    reset(client);
    stage.empty().await;
    let mut buffer = vec![0; 1 << 20];
    let error = loop {
        match within("reset", server.read(&mut buffer)).await {
            Ok(0) => panic!("the reset became an orderly end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    stage.finish().await;
}

#[tokio::test]
async fn megabytes_arrive_unchanged_in_both_directions_at_once() {
    const SIZE: usize = 8 << 20;
    let stage = stage().await;
    let (client, server) = stage.pair().await;
    let pattern: Vec<u8> = (0..SIZE).map(|i| ((i * 31) >> 3) as u8).collect();
    let side = |stream: tokio::net::TcpStream| async {
        let (mut read, mut write) = stream.into_split();
        let send = async {
            write.write_all(&pattern).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(send, read.read_to_end(&mut got));
        read.unwrap();
        got
    };
    let (at_client, at_server) = within("transfer", async { tokio::join!(side(client), side(server)) }).await;
    assert!(at_client == pattern && at_server == pattern);
    stage.empty().await;
    let meter = stage.handle.meter();
    assert_eq!((meter.to_upstream, meter.to_client), (SIZE as u64, SIZE as u64));
    stage.finish().await;
}

/// How long the second of two bytes takes that are written one by one, without a word from the other side between them.
async fn second_of_two(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    from.write_all(b"1").await.unwrap();
    within("the first", to.read_exact(&mut [0; 1])).await.unwrap();
    let start = Instant::now();
    from.write_all(b"2").await.unwrap();
    within("the second", to.read_exact(&mut [0; 1])).await.unwrap();
    start.elapsed()
}

#[tokio::test]
async fn a_second_small_write_does_not_wait_until_the_first_is_acknowledged() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    let mut medians = Vec::new();
    // One of a few may be what a machine that stands still makes of it; held back by Nagle, it would be all of them.
    for _ in 0..4 {
        let mut took = Vec::new();
        for _ in 0..20 {
            // Each side answers, so that the kernel keeps its acknowledgements for the answer: 40 ms, if none comes.
            let there = second_of_two(&mut client, &mut server).await;
            took.push(there.max(second_of_two(&mut server, &mut client).await));
        }
        took.sort();
        // The first few are acknowledged at once, whatever is said.
        medians.push(took[took.len() / 2]);
    }
    let least = medians.iter().min().unwrap();
    assert!(*least < Duration::from_millis(20), "{medians:?}");
    stage.finish().await;
}

#[tokio::test]
async fn the_meter_is_live() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"12345").await.unwrap();
    server.read_exact(&mut [0; 5]).await.unwrap();
    stage.meter("bytes of an open connection", |m| m.to_upstream == 5 && m.open == 1).await;
    stage.finish().await;
}

#[tokio::test]
async fn a_dependency_that_refuses_gives_a_reset_and_is_told() {
    // Given to nobody else meanwhile: a port that was drawn and given back is soon that of another test.
    let target = format!("127.0.0.1:{}", murphy_testkit::free_port());
    let stage = stage_to(&target, None, Limits::default()).await;
    let mut client = stage.dial().await;
    let error = within("reset", client.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    stage.empty().await;
    assert_eq!(stage.handle.meter().dial_failed, 1);
    let events = stage.finish().await;
    let why = events.iter().find_map(|event| match &event.kind {
        EventKind::DialFailed { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.as_ref().is_some_and(|why| why.contains(&target) && why.contains("refused")), "{why:?}");
}

#[tokio::test]
async fn a_dependency_that_never_accepts_holds_up_nobody_else() {
    // A full backlog: further SYNs are dropped, so that a dial hangs.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let target = full.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(filler) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(target)).await
    {
        fillers.push(filler);
    }
    let limits = Limits { dial_timeout: Span::from_millis(300), ..Limits::default() };
    let stage = stage_to(&target.to_string(), None, limits).await;
    let (mut first, mut second) = (stage.dial().await, stage.dial().await);
    stage.meter("both are accepted while both dials hang", |m| m.accepted == 2).await;
    for client in [&mut first, &mut second] {
        let error = within("reset", client.read(&mut [0; 8])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let events = stage.finish().await;
    let silent = events.iter().filter(
        |event| matches!(&event.kind, EventKind::DialFailed { why, .. } if why.contains("within 300ms")),
    );
    assert_eq!(silent.count(), 2);
}

#[tokio::test]
async fn a_taken_port_names_its_holder_and_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ProxyConfig {
        name: EdgeName::new("cart").unwrap(),
        protocol: Protocol::Tcp,
        listen: taken.local_addr().unwrap().to_string(),
        upstream: "127.0.0.1:1".to_owned(),
        tls: EdgeTls::default(),
        seed: Seed(1),
        recorder: Recorder::disabled(),
        limits: Limits::default(),
    };
    let Err(error) = Proxy::bind(config.clone()).await else { panic!("bound a taken port") };
    let text = error.to_string();
    assert!(matches!(error, BindError::Taken { .. }));
    for part in ["cart", &std::process::id().to_string(), "another port"] {
        assert!(text.contains(part), "{text}");
    }
    let bad = ProxyConfig { upstream: "nowhere".to_owned(), ..config };
    assert!(matches!(Proxy::bind(bad).await, Err(BindError::BadUpstream { .. })));
}

#[tokio::test]
async fn exchanges_tell_who_answered_who_gave_up_and_who_failed() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..2 {
        client.write_all(b"ask").await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        server.write_all(b"tell").await.unwrap();
        client.read_exact(&mut [0; 4]).await.unwrap();
    }
    drop(client);
    drop(server);
    stage.empty().await;

    // Gives up by closing; the dependency answers only afterwards.
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"ask").await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    drop(client);
    assert_eq!(within("end", server.read(&mut [0; 8])).await.unwrap(), 0);
    server.write_all(b"late").await.unwrap();
    drop(server);
    stage.empty().await;

    // The dependency breaks off.
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"ask").await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    reset(server);
    within("reset", client.read(&mut [0; 8])).await.unwrap_err();
    stage.empty().await;

    // Unanswered when the proxy stops.
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"ask").await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    let ends: Vec<(ExchangeEnd, bool)> = stage
        .finish()
        .await
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Exchange { end, answered, touched, .. } => {
                assert!(!touched);
                Some((end, answered.is_some()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [
            (ExchangeEnd::Answered, true),
            (ExchangeEnd::Answered, true),
            (ExchangeEnd::GivenUp, false),
            (ExchangeEnd::Failed, false),
            (ExchangeEnd::Open, false)
        ]
    );
}

#[tokio::test]
async fn a_caller_whose_proxy_is_dropped_before_it_is_carried_is_counted_out() {
    let proxy = Proxy::bind(ProxyConfig {
        name: EdgeName::new("edge").unwrap(),
        protocol: Protocol::Tcp,
        listen: "127.0.0.1:0".to_owned(),
        upstream: "127.0.0.1:9".to_owned(),
        tls: EdgeTls::default(),
        seed: Seed(7),
        recorder: Recorder::disabled(),
        limits: Limits::default(),
    })
    .await
    .unwrap();
    let (address, handle) = (proxy.local_addr(), proxy.handle());
    let _caller = TcpStream::connect(address).await.unwrap();
    // Polled by hand, so that the task of the connection, on this thread as well, has had no turn when its proxy is dropped.
    let mut serving = Box::pin(proxy.serve(std::future::pending()));
    let accepted = std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
        Poll::Pending if handle.meter().accepted == 0 => Poll::Pending,
        _ => Poll::Ready(()),
    });
    within("a caller", accepted).await;
    assert_eq!(handle.meter().open, 1);
    drop(serving);
    within("the caller's end", async {
        while handle.meter().open > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
