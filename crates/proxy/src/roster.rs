//! Who is connected: for each open connection who called, since when, what has passed, and what each fault decided.
//!
//! A fault's decision is a function of the seed, so it is computed when somebody asks and costs a connection nothing.
//! The lock is held for a map operation only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use murphy_core::{ConnId, FaultId, Seed, Span};

use crate::armed::{Draws, Table};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Accepted; its dependency has not been reached yet.
    Opening,
    /// Both sides are there.
    Carried,
}

/// What a fault decided of a connection, by its chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It acts on it.
    Acts,
    /// It leaves it alone.
    Spares,
}

/// One open connection at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its ordinal on its proxy, from 1.
    pub conn: ConnId,
    /// The caller.
    pub peer: SocketAddr,
    /// Time since it was accepted.
    pub age: Span,
    /// How far it has come.
    pub stage: Stage,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to the caller.
    pub to_client: u64,
    /// What each fault that stands decided, in the order in which bytes pass them.
    pub decisions: Vec<(FaultId, Decision)>,
}

/// What a connection's own task keeps up to date.
pub(crate) struct Live {
    peer: SocketAddr,
    opened: Instant,
    carried: AtomicBool,
    to_upstream: AtomicU64,
    to_client: AtomicU64,
    /// It waits for more without having seen its sockets empty.
    unsure: AtomicBool,
    /// It is to look whether they are.
    to_look: AtomicBool,
    task: OnceLock<Waker>,
}

impl Live {
    /// It goes to sleep without having seen its sockets empty; this wakes it. True if that was not known yet.
    pub(crate) fn rests_unsure(&self, task: &Waker) -> bool {
        // A task keeps its waker for life.
        self.task.get_or_init(|| task.clone());
        !self.unsure.load(Ordering::Relaxed) && !self.unsure.swap(true, Ordering::SeqCst)
    }

    /// True once for each time that it is to look.
    pub(crate) fn is_to_look(&self) -> bool {
        // Loaded first: nearly always it is not.
        self.to_look.load(Ordering::Acquire) && self.to_look.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn carried(&self) {
        self.carried.store(true, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, to_upstream: u64, to_client: u64) {
        self.to_upstream.store(to_upstream, Ordering::Relaxed);
        self.to_client.store(to_client, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(crate) struct Roster {
    live: Mutex<BTreeMap<ConnId, Arc<Live>>>,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, conn: ConnId, peer: SocketAddr, opened: Instant) -> Arc<Live> {
        let live = Arc::new(Live {
            peer,
            opened,
            carried: AtomicBool::new(false),
            to_upstream: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            unsure: AtomicBool::new(false),
            to_look: AtomicBool::new(false),
            task: OnceLock::new(),
        });
        self.lock().insert(conn, Arc::clone(&live));
        live
    }

    pub(crate) fn leave(&self, conn: ConnId) {
        self.lock().remove(&conn);
    }

    /// Wakes each connection that rests without having seen its sockets empty, to look.
    pub(crate) fn look_all(&self) {
        let unsure = |live: &&Arc<Live>| live.unsure.load(Ordering::SeqCst);
        let unsure: Vec<Arc<Live>> = self.lock().values().filter(unsure).cloned().collect();
        for live in unsure {
            live.unsure.store(false, Ordering::SeqCst);
            live.to_look.store(true, Ordering::Release);
            if let Some(task) = live.task.get() {
                task.wake_by_ref();
            }
        }
    }

    /// The open connections behind `after`, oldest first, at most so many.
    pub(crate) fn read(&self, seed: Seed, table: &Table, after: ConnId, most: usize) -> Vec<Connection> {
        let rest = (Bound::Excluded(after), Bound::Unbounded);
        let live: Vec<(ConnId, Arc<Live>)> =
            self.lock().range(rest).take(most).map(|(conn, live)| (*conn, Arc::clone(live))).collect();
        let decide = |conn| {
            let draws = Draws::new(seed, conn);
            let each = table.standing().iter().map(|standing| {
                let decision = if draws.hit(standing) { Decision::Acts } else { Decision::Spares };
                (standing.armed.id.clone(), decision)
            });
            each.collect()
        };
        live.into_iter()
            .map(|(conn, live)| Connection {
                conn,
                peer: live.peer,
                age: Span::from(live.opened.elapsed()),
                stage: if live.carried.load(Ordering::Relaxed) { Stage::Carried } else { Stage::Opening },
                to_upstream: live.to_upstream.load(Ordering::Relaxed),
                to_client: live.to_client.load(Ordering::Relaxed),
                decisions: decide(conn),
            })
            .collect()
    }
}
