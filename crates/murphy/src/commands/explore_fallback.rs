//! Edges that nobody calls while nothing is broken, and that callers turn to under a fault: the way out (after lineage-driven fault
//! injection, SoCC 2016). Alone a fault on such an edge meets nobody; it is tried beside the fault that sends callers there. Pure.

use murphy_core::{EdgeName, Verdict};
use murphy_report::FallbackEdge;

use super::explore_alone::Alone;

/// A fault that was tried alone, by its place, and the calls on another edge meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Its place.
    pub place: usize,
    /// How many calls.
    pub calls: u64,
}

/// How an edge without calls in health comes to have some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Under no fault that was tried.
    Never,
    /// Under this one most often, and too seldom for a fault on it to show anything.
    Seldom(Way),
    /// Under this one, which is not graceful alone or inconclusive, and under none that is graceful.
    OnlyInHarm(Way),
    /// Under these, which are graceful alone; of several on one edge under which users fared alike, the first.
    Ways(Vec<Way>),
}

/// How callers come to this edge.
pub fn reach(edge: &EdgeName, alone: &[Alone]) -> Reach {
    let mut ways: Vec<Way> = Vec::new();
    let (mut in_harm, mut most): (Option<Way>, Option<Way>) = (None, None);
    for (place, one) in alone.iter().enumerate() {
        let Some(traffic) = one.traffic.edge(edge).filter(|traffic| traffic.during > 0) else { continue };
        let way = Way { place, calls: traffic.during };
        if most.is_none_or(|most| most.calls < way.calls) {
            most = Some(way);
        }
        let alike = |known: &Way| {
            let known = &alone[known.place];
            known.single.edge == one.single.edge && known.fares_as(one)
        };
        match (traffic.turned_to, one.verdict) {
            (true, Verdict::Graceful) if !ways.iter().any(alike) => ways.push(way),
            (true, Verdict::NotGraceful | Verdict::Inconclusive) => {
                in_harm.get_or_insert(way);
            }
            _ => {}
        }
    }
    match (ways.is_empty(), in_harm, most) {
        (false, ..) => Reach::Ways(ways),
        (true, Some(way), _) => Reach::OnlyInHarm(way),
        (true, None, Some(way)) => Reach::Seldom(way),
        (true, None, None) => Reach::Never,
    }
}

impl Reach {
    /// True if it is known neither what a fault on the edge does nor, as for an edge without calls, that callers do without it. Too few
    /// samples are no pass.
    pub fn is_open(&self) -> bool {
        match self {
            Reach::Seldom(_) => true,
            // What sends callers there is no pass by itself, or their faults are tried beside it.
            Reach::Never | Reach::OnlyInHarm(_) | Reach::Ways(_) => false,
        }
    }

    /// What is told of the edge; `None` if callers never turn to it.
    pub fn told(&self, edge: &EdgeName, alone: &[Alone]) -> Option<FallbackEdge> {
        let way = match self {
            Reach::Never => return None,
            Reach::Seldom(way) | Reach::OnlyInHarm(way) => way,
            Reach::Ways(ways) => ways.first()?,
        };
        let single = &alone[way.place].single;
        Some(FallbackEdge {
            edge: edge.to_string(),
            calls: way.calls,
            fault: single.text(),
            of: single.edge.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    use murphy_scenario::{Settings, Single, load_text};
    use murphy_verdict::{DependencyClass, EdgeTraffic, Traffic};

    /// Every fault on the edge `main`, each with so many calls on `spare` meanwhile; users fared alike.
    fn tried(verdicts: &[(Verdict, u64)]) -> Vec<Alone> {
        let text = "
murphy: 1
name: a way out
edges:
  main: { listen: 127.0.0.1:16379, to: 127.0.0.1:6379 }
load:
  browse: { http: GET http://127.0.0.1:8000/, rate: 30/s }
control: true
";
        let plan = load_text("spare.yaml", text, &Settings::default()).unwrap().plan;
        let one = |(single, (verdict, calls)): (Single, &(Verdict, u64))| Alone {
            single,
            verdict: *verdict,
            classes: vec![Some(DependencyClass::Soft)],
            traffic: Traffic {
                edges: vec![EdgeTraffic {
                    name: spare(),
                    caller: None,
                    calls: *calls,
                    during: *calls,
                    connections: *calls,
                    outcomes: BTreeSet::new(),
                    turned_to: *calls >= 20,
                    loads: BTreeMap::new(),
                }],
                loads: Vec::new(),
            },
        };
        Single::all(&plan).into_iter().zip(verdicts).map(one).collect()
    }

    fn spare() -> EdgeName {
        "spare".parse().unwrap()
    }

    const GOOD: Verdict = Verdict::Graceful;
    const BAD: Verdict = Verdict::NotGraceful;

    #[test]
    fn an_edge_that_callers_turn_to_is_reached_by_the_first_harmless_fault_of_those_alike() {
        let alone = tried(&[(BAD, 300), (GOOD, 200), (GOOD, 250), (GOOD, 0)]);
        let reach = reach(&spare(), &alone);
        assert_eq!(reach, Reach::Ways(vec![Way { place: 1, calls: 200 }]));
        let told = reach.told(&spare(), &alone).unwrap();
        assert_eq!((told.edge.as_str(), told.calls, told.of.as_str()), ("spare", 200, "main"));
        assert_eq!(told.fault, alone[1].single.text());
    }

    #[test]
    fn of_those_of_which_it_is_not_told_how_users_fared_each_is_a_way() {
        let mut alone = tried(&[(GOOD, 300), (GOOD, 200)]);
        alone.iter_mut().for_each(|one| one.classes = vec![None]);
        let ways = [Way { place: 0, calls: 300 }, Way { place: 1, calls: 200 }];
        assert_eq!(reach(&spare(), &alone), Reach::Ways(ways.to_vec()));
    }

    #[test]
    fn where_only_harm_or_only_a_few_calls_lead_there_it_is_said() {
        let only = |verdicts: &[(Verdict, u64)]| reach(&spare(), &tried(verdicts));
        let way = |place, calls| Way { place, calls };
        assert_eq!(only(&[(GOOD, 3), (BAD, 300)]), Reach::OnlyInHarm(way(1, 300)));
        assert_eq!(only(&[(GOOD, 3), (GOOD, 5)]), Reach::Seldom(way(1, 5)));
        assert_eq!(only(&[(GOOD, 0), (BAD, 0)]), Reach::Never);
        assert_eq!(Reach::Never.told(&spare(), &[]), None);
        let open = [
            &[(GOOD, 3), (GOOD, 5)],
            &[(GOOD, 0), (BAD, 0)],
            &[(GOOD, 3), (BAD, 300)],
            &[(GOOD, 3), (GOOD, 300)],
        ];
        assert_eq!(open.map(|verdicts| only(verdicts).is_open()), [true, false, false, false]);
    }
}
