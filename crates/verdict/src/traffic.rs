//! Who called whom in a run, and what came of it: what an exploration needs to tell which faults have to do with each other. Facts
//! only, as plain data; what follows from them is the matter of whoever explores.

use std::collections::{BTreeMap, BTreeSet};

use murphy_core::{EdgeName, ExchangeEnd, LoadName};

use crate::detect::stands_by;
use crate::edge::{Call, Conn, EdgeView, Harm};
use crate::phase::{LoadView, RunView, successes};
use crate::stats::{Estimate, Share, poisson_is_above, quantile};

/// An outcome that fewer calls than this share had is a stray one.
const STRAY: f64 = 0.05;
/// So much more often than in health is an edge called that callers turn to.
const TURNED: f64 = 1.5;
/// Fewer calls than this in a fault show no turning.
const FEWEST: u64 = 20;

/// What came of a call, as its caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallOutcome {
    /// It was answered well.
    Served,
    /// It was answered well, later than it would have been.
    Late,
    /// It was answered with an error, or with what a fault put in the answer's place.
    Error,
    /// It was refused, or broke off.
    Broken,
    /// The caller gave up waiting, or waited still.
    Unanswered,
}

/// The calls on one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTraffic {
    /// Which.
    pub name: EdgeName,
    /// Who calls; `None` where that is not known.
    pub caller: Option<String>,
    /// Calls in the whole run.
    pub calls: u64,
    /// Calls that began during the fault; in a run with nothing broken, in the fault phase.
    pub during: u64,
    /// Connections that were open at one time or another meanwhile.
    pub connections: u64,
    /// What came of those calls: each outcome that is no stray one. Empty if there were no calls.
    pub outcomes: BTreeSet<CallOutcome>,
    /// True if it was called more often during the fault than in health, beyond what chance does.
    pub turned_to: bool,
    /// Whether requests of a load make calls on it; a load is missing where too few of its requests were alone in the system.
    pub loads: BTreeMap<LoadName, bool>,
}

impl EdgeTraffic {
    /// True if requests of this load are known to make no call on it.
    pub fn is_spared_by(&self, load: &LoadName) -> bool {
        self.loads.get(load) == Some(&false)
    }
}

/// How the users of a load were served, in the baseline and the fault phase together: a sum that means something where nothing was
/// broken.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadTraffic {
    /// Which.
    pub name: LoadName,
    /// Requests that were answered as expected.
    pub good: u64,
    /// All requests.
    pub n: u64,
    /// The share that was answered, at its effective size; `None` without requests.
    pub served: Option<Share>,
    /// Half of them took no longer from when they were sent, in microseconds: a sender that is late is no slower service. `None` without
    /// requests.
    pub median: Option<Estimate>,
}

/// The calls of a run, and the requests that made them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// By edge, each once.
    pub edges: Vec<EdgeTraffic>,
    /// By load, each once.
    pub loads: Vec<LoadTraffic>,
}

impl Traffic {
    pub(crate) fn of(run: &RunView<'_>) -> Traffic {
        Traffic {
            edges: run.edges.iter().map(|edge| of_edge(run, edge)).collect(),
            loads: run.loads.iter().map(|load| of_load(run, load)).collect(),
        }
    }

    /// The calls on one edge.
    pub fn edge(&self, name: &EdgeName) -> Option<&EdgeTraffic> {
        self.edges.iter().find(|edge| &edge.name == name)
    }
}

fn of_load(run: &RunView<'_>, load: &LoadView) -> LoadTraffic {
    let points = || load.within(&run.baseline).chain(load.within(&run.during));
    let served = successes(points());
    let took: Vec<(u64, bool)> = points().map(|point| (point.service_time(), point.is_censored())).collect();
    LoadTraffic {
        name: load.name.clone(),
        good: served.good(),
        n: served.n(),
        served: served.share(),
        median: quantile(&took, 0.5),
    }
}

fn of_edge(run: &RunView<'_>, edge: &EdgeView) -> EdgeTraffic {
    let windows = if edge.hurt.is_empty() { &run.during } else { &edge.hurt };
    let mut counts: BTreeMap<CallOutcome, u64> = BTreeMap::new();
    for call in edge.within(windows) {
        *counts.entry(outcome(edge, call)).or_default() += 1;
    }
    let all: u64 = counts.values().sum();
    let mut outcomes = BTreeSet::new();
    for (outcome, count) in counts {
        if count as f64 >= STRAY * all as f64 {
            outcomes.insert(outcome);
        }
    }
    // Callers that found a closed door left no trace of it.
    if edge.blind {
        outcomes.insert(CallOutcome::Broken);
    }
    let mut loads = BTreeMap::new();
    for load in &run.loads {
        if let Some(spared) = stands_by(run, load, &[edge]) {
            loads.insert(load.name.clone(), !spared);
        }
    }
    let during = edge.within(&run.during).count() as u64;
    let is_open = |conn: &&Conn| {
        let closed = conn.closed.unwrap_or(u64::MAX);
        run.during.iter().any(|window| conn.opened < window.to && window.from < closed)
    };
    let connections = edge.conns.iter().filter(is_open).count() as u64;
    let rate = edge.within(&run.baseline).count() as f64 / run.baseline.length().max(1) as f64;
    let usual = rate * run.during.length() as f64;
    EdgeTraffic {
        name: edge.name.clone(),
        caller: edge.from.clone(),
        calls: edge.calls.len() as u64,
        during,
        connections,
        outcomes,
        // Where there are none in health, no number of them is chance.
        turned_to: during >= FEWEST && (usual <= 0.0 || poisson_is_above(during, TURNED * usual)),
        loads,
    }
}

fn outcome(edge: &EdgeView, call: &Call) -> CallOutcome {
    match call.end {
        ExchangeEnd::GivenUp | ExchangeEnd::Open => CallOutcome::Unanswered,
        ExchangeEnd::Cut | ExchangeEnd::Failed => CallOutcome::Broken,
        ExchangeEnd::Answered if !edge.is_good(call) => CallOutcome::Error,
        ExchangeEnd::Answered if call.touched && edge.harm == Harm::Slow => CallOutcome::Late,
        ExchangeEnd::Answered => CallOutcome::Served,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Hearing;
    use murphy_core::Span;
    use murphy_testkit::golden::{Break, Bystander, Caller, Golden};

    pub(crate) fn traffic(golden: &Golden) -> Traffic {
        let mut hearing = Hearing::default();
        for event in golden.journal() {
            hearing.take(&event);
        }
        hearing.traffic()
    }

    fn outcomes(caller: Caller, broken: Break) -> Vec<CallOutcome> {
        let traffic = traffic(&Golden::new("a", caller, broken));
        let edge = traffic.edge(&Golden::edge()).expect("the edge of the journal");
        edge.outcomes.iter().copied().collect()
    }

    #[test]
    fn what_came_of_calls_is_what_their_caller_saw() {
        // One that goes on calling: of the few calls of another, those at the lift would count.
        let hasty = || Caller { breaker: None, ..Caller::careful() };
        assert_eq!(outcomes(hasty(), Break::Nothing), [CallOutcome::Served]);
        assert_eq!(outcomes(hasty(), Break::Hang), [CallOutcome::Unanswered]);
        assert_eq!(outcomes(Caller::careless(), Break::Reset), [CallOutcome::Broken]);
        let late = Break::Latency(Span::from_millis(100));
        assert_eq!(outcomes(Caller::careless(), late), [CallOutcome::Late]);
        // The same fault is another outcome for a caller that waits for 250 ms.
        let late = Break::Latency(Span::from_millis(800));
        assert_eq!(outcomes(hasty(), late), [CallOutcome::Unanswered]);
    }

    #[test]
    fn who_calls_and_for_which_users_is_told_where_requests_were_alone() {
        let golden =
            Golden { bystander: Bystander::Apart, ..Golden::new("a", Caller::careful(), Break::Nothing) };
        let traffic = traffic(&golden);
        let edge = traffic.edge(&Golden::edge()).expect("the edge of the journal");
        assert_eq!(edge.caller.as_deref(), Some("shop"));
        assert_eq!(edge.loads.get(&Golden::load()), Some(&true));
        assert!(edge.is_spared_by(&Golden::bystander()) && !edge.is_spared_by(&Golden::load()));
        assert!(edge.calls >= edge.during && edge.during > 400, "{edge:?}");
        assert!(!edge.turned_to, "{edge:?}");
    }

    #[test]
    fn a_caller_that_tries_again_and_again_calls_more_often_than_in_health() {
        let caller = Caller { breaker: None, attempts: 3, ..Caller::careful() };
        let traffic = traffic(&Golden::new("a", caller, Break::Reset));
        assert!(traffic.edge(&Golden::edge()).is_some_and(|edge| edge.turned_to), "{traffic:?}");
    }

    #[test]
    fn a_run_without_a_beginning_has_no_traffic() {
        assert_eq!(Hearing::default().traffic(), Traffic::default());
    }
}
