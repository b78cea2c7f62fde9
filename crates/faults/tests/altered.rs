//! What changes bytes, or ends behind so many of them, over real sockets: exact to the bit and to the byte.

#[path = "../../proxy/tests/support/mod.rs"]
mod support;

use std::io::ErrorKind;

use murphy_core::{Directions, Tally};
use murphy_faults::{Effect, Fault};
use support::{Stage, armed, fault, stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn arm(stage: &Stage, yaml: &str, directions: Directions) {
    let fault: Fault = serde_yaml::from_str(yaml).unwrap();
    let Effect::Edge(effect) = fault.effect() else { panic!("{yaml} is not for an edge") };
    stage.handle.arm(armed("f", effect, directions));
}

const MESSAGE: [u8; 64] = [0x5a; 64];

/// Sends a message, and takes what comes of it: a read of its own on its way, for the next one waits for it.
async fn sent(client: &mut TcpStream, server: &mut TcpStream) -> [u8; 64] {
    client.write_all(&MESSAGE).await.unwrap();
    let mut got = [0; 64];
    within("a message", server.read_exact(&mut got)).await.unwrap();
    got
}

/// What came of some messages, and what the fault has counted.
async fn corrupted() -> (Vec<[u8; 64]>, Tally) {
    let stage = stage().await;
    arm(&stage, "{ corrupt: { rate: 50%, bytes: 3 } }", Directions::ToUpstream);
    let (mut client, mut server) = stage.pair().await;
    let mut came = Vec::new();
    for _ in 0..64 {
        came.push(sent(&mut client, &mut server).await);
        // The other way is not meant.
        assert_eq!(sent(&mut server, &mut client).await, MESSAGE);
    }
    let tally = stage.handle.lift(&fault("f")).unwrap();
    assert_eq!(sent(&mut client, &mut server).await, MESSAGE);
    stage.finish().await;
    (came, tally)
}

#[tokio::test]
async fn a_share_of_reads_is_corrupted_by_a_bit_in_so_many_bytes_and_a_seed_does_it_again() {
    let (came, tally) = corrupted().await;
    let mut hit = 0;
    for message in &came {
        let flips: Vec<u32> = message.iter().zip(&MESSAGE).map(|(a, b)| (a ^ b).count_ones()).collect();
        let changed = flips.iter().filter(|bits| **bits > 0).count();
        assert!(changed == 0 || changed == 3, "{changed} bytes: {flips:?}");
        assert!(flips.iter().all(|bits| *bits <= 1), "{flips:?}");
        hit += u64::from(changed > 0);
    }
    // Half of 64, give or take four deviations; the seed says which.
    assert!((16..=48).contains(&hit), "{hit} of 64");
    assert_eq!((tally.connections, tally.hits, tally.bytes), (1, hit, 3 * hit));
    assert_eq!(corrupted().await.0, came);
}

/// All that comes before the end, and how it ends.
async fn until_its_end(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut all, mut some) = (Vec::new(), [0; 64]);
    loop {
        match within("an end", stream.read(&mut some)).await {
            Ok(0) => return (all, None),
            Ok(count) => all.extend_from_slice(&some[..count]),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

#[tokio::test]
async fn a_reset_behind_so_many_bytes_lets_exactly_these_pass() {
    let stage = stage().await;
    arm(&stage, "{ reset: { after-bytes: 70B } }", Directions::ToUpstream);
    let (mut client, mut server) = stage.pair().await;
    // It is not met by what goes the other way.
    for _ in 0..3 {
        assert_eq!(sent(&mut server, &mut client).await, MESSAGE);
    }
    assert_eq!(sent(&mut client, &mut server).await, MESSAGE);
    client.write_all(&MESSAGE).await.unwrap();
    let reset = Some(ErrorKind::ConnectionReset);
    assert_eq!(until_its_end(&mut server).await, (MESSAGE[..6].to_vec(), reset));
    assert_eq!(until_its_end(&mut client).await, (Vec::new(), reset));
    stage.finish().await;
}
