//! The set of proxies: made, changed, taken away, reset, ended.
//!
//! Reading takes a lock for a moment only. Starting and stopping are done one after the other under a second lock that
//! may be awaited, but never while a connection, a dependency or a name server is waited for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use murphy_core::{Demand, Recorder, Seed};
use murphy_proxy::MeterSnapshot;
use tokio::sync::Mutex as Turn;
use tokio_util::task::TaskTracker;

use crate::events::{Events, Notice};
use crate::history::History;
use crate::listen::{self, ListenError};
use crate::toxiproxy::{Compat, Toxic, armed, fault_id};
use crate::traffic::Ledger;

use super::error::ProxyError;
use super::leases::Leases;
use super::room;
use super::slot::Slot;
use super::spec::{ProxyChange, ProxySpec};
use super::toxics::MOST_TOXICS;

/// Each holds a listener and a timer; more of them than this is a mistake in a loop.
pub(crate) const MOST_PROXIES: usize = 4096;

/// All proxies of a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Proxies {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) slots: Mutex<BTreeMap<String, Slot>>,
    pub(super) turn: Turn<()>,
    pub(super) tasks: TaskTracker,
    pub(super) ledger: Ledger,
    pub(super) seed: Seed,
    /// Where the local authority is kept.
    pub(super) state: PathBuf,
    pub(super) recorder: Recorder,
    pub(super) compat: Compat,
    pub(super) leases: Leases,
    pub(super) events: Events,
    pub(super) history: History,
}

impl Proxies {
    /// No proxies yet. All choices of all proxies follow from the seed; `events` are told what is done to them; `state` is
    /// where the local authority is kept. Leases run out only while [`Proxies::watch_leases`] runs.
    pub fn new(seed: Seed, recorder: Recorder, compat: Compat, events: Events, state: PathBuf) -> Proxies {
        Proxies {
            shared: Arc::new(Shared {
                slots: Mutex::default(),
                turn: Turn::new(()),
                tasks: TaskTracker::new(),
                ledger: Ledger::default(),
                seed,
                state,
                recorder,
                compat,
                leases: Leases::default(),
                events,
                history: History::start(),
            }),
        }
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // Nothing panics while it holds the lock; if something did, the map is still whole.
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has passed through all proxies.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// What has passed through a proxy since it was started; `None` while it does not run.
    pub fn traffic(&self, name: &str) -> Option<MeterSnapshot> {
        let slots = self.slots();
        slots.get(name)?.running.as_ref().map(|running| running.handle.meter())
    }

    /// Ends all leases' holds, so that no answer goes on for ever; the daemon ends.
    pub fn release(&self) {
        self.shared.leases.clear();
    }

    /// All proxies, by name.
    pub fn list(&self) -> Vec<ProxySpec> {
        self.slots().iter().map(|(name, slot)| slot.view(name)).collect()
    }

    /// One proxy.
    pub fn show(&self, name: &str) -> Result<ProxySpec, ProxyError> {
        self.slots().get(name).map(|slot| slot.view(name)).ok_or(ProxyError::NoProxy)
    }

    /// Adds a proxy, with its toxics, and starts it if it shall be enabled. On an error there is no such proxy.
    pub async fn create(&self, spec: ProxySpec) -> Result<ProxySpec, ProxyError> {
        self.check_free(&spec.name)?;
        self.check_toxics(&spec.toxics)?;
        let address = match spec.enabled {
            true => Some(listen::resolve(&spec.listen).await.map_err(ProxyError::Listen)?),
            false => None,
        };
        let _turn = self.shared.turn.lock().await;
        self.check_free(&spec.name)?;
        self.check_room(&spec)?;
        self.add(spec, address).await
    }

    /// Adds a proxy under the turn; the name is free.
    async fn add(&self, spec: ProxySpec, address: Option<SocketAddr>) -> Result<ProxySpec, ProxyError> {
        let name = spec.name;
        let mut slot = Slot {
            listen: spec.listen,
            upstream: spec.upstream,
            protocol: spec.protocol,
            tls: spec.tls,
            toxics: spec.toxics,
            faults: Vec::new(),
            running: None,
            starts: 0,
            watched: Demand::default(),
        };
        if let Some(address) = address {
            let bound = self.bind(&name, address, &slot).await?;
            self.serve(&name, &mut slot, bound);
        }
        self.noted(&name, &slot);
        let view = slot.view(&name);
        self.slots().insert(name.clone(), slot);
        self.shared.events.tell(&Notice::ProxyCreated { proxy: name });
        Ok(view)
    }

    fn check_free(&self, name: &str) -> Result<(), ProxyError> {
        let slots = self.slots();
        if slots.contains_key(name) {
            return Err(ProxyError::ProxyExists);
        }
        if slots.len() >= MOST_PROXIES {
            return Err(ProxyError::TooMany { what: "proxies", most: MOST_PROXIES });
        }
        Ok(())
    }

    /// Toxics that are put on other proxies before this one is there are not seen: there may be as many too many as one proxy may have.
    fn check_room(&self, spec: &ProxySpec) -> Result<(), ProxyError> {
        room::toxics(&self.slots(), &spec.name, spec.toxics.len())
    }

    fn check_toxics(&self, toxics: &[Toxic]) -> Result<(), ProxyError> {
        if toxics.len() > MOST_TOXICS {
            return Err(ProxyError::TooMany { what: "toxics on this proxy", most: MOST_TOXICS });
        }
        for (index, toxic) in toxics.iter().enumerate() {
            armed(toxic, self.shared.compat)?;
            if toxics[..index].iter().any(|other| other.name == toxic.name) {
                return Err(ProxyError::ToxicExists);
            }
        }
        Ok(())
    }

    /// Changes a proxy. Another address or upstream ends all its connections; a failed start leaves the new values and
    /// the proxy disabled.
    pub async fn update(&self, name: &str, change: &ProxyChange) -> Result<ProxySpec, ProxyError> {
        loop {
            let seen = self.show(name)?.listen;
            let wanted = change.listen.as_ref().unwrap_or(&seen);
            // A name is looked up before the turn is taken.
            let address = listen::resolve(wanted).await?;
            let _turn = self.shared.turn.lock().await;
            let now = self.show(name)?;
            if change.listen.is_none() && now.listen != seen {
                continue;
            }
            let upstream = change.upstream.as_ref().unwrap_or(&now.upstream);
            let enabled = change.enabled.unwrap_or(now.enabled);
            if self.differs(&now.listen, wanted, address) || now.upstream != *upstream {
                self.halt(name).await;
                let mut slots = self.slots();
                let slot = slots.get_mut(name).ok_or(ProxyError::NoProxy)?;
                slot.listen.clone_from(wanted);
                slot.upstream.clone_from(upstream);
            }
            let done = match enabled {
                true => self.start(name, address).await,
                false => {
                    self.halt(name).await;
                    Ok(())
                }
            };
            self.noted_now(name);
            done?;
            self.shared.events.tell(&Notice::ProxyChanged { proxy: name.to_owned() });
            return self.show(name);
        }
    }

    /// Whether an address is another than the one that is there.
    fn differs(&self, known: &str, wanted: &str, address: SocketAddr) -> bool {
        match self.shared.compat {
            Compat::Strict => listen::go_text(wanted, address) != known,
            Compat::Better => address.to_string() != known,
        }
    }

    /// Adds a proxy, or replaces the one of that name if its address or upstream is another. One that is the same is
    /// left alone, with its toxics and whether it is enabled, but for the toxics that are given: they are put on it.
    pub async fn put(&self, spec: ProxySpec) -> Result<ProxySpec, ProxyError> {
        self.check_toxics(&spec.toxics)?;
        // What a look-up says of a proxy that shall not be started matters only for comparing it.
        let address = listen::resolve(&spec.listen).await;
        let _turn = self.shared.turn.lock().await;
        let start = |address: Result<SocketAddr, ListenError>| match spec.enabled {
            true => address.map(Some).map_err(ProxyError::Listen),
            false => Ok(None),
        };
        let Ok(known) = self.show(&spec.name) else {
            self.check_free(&spec.name)?;
            self.check_room(&spec)?;
            let address = start(address)?;
            return self.add(spec, address).await;
        };
        let address = address?;
        if known.upstream == spec.upstream && !self.differs(&known.listen, &spec.listen, address) {
            return if spec.toxics.is_empty() { Ok(known) } else { self.lay_toxics(&spec.name, spec.toxics) };
        }
        self.check_room(&spec)?;
        let address = start(Ok(address))?;
        self.halt(&spec.name).await;
        self.add(spec, address).await
    }

    /// Takes a proxy away: its connections end, its port is free when this returns.
    pub async fn delete(&self, name: &str) -> Result<(), ProxyError> {
        self.show(name)?;
        let _turn = self.shared.turn.lock().await;
        self.halt(name).await;
        self.slots().remove(name).ok_or(ProxyError::NoProxy)?;
        self.shared.history.gone(name);
        self.shared.events.tell(&Notice::ProxyDeleted { proxy: name.to_owned() });
        Ok(())
    }

    /// Starts every proxy and takes every toxic away. All are attempted; the first failure is told.
    pub async fn reset(&self) -> Result<(), ProxyError> {
        let names: Vec<String> = self.slots().keys().cloned().collect();
        let mut first = Ok(());
        for name in names {
            {
                let mut slots = self.slots();
                let Some(slot) = slots.get_mut(&name) else { continue };
                let gone = std::mem::take(&mut slot.toxics);
                if let Some(running) = &slot.running {
                    for toxic in gone {
                        running.handle.lift(&fault_id(&toxic.name));
                    }
                }
                self.noted(&name, slot);
            }
            let enable = ProxyChange { enabled: Some(true), ..ProxyChange::default() };
            match self.update(&name, &enable).await {
                Ok(_) | Err(ProxyError::NoProxy) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// Ends all proxies for good. Returns when their connections are gone.
    pub async fn end(&self) {
        let _turn = self.shared.turn.lock().await;
        self.release();
        self.shared.tasks.close();
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots.into_values() {
            if let Some(running) = slot.running {
                running.stop.cancel();
            }
        }
        self.shared.tasks.wait().await;
    }
}
