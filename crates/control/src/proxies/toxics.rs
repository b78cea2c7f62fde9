//! The toxics of a proxy: every edit takes a lock for a moment, changes what connections watch, and waits for none.

use crate::events::Notice;
use crate::toxiproxy::{Toxic, Translated, armed, fault_id, translated};

use super::error::ProxyError;
use super::room;
use super::set::Proxies;
use super::slot::Slot;
use super::spec::ProxySpec;

/// More on one proxy is a mistake in a loop; each costs every connection a stage.
pub(super) const MOST_TOXICS: usize = 256;

impl Slot {
    /// Where the toxic of that name is.
    fn place_of(&self, toxic: &str) -> Option<usize> {
        self.toxics.iter().position(|known| known.name == toxic)
    }
}

impl Proxies {
    /// The toxics of a proxy, those of the upstream first, each stream in the order in which they were added.
    pub fn toxics(&self, proxy: &str) -> Result<Vec<Toxic>, ProxyError> {
        self.show(proxy).map(|spec| spec.toxics)
    }

    /// One toxic.
    pub fn toxic(&self, proxy: &str, name: &str) -> Result<Toxic, ProxyError> {
        self.toxics(proxy)?.into_iter().find(|toxic| toxic.name == name).ok_or(ProxyError::NoToxic)
    }

    /// Toxics in the words of the catalogue, by name; those that change nothing are left out.
    pub fn translated(&self, toxics: &[Toxic]) -> Vec<(String, Translated)> {
        // Each was checked when it was put there.
        let known = |toxic: &Toxic| translated(toxic, self.shared.compat).ok().flatten();
        toxics.iter().filter_map(|toxic| Some((toxic.name.clone(), known(toxic)?))).collect()
    }

    /// Puts a toxic on a proxy, for open connections too. `fill` completes it once its name is known to be free.
    pub fn add_toxic<E: From<ProxyError>>(
        &self,
        proxy: &str,
        mut toxic: Toxic,
        fill: impl FnOnce(&mut Toxic) -> Result<(), E>,
    ) -> Result<Toxic, E> {
        let mut slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        if slot.toxics.iter().any(|known| known.name == toxic.name) {
            return Err(ProxyError::ToxicExists.into());
        }
        if slot.toxics.len() >= MOST_TOXICS {
            return Err(ProxyError::TooMany { what: "toxics on this proxy", most: MOST_TOXICS }.into());
        }
        room::toxics(&slots, proxy, slot.toxics.len() + 1)?;
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        fill(&mut toxic)?;
        let fault = armed(&toxic, self.shared.compat).map_err(ProxyError::Nonsense)?;
        if let (Some(running), Some(fault)) = (&slot.running, fault) {
            running.handle.arm(fault);
        }
        slot.toxics.push(toxic.clone());
        self.noted(proxy, slot);
        self.shared.events.tell(&Notice::ToxicAdded { proxy: proxy.to_owned(), toxic: toxic.name.clone() });
        Ok(toxic)
    }

    /// Puts toxics on a proxy, each in the place of the one with its name if there is one; others stay. All of them or none, and no
    /// connection sees a part of it.
    pub(super) fn lay_toxics(&self, proxy: &str, toxics: Vec<Toxic>) -> Result<ProxySpec, ProxyError> {
        let mut slots = self.slots();
        let slot = slots.get(proxy).ok_or(ProxyError::NoProxy)?;
        let more = toxics.iter().filter(|toxic| slot.place_of(&toxic.name).is_none()).count();
        if slot.toxics.len() + more > MOST_TOXICS {
            return Err(ProxyError::TooMany { what: "toxics on this proxy", most: MOST_TOXICS });
        }
        if more > 0 {
            room::toxics(&slots, proxy, slot.toxics.len() + more)?;
        }
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        let (mut gone, mut faults) = (Vec::new(), Vec::new());
        for toxic in &toxics {
            match armed(toxic, self.shared.compat).map_err(ProxyError::Nonsense)? {
                Some(fault) => faults.push(fault),
                None => gone.push(fault_id(&toxic.name)),
            }
        }
        if let Some(running) = &slot.running {
            running.handle.exchange(&gone, faults);
        }
        for toxic in toxics {
            let (proxy, name) = (proxy.to_owned(), toxic.name.clone());
            let notice = match slot.place_of(&toxic.name) {
                Some(at) => {
                    slot.toxics[at] = toxic;
                    Notice::ToxicChanged { proxy, toxic: name }
                }
                None => {
                    slot.toxics.push(toxic);
                    Notice::ToxicAdded { proxy, toxic: name }
                }
            };
            self.shared.events.tell(&notice);
        }
        self.noted(proxy, slot);
        Ok(slot.view(proxy))
    }

    /// Edits a toxic, all at once or, if the result is refused, not at all.
    pub fn edit_toxic<E: From<ProxyError>>(
        &self,
        proxy: &str,
        name: &str,
        edit: impl FnOnce(&mut Toxic) -> Result<(), E>,
    ) -> Result<Toxic, E> {
        let mut slots = self.slots();
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        let known = slot.toxics.iter_mut().find(|toxic| toxic.name == name).ok_or(ProxyError::NoToxic)?;
        let mut edited = known.clone();
        edit(&mut edited)?;
        let fault = armed(&edited, self.shared.compat).map_err(ProxyError::Nonsense)?;
        if let Some(running) = &slot.running {
            match fault {
                Some(fault) => running.handle.set(fault),
                None => {
                    running.handle.lift(&fault_id(name));
                }
            }
        }
        known.clone_from(&edited);
        self.noted(proxy, slot);
        self.shared.events.tell(&Notice::ToxicChanged { proxy: proxy.to_owned(), toxic: name.to_owned() });
        Ok(edited)
    }

    /// Takes a toxic off a proxy.
    pub fn remove_toxic(&self, proxy: &str, name: &str) -> Result<(), ProxyError> {
        let mut slots = self.slots();
        let slot = slots.get_mut(proxy).ok_or(ProxyError::NoProxy)?;
        let at = slot.toxics.iter().position(|toxic| toxic.name == name).ok_or(ProxyError::NoToxic)?;
        slot.toxics.remove(at);
        if let Some(running) = &slot.running {
            running.handle.lift(&fault_id(name));
        }
        self.noted(proxy, slot);
        self.shared.events.tell(&Notice::ToxicRemoved { proxy: proxy.to_owned(), toxic: name.to_owned() });
        Ok(())
    }
}
