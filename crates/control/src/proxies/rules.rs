//! Sets of rules: faults on several proxies that are put on, changed and taken off together, or not at all.

use std::collections::BTreeMap;

use murphy_core::{FaultId, RuleSetName, Tally};
use murphy_proxy::Armed;

use crate::events::{LiftedBy, Notice};

use super::error::ProxyError;
use super::fault::{FaultPlan, Owner, StandingFault};
use super::faults::MOST_FAULTS;
use super::room;
use super::set::Proxies;

/// One fault of a set.
#[derive(Debug, Clone)]
pub struct RulePlan {
    /// On which proxy.
    pub proxy: String,
    /// Its name there.
    pub name: FaultId,
    /// What it is.
    pub plan: FaultPlan,
}

impl Proxies {
    /// Makes a set what is given: new rules are put on, changed ones edited, missing ones taken off, and those that are
    /// the same are left alone. All is checked before anything is touched; a proxy's connections see the old rules or
    /// the new ones, never a part.
    pub fn put_rules(&self, set: &RuleSetName, rules: &[RulePlan], owner: &Owner) -> Result<(), ProxyError> {
        let leases = self.shared.leases.lock();
        leases.check(owner.lease.as_ref())?;
        let mut slots = self.slots();
        let mut wanted: BTreeMap<&str, Vec<StandingFault>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let number = index + 1;
            let slot = slots
                .get(&rule.proxy)
                .ok_or_else(|| ProxyError::RuleWithoutProxy { rule: number, proxy: rule.proxy.clone() })?;
            let theirs =
                |fault: &StandingFault| fault.name == rule.name && fault.owner.set.as_ref() != Some(set);
            let mine = wanted.entry(&rule.proxy).or_default();
            if slot.faults.iter().any(theirs) || mine.iter().any(|fault| fault.name == rule.name) {
                let (proxy, fault) = (rule.proxy.clone(), rule.name.clone());
                return Err(ProxyError::RuleTaken { rule: number, proxy, fault });
            }
            let others = slot.faults.iter().filter(|fault| fault.owner.set.as_ref() != Some(set)).count();
            if others + mine.len() >= MOST_FAULTS {
                return Err(ProxyError::TooMany { what: "faults on this proxy", most: MOST_FAULTS });
            }
            let owner = Owner { set: Some(set.clone()), ..owner.clone() };
            let fault = StandingFault { name: rule.name.clone(), plan: rule.plan.clone(), owner };
            slot.check_protocol(&rule.proxy, &fault)?;
            mine.push(fault);
        }
        let staying = slots.values().flat_map(|slot| &slot.faults);
        let staying = staying.filter(|fault| fault.owner.set.as_ref() != Some(set)).map(|fault| &fault.plan);
        room::faults(staying.chain(rules.iter().map(|rule| &rule.plan)))?;
        for (proxy, slot) in slots.iter_mut() {
            let new = wanted.remove(proxy.as_str()).unwrap_or_default();
            let mut lift = Vec::new();
            let mut arm: Vec<Armed> = Vec::new();
            let mut told = Vec::new();
            let gone = |fault: &StandingFault| {
                fault.owner.set.as_ref() == Some(set) && !new.iter().any(|new| new.name == fault.name)
            };
            for fault in slot.faults.iter().filter(|fault| gone(fault)) {
                lift.push(fault.edge_id());
                let (fault, tally) = (fault.name.clone(), slot.tally(fault).into());
                told.push(Notice::FaultLifted { proxy: proxy.clone(), fault, by: LiftedBy::Request, tally });
            }
            slot.faults.retain(|fault| !gone(fault));
            for fault in new {
                let known = slot.faults.iter().position(|known| known.name == fault.name);
                if known.is_none_or(|at| !slot.faults[at].plan.is_same(&fault.plan)) {
                    arm.push(fault.armed());
                    told.push(Notice::FaultArmed { proxy: proxy.clone(), fault: fault.name.clone() });
                }
                match known {
                    Some(at) => slot.faults[at] = fault,
                    None => slot.faults.push(fault),
                }
            }
            if let Some(running) = slot.running.as_ref().filter(|_| !told.is_empty()) {
                running.handle.exchange(&lift, arm);
            }
            if !told.is_empty() {
                self.noted(proxy, slot);
            }
            told.iter().for_each(|notice| self.shared.events.tell(notice));
        }
        drop((slots, leases));
        self.shared.leases.changed.notify_one();
        Ok(())
    }

    /// The faults of a set with their proxies and what each has done.
    pub fn rules(&self, set: &RuleSetName) -> Result<Vec<(String, StandingFault, Tally)>, ProxyError> {
        let slots = self.slots();
        let mut found = Vec::new();
        for (proxy, slot) in slots.iter() {
            let mine = slot.faults.iter().filter(|fault| fault.owner.set.as_ref() == Some(set));
            found.extend(mine.map(|fault| (proxy.clone(), fault.clone(), slot.tally(fault))));
        }
        if found.is_empty() { Err(ProxyError::NoRules) } else { Ok(found) }
    }

    /// Takes a set off.
    pub fn lift_rules(&self, set: &RuleSetName) -> Result<(), ProxyError> {
        self.rules(set)?;
        self.lift_everywhere(LiftedBy::Request, |fault| fault.owner.set.as_ref() == Some(set));
        Ok(())
    }
}
