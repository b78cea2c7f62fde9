//! A fault that was tried alone, and when one answers for another. Pure.

use std::collections::BTreeSet;

use murphy_core::{EdgeName, ServiceName, Verdict};
use murphy_faults::Fault;
use murphy_scenario::{Caller, Plan, Single};
use murphy_verdict::{DependencyClass, Traffic};

/// One fault on one edge, and what the run told in which it was alone.
#[derive(Debug, Clone)]
pub struct Alone {
    /// What was broken.
    pub single: Single,
    /// Whether that was graceful.
    pub verdict: Verdict,
    /// What the users of each load could do, load by load; `None` where it was not told.
    pub classes: Vec<Option<DependencyClass>>,
    /// Who called whom.
    pub traffic: Traffic,
}

impl Alone {
    /// True if all users are known to do without the edge.
    pub fn is_soft(&self) -> bool {
        !self.classes.is_empty()
            && self.classes.iter().all(|class| matches!(class, Some(DependencyClass::Soft)))
    }

    /// The other edges that callers turned to meanwhile.
    fn turned_to(&self) -> BTreeSet<&EdgeName> {
        let others = self.traffic.edges.iter().filter(|edge| edge.turned_to && edge.name != self.single.edge);
        others.map(|edge| &edge.name).collect()
    }

    /// True if users are known to have fared as under another one. What was not told of two of them is nothing that they have in common.
    pub fn fares_as(&self, other: &Alone) -> bool {
        !self.classes.is_empty() && self.classes.iter().all(Option::is_some) && self.classes == other.classes
    }

    /// True if it answers for another one on the same edge: users fared alike, and callers turned to the same edges.
    pub fn stands_for(&self, other: &Alone) -> bool {
        self.verdict == Verdict::Graceful
            && self.single.edge == other.single.edge
            && self.fares_as(other)
            && self.turned_to() == other.turned_to()
    }

    /// True if it is the same fault as another one, on an instance of the same dependency, and users fared alike.
    pub fn is_as(&self, other: &Alone, plan: &Plan) -> bool {
        self.fares_as(other) && Likeness::of(self, plan) == Likeness::of(other, plan)
    }
}

/// What makes two faults one under which users fared alike, where instances of a dependency are: where, and what.
#[derive(PartialEq)]
struct Likeness<'a> {
    edge: Option<&'a EdgeName>,
    instances: Option<(&'a ServiceName, Option<&'a Caller>)>,
    fault: &'a Fault,
}

impl<'a> Likeness<'a> {
    fn of(one: &'a Alone, plan: &'a Plan) -> Likeness<'a> {
        let edge = plan.edges.iter().find(|edge| edge.name == one.single.edge);
        let instances = edge.and_then(|edge| Some((edge.instance_of.as_ref()?, edge.route.caller())));
        Likeness {
            // An instance is any of them.
            edge: instances.is_none().then_some(&one.single.edge),
            instances,
            fault: &one.single.fault,
        }
    }
}
