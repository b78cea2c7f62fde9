//! From when a fault's delay counts: from the arrival of the bytes where only the machine was late to read them, and from the read where
//! a fault did not want them sooner.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use murphy_core::{Dice, Directions};
use murphy_proxy::{Chunk, EdgeEffect, EffectFactory, Outbox, StreamEffect};
use support::{armed, stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the effect saw of one chunk.
#[derive(Debug, Clone, Copy)]
struct Seen {
    came: Instant,
    /// Before this it wanted no bytes.
    not_before: Option<Instant>,
}

/// Notes when each chunk came, and wants none for `pause` after it.
#[derive(Clone)]
struct Witness {
    pause: Duration,
    not_before: Option<Instant>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl EffectFactory for Witness {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(self.clone())
    }
}

impl StreamEffect for Witness {
    fn on_chunk(&mut self, chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        let seen = Seen { came: chunk.due.instant().unwrap(), not_before: self.not_before };
        self.seen.lock().unwrap().push(seen);
        self.not_before = Some(Instant::now() + self.pause);
        out.send(chunk);
    }

    fn not_before(&self) -> Option<Instant> {
        self.not_before
    }
}

fn witness(pause: Duration) -> Witness {
    Witness { pause, not_before: None, seen: Arc::default() }
}

/// Keeps the one thread of the runtime, so that the proxy cannot read meanwhile.
fn hold_the_machine(lasts: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn bytes_that_a_busy_machine_reads_late_came_when_they_came() {
    let stage = stage().await;
    let witness = witness(Duration::ZERO);
    stage.handle.arm(armed("f", EdgeEffect::stream(witness.clone()), Directions::ToUpstream));
    let (mut client, mut server) = stage.pair().await;
    // A stall of the whole machine makes a stamp too old to be believed, but not a hundred times.
    let known = 'tries: {
        for _ in 0..100 {
            client.write_all(b"x").await.unwrap();
            hold_the_machine(Duration::from_millis(3));
            let free = Instant::now();
            within("byte", server.read_exact(&mut [0; 1])).await.unwrap();
            let seen = witness.seen.lock().unwrap().pop().unwrap();
            assert!(seen.came <= Instant::now());
            if seen.came < free - Duration::from_millis(2) {
                break 'tries true;
            }
        }
        false
    };
    assert!(known, "no byte of a hundred counted from before the machine was free to read it");
    stage.finish().await;
}

#[tokio::test]
async fn bytes_that_a_fault_did_not_want_yet_come_when_it_takes_them() {
    let stage = stage().await;
    let witness = witness(Duration::from_millis(5));
    stage.handle.arm(armed("f", EdgeEffect::stream(witness.clone()), Directions::ToUpstream));
    let (mut client, mut server) = stage.pair().await;
    for _ in 0..20 {
        client.write_all(b"x").await.unwrap();
        within("byte", server.read_exact(&mut [0; 1])).await.unwrap();
    }
    let seen = witness.seen.lock().unwrap().clone();
    let waited: Vec<&Seen> = seen.iter().filter(|seen| seen.not_before.is_some()).collect();
    assert_eq!(waited.len(), 19);
    for seen in waited {
        assert!(Some(seen.came) >= seen.not_before, "{seen:?}");
    }
    stage.finish().await;
}
