//! What stands on a proxy, told to the history of the daemon after each edit, under the lock of that edit.

use murphy_faults::{FaultSpec, Refuse};

use crate::history::{History, HistoryDoc, ProxySeen, StoodDoc};
use crate::toxiproxy::{Compat, Translated, translated};

use super::set::Proxies;
use super::slot::Slot;

impl Slot {
    /// All of it, whichever API put it there. One that was switched off refuses its callers.
    fn stands(&self, compat: Compat) -> Vec<StoodDoc> {
        if self.running.is_none() {
            let was_on = self.starts > 0;
            return Vec::from_iter(was_on.then(|| StoodDoc::plain("off".into(), Refuse::default().into())));
        }
        let toxics = self.toxics.iter().filter_map(|toxic| {
            let Translated { fault, directions, chance } = translated(toxic, compat).ok().flatten()?;
            let plain = StoodDoc::plain(format!("toxic {}", toxic.name), fault);
            Some(StoodDoc { directions, chance, ..plain })
        });
        let faults = self.faults.iter().map(|fault| StoodDoc {
            name: fault.name.to_string(),
            inject: fault.plan.fault.clone(),
            directions: fault.plan.directions,
            chance: fault.plan.chance,
            matching: fault.plan.matching.clone(),
            which: fault.plan.which.clone(),
        });
        toxics.chain(faults).collect()
    }
}

impl Proxies {
    /// What was done so far to all proxies, and to containers.
    pub fn history(&self) -> HistoryDoc {
        self.shared.history.doc()
    }

    /// Where that is written down: what is done to containers, too.
    pub(crate) fn book(&self) -> History {
        self.shared.history.clone()
    }

    /// Tells the history what stands on a proxy from now on.
    pub(super) fn noted(&self, name: &str, slot: &Slot) {
        let seen = ProxySeen {
            name: name.to_owned(),
            listen: slot.listen.clone(),
            upstream: slot.upstream.clone(),
            protocol: slot.protocol,
            tls: slot.tls.clone(),
        };
        let stands = slot.stands(self.shared.compat);
        // Calls that are refused leave no trace.
        if stands.iter().any(|stood| stood.inject.name() != Refuse::NAME) {
            self.shared.history.watch(self.edge(name), &seen, &slot.watched);
        }
        self.shared.history.stands(&seen, stands);
    }

    /// The same for one that may be gone meanwhile.
    pub(super) fn noted_now(&self, name: &str) {
        if let Some(slot) = self.slots().get(name) {
            self.noted(name, slot);
        }
    }
}
