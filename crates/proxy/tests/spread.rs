//! How connections are spread over the threads of the processors. In a test binary of its own, for the threads are the process's: those of
//! other tests would be spread with them.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use murphy_core::{Dice, Directions, EventKind};
use murphy_proxy::{Chunk, EdgeEffect, EffectFactory, Outbox, StreamEffect, tasks_of_connections};
use support::{armed, echo, stage_on_each_processor};

/// Notes on which threads it is made: on the threads of the connections.
#[derive(Clone, Default)]
struct Census(Arc<Mutex<BTreeMap<String, usize>>>);

struct Counted;

impl EffectFactory for Census {
    fn make(&self) -> Box<dyn StreamEffect> {
        let name = thread::current().name().unwrap_or("?").to_owned();
        *self.0.lock().unwrap().entry(name).or_default() += 1;
        Box::new(Counted)
    }
}

impl StreamEffect for Counted {
    fn on_chunk(&mut self, chunk: Chunk, _: &mut Dice, out: &mut Outbox) {
        out.send(chunk);
    }
}

#[tokio::test]
async fn connections_are_spread_evenly_and_numbered_in_the_order_of_their_coming() {
    const CALLERS: usize = 64;
    let stage = stage_on_each_processor().await;
    let census = Census::default();
    stage.handle.arm(armed("census", EdgeEffect::stream(census.clone()), Directions::ToUpstream));
    let (mut pairs, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..CALLERS {
        let (mut client, mut server) = stage.pair().await;
        echo(&mut client, &mut server).await;
        peers.push(client.local_addr().unwrap().to_string());
        pairs.push((client, server));
    }
    let threads = thread::available_parallelism().unwrap().get().min(8);
    let seen = census.0.lock().unwrap().clone();
    if threads > 1 {
        assert_eq!(seen.len(), threads, "{seen:?}");
        assert!(seen.keys().all(|name| name.starts_with("connections-")), "{seen:?}");
        assert!(tasks_of_connections() >= CALLERS + threads);
        for count in seen.values() {
            assert!(count.abs_diff(CALLERS / threads) <= 1, "{seen:?}");
        }
    }
    drop(pairs);
    stage.empty().await;
    let opened = stage.finish().await.into_iter().filter_map(|event| match event.kind {
        EventKind::ConnOpened { conn, peer, .. } => Some((conn.0, peer)),
        _ => None,
    });
    // Threads tell of them as they come; the numbers are those of the callers.
    let opened: BTreeMap<u64, String> = opened.collect();
    assert_eq!(opened, (1..).zip(peers).collect());
}
