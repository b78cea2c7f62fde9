//! Shaping an interface, and giving it back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use murphy_core::{Rate, Undo};
use murphy_netns::{NetnsError, Reverted, Shape, revert};

use crate::bench::{Bench, Machine, PATIENCE, at, table};

fn bandwidth(bytes_per_sec: u64) -> Shape {
    let rate = Rate::from_bytes_per_sec(bytes_per_sec);
    Shape { interface: "eth0".to_owned(), rate }
}

fn disciplines(machine: &Machine) -> String {
    machine.output("tc", &["qdisc", "show", "dev", "eth0"])
}

/// Bytes that the interface had sent at a time between two others, headers included.
struct Sent {
    after: Instant,
    bytes: u64,
    before: Instant,
}

async fn sent(machine: &Machine) -> Sent {
    let after = Instant::now();
    let table = machine.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()).await;
    let before = Instant::now();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    Sent { after, bytes: line.split_whitespace().nth(8).unwrap().parse().unwrap(), before }
}

#[tokio::test]
async fn a_limited_interface_keeps_its_rate_and_is_given_back() {
    let Some(bench) = Bench::new() else { return };
    let before = disciplines(&bench.caller);
    let listener = bench.server.inside(|| TcpListener::bind(at(2, 0)).unwrap()).await;
    let address = listener.local_addr().unwrap();
    let netns = bench.caller.enter().await;
    assert_eq!(netns.interfaces().await.unwrap(), ["eth0"]);
    const RATE: u64 = 1_000_000;
    let plan = netns.plan_shape(bandwidth(RATE), &table()).await.unwrap();
    assert_eq!(disciplines(&bench.caller), before, "planning touches nothing");
    let undo = plan.apply().await.unwrap();

    let mut stream = bench.caller.inside(move || TcpStream::connect(address).unwrap()).await;
    let mut far = listener.accept().unwrap().0;
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let writer = tokio::task::spawn_blocking(move || {
        stream.write_all(&vec![0; 2_500_000]).unwrap();
        stream
    });
    let read = |far: &mut TcpStream, bytes: usize| far.read_exact(&mut vec![0; bytes]).unwrap();
    // The bucket is full at first, and the first packets are not paced.
    let mut far = tokio::task::spawn_blocking(move || {
        read(&mut far, 500_000);
        far
    })
    .await
    .unwrap();
    let mut seen = vec![sent(&bench.caller).await];
    for _ in 0..10 {
        far = tokio::task::spawn_blocking(move || {
            read(&mut far, 190_000);
            far
        })
        .await
        .unwrap();
        seen.push(sent(&bench.caller).await);
    }
    let per_second = |bytes: u64, time: Duration| bytes as f64 / time.as_secs_f64();
    let (first, last) = (&seen[0], &seen[10]);
    let rate = per_second(last.bytes - first.bytes, last.before - first.after);
    assert!(rate <= 1.1 * RATE as f64, "{rate:.0} B/s on the wire");
    // A machine that stands still reads late, but not in every half of the time.
    let rates =
        seen.windows(6).map(|part| per_second(part[5].bytes - part[0].bytes, part[5].after - part[0].before));
    let rate = rates.fold(0.0, f64::max);
    assert!(rate >= 0.9 * RATE as f64, "{rate:.0} B/s on the wire");
    drop((writer.await.unwrap(), far));

    assert_eq!(revert(&undo).await.unwrap(), Reverted::Done);
    assert_eq!(disciplines(&bench.caller), before);
    assert_eq!(revert(&undo).await.unwrap(), Reverted::Done);
}

#[tokio::test]
async fn a_shaping_of_somebody_else_is_neither_replaced_nor_removed() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let undo = netns.plan_shape(bandwidth(1_000_000), &table()).await.unwrap().undo();
    bench.caller.output(
        "tc",
        &[
            "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "tbf", "rate", "9mbit", "burst", "16kb",
            "latency", "9ms",
        ],
    );
    let theirs = disciplines(&bench.caller);
    let refused = netns.plan_shape(bandwidth(1_000_000), &table()).await;
    assert!(matches!(&refused, Err(NetnsError::QdiscTaken { kind, .. }) if kind == "tbf"), "{refused:?}");
    assert_eq!(revert(&undo).await.unwrap(), Reverted::Done);
    assert_eq!(disciplines(&bench.caller), theirs);
}

#[tokio::test]
async fn an_interface_that_is_gone_needs_no_undo() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let Undo::RemoveQdisc { namespace, handle, .. } =
        netns.plan_shape(bandwidth(1_000_000), &table()).await.unwrap().undo()
    else {
        panic!("another undo")
    };
    let undo = Undo::RemoveQdisc { namespace, interface: "eth7".to_owned(), handle };
    assert_eq!(revert(&undo).await.unwrap(), Reverted::Done);
}
