//! What the data path promises to any effect, and what it keeps from a bad one.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use murphy_core::{Chance, Dice, Directions, EventKind};
use murphy_proxy::{Armed, Chunk, EdgeEffect, EffectFactory, Outbox, StreamEffect};
use support::{Blink, armed, fault, stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Panics on an exclamation mark.
struct Squeamish;

impl EffectFactory for Squeamish {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Squeamish)
    }
}

impl StreamEffect for Squeamish {
    fn on_chunk(&mut self, chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        assert!(!chunk.bytes.contains(&b'!'), "this panic is wanted");
        out.send(chunk);
    }
}

/// Stamps each chunk with the draws of its connection, so that a test can see them.
struct Marker {
    made: Arc<AtomicUsize>,
    neutral: bool,
}

impl EffectFactory for Marker {
    fn make(&self) -> Box<dyn StreamEffect> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Box::new(Marker { made: Arc::clone(&self.made), neutral: false })
    }

    fn is_neutral(&self) -> bool {
        self.neutral
    }
}

impl StreamEffect for Marker {
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox) {
        out.acted(chunk.bytes.len());
        out.send(Chunk { bytes: dice.bits().to_le_bytes().to_vec().into(), due: chunk.due });
    }
}

#[tokio::test]
async fn a_panic_in_one_connection_is_told_and_harms_no_other() {
    let stage = stage().await;
    let (mut good, mut good_server) = stage.pair().await;
    let (mut bad, _bad_server) = stage.pair().await;
    stage.handle.arm(armed("f", EdgeEffect::stream(Squeamish), Directions::ToUpstream));
    bad.write_all(b"!").await.unwrap();
    let ended = within("end", bad.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
    good.write_all(b"?").await.unwrap();
    within("the other", good_server.read_exact(&mut [0; 1])).await.unwrap();
    stage.meter("one left", |meter| meter.open == 1).await;
    let events = stage.finish().await;
    assert_eq!(events.iter().filter(|e| matches!(e.kind, EventKind::ConnPanicked { .. })).count(), 1);
}

async fn draws(edit: bool) -> Vec<Option<u64>> {
    let stage = stage().await;
    let made = Arc::new(AtomicUsize::new(0));
    let marker = |neutral| EdgeEffect::stream(Marker { made: Arc::clone(&made), neutral });
    let half = Chance::from_fraction(0.5).unwrap();
    let both = Directions::ToUpstream;
    stage.handle.arm(Armed { chance: half, ..armed("mark", marker(false), both) });
    let mut seen = Vec::new();
    for round in 0..20 {
        let (mut client, mut server) = stage.pair().await;
        for _ in 0..2 {
            if edit {
                // Another fault comes, is edited and goes: the first one's draws must not move.
                stage.handle.arm(armed("other", marker(true), both));
                stage.handle.set(Armed { chance: half, ..armed("other", marker(true), both) });
                if round % 2 == 0 {
                    stage.handle.lift(&fault("other"));
                }
            }
            client.write_all(&[0; 8]).await.unwrap();
            let mut word = [0; 8];
            within("word", server.read_exact(&mut word)).await.unwrap();
            let word = u64::from_le_bytes(word);
            seen.push((word != 0).then_some(word));
        }
    }
    let touched = seen.chunks(2).filter(|words| words[0].is_some()).count() as u64;
    let tally = stage.handle.tally(&fault("mark")).unwrap();
    assert_eq!((tally.connections, tally.hits, tally.bytes), (touched, touched * 2, touched * 16));
    stage.finish().await;
    seen
}

#[tokio::test]
async fn the_same_seed_makes_the_same_choices_whatever_happens_to_other_faults() {
    let first = draws(false).await;
    assert_eq!(first, draws(false).await);
    assert_eq!(first, draws(true).await);
    // One draw for a connection, not one for a chunk.
    assert!(first.chunks(2).all(|words| words[0].is_some() == words[1].is_some()));
    assert!(first.iter().any(Option::is_some) && first.iter().any(Option::is_none));
}

#[tokio::test]
async fn a_neutral_fault_makes_no_stage_and_touches_nothing() {
    let stage = stage().await;
    let made = Arc::new(AtomicUsize::new(0));
    let marker = Marker { made: Arc::clone(&made), neutral: true };
    stage.handle.arm(armed("f", EdgeEffect::stream(marker), Directions::Both));
    let (mut client, mut server) = stage.pair().await;
    client.write_all(b"as it is").await.unwrap();
    let mut got = [0; 8];
    within("bytes", server.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"as it is");
    assert_eq!(made.load(Ordering::Relaxed), 0);
    assert_eq!(stage.handle.lift(&fault("f")), Some(Default::default()));
    stage.finish().await;
}

#[tokio::test]
async fn stopping_the_proxy_ends_every_connection() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    stage.finish().await;
    assert_eq!(within("client", client.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(within("server", server.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_line_that_took_nothing_and_holds_nothing_is_tried_again() {
    let stage = stage().await;
    let (mut client, mut server) = stage.pair().await;
    stage.handle.arm(armed("f", EdgeEffect::stream(Blink), Directions::Both));
    let said = vec![b'x'; 10_000];
    let mut heard = vec![0; said.len()];
    client.write_all(&said).await.unwrap();
    within("all of it", server.read_exact(&mut heard)).await.unwrap();
    server.write_all(&said).await.unwrap();
    within("all of it back", client.read_exact(&mut heard)).await.unwrap();
}
