//! The rules by which pairs are left out, one by one, over three edges and what is known of them. The same edges serve the
//! tests beside.

use super::*;
use std::collections::BTreeSet;

use murphy_scenario::{Settings, load_text};
use murphy_verdict::{CallOutcome, DependencyClass, EdgeTraffic};

const SOFT: Option<DependencyClass> = Some(DependencyClass::Soft);
const HARD: Option<DependencyClass> = Some(DependencyClass::Hard);

/// Two replicas of a store, and payments; all of them take every kind of fault.
pub(in super::super) fn plan() -> Plan {
    let text = "
murphy: 1
name: three edges
edges:
  one: { listen: 127.0.0.1:16379, to: 127.0.0.1:6379, instance-of: store }
  two: { listen: 127.0.0.1:16380, to: 127.0.0.1:6380, instance-of: store }
  pay: { listen: 127.0.0.1:16381, to: 127.0.0.1:8080, protocol: http }
load:
  browse: { http: GET http://127.0.0.1:8000/, rate: 30/s }
  order: { http: POST http://127.0.0.1:8000/orders, rate: 30/s }
phases: { fault: 10s }
control: true
";
    load_text("three.yaml", text, &Settings::default()).unwrap().plan
}

fn name<T: std::str::FromStr<Err = murphy_core::NameError>>(text: &str) -> T {
    text.parse().unwrap()
}

/// What came of the calls on an edge, made by this caller for these loads.
fn calls(edge: &str, caller: Option<&str>, outcome: CallOutcome, loads: [bool; 2]) -> EdgeTraffic {
    EdgeTraffic {
        name: name(edge),
        caller: caller.map(str::to_owned),
        calls: 900,
        during: 300,
        connections: 300,
        outcomes: BTreeSet::from([outcome]),
        turned_to: false,
        loads: BTreeMap::from([(name("browse"), loads[0]), (name("order"), loads[1])]),
    }
}

/// With nothing broken: browsers need the store, orders need payments.
pub(in super::super) fn control(callers: [Option<&str>; 3]) -> Traffic {
    let of = |edge, caller, loads| calls(edge, caller, CallOutcome::Served, loads);
    Traffic {
        edges: vec![
            of("one", callers[0], [true, false]),
            of("two", callers[1], [true, false]),
            of("pay", callers[2], [false, true]),
        ],
        loads: Vec::new(),
    }
}

/// With this outcome on one edge.
pub(in super::super) fn with(mut traffic: Traffic, edge: &str, outcome: CallOutcome) -> Traffic {
    for one in traffic.edges.iter_mut().filter(|one| one.name.as_str() == edge) {
        one.outcomes = BTreeSet::from([outcome]);
    }
    traffic
}

pub(in super::super) fn alone(edge: &str, kind: &str, verdict: Verdict, traffic: &Traffic) -> Alone {
    let mut all = Single::all(&plan()).into_iter();
    let single = all.find(|one| one.edge.as_str() == edge && one.kind() == kind).unwrap();
    let classes = if verdict == Verdict::Graceful { vec![SOFT, SOFT] } else { vec![HARD, HARD] };
    let outcome = if kind == "latency" { CallOutcome::Late } else { CallOutcome::Unanswered };
    Alone { single, verdict, classes, traffic: with(traffic.clone(), edge, outcome) }
}

/// The three edges where requests are seen on each.
fn http_plan() -> Plan {
    let mut plan = plan();
    plan.edges.iter_mut().for_each(|edge| edge.protocol = murphy_core::Protocol::Http);
    plan
}

/// A graceful one of these kinds on an edge where requests are seen.
fn http(edge: &str, kind: &str, traffic: &Traffic) -> Alone {
    let mut all = Single::all(&http_plan()).into_iter();
    let single = all.find(|one| one.edge.as_str() == edge && one.kind() == kind).unwrap();
    Alone { single, ..alone(edge, "blackhole", Verdict::Graceful, traffic) }
}

fn rules(pairs: &Pairs) -> Vec<(usize, usize, Pruning)> {
    pairs.skipped.iter().map(|skipped| (skipped.pair.one, skipped.pair.other, skipped.rule)).collect()
}

pub(in super::super) const ONE_CALLER: [Option<&str>; 3] = [Some("shop"), Some("shop"), Some("shop")];
pub(in super::super) const TWO_CALLERS: [Option<&str>; 3] = [Some("web"), Some("web"), Some("till")];

#[test]
fn two_faults_on_one_edge_are_no_pair() {
    let mut all = Single::all(&plan());
    all.retain(|one| matches!(one.kind(), "blackhole" | "latency"));
    assert_eq!((all.len(), count(&all), count(&[])), (6, 12, 0));
}

#[test]
fn one_that_is_no_pass_alone_and_one_that_is_as_another_take_part_in_no_pair() {
    let control = control(ONE_CALLER);
    let alone = [
        alone("one", "blackhole", Verdict::Graceful, &control),
        alone("pay", "blackhole", Verdict::Graceful, &control),
        alone("one", "latency", Verdict::Graceful, &control),
        alone("pay", "latency", Verdict::NotGraceful, &control),
    ];
    let pairs = pairs(&alone, &control, &plan());
    assert_eq!(pairs.tries, [Pair { one: 0, other: 1 }]);
    let (dominance, equivalence) = (Pruning::Dominance, Pruning::Equivalence);
    assert_eq!(rules(&pairs), [(0, 3, dominance), (1, 2, equivalence), (2, 3, dominance)]);
    assert_eq!(pairs.skipped[1].as_in, Some(Pair { one: 0, other: 1 }));
    let [same, worse] = &pairs.no_partners[..] else { panic!("{pairs:?}") };
    assert_eq!((same.place, same.rule, worse.place, worse.rule), (2, equivalence, 3, dominance));
    assert!(same.why.starts_with("users fared as under blackhole; taken for granted"), "{}", same.why);
    assert!(worse.why.starts_with("alone it is not graceful; taken for granted"), "{}", worse.why);
}

#[test]
fn what_could_not_be_told_alone_is_not_said_to_do_harm() {
    let control = control(ONE_CALLER);
    let both = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Inconclusive, &control));
    let pairs = pairs(&both, &control, &plan());
    assert_eq!(rules(&pairs), [(0, 1, Pruning::Dominance)]);
    let [one, other] = &pairs.no_partners[..] else { panic!("{pairs:?}") };
    for why in [&one.why, &other.why] {
        assert!(why.starts_with("alone it is inconclusive; taken for granted"), "{why}");
    }
}

#[test]
fn faults_of_which_it_is_not_told_how_users_fared_are_alike_in_nothing() {
    let control = control(ONE_CALLER);
    let mut all = [("one", "blackhole"), ("one", "latency"), ("two", "blackhole"), ("pay", "blackhole")]
        .map(|(edge, kind)| alone(edge, kind, Verdict::Graceful, &control));
    let places = |all: &[Alone]| -> Vec<(usize, usize)> {
        pairs(all, &control, &plan()).tries.iter().map(|pair| (pair.one, pair.other)).collect()
    };
    assert_eq!(places(&all), [(0, 2), (0, 3)]);
    // Neither an equivalent fault nor another instance stands for one of them; payments are in each pair the same.
    for classes in [vec![SOFT, None], Vec::new()] {
        all.iter_mut().for_each(|one| one.classes.clone_from(&classes));
        assert_eq!(places(&all), [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
    }
    all[0].classes = vec![SOFT, SOFT];
    all[2].classes = vec![SOFT, SOFT];
    all[1].classes = vec![HARD, HARD];
    assert_eq!(places(&all), [(0, 2), (0, 3), (1, 2), (1, 3)]);
}

#[test]
fn two_edges_with_neither_a_load_nor_a_caller_in_common_are_no_pair() {
    let two = |callers, other: &str| {
        let control = control(callers);
        let blackhole = |edge| alone(edge, "blackhole", Verdict::Graceful, &control);
        let both = [blackhole("one"), blackhole(other)];
        rules(&pairs(&both, &control, &plan()))
    };
    assert_eq!(two(TWO_CALLERS, "pay"), [(0, 1, Pruning::Disjoint)]);
    // One caller, one that is not known and may be the other, one known by a process alone, and one load.
    assert!(two(ONE_CALLER, "pay").is_empty());
    assert!(two([Some("web"), Some("web"), None], "pay").is_empty());
    assert!(two([Some("web"), Some("web"), Some("pid:7")], "pay").is_empty());
    assert!(two([Some("web"), Some("till"), Some("till")], "two").is_empty());
}

#[test]
fn a_load_of_which_nothing_is_known_may_call_both_edges() {
    let mut control = control(TWO_CALLERS);
    control.edges[2].loads.remove(&name::<LoadName>("browse"));
    let both = ["one", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &control));
    assert!(rules(&pairs(&both, &control, &plan())).is_empty());
}

#[test]
fn of_pairs_that_differ_only_in_the_instances_one_stands_for_all() {
    let control = control(ONE_CALLER);
    let mut all = ["one", "two", "pay"].map(|edge| alone(edge, "blackhole", Verdict::Graceful, &control));
    let laid_out = pairs(&all, &control, &plan());
    assert_eq!(laid_out.tries, [Pair { one: 0, other: 1 }, Pair { one: 0, other: 2 }]);
    assert_eq!(rules(&laid_out), [(1, 2, Pruning::Symmetry)]);
    let why = explore_why::symmetric(&all, laid_out.skipped[0].as_in.unwrap());
    assert!(why.starts_with("as blackhole on one and blackhole on pay, on other instances"), "{why}");
    // An instance without which users fare otherwise is not as the other one.
    all[1].classes = vec![SOFT, Some(DependencyClass::Degraded)];
    assert!(rules(&pairs(&all, &control, &plan())).is_empty());
}

#[test]
fn no_fault_stands_for_one_under_which_callers_go_another_way() {
    let control = control(ONE_CALLER);
    let mut all = [("one", "blackhole"), ("one", "latency"), ("pay", "blackhole")]
        .map(|(edge, kind)| alone(edge, kind, Verdict::Graceful, &control));
    // More calls on the broken edge itself are tries, and no other way.
    all[1].traffic.edges[0].turned_to = true;
    assert_eq!(rules(&pairs(&all, &control, &plan())), [(1, 2, Pruning::Equivalence)]);
    all[1].traffic.edges[2].turned_to = true;
    assert!(rules(&pairs(&all, &control, &plan())).is_empty());
}

#[test]
fn no_fault_that_lets_calls_through_stands_for_one_that_does_not_nor_is_it_a_way_out() {
    let control = control(ONE_CALLER);
    let all = [("one", "abort"), ("one", "partial"), ("two", "partial"), ("pay", "abort")]
        .map(|(edge, kind)| http(edge, kind, &control));
    let laid_out = pairs(&all, &control, &http_plan());
    // The two instances are alike, each of them under its own kind only, though the fault is the same.
    assert_eq!(rules(&laid_out), [(2, 3, Pruning::Symmetry)]);
    assert_eq!(laid_out.skipped[0].as_in, Some(Pair { one: 1, other: 3 }));
    let places: Vec<(usize, usize)> = laid_out.tries.iter().map(|pair| (pair.one, pair.other)).collect();
    assert_eq!(places, [(0, 2), (0, 3), (1, 2), (1, 3)]);
    // Who is served while four calls in five get through is not known to do without them.
    let mut all = all;
    all[1].traffic.edges[2].turned_to = true;
    assert!(!is_way_out(&all[1], &all[3]));
    all[0].traffic.edges[2].turned_to = true;
    assert!(is_way_out(&all[0], &all[3]));
}

#[test]
fn a_pair_whose_stand_in_is_left_out_for_another_is_answered_by_that_other() {
    let control = control(ONE_CALLER);
    let all = [("one", "blackhole"), ("two", "blackhole"), ("pay", "blackhole"), ("two", "latency")]
        .map(|(edge, kind)| alone(edge, kind, Verdict::Graceful, &control));
    let laid_out = pairs(&all, &control, &plan());
    let as_in = |one, other| {
        let mut skipped = laid_out.skipped.iter();
        skipped
            .find(|skipped| skipped.pair == Pair { one, other })
            .map(|skipped| (skipped.rule, skipped.as_in))
    };
    // A slow second store is as one that hangs, which is as the first.
    let tried = Some(Pair { one: 0, other: 2 });
    assert!(laid_out.tries.contains(&Pair { one: 0, other: 2 }), "{laid_out:?}");
    assert_eq!(as_in(1, 2), Some((Pruning::Symmetry, tried)));
    assert_eq!(as_in(2, 3), Some((Pruning::Equivalence, tried)));
}

#[test]
fn the_way_out_is_broken_with_what_it_stands_in_for_before_all_others() {
    let control = control(ONE_CALLER);
    let mut all = ["one", "two", "pay"].map(|edge| alone(edge, "latency", Verdict::Graceful, &control));
    // Callers turn to payments while the second store is slow.
    all[1].classes = vec![SOFT; 2];
    all[0].classes = vec![SOFT, Some(DependencyClass::Degraded)];
    all[1].traffic.edges[2].turned_to = true;
    let laid_out = pairs(&all, &control, &plan());
    let places: Vec<(usize, usize)> = laid_out.tries.iter().map(|pair| (pair.one, pair.other)).collect();
    assert_eq!(places, [(1, 2), (0, 1), (0, 2)]);
}
