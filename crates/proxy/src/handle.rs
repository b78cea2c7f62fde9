//! The hand on a running proxy: puts faults on its edge, edits them, takes them off, reads the counters.
//!
//! Every call returns at once: it changes a value that the connections watch, and never waits for one of them.

use std::sync::Arc;
use std::time::Instant;

use murphy_core::{ConnId, FaultId, Protocol, Tally};
use tokio::sync::watch;

use crate::armed::{Armed, Table};
use crate::meter::MeterSnapshot;
use crate::roster::Connection;
use crate::shared::{Shared, State};
use crate::tls::EdgeTls;

/// All control over one proxy. Cheap to clone.
#[derive(Clone)]
pub struct ProxyHandle {
    shared: Arc<Shared>,
    state: Arc<watch::Sender<State>>,
    listening: watch::Receiver<u64>,
}

impl ProxyHandle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        state: Arc<watch::Sender<State>>,
        listening: watch::Receiver<u64>,
    ) -> ProxyHandle {
        ProxyHandle { shared, state, listening }
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Table) -> T) -> T {
        let mut result = None;
        self.state.send_modify(|state| result = Some(edit(&mut state.table)));
        // `send_modify` runs its closure exactly once, so this cannot fail.
        result.expect("the table was edited")
    }

    /// Puts a fault on the edge, for open connections too. One with the same name is edited instead.
    pub fn arm(&self, armed: Armed) {
        self.edit(|table| table.put(armed, Instant::now()));
    }

    /// Edits the fault with the same name: its draws, its count and what it knew stay; no other fault is touched.
    pub fn set(&self, armed: Armed) {
        self.arm(armed);
    }

    /// Takes a fault off the edge and says what it did; bytes that only it held back leave at once, in order. `None`
    /// if it did not stand there.
    pub fn lift(&self, id: &FaultId) -> Option<Tally> {
        self.edit(|table| table.take(id))
    }

    /// Takes faults off and puts others on in one edit: no connection ever sees a part of it. Says what those taken off
    /// did.
    pub fn exchange(&self, lift: &[FaultId], arm: Vec<Armed>) -> Vec<(FaultId, Tally)> {
        self.edit(|table| {
            let gone = lift.iter().filter_map(|id| table.take(id).map(|tally| (id.clone(), tally))).collect();
            let now = Instant::now();
            arm.into_iter().for_each(|armed| table.put(armed, now));
            gone
        })
    }

    /// The open connections behind `after` (0 for all), oldest first, at most `most`.
    pub fn connections(&self, after: ConnId, most: usize) -> Vec<Connection> {
        let table = self.state.borrow().table.clone();
        self.shared.roster.read(self.shared.seed, &table, after, most)
    }

    /// Takes all faults off the edge.
    pub fn lift_all(&self) -> Vec<(FaultId, Tally)> {
        self.edit(|table| {
            let ids: Vec<FaultId> = table.ids().cloned().collect();
            ids.into_iter().filter_map(|id| table.take(&id).map(|tally| (id, tally))).collect()
        })
    }

    /// What a fault has done so far; `None` if it does not stand here.
    pub fn tally(&self, id: &FaultId) -> Option<Tally> {
        self.state.borrow().table.tally(id)
    }

    /// What travels on the edge. Effects on requests act only where it is HTTP.
    pub fn protocol(&self) -> Protocol {
        self.shared.protocol
    }

    /// On which sides TLS is spoken. Effects on handshakes act only where callers speak it.
    pub fn tls(&self) -> &EdgeTls {
        &self.shared.tls
    }

    /// What has passed so far.
    pub fn meter(&self) -> MeterSnapshot {
        self.shared.meter.read()
    }

    /// Waits until the listener has taken over every edit made before: it is closed or open as the faults want it.
    /// Returns at once if the proxy is no longer served.
    pub async fn settled(&self) {
        let wanted = self.state.borrow().table.version();
        let mut listening = self.listening.clone();
        let _ = listening.wait_for(|version| *version >= wanted).await;
    }

    /// Waits until the listener is gone for good, so that its port is free. Open connections may still be ending.
    /// Waits for ever if the proxy is never told to stop.
    pub async fn closed(&self) {
        let mut state = self.state.subscribe();
        // Fails only without a sender, and this handle holds one.
        let _ = state.wait_for(|state| state.stopping).await;
    }
}
