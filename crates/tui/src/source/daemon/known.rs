//! What is known of a daemon between two looks: what its proxies are called here, what stands on them, and how it sat there before it
//! was taken off.

use std::collections::{BTreeMap, BTreeSet};

use murphy_adhoc::How;
use murphy_core::{Directions, EdgeName, FaultId, LeaseName, Span, Tally};
use murphy_faults::Fault;

/// What the daemon has, as far as was seen.
#[derive(Default)]
pub(super) struct Known {
    /// The names of proxies, as the daemon has them.
    pub(super) names: BTreeMap<EdgeName, String>,
    /// What they were when the daemon was last there, while it is away.
    pub(super) away: BTreeMap<EdgeName, String>,
    /// How faults sit, also of those that are off now.
    pub(super) faults: BTreeMap<(EdgeName, FaultId), Sits>,
    /// Toxics of Toxiproxy's API.
    pub(super) toxics: BTreeSet<(EdgeName, FaultId)>,
    /// The same as they are recorded: by name, in the words of the catalogue.
    pub(super) toxic_faults: BTreeMap<(EdgeName, String), (Fault, How)>,
    /// What was taken off from here, and may be switched on again.
    pub(super) lifted: BTreeSet<(EdgeName, FaultId)>,
    /// Faults that stand, as they are recorded.
    pub(super) standing: BTreeMap<(EdgeName, FaultId), (String, Tally)>,
}

impl Known {
    /// The names that proxies keep.
    pub(super) fn before(&self) -> &BTreeMap<EdgeName, String> {
        if self.names.is_empty() { &self.away } else { &self.names }
    }

    /// All that stands on a lease.
    pub(super) fn on(&self, lease: &LeaseName) -> Vec<(EdgeName, FaultId)> {
        let is_on = |key: &&(EdgeName, FaultId)| {
            self.faults.get(*key).is_some_and(|sits| sits.lease.as_ref() == Some(lease))
        };
        self.standing.keys().filter(is_on).cloned().collect()
    }

    /// How a fault sits that is put on from here.
    pub(super) fn sits(&self, key: &(EdgeName, FaultId), ours: &LeaseName) -> Sits {
        match self.faults.get(key) {
            // Somebody's fault stays his, and keeps its end, while it is tuned and when it is switched on again.
            Some(sits) if self.standing.contains_key(key) || sits.lease.as_ref() != Some(ours) => {
                sits.clone()
            }
            Some(Sits { how, .. }) => Sits { how: how.clone(), lease: Some(ours.clone()), ends_in: None },
            None => {
                let how = How { directions: Directions::Both, ..How::plain() };
                Sits { how, lease: Some(ours.clone()), ends_in: None }
            }
        }
    }
}

/// How a fault sits.
#[derive(Clone)]
pub(super) struct Sits {
    pub(super) how: How,
    pub(super) lease: Option<LeaseName>,
    pub(super) ends_in: Option<Span>,
}

#[cfg(test)]
mod tests {
    use super::super::Told;
    use super::super::seen::tests::{inner, proxy};
    use super::*;

    #[test]
    fn a_fault_of_others_stays_theirs_when_it_is_switched_off_and_on_and_nought_leaves_it() {
        let (ours, cache) = (LeaseName::new("top-1").unwrap(), EdgeName::new("cache").unwrap());
        let inner = inner(&ours);
        let key = |id: &str| (cache.clone(), FaultId::new(id).unwrap());
        let all = [("free", None), ("leased", Some("test")), ("mine", Some("top-1")), ("over", None)];
        inner.take_in(vec![proxy("cache", &all)], Told::Silently);
        assert_eq!(inner.known().on(&ours), [key("mine")]);
        // All but the last one are taken off from here.
        inner.known().lifted.extend(["free", "leased", "mine"].map(key));
        inner.take_in(vec![proxy("cache", &[])], Told::Silently);
        let sits = |id: &str| {
            let Sits { lease, ends_in, .. } = inner.known().sits(&key(id), &ours);
            (lease.map(String::from), ends_in)
        };
        let left = Some(Span::from_millis(20_000));
        assert_eq!(sits("free"), (None, left));
        assert_eq!(sits("leased"), (Some("test".to_owned()), left));
        let mine = (Some("top-1".to_owned()), None);
        assert_eq!(sits("mine"), mine);
        assert_eq!(sits("over"), mine, "it ended by itself: what is called so now is another one");
        assert_eq!(sits("new"), mine);
    }
}
