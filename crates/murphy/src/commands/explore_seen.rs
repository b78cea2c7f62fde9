//! What callers have seen so far: two faults that look to each of them as something before are nothing new. Pure.

use std::collections::BTreeSet;

use murphy_core::{EdgeName, Verdict};
use murphy_verdict::{CallOutcome, Traffic};

use super::explore_alone::Alone;

/// Who calls which edge.
pub struct Callers<'a> {
    control: &'a Traffic,
    /// False if one caller is not known by a name: it may be any of the others.
    known: bool,
}

impl Callers<'_> {
    /// By the traffic with nothing broken.
    pub fn of(control: &Traffic) -> Callers<'_> {
        // The process of an id may be that of a service.
        let named =
            |caller: &Option<String>| caller.as_ref().is_some_and(|caller| !caller.starts_with("pid:"));
        Callers { control, known: control.edges.iter().all(|edge| named(&edge.caller)) }
    }

    fn of_edge(&self, edge: &EdgeName) -> Option<&str> {
        self.control.edge(edge).and_then(|edge| edge.caller.as_deref())
    }

    /// True if they are two, both known.
    pub fn differ(&self, one: &EdgeName, other: &EdgeName) -> bool {
        self.known && self.of_edge(one) != self.of_edge(other)
    }
}

/// True if each caller has seen, in one graceful run or another, just what it would see of its calls under both faults (after Filibuster's
/// dynamic reduction, SoCC 2021). `runs` are those so far with something broken; what was seen where users suffered foretells no good.
pub fn is_seen(one: &Alone, other: &Alone, control: &Traffic, runs: &[(Verdict, Traffic)]) -> bool {
    let callers = Callers::of(control);
    let told = |traffic: &Traffic| !traffic.edges.is_empty();
    // A journal that could not be read again shows nothing.
    if !told(control) || !told(&one.traffic) || !told(&other.traffic) {
        return false;
    }
    let groups: BTreeSet<Option<&str>> = if callers.known {
        control.edges.iter().map(|edge| edge.caller.as_deref()).collect()
    } else {
        BTreeSet::from([None])
    };
    groups.iter().all(|group| {
        let theirs = control.edges.iter().filter(|edge| !callers.known || edge.caller.as_deref() == *group);
        let theirs: Vec<&EdgeName> = theirs.map(|edge| &edge.name).collect();
        let graceful = runs.iter().filter(|(verdict, _)| *verdict == Verdict::Graceful);
        graceful
            .map(|(_, traffic)| traffic)
            .chain([control])
            .any(|run| theirs.iter().all(|edge| outcomes(run, edge) == would_see(edge, one, other, control)))
    })
}

fn outcomes(run: &Traffic, edge: &EdgeName) -> BTreeSet<CallOutcome> {
    run.edge(edge).map(|edge| edge.outcomes.clone()).unwrap_or_default()
}

/// What would come of calls on an edge under both faults: what the fault on it does; on another edge what either was seen to do to it.
fn would_see(edge: &EdgeName, one: &Alone, other: &Alone, control: &Traffic) -> BTreeSet<CallOutcome> {
    let (usual, first, second) =
        (outcomes(control, edge), outcomes(&one.traffic, edge), outcomes(&other.traffic, edge));
    if *edge == one.single.edge {
        first
    } else if *edge == other.single.edge || first == usual {
        second
    } else if second == usual {
        first
    } else {
        first.union(&second).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::explore_pairs::tests::{ONE_CALLER, TWO_CALLERS, alone, control, with};
    use super::*;

    /// What its run showed, if users fared well.
    fn graceful(one: &Alone) -> (Verdict, Traffic) {
        (Verdict::Graceful, one.traffic.clone())
    }

    #[test]
    fn a_pair_is_seen_only_if_every_caller_has_seen_its_part() {
        let two = control(TWO_CALLERS);
        let [store, pay] = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &two));
        let runs = [&store, &pay].map(graceful);
        assert!(is_seen(&store, &pay, &two, &runs), "each of two callers knows its own");
        assert!(!is_seen(&store, &pay, &two, &runs[..1]), "one caller has not seen its part");
        // One caller, or one that may be any, has never seen both at once.
        for callers in [ONE_CALLER, [Some("web"), None, Some("till")]] {
            let one = control(callers);
            let [store, pay] = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &one));
            let mut runs = [&store, &pay].map(graceful).to_vec();
            assert!(!is_seen(&store, &pay, &one, &runs));
            // Until some run has shown it both, in which users fared well.
            let both = with(store.traffic.clone(), "pay", CallOutcome::Unanswered);
            runs.push((Verdict::NotGraceful, both.clone()));
            runs.push((Verdict::Inconclusive, both.clone()));
            assert!(!is_seen(&store, &pay, &one, &runs), "it did no good then");
            runs.push((Verdict::Graceful, both));
            assert!(is_seen(&store, &pay, &one, &runs));
        }
    }

    #[test]
    fn a_fault_that_is_felt_on_another_edge_of_the_same_caller_is_part_of_what_it_sees() {
        let two = control(TWO_CALLERS);
        let [mut store, pay] = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &two));
        // While payments hang, calls of the other caller on its second store end in errors.
        let pay = Alone { traffic: with(pay.traffic, "two", CallOutcome::Error), ..pay };
        let runs = [&store, &pay].map(graceful);
        assert!(!is_seen(&store, &pay, &two, &runs), "a hang and errors at once are new to it");
        store.traffic = with(store.traffic, "two", CallOutcome::Error);
        assert!(is_seen(&store, &pay, &two, &[&store, &pay].map(graceful)));
    }

    #[test]
    fn a_run_of_which_nothing_is_known_has_shown_nobody_anything() {
        let two = control(TWO_CALLERS);
        let [store, pay] = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &two));
        let blind = Alone { traffic: Traffic::default(), ..store };
        assert!(!is_seen(&blind, &pay, &two, &[graceful(&pay)]));
    }
}
