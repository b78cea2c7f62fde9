//! One fault at a time: what an exploration tries on the edges of a scenario, and the plan of each try.

use murphy_core::{Chance, Directions, EdgeName, FaultId, Protocol, Purpose, Rule, Span, Subject};
use murphy_faults::{Fault, Match, Which};
use serde_json::Value;

use crate::plan::{FaultStep, FaultTarget, Plan, Ramp};

/// The kind that hits some of the calls and leaves the others alone.
const PARTIAL: &str = "partial";
/// How many of them.
const SHARE: &str = "20%";

/// The kinds that are tried, the most telling first: those after which a service can be held to be without what it calls, and then what
/// it does with a part of it.
const KINDS: [(&str, Protocol); 8] = [
    ("blackhole", Protocol::Tcp),
    ("refuse", Protocol::Tcp),
    ("latency", Protocol::Tcp),
    ("abort", Protocol::Http),
    ("reset", Protocol::Tcp),
    ("truncate", Protocol::Http),
    ("lose-response", Protocol::Http),
    // What an outage does not tell: a caller that has no retries loses a fifth of its users, where a breaker or an older answer may well
    // have served them all. One that tries three times loses one in a hundred and twenty-five.
    (PARTIAL, Protocol::Tcp),
];

/// The fault of a kind on an edge where this travels: of a share of requests where these are seen, else of connections.
fn of_kind(kind: &str, protocol: Protocol) -> Option<(Fault, Chance)> {
    match (kind, protocol) {
        (PARTIAL, Protocol::Http) => Some((fault("abort")?, SHARE.parse().ok()?)),
        (PARTIAL, _) => Some((fault("reset")?, SHARE.parse().ok()?)),
        (kind, _) => Some((fault(kind)?, Chance::ALWAYS)),
    }
}

/// A fault by its name, with a strength that a careful caller stands.
fn fault(kind: &str) -> Option<Fault> {
    let setting: Option<(&str, Value)> = match kind {
        "latency" => Some(("delay", "1s".into())),
        "abort" => Some(("status", 503.into())),
        "truncate" => Some(("bytes", "20B".into())),
        _ => None,
    };
    let settings = setting.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // Not read from text: that would be one more copy of the code that reads every fault.
    Fault::from_settings(kind, settings).ok()
}

/// One fault on one edge, and nothing else broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Single {
    /// Where.
    pub edge: EdgeName,
    /// What.
    pub fault: Fault,
    /// The share of the calls that it hits: of requests, if it acts on requests, else of connections.
    pub chance: Chance,
}

impl Single {
    /// The names of all kinds that are tried.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(name, ..)| *name)
    }

    /// Every kind on every edge of a plan: kind by kind, so that each edge has met the most telling ones when time runs out.
    pub fn all(plan: &Plan) -> Vec<Single> {
        let mut all = Vec::new();
        for (kind, needs) in KINDS {
            let fits = |protocol: Protocol| needs == Protocol::Tcp || protocol == needs;
            for edge in plan.edges.iter().filter(|edge| fits(edge.protocol)) {
                let Some((fault, chance)) = of_kind(kind, edge.protocol) else { continue };
                all.push(Single { edge: edge.name.clone(), fault, chance });
            }
        }
        all
    }

    /// The kind, as the command line names it: that of the fault, or `partial` where it leaves calls alone.
    pub fn kind(&self) -> &'static str {
        if self.is_partial() { PARTIAL } else { self.fault.name() }
    }

    /// The fault with its main settings and its share, in the words of a plan: `latency 1s`, `abort 503, 20% of all requests`.
    pub fn text(&self) -> String {
        let fault = self.fault.text();
        match (self.is_partial(), self.fault.acts_on_requests()) {
            (false, _) => fault,
            (true, true) => format!("{fault}, {} of all requests", self.chance),
            (true, false) => format!("{fault}, {} of connections", self.chance),
        }
    }

    /// True if calls get through it: that users are served then does not say that they do without the edge.
    pub fn is_partial(&self) -> bool {
        self.chance != Chance::ALWAYS
    }

    /// Where it sits, and on how many of the calls.
    fn target(&self) -> FaultTarget {
        let (mut chance, mut which) = (self.chance, Which::default());
        // On requests the share is one of requests: a connection may carry all of them.
        if self.is_partial() && self.fault.acts_on_requests() {
            (chance, which.chance) = (Chance::ALWAYS, Some(self.chance));
        }
        FaultTarget::Edge {
            edge: self.edge.clone(),
            directions: Directions::default(),
            chance,
            matching: Box::new(Match::default()),
            which,
        }
    }

    /// What is put on the edge. A caller that keeps its connections never meets a closed door, so with `refuse` they are reset.
    fn faults(&self) -> Vec<Fault> {
        let reset = (self.kind() == "refuse").then(|| fault("reset")).flatten();
        std::iter::once(self.fault.clone()).chain(reset).collect()
    }

    /// The plan with these faults in the place of its own, for the whole fault phase, and with what it asks for its users.
    pub fn plan(these: &[&Single], plan: &Plan) -> Plan {
        let all = these.iter().flat_map(|one| one.faults().into_iter().map(|fault| (one.target(), fault)));
        let steps = all.zip(1..).filter_map(|((target, fault), number)| {
            let id = FaultId::new(&format!("{}-{number}", fault.name())).ok()?;
            Some(FaultStep {
                id,
                target,
                fault,
                ramp: Ramp::default(),
                trigger: None,
                at: Span::ZERO,
                lasts: plan.phases.fault,
                entry: 0,
                turn: 1,
            })
        });
        let texts: Vec<String> = these.iter().map(|one| format!("{} on {}", one.text(), one.edge)).collect();
        let name = format!("{}: {}", plan.name, texts.join(" and "));
        Plan { name, faults: steps.collect(), ..unbroken(plan, Purpose::Experiment) }
    }

    /// The plan with nothing broken.
    pub fn control(plan: &Plan) -> Plan {
        Plan { name: format!("{}: nothing broken", plan.name), ..unbroken(plan, Purpose::Control) }
    }
}

/// Without faults, and without what asks for the answer to one of them. What is asked for the users is asked under every fault,
/// and they come at one rate: who suffers must suffer from the fault.
fn unbroken(plan: &Plan, purpose: Purpose) -> Plan {
    let mut plan = Plan { faults: Vec::new(), purpose, ..plan.clone() };
    plan.loads.iter_mut().for_each(|load| load.ramp = None);
    plan.expectations.retain(|expectation| match expectation.subject {
        // A probe need not follow a fault that was not meant for it, nor tell of a start where nothing is restarted, nor a service
        // refuse where there is no crowd, nor users do without another dependency than the one that was meant: how they fare
        // without each is the answer, not a demand.
        Subject::Load(_) | Subject::Probe(_) => {
            !matches!(
                expectation.rule,
                Rule::Follows { .. }
                    | Rule::StartUp { .. }
                    | Rule::Sheds
                    | Rule::Soft
                    | Rule::Capacity { .. }
            )
                // What a load declares is said of every edge, but nothing tells of it where none is broken.
                && (purpose == Purpose::Experiment || expectation.rule != Rule::AsDeclared)
        }
        Subject::Edge(_) => false,
        Subject::Run => matches!(expectation.rule, Rule::Recovery { .. }),
    });
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, load_text};

    fn plan() -> Plan {
        let text = "
murphy: 1
name: two edges
edges:
  items: { listen: 127.0.0.1:16379, to: 127.0.0.1:6379 }
  pay: { listen: 127.0.0.1:16380, to: 127.0.0.1:8080, protocol: http }
load:
  browse: { http: GET http://127.0.0.1:8000/, rate: 30/s }
  order: { http: POST http://127.0.0.1:8000/orders, rate: 30/s }
probes:
  ready: { http: GET http://127.0.0.1:8000/ready, every: 1s }
faults:
  - { edge: items, inject: { latency: 5ms }, at: 1s, for: 2s }
expect:
  browse: { success: \">= 99%\", shedding: at once, dependency: soft }
  ready: { follows: \"<= 10s\" }
  items: { timeout: \"<= 500ms\" }
  recovery: \"<= 5s\"
  isolation: [browse]
";
        load_text("two.yaml", text, &Settings::default()).unwrap().plan
    }

    #[test]
    fn every_kind_is_tried_on_every_edge_that_can_have_it_the_most_telling_first() {
        let all = Single::all(&plan());
        let text = |single: &Single| format!("{} {}", single.edge, single.kind());
        let texts: Vec<String> = all.iter().map(text).collect();
        assert_eq!(texts[..3], ["items blackhole", "pay blackhole", "items refuse"]);
        assert_eq!(texts.iter().filter(|text| text.starts_with("pay")).count(), KINDS.len());
        assert!(!texts.contains(&"items abort".to_owned()), "{texts:?}");
        assert!(texts.ends_with(&["items partial".to_owned(), "pay partial".to_owned()]), "{texts:?}");
        let kinds: Vec<&str> = Single::kinds().collect();
        assert!(
            all.iter().all(|one| kinds.contains(&one.kind())),
            "the command line does not know one: {kinds:?}"
        );
    }

    #[test]
    fn a_share_is_one_of_requests_where_these_are_seen_and_else_of_connections() {
        let plan = plan();
        let all = Single::all(&plan);
        let shares = |edge: &str| {
            let one = all.iter().find(|one| one.edge.as_str() == edge && one.is_partial()).unwrap();
            let step = Single::plan(&[one], &plan).faults.remove(0);
            let FaultTarget::Edge { chance, which, .. } = &step.target else { panic!("{step:?}") };
            // A report tells of it in the same words.
            assert_eq!(step.text(), one.text());
            (one.text(), chance.as_fraction(), which.chance.map(Chance::as_fraction))
        };
        assert_eq!(shares("pay"), ("abort 503, 20% of all requests".to_owned(), 1.0, Some(0.2)));
        assert_eq!(shares("items"), ("reset, 20% of connections".to_owned(), 0.2, None));
        // All other kinds leave no call alone, the one that has the same fault among them.
        let whole = all.iter().filter(|one| !one.is_partial());
        assert_eq!(whole.clone().count(), all.len() - 2);
        assert!(whole.clone().any(|one| one.text() == "abort 503"));
        for step in whole.flat_map(|one| Single::plan(&[one], &plan).faults) {
            let FaultTarget::Edge { chance, which, .. } = &step.target else { panic!("{step:?}") };
            assert!(*chance == Chance::ALWAYS && which.is_empty(), "{step:?}");
        }
    }

    #[test]
    fn a_single_is_alone_for_the_whole_fault_phase_and_users_are_asked_for_as_ever() {
        let plan = plan();
        for single in Single::all(&plan) {
            let one = Single::plan(&[&single], &plan);
            assert_eq!(one.faults[0].fault, single.fault);
            for step in &one.faults {
                assert_eq!((step.at, step.lasts), (Span::ZERO, plan.phases.fault));
            }
            let also: Vec<&str> = one.faults[1..].iter().map(|step| step.fault.name()).collect();
            assert_eq!(also, if single.kind() == "refuse" { vec!["reset"] } else { vec![] });
            let asked: Vec<&str> = one.expectations.iter().map(|asked| asked.id.as_str()).collect();
            assert_eq!(asked, ["browse.success", "recovery"]);
        }
        let all = Single::all(&plan);
        let two = Single::plan(&[&all[0], &all[1]], &plan);
        assert_eq!(two.name, "two edges: blackhole on items and blackhole on pay");
        assert!(two.faults.len() == 2 && two.faults[0].id != two.faults[1].id, "{:?}", two.faults);
        let control = Single::control(&plan);
        assert_eq!((control.faults.len(), control.purpose), (0, Purpose::Control));
    }
}
