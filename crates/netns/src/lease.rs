//! What is done to packets is held on a lease: the kernel ends it by itself unless it is renewed. The thread inside the
//! namespace renews; when Murphy dies, nobody does, and traffic flows again within the term.
//!
//! A lease must never outlive the value that stands for it: dropping it stops the renewing and deletes the table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::{Span, Undo};

use crate::table::{LeasedTable, TableName};
use crate::{Netns, NetnsError, cut, nft};

/// How long the kernel holds on without Murphy, and how often Murphy says that it still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerm {
    /// Time after the last renewal at which the kernel lets go.
    pub term: Span,
    /// Time between two renewals; well below the term, so that a busy machine does not end a fault early.
    pub renew_every: Span,
}

impl Default for LeaseTerm {
    fn default() -> LeaseTerm {
        LeaseTerm { term: Span::from_secs(5), renew_every: Span::from_secs(1) }
    }
}

/// How a lease has fared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// How often it was renewed.
    pub renewals: u64,
    /// How often a renewal came after the term: traffic went free in between.
    pub lapses: u64,
    /// Open connections that were ended by their sockets.
    pub cut: u64,
    /// Why the last renewal failed; `None` after one that worked.
    pub trouble: Option<String>,
}

/// Packets that a rule has acted on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets; for a redirect, each is a new connection.
    pub packets: u64,
    /// Bytes with their IP headers.
    pub bytes: u64,
}

/// A fault in a namespace, held. Dropped, it is given up and its table deleted as soon as the thread inside gets to it;
/// [`Lease::lift`] waits for that and reports.
#[derive(Debug)]
pub struct Lease {
    netns: Netns,
    id: u64,
    undo: Undo,
    table: TableName,
    status: Arc<Mutex<LeaseStatus>>,
}

impl Lease {
    /// How to take it back, from any process.
    pub fn undo(&self) -> &Undo {
        &self.undo
    }

    /// The table that holds it.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// How it has fared so far.
    pub fn status(&self) -> LeaseStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Acts on these addresses from now on, and no more on those that are not among them. Faults on whole machines
    /// (partition, loss) take no notice of the ports. None at all is allowed: the destination has no address now.
    pub async fn set_addresses(&self, addresses: BTreeSet<SocketAddr>) -> Result<(), NetnsError> {
        let id = self.id;
        self.netns.run_with(move |keeper| keeper.set_addresses(id, &addresses)).await?
    }

    /// What its rules have acted on, by name: `redirected` and `cut`; `out` and `in` for partition, loss and reset.
    pub async fn counters(&self) -> Result<BTreeMap<String, Counted>, NetnsError> {
        let name = self.table.clone();
        let all = self.netns.run_with(|_| nft::counters()).await??;
        let own = all.into_iter().filter(|counter| counter.table == name.as_str());
        Ok(murphy_core::gathered(
            own.map(|counter| (counter.name, Counted { packets: counter.packets, bytes: counter.bytes })),
        ))
    }

    /// Gives it up: stops renewing and deletes the table.
    pub async fn lift(self) -> Result<(), NetnsError> {
        let id = self.id;
        self.netns.run_with(move |keeper| keeper.give_up(id)).await?
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let id = self.id;
        // A failure here is left to the undo; the lease ends anyway.
        self.netns.leave(move |keeper| drop(keeper.give_up(id)));
    }
}

/// What becomes of connections that are open when a lease begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenSockets {
    Keep,
    Cut,
}

struct Held {
    table: LeasedTable,
    term: LeaseTerm,
    open: OpenSockets,
    renewed: Instant,
    /// When to renew next, also after a failure: trying at once again would spin.
    due: Instant,
    status: Arc<Mutex<LeaseStatus>>,
}

impl Held {
    fn postpone(&mut self, begun: Instant) {
        self.due = begun + self.term.renew_every.as_duration();
    }

    fn note(&self, note: impl FnOnce(&mut LeaseStatus)) {
        note(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// `begun`: an instant before the kernel got the new term, so that the lease is never thought longer than it is.
    fn renewed_at(&mut self, begun: Instant) {
        let lapsed = begun.duration_since(self.renewed) > self.term.term.as_duration();
        self.renewed = begun;
        self.postpone(begun);
        self.note(|status| {
            status.renewals += 1;
            status.lapses += u64::from(lapsed);
            status.trouble = None;
        });
    }

    fn cut(&self) {
        if self.open == OpenSockets::Cut {
            // The rules cut as well, only later: at the next packet. So a failure here is told, not fatal.
            match cut::end_sockets(&self.table.targets) {
                Ok(cut) => self.note(|status| status.cut += cut),
                Err(error) => self.note(|status| status.trouble = Some(error.to_string())),
            }
        }
    }
}

/// Holds the leases of one namespace; lives on the thread inside it.
#[derive(Default)]
pub(crate) struct Keeper {
    held: BTreeMap<u64, Held>,
    next: u64,
}

impl Keeper {
    /// Makes the table and holds its lease from now on.
    pub(crate) fn hold(
        &mut self,
        netns: &Netns,
        table: LeasedTable,
        term: LeaseTerm,
        open: OpenSockets,
    ) -> Result<Lease, NetnsError> {
        let begun = Instant::now();
        nft::script(&table.creation(term.term.as_duration()), &format!("make table {}", table.name))?;
        let id = self.next;
        self.next += 1;
        let status = Arc::new(Mutex::new(LeaseStatus::default()));
        let lease = Lease {
            netns: netns.clone(),
            id,
            undo: table.undo(netns.identity()),
            table: table.name.clone(),
            status: Arc::clone(&status),
        };
        let held =
            Held { table, term, open, renewed: begun, due: begun + term.renew_every.as_duration(), status };
        held.cut();
        self.held.insert(id, held);
        Ok(lease)
    }

    /// Time until the next renewal; `None` without a lease.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let next = self.held.values().map(|held| held.due).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Renews what is due: all in one transaction, and one by one if that fails, to find out which is the reason.
    pub(crate) fn renew_due(&mut self) {
        let begun = Instant::now();
        let mut due: Vec<&mut Held> = self.held.values_mut().filter(|held| held.due <= begun).collect();
        if due.is_empty() {
            return;
        }
        let together: String = due.iter().map(|held| renewal(held)).collect();
        if nft::script(&together, "renew leases").is_ok() {
            due.iter_mut().for_each(|held| held.renewed_at(begun));
            return;
        }
        for held in due {
            let begun = Instant::now();
            match nft::script(&renewal(held), &format!("renew the lease of table {}", held.table.name)) {
                Ok(()) => held.renewed_at(begun),
                Err(error) => {
                    held.postpone(begun);
                    held.note(|status| status.trouble = Some(error.to_string()));
                }
            }
        }
    }

    fn set_addresses(&mut self, id: u64, addresses: &BTreeSet<SocketAddr>) -> Result<(), NetnsError> {
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        let begun = Instant::now();
        held.table.targets = held.table.targets.replaced(addresses);
        nft::script(&renewal(held), &format!("change the addresses of table {}", held.table.name))?;
        held.renewed_at(begun);
        held.cut();
        Ok(())
    }

    fn give_up(&mut self, id: u64) -> Result<(), NetnsError> {
        let Some(held) = self.held.remove(&id) else { return Ok(()) };
        delete(&held.table)
    }
}

fn renewal(held: &Held) -> String {
    held.table.renewal(held.term.term.as_duration())
}

/// Deletes a table; one that is not there is deleted already.
fn delete(table: &LeasedTable) -> Result<(), NetnsError> {
    delete_table(&table.family.to_string(), table.name.as_str())
}

/// The same by its words.
pub(crate) fn delete_table(family: &str, name: &str) -> Result<(), NetnsError> {
    match nft::script(&format!("delete table {family} {name}\n"), &format!("delete table {name}")) {
        Err(error) if nft::is_absent(&error) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Targets;

    #[test]
    fn a_renewal_that_came_too_late_is_told() {
        let term = LeaseTerm { term: Span::from_millis(100), renew_every: Span::from_millis(20) };
        let begun = Instant::now();
        let mut held = Held {
            table: LeasedTable {
                name: TableName::new("unit", 1),
                family: murphy_core::TableFamily::Inet,
                note: String::new(),
                counters: Vec::new(),
                chains: String::new(),
                targets: Targets::Hosts(BTreeSet::new()),
            },
            term,
            open: OpenSockets::Keep,
            renewed: begun,
            due: begun,
            status: Arc::default(),
        };
        held.renewed_at(begun + Duration::from_millis(100));
        held.renewed_at(begun + Duration::from_millis(201));
        held.renewed_at(begun + Duration::from_millis(221));
        let status = held.status.lock().unwrap().clone();
        assert_eq!((status.renewals, status.lapses), (3, 1));
        assert_eq!(held.due, begun + Duration::from_millis(241));
    }
}
