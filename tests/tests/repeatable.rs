//! A run is repeated by its seed: users come at the same moments, and a fault of chance meets the same connections. What
//! the machine and the services make of it is theirs, and differs.

use std::collections::BTreeMap;

use murphy_tests::{Bench, catalogue_around_its_edge};
use serde_json::Value;

/// What the seed decides in a run.
struct Chosen {
    /// When each request was due, from the first one on, in microseconds.
    due: Vec<u64>,
    /// Whether the fault broke each connection that was opened while it was in the world.
    broken: BTreeMap<u64, bool>,
}

impl Chosen {
    fn of(bench: &Bench, seed: &str) -> Chosen {
        bench.run_expecting(0, &["run", "s.yaml", "--seed", seed]).says(&format!("seed {seed}"));
        let number = |value: &Value| value.as_u64().unwrap();
        let first_at = |kind: &str| bench.timed(kind).first().expect(kind).0;
        let mut due: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, sample) in bench.timed("sample") {
            due.insert(number(&sample["n"]), number(&sample["intended"]));
        }
        let first = due[&0];
        let (armed, lifted) = (first_at("fault-armed"), first_at("fault-lifted"));
        // One that is opened as the fault comes or goes may miss it.
        let amid = armed + 50_000..lifted - 200_000;
        let opened = bench.timed("conn-opened").into_iter().filter(|(at, _)| amid.contains(at));
        let mut broken: BTreeMap<u64, bool> =
            opened.map(|(_, event)| (number(&event["conn"]), false)).collect();
        for (_, event) in bench.timed("conn-closed").into_iter().filter(|(_, event)| event["by"] == "proxy") {
            broken.entry(number(&event["conn"])).and_modify(|broken| *broken = true);
        }
        Chosen { due: due.values().map(|at| at - first).collect(), broken }
    }

    /// How many connections both runs had, and at how many of them the fault chose otherwise.
    fn against(&self, other: &Chosen) -> (usize, usize) {
        let both = self.broken.iter().filter_map(|(conn, broken)| Some((broken, other.broken.get(conn)?)));
        both.fold((0, 0), |(all, unlike), (one, two)| (all + 1, unlike + usize::from(one != two)))
    }

    /// True if each request was due at the same moment; a time is cut to whole microseconds.
    fn is_due_as(&self, other: &Chosen) -> bool {
        self.due.len() == other.due.len()
            && self.due.iter().zip(&other.due).all(|(one, two)| one.abs_diff(*two) <= 2)
    }
}

#[test]
fn the_same_seed_sends_at_the_same_moments_and_breaks_the_same_connections_and_another_does_not() {
    let bench = Bench::new();
    // Users go around the edge, so that only the probe opens connections on it, one for each question.
    let text = catalogue_around_its_edge(
        "chosen by the seed",
        "phases: { warm-up: 500ms, baseline: 3s, fault: 4s, recovery: 1s }\n\
         probes: { through: { http: \"GET http://EDGE/items/1\", every: 25ms, within: 1s } }\n\
         faults: [{ edge: items, inject: { reset: {} }, chance: 20% }]\n\
         expect: { read: { success: \">= 90%\" }, through: { before: good } }\n",
    );
    bench.file("s.yaml", &text);
    let [once, again, other] = ["7", "7", "8"].map(|seed| Chosen::of(&bench, seed));
    assert!(once.due.len() > 500, "{}", once.due.len());
    assert!(once.is_due_as(&again), "{:?} {:?}", &once.due[..20], &again.due[..20]);
    assert!(!once.is_due_as(&other));
    let (both, unlike) = once.against(&again);
    let broken = once.broken.values().filter(|broken| **broken).count();
    assert!(both > 80 && broken > 8 && broken * 2 < once.broken.len(), "{broken} of {:?}", once.broken);
    assert_eq!(unlike, 0, "of {both}: {:?} {:?}", once.broken, again.broken);
    let (both, unlike) = once.against(&other);
    assert!(both > 80 && unlike > 4, "{unlike} of {both}");
}
