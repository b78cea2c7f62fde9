//! The open connections of one edge, a page at a time: of ten thousand only those are read and drawn that can be seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_core::{EdgeName, Span};
use murphy_proxy::{Connection, Decision, EdgeConn, EdgeHands, Stage};

/// The most connections on a page that is read from proxies of this process, or asked of a run.
pub(crate) const PAGE: usize = 1000;

/// Which page is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Of which edge.
    pub edge: EdgeName,
    /// Behind which connection it begins.
    pub after: EdgeConn,
}

/// One open connection.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenConnection {
    /// Where it stands in the list.
    pub place: EdgeConn,
    /// The caller's address.
    pub peer: String,
    /// Time since it was accepted.
    pub age: Span,
    /// How far it has come.
    pub stage: Stage,
    /// Bytes delivered to the dependency.
    pub to_upstream: u64,
    /// Bytes delivered to the caller.
    pub to_client: u64,
    /// What each fault decided of it, in the order in which bytes pass them.
    pub decisions: Vec<(String, Decision)>,
}

impl OpenConnection {
    /// As a proxy of this process tells it.
    fn of((place, open): (EdgeConn, Connection)) -> OpenConnection {
        let decisions = open.decisions.into_iter().map(|(id, decision)| (id.to_string(), decision)).collect();
        OpenConnection {
            place,
            peer: open.peer.to_string(),
            age: open.age,
            stage: open.stage,
            to_upstream: open.to_upstream,
            to_client: open.to_client,
            decisions,
        }
    }
}

/// Whether connections stand behind the last one of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Some may.
    More,
    /// None does.
    Nothing,
}

/// What is known of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// These, in the order of their places.
    Rows {
        /// One each.
        rows: Vec<OpenConnection>,
        /// Whether there are more.
        behind: Behind,
    },
    /// They cannot be told.
    Untold {
        /// Why.
        why: String,
    },
}

/// A page as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Which one.
    pub window: Window,
    /// What is on it.
    pub listed: Listed,
}

impl Page {
    /// A page that cannot be told.
    pub(crate) fn untold(window: Window, why: impl Into<String>) -> Page {
        Page { window, listed: Listed::Untold { why: why.into() } }
    }

    /// Reads a page from the proxies of an edge.
    pub(crate) fn read(window: Window, hands: &BTreeMap<EdgeName, EdgeHands>) -> Page {
        let read = hands.get(&window.edge).map(|hands| hands.connections(window.after, PAGE));
        let rows: Vec<OpenConnection> =
            read.unwrap_or_default().into_iter().map(OpenConnection::of).collect();
        let behind = if rows.len() >= PAGE { Behind::More } else { Behind::Nothing };
        Page { window, listed: Listed::Rows { rows, behind } }
    }
}

/// The page that a source is to read, shared with whoever reads it; none while nobody looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct LookedAt(Arc<Mutex<Option<Window>>>);

impl LookedAt {
    fn lock(&self) -> MutexGuard<'_, Option<Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, window: Option<Window>) {
        *self.lock() = window;
    }

    pub(crate) fn get(&self) -> Option<Window> {
        self.lock().clone()
    }
}
