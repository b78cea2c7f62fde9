//! A fault of the native API as it stands on a proxy. Plain data.

use std::time::Instant;

use murphy_core::{Chance, Directions, FaultId, LeaseName, RuleSetName, Seed};
use murphy_faults::{Fault, Match, Which};
use murphy_proxy::{Armed, EdgeEffect};

/// What a fault shall be. The effect has been made of the fault, so that both are checked only once.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    /// What was asked for.
    pub fault: Fault,
    /// What it does.
    pub effect: EdgeEffect,
    /// The ways on which it sits.
    pub directions: Directions,
    /// The share of connections on which it acts.
    pub chance: Chance,
    /// The requests that it is for, if it acts on requests.
    pub matching: Box<Match>,
    /// Which of these it acts on.
    pub which: Which,
    /// Bytes of what was asked for, as JSON.
    pub weight: usize,
}

impl FaultPlan {
    /// True if connections cannot tell one from the other.
    pub fn is_same(&self, other: &FaultPlan) -> bool {
        self.fault == other.fault
            && self.directions == other.directions
            && self.chance == other.chance
            && self.matching == other.matching
            && self.which == other.which
    }
}

/// With what a fault ends, beside being taken off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Owner {
    /// Ends with this lease.
    pub lease: Option<LeaseName>,
    /// Ends at this moment.
    pub ends: Option<Instant>,
    /// Ends with this set of rules.
    pub set: Option<RuleSetName>,
}

/// A fault that stands on a proxy, running or not.
#[derive(Debug, Clone)]
pub struct StandingFault {
    /// Unique on its proxy among the faults of the native API.
    pub name: FaultId,
    /// What it is.
    pub plan: FaultPlan,
    /// With what it ends.
    pub owner: Owner,
}

impl StandingFault {
    /// Its name on its proxy's edge; toxics have names of another form.
    pub fn edge_id(&self) -> FaultId {
        edge_id(&self.name)
    }

    pub(super) fn armed(&self) -> Armed {
        let FaultPlan { effect, directions, chance, .. } = self.plan.clone();
        Armed { id: self.edge_id(), effect, directions, chance }
    }
}

/// A long name has no room for a prefix and is hashed, so that the same name always draws the same choices.
pub(super) fn edge_id(name: &FaultId) -> FaultId {
    FaultId::new(&format!("f.{name}")).unwrap_or_else(|_| {
        let hash = Seed(0).derive(name.as_str(), 1);
        FaultId::new(&format!("g.{:016x}", hash.0)).expect("a hash is a name")
    })
}

/// The name that a client gave to what stands on an edge under this one. A hashed one stays as it is.
pub fn given_name(edge_id: &FaultId) -> FaultId {
    let given = edge_id.as_str().strip_prefix("f.").and_then(|name| FaultId::new(name).ok());
    given.unwrap_or_else(|| edge_id.clone())
}
