//! What all connections of one proxy share. Read-mostly: the counters are atomics, the table is watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use murphy_core::{EdgeName, Protocol, Recorder, Seed, Size, Span};
use tokio::sync::Notify;

use crate::armed::Table;
use crate::ground::Ground;
use crate::meter::Meter;
use crate::roster::Roster;
use crate::second_look::SecondLook;
use crate::tls::EdgeTls;

/// Bounds on what a proxy waits for and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the dependency may take to accept a connection.
    pub dial_timeout: Span,
    /// How long a connection is kept that can serve nobody: its sender has gone, and a fault withholds what it sent.
    pub linger: Span,
    /// The most bytes that all connections together hold. Beyond it a connection that holds bytes reads no more until
    /// it has passed them on; each may still hold one read.
    pub held: Size,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { dial_timeout: Span::from_secs(10), linger: Span::from_secs(2), held: Size::from_mib(64) }
    }
}

/// What connections watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) stopping: bool,
}

pub(crate) struct Shared {
    pub(crate) edge: EdgeName,
    pub(crate) protocol: Protocol,
    pub(crate) upstream: String,
    pub(crate) tls: EdgeTls,
    pub(crate) ground: Arc<dyn Ground>,
    pub(crate) seed: Seed,
    pub(crate) recorder: Recorder,
    pub(crate) limits: Limits,
    pub(crate) meter: Meter,
    /// Connections that have been admitted and not ended.
    pub(crate) carried: AtomicU64,
    /// An admitted connection has ended.
    pub(crate) left: Notify,
    /// Bytes held by all connections.
    pub(crate) held: AtomicUsize,
    /// Who is connected.
    pub(crate) roster: Roster,
    /// Whether one of them is to make sure that nothing is left to read.
    pub(crate) second_look: SecondLook,
}

impl Shared {
    /// A connection holds `now` bytes instead of `before`.
    pub(crate) fn hold(&self, before: usize, now: usize) {
        // Wraps on its way down, and is right again after it.
        self.held.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Bytes that may still be held by all together.
    pub(crate) fn room(&self) -> usize {
        let most = usize::try_from(self.limits.held.as_bytes()).unwrap_or(usize::MAX);
        most.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    pub(crate) fn leave(&self) {
        self.carried.fetch_sub(1, Ordering::Relaxed);
        self.left.notify_waiters();
    }
}
