//! The faults of the native API on a proxy: every edit takes a lock for a moment, changes what connections watch, and
//! waits for none.

use murphy_core::{ConnId, FaultId, Tally};
use murphy_proxy::{Connection, Decision};

use crate::events::{LiftedBy, Notice};
use crate::toxiproxy::fault_id;

use super::error::ProxyError;
use super::fault::{StandingFault, edge_id};
use super::room;
use super::set::Proxies;
use super::slot::Slot;

/// More on one proxy is a mistake in a loop; each costs every connection a stage.
pub(super) const MOST_FAULTS: usize = 256;

/// Whether a name was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It was; the fault is new.
    New,
    /// The fault that had it is now this one.
    Instead,
}

/// Whose word is behind something that acts on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A fault of the native API.
    Fault(String),
    /// A toxic.
    Toxic(String),
    /// The proxy itself: its upstream cannot be dialled.
    Proxy,
}

/// An open connection, with what each fault and toxic decided of it.
#[derive(Debug, Clone)]
pub struct LiveConnection {
    /// As the data path tells it.
    pub connection: Connection,
    /// The decisions by the names that clients know.
    pub decisions: Vec<(Source, Decision)>,
}

impl Slot {
    /// What a fault has done; nothing while the proxy does not run.
    pub(super) fn tally(&self, fault: &StandingFault) -> Tally {
        let running = self.running.as_ref();
        running.and_then(|running| running.handle.tally(&fault.edge_id())).unwrap_or_default()
    }

    fn source(&self, id: &FaultId) -> Source {
        let fault = self.faults.iter().find(|fault| fault.edge_id() == *id);
        let toxic = || self.toxics.iter().find(|toxic| fault_id(&toxic.name) == *id);
        match fault {
            Some(fault) => Source::Fault(fault.name.to_string()),
            None => toxic().map_or(Source::Proxy, |toxic| Source::Toxic(toxic.name.clone())),
        }
    }

    /// Takes the faults off for which that holds, in one edit; their names and what they did.
    pub(super) fn lift_where(&mut self, gone: impl Fn(&StandingFault) -> bool) -> Vec<(FaultId, Tally)> {
        let lifted: Vec<(FaultId, Tally)> = self
            .faults
            .iter()
            .filter(|fault| gone(fault))
            .map(|fault| (fault.name.clone(), self.tally(fault)))
            .collect();
        if lifted.is_empty() {
            return lifted;
        }
        self.faults.retain(|fault| !gone(fault));
        if let Some(running) = &self.running {
            let ids: Vec<FaultId> = lifted.iter().map(|(name, _)| edge_id(name)).collect();
            running.handle.exchange(&ids, Vec::new());
        }
        lifted
    }
}

impl Proxies {
    /// The faults of a proxy with what each has done, in the order in which bytes pass them.
    pub fn faults(&self, proxy: &str) -> Result<Vec<(StandingFault, Tally)>, ProxyError> {
        let slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        Ok(slot.faults.iter().map(|fault| (fault.clone(), slot.tally(fault))).collect())
    }

    /// One fault.
    pub fn fault(&self, proxy: &str, name: &str) -> Result<(StandingFault, Tally), ProxyError> {
        let slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        let fault = slot.faults.iter().find(|fault| fault.name.as_str() == name);
        fault.map(|fault| (fault.clone(), slot.tally(fault))).ok_or(ProxyError::NoFault)
    }

    /// Puts a fault on a proxy, for open connections too; its name must be free.
    pub fn add_fault(&self, proxy: &str, fault: StandingFault) -> Result<(), ProxyError> {
        self.place(proxy, fault, Placed::New).map(|_| ())
    }

    /// Puts a fault on a proxy, instead of the one with its name if there is one: that is edited and keeps its place,
    /// its count and its draws.
    pub fn put_fault(&self, proxy: &str, fault: StandingFault) -> Result<Placed, ProxyError> {
        self.place(proxy, fault, Placed::Instead)
    }

    fn place(&self, proxy: &str, fault: StandingFault, allowed: Placed) -> Result<Placed, ProxyError> {
        // The lease cannot end between this look at it and the fault's standing: its end takes this lock first.
        let leases = self.shared.leases.lock();
        leases.check(fault.owner.lease.as_ref())?;
        let mut slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        slot.check_protocol(proxy, &fault)?;
        let place = slot.faults.iter().position(|known| known.name == fault.name);
        match place {
            Some(_) if allowed == Placed::New => return Err(ProxyError::FaultExists),
            None if slot.faults.len() >= MOST_FAULTS => {
                return Err(ProxyError::TooMany { what: "faults on this proxy", most: MOST_FAULTS });
            }
            _ => {}
        }
        let new = &fault;
        let staying = slots.iter().flat_map(|(name, slot)| {
            let stays = move |known: &&StandingFault| name.as_str() != proxy || known.name != new.name;
            slot.faults.iter().filter(stays)
        });
        room::faults(staying.map(|known| &known.plan).chain([&new.plan]))?;
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        if let Some(running) = &slot.running {
            running.handle.set(fault.armed());
        }
        self.shared.events.tell(&Notice::FaultArmed { proxy: proxy.to_owned(), fault: fault.name.clone() });
        let placed = match place {
            Some(at) => {
                slot.faults[at] = fault;
                Placed::Instead
            }
            None => {
                slot.faults.push(fault);
                Placed::New
            }
        };
        self.noted(proxy, slot);
        drop((slots, leases));
        self.shared.leases.changed.notify_one();
        Ok(placed)
    }

    /// Takes a fault off a proxy; what it did.
    pub fn lift_fault(&self, proxy: &str, name: &str) -> Result<Tally, ProxyError> {
        let mut slots = self.slots();
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        let lifted = slot.lift_where(|fault| fault.name.as_str() == name);
        let (fault, tally) = lifted.into_iter().next().ok_or(ProxyError::NoFault)?;
        self.noted(proxy, slot);
        let proxy = proxy.to_owned();
        self.shared.events.tell(&Notice::FaultLifted {
            proxy,
            fault,
            by: LiftedBy::Request,
            tally: tally.into(),
        });
        Ok(tally)
    }

    /// Takes the faults off all proxies for which that holds.
    pub(super) fn lift_everywhere(&self, by: LiftedBy, gone: impl Fn(&StandingFault) -> bool) {
        for (proxy, slot) in self.slots().iter_mut() {
            let lifted = slot.lift_where(&gone);
            if lifted.is_empty() {
                continue;
            }
            self.noted(proxy, slot);
            for (fault, tally) in lifted {
                let proxy = proxy.clone();
                self.shared.events.tell(&Notice::FaultLifted { proxy, fault, by, tally: tally.into() });
            }
        }
    }

    /// The open connections of a proxy behind `after` (0 for all), oldest first, at most so many.
    pub fn connections(
        &self,
        proxy: &str,
        after: ConnId,
        most: usize,
    ) -> Result<Vec<LiveConnection>, ProxyError> {
        let slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        let Some(running) = &slot.running else { return Ok(Vec::new()) };
        let named = |connection: Connection| {
            let decisions =
                connection.decisions.iter().map(|(id, decision)| (slot.source(id), *decision)).collect();
            LiveConnection { connection, decisions }
        };
        Ok(running.handle.connections(after, most).into_iter().map(named).collect())
    }
}
