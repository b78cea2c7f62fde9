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
    /// True if all users are known to do without the edge, which those are not who are served while calls get through.
    pub fn is_soft(&self) -> bool {
        !self.single.is_partial()
            && !self.classes.is_empty()
            && self.classes.iter().all(|class| matches!(class, Some(DependencyClass::Soft)))
    }

    /// The other edges that callers turned to meanwhile.
    fn turned_to(&self) -> BTreeSet<&EdgeName> {
        let others = self.traffic.edges.iter().filter(|edge| edge.turned_to && edge.name != self.single.edge);
        others.map(|edge| &edge.name).collect()
    }

    /// True if users are known to have fared as under another one. What was not told of two of them is nothing that they have in common;
    /// nor have two who are served the same to tell of each other where calls get through in one case only: one tries again, the other
    /// does without.
    pub fn fares_as(&self, other: &Alone) -> bool {
        self.single.chance == other.single.chance
            && !self.classes.is_empty()
            && self.classes.iter().all(Option::is_some)
            && self.classes == other.classes
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

/// So many connections must be expected to be hit that hardly ever (once in thirty times) fewer are than it takes to tell an effect.
const EXPECTED: f64 = 10.0;
/// Callers keep their connections if each carries so many calls or more.
const KEPT: u64 = 2;

/// True if a fault on a share of the connections of an edge meets too few of them, by the traffic without it, because callers keep theirs:
/// each decides once, and no higher rate makes them more.
pub fn keeps_connections(single: &Single, without: &Traffic) -> bool {
    if !single.is_partial() || single.fault.acts_on_requests() {
        return false;
    }
    without.edge(&single.edge).is_some_and(|edge| {
        let expected = edge.connections as f64 * single.chance.as_fraction();
        expected < EXPECTED && edge.during >= KEPT * edge.connections.max(1)
    })
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

#[cfg(test)]
mod tests {
    use super::super::explore_pairs::tests::{ONE_CALLER, control, plan};
    use super::*;

    #[test]
    fn a_share_of_connections_that_are_kept_is_too_few_to_tell_and_one_of_requests_is_not() {
        let all = Single::all(&plan());
        let partial =
            |edge: &str| all.iter().find(|one| one.edge.as_str() == edge && one.is_partial()).unwrap();
        let keeps = |single: &Single, connections, during| {
            let mut traffic = control(ONE_CALLER);
            for edge in &mut traffic.edges {
                (edge.connections, edge.during) = (connections, during);
            }
            keeps_connections(single, &traffic)
        };
        let store = partial("one");
        // A pool of ten for three hundred calls, and one connection for each call.
        assert!(keeps(store, 10, 300) && !keeps(store, 300, 300));
        // A large pool has enough of them; few calls with a connection each are no pool, and a higher rate makes them more.
        assert!(!keeps(store, 50, 3000) && !keeps(store, 10, 10));
        assert!(!keeps(partial("pay"), 10, 300), "requests are drawn one by one");
        let reset = all.iter().find(|one| one.kind() == "reset").unwrap();
        assert!(!keeps(reset, 10, 300), "all that are kept are broken");
        assert!(!keeps_connections(store, &Traffic::default()), "nothing is known");
    }
}
