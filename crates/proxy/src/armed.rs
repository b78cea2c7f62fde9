//! The table of faults that stand on an edge. The table is a value: every edit makes a new one, and a connection takes
//! it over when it next runs. Nothing here waits for a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use murphy_core::{Chance, ConnId, Dice, Direction, Directions, FaultId, Seed, Tally};

use crate::effect::EdgeEffect;
use crate::http::Choices;

/// A fault as it is put upon an edge.
#[derive(Debug, Clone)]
pub struct Armed {
    /// Which; unique on the edge.
    pub id: FaultId,
    /// What it does.
    pub effect: EdgeEffect,
    /// The ways on which it sits, if it acts on bytes.
    pub directions: Directions,
    /// The share of connections that it acts on; drawn once for each.
    pub chance: Chance,
}

/// What one fault has done so far, counted by all connections.
#[derive(Debug, Default)]
pub struct EdgeTally {
    connections: AtomicU64,
    hits: AtomicU64,
    bytes: AtomicU64,
}

impl EdgeTally {
    pub(crate) fn add(&self, touched: &AtomicBool, hits: u64, bytes: u64) {
        if !touched.load(Ordering::Relaxed) && !touched.swap(true, Ordering::Relaxed) {
            self.connections.fetch_add(1, Ordering::Relaxed);
        }
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One connection was touched as a whole.
    pub(crate) fn add_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The edge as a whole was touched.
    pub(crate) fn add_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures of this moment.
    pub fn read(&self) -> Tally {
        Tally {
            connections: self.connections.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A fault that stands on an edge.
#[derive(Debug, Clone)]
pub struct Standing {
    pub(crate) armed: Armed,
    /// Counts armings: the same name armed a second time is another arming.
    pub(crate) arming: u64,
    /// The table's version at the last edit.
    pub(crate) version: u64,
    /// When that edit was made: what comes behind it meets the fault, however late a connection takes the table over.
    pub(crate) since: Instant,
    pub(crate) tally: Arc<EdgeTally>,
    /// Requests that it has been asked about, and those that it was for.
    pub(crate) choices: Arc<Choices>,
}

/// All faults that stand on an edge, in the order in which they were armed; bytes pass them in this order.
#[derive(Debug, Clone)]
pub struct Table {
    standing: Arc<[Standing]>,
    version: u64,
}

impl Default for Table {
    fn default() -> Table {
        Table { standing: Arc::from([]), version: 0 }
    }
}

impl Table {
    /// Counts edits.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// Puts a fault on the edge at this moment. One with the same name is edited: it keeps its place, its count and its draws.
    pub fn put(&mut self, armed: Armed, now: Instant) {
        self.version += 1;
        let mut standing = self.standing.to_vec();
        match standing.iter_mut().find(|standing| standing.armed.id == armed.id) {
            Some(known) => {
                known.armed = armed;
                known.version = self.version;
                known.since = now;
            }
            None => standing.push(Standing {
                armed,
                arming: self.version,
                version: self.version,
                since: now,
                tally: Arc::default(),
                choices: Arc::default(),
            }),
        }
        self.standing = standing.into();
    }

    /// Takes a fault off the edge; `None` if it did not stand there.
    pub fn take(&mut self, id: &FaultId) -> Option<Tally> {
        let gone = self.standing.iter().find(|standing| standing.armed.id == *id)?.tally.read();
        self.version += 1;
        self.standing = self.standing.iter().filter(|standing| standing.armed.id != *id).cloned().collect();
        Some(gone)
    }

    /// What a fault has done so far.
    pub fn tally(&self, id: &FaultId) -> Option<Tally> {
        self.standing.iter().find(|standing| standing.armed.id == *id).map(|standing| standing.tally.read())
    }

    /// True if an arming still stands, edited or not.
    pub(crate) fn stands(&self, arming: u64) -> bool {
        self.standing.iter().any(|standing| standing.arming == arming)
    }

    /// The names, in order.
    pub fn ids(&self) -> impl Iterator<Item = &FaultId> {
        self.standing.iter().map(|standing| &standing.armed.id)
    }
}

/// The draws of one connection. Each is a function of (seed, fault, connection) alone, so that neither an edit nor
/// another fault ever changes it.
#[derive(Debug)]
pub struct Draws {
    seed: Seed,
    conn: ConnId,
    touched: Vec<(u64, Arc<AtomicBool>)>,
}

impl Draws {
    /// The draws of a connection.
    pub fn new(seed: Seed, conn: ConnId) -> Draws {
        Draws { seed, conn, touched: Vec::new() }
    }

    fn seed(&self, standing: &Standing) -> Seed {
        self.seed.derive(standing.armed.id.as_str(), self.conn.0)
    }

    /// True if the fault acts on this connection.
    pub(crate) fn hit(&self, standing: &Standing) -> bool {
        Dice::new(self.seed(standing)).chance(standing.armed.chance)
    }

    /// The dice of a fault in one direction of this connection.
    pub(crate) fn dice(&self, standing: &Standing, direction: Direction) -> Dice {
        let way = match direction {
            Direction::ToUpstream => 0,
            Direction::ToClient => 1,
        };
        Dice::new(self.seed(standing).derive("way", way))
    }

    /// Forgets faults that no longer stand, so that a long-lived connection does not grow with every edit.
    pub(crate) fn forget_all_but(&mut self, table: &Table) {
        self.touched.retain(|(arming, _)| table.standing.iter().any(|standing| standing.arming == *arming));
    }

    /// The mark that this connection has been counted for a fault.
    pub(crate) fn touched(&mut self, standing: &Standing) -> Arc<AtomicBool> {
        if let Some((_, touched)) = self.touched.iter().find(|(arming, _)| *arming == standing.arming) {
            return Arc::clone(touched);
        }
        let touched = Arc::new(AtomicBool::new(false));
        self.touched.push((standing.arming, Arc::clone(&touched)));
        touched
    }
}
