//! Leases: faults that end by themselves unless somebody goes on wanting them, and when their owner's connection goes.
//!
//! The lock of the leases is taken before that of the proxies, never after it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use murphy_core::LeaseName;
use tokio::sync::{Notify, mpsc};

use crate::events::{LiftedBy, Notice};

use super::error::ProxyError;
use super::set::Proxies;

/// More leases than this are a mistake in a loop.
const MOST_LEASES: usize = 1024;

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// It ends after this time unless it is renewed.
    EndsIn(Duration),
    /// It ends with the connection that holds it.
    Held,
}

struct Lease {
    ends: Instant,
    /// The connection that holds it; dropping this ends the connection's answer.
    holder: Option<mpsc::Sender<bytes::Bytes>>,
}

/// The leases of a daemon.
#[derive(Default)]
pub(super) struct Leases {
    all: Mutex<BTreeMap<LeaseName, Lease>>,
    /// A moment may have come nearer.
    pub(super) changed: Notify,
}

pub(super) struct Guard<'a>(MutexGuard<'a, BTreeMap<LeaseName, Lease>>);

impl Guard<'_> {
    /// A fault may have no lease, or one that is there.
    pub(super) fn check(&self, lease: Option<&LeaseName>) -> Result<(), ProxyError> {
        match lease {
            Some(lease) if !self.0.contains_key(lease) => Err(ProxyError::NoLease),
            _ => Ok(()),
        }
    }
}

impl Leases {
    pub(super) fn lock(&self) -> Guard<'_> {
        Guard(self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets go of all holders; the daemon ends.
    pub(super) fn clear(&self) {
        self.lock().0.clear();
    }
}

/// A lease that is held by a connection: dropping this ends the lease and its faults.
pub struct LeaseHold {
    proxies: Proxies,
    name: LeaseName,
}

impl Drop for LeaseHold {
    fn drop(&mut self) {
        // Fails if the lease has been ended by somebody else.
        let _ = self.proxies.end_lease_as(&self.name, LiftedBy::Connection);
    }
}

fn state(lease: &Lease) -> LeaseState {
    match lease.holder {
        Some(_) => LeaseState::Held,
        None => LeaseState::EndsIn(lease.ends.saturating_duration_since(Instant::now())),
    }
}

impl Proxies {
    /// Makes a lease, or renews it: it ends after this time.
    pub fn put_lease(&self, name: LeaseName, time: Duration) -> Result<LeaseState, ProxyError> {
        let mut leases = self.shared.leases.lock();
        if !leases.0.contains_key(&name) && leases.0.len() >= MOST_LEASES {
            return Err(ProxyError::TooMany { what: "leases", most: MOST_LEASES });
        }
        let lease = leases.0.entry(name).or_insert_with(|| Lease { ends: Instant::now(), holder: None });
        lease.ends = Instant::now() + time;
        let state = state(lease);
        drop(leases);
        self.shared.leases.changed.notify_one();
        Ok(state)
    }

    /// All leases.
    pub fn leases(&self) -> Vec<(LeaseName, LeaseState)> {
        self.shared.leases.lock().0.iter().map(|(name, lease)| (name.clone(), state(lease))).collect()
    }

    /// One lease.
    pub fn lease(&self, name: &str) -> Result<(LeaseName, LeaseState), ProxyError> {
        self.leases().into_iter().find(|(known, _)| known.as_str() == name).ok_or(ProxyError::NoLease)
    }

    /// Ends a lease, and every fault that has it.
    pub fn end_lease(&self, name: &LeaseName) -> Result<(), ProxyError> {
        self.end_lease_as(name, LiftedBy::Request)
    }

    fn end_lease_as(&self, name: &LeaseName, by: LiftedBy) -> Result<(), ProxyError> {
        let mut leases = self.shared.leases.lock();
        let lease = leases.0.remove(name).ok_or(ProxyError::NoLease)?;
        self.lift_everywhere(by, |fault| fault.owner.lease.as_ref() == Some(name));
        drop(leases);
        drop(lease);
        self.shared.events.tell(&Notice::LeaseEnded { lease: name.clone(), by });
        Ok(())
    }

    /// Lets a connection hold a lease: it no longer runs out, and ends with what is answered here. The channel closes
    /// when the lease ends otherwise.
    pub fn hold_lease(
        &self,
        name: &LeaseName,
    ) -> Result<(LeaseHold, mpsc::Receiver<bytes::Bytes>), ProxyError> {
        let mut leases = self.shared.leases.lock();
        let lease = leases.0.get_mut(name).ok_or(ProxyError::NoLease)?;
        if lease.holder.is_some() {
            return Err(ProxyError::LeaseHeld);
        }
        let (holder, held) = mpsc::channel(1);
        lease.holder = Some(holder);
        drop(leases);
        Ok((LeaseHold { proxies: self.clone(), name: name.clone() }, held))
    }

    /// Ends leases and faults as their time comes, for ever. One task runs this.
    pub async fn watch_leases(self) {
        loop {
            // Made before looking, so that no change between is missed.
            let changed = self.shared.leases.changed.notified();
            let next = self.expire(Instant::now());
            match next {
                Some(at) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Ends what has run out; the next moment at which something will.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let over: Vec<LeaseName> = {
            let leases = self.shared.leases.lock();
            let over = leases.0.iter().filter(|(_, lease)| lease.holder.is_none() && lease.ends <= now);
            over.map(|(name, _)| name.clone()).collect()
        };
        for name in over {
            let _ = self.end_lease_as(&name, LiftedBy::Time);
        }
        self.lift_everywhere(LiftedBy::Time, |fault| fault.owner.ends.is_some_and(|ends| ends <= now));
        let leases = self.shared.leases.lock();
        let lease = leases.0.values().filter(|lease| lease.holder.is_none()).map(|lease| lease.ends).min();
        let slots = self.slots();
        let fault = slots.values().flat_map(|slot| &slot.faults).filter_map(|fault| fault.owner.ends).min();
        [lease, fault].into_iter().flatten().min()
    }
}
