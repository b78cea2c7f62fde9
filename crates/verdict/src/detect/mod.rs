//! Detectors: what a service does about a sick dependency, found in the journal alone. Each answers present, absent,
//! inconclusive or not applicable; none knows what the author wished. One that panics is inconclusive, and the others go on.

mod amplification;
mod attempts;
mod back_off;
mod breaker;
mod capacity;
mod declared;
mod dependency;
mod fail_fast;
mod failover;
mod fallback;
mod health;
mod isolation;
mod jitter;
mod leak;
mod ledger;
mod list;
mod metastability;
mod pool;
mod reconnect;
mod recovery;
mod shedding;
mod start_up;
mod timeout;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use murphy_core::Subject;

use crate::edge::EdgeView;
use crate::gate::any_fails;
use crate::judgement::{Detector, Finding, Gate, GateId, Reading, State};
use crate::phase::{LoadView, RunView};

pub(crate) use attempts::CUT_SHORT;
pub(crate) use breaker::silences;
pub(crate) use fail_fast::{Followed, Pace, intended, sent};
pub(crate) use isolation::stands_by;
pub(crate) use list::Detectors;
pub(crate) use timeout::ages;

/// What a detector returns: the state, and the state in a sentence.
pub(crate) struct Found {
    pub state: State,
    pub text: String,
}

impl Found {
    fn present(params: BTreeMap<String, Reading>, text: impl Into<String>) -> Found {
        Found { state: State::Present { params }, text: text.into() }
    }

    fn absent(params: BTreeMap<String, Reading>, text: impl Into<String>) -> Found {
        Found { state: State::Absent { params }, text: text.into() }
    }

    fn inconclusive(why: impl Into<String>, settle: impl Into<String>) -> Found {
        Found::undecided(BTreeMap::new(), why, settle)
    }

    /// Inconclusive, with what was measured all the same.
    fn undecided(
        params: BTreeMap<String, Reading>,
        why: impl Into<String>,
        settle: impl Into<String>,
    ) -> Found {
        let why = why.into();
        Found { text: why.clone(), state: State::Inconclusive { why, settle: settle.into(), params } }
    }

    fn not_applicable(why: impl Into<String>) -> Found {
        let why = why.into();
        Found { text: why.clone(), state: State::NotApplicable { why } }
    }
}

fn params<const N: usize>(named: [(&str, Reading); N]) -> BTreeMap<String, Reading> {
    // Not collected: that would sort first, and the sorting be compiled anew for each number of them.
    let mut params = BTreeMap::new();
    for (name, reading) in named {
        params.insert(name.to_owned(), reading);
    }
    params
}

/// The most of these times, in order, that fall within so long, wherever it begins.
fn most_within(times: &[u64], length: u64) -> u64 {
    let mut from = 0;
    let mut most = 0;
    for (to, at) in times.iter().enumerate() {
        while at - times[from] >= length {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most as u64
}

/// Every detector on every edge, every load and every probe.
pub(crate) fn all(run: &RunView<'_>, gates: &[Gate], detectors: &Detectors<'_>) -> Vec<Finding> {
    let edges = run.edges.iter().flat_map(|edge| {
        let more = if edge.instance_of.is_some() { detectors.on_instances } else { &[] };
        detectors.on_edges.iter().chain(more).map(move |(detector, detect)| {
            let found = guarded(|| detect(run, edge));
            let found =
                if caller_died(run, edge) { doubted(found, "the caller ended by itself") } else { found };
            finding(*detector, Subject::Edge(edge.name.clone()), found)
        })
    });
    let loads = run.loads.iter().flat_map(|load| {
        detectors.on_loads.iter().map(move |(detector, detect)| {
            let found = guarded(|| detect(run, load));
            let found =
                if is_sick(run, load) { doubted(found, "users failed before any fault") } else { found };
            finding(*detector, Subject::Load(load.name.clone()), found)
        })
    });
    let probes = run.brief.iter().flat_map(|brief| &brief.probes).flat_map(|probe| {
        let answers = run.probes.get(probe.name.as_str()).map_or(&[][..], Vec::as_slice);
        detectors.on_probes.iter().map(move |(detector, detect)| {
            let found = guarded(|| detect(run, answers));
            finding(*detector, Subject::Probe(probe.name.clone()), found)
        })
    });
    let ledgers = run.loads.iter().filter(|load| load.ledger.is_some()).flat_map(|load| {
        detectors.on_ledgers.iter().filter_map(move |(detector, detect)| {
            let mut found = None;
            // Within the guard nothing is given back but what a panic leaves.
            let guarded = guarded(|| {
                found = detect(run, load);
                Found::not_applicable("")
            });
            let found = found.or(matches!(guarded.state, State::Inconclusive { .. }).then_some(guarded))?;
            Some(finding(*detector, Subject::Load(load.name.clone()), found))
        })
    });
    let mut all: Vec<Finding> = edges.chain(loads).chain(ledgers).chain(probes).collect();
    if any_fails(gates, &[GateId::FaultTookEffect, GateId::SomethingBroken]) {
        // Users who missed nothing tell nothing of what they can do without, and a service that did, nothing of what it starts without.
        let without = [
            Detector::Dependency,
            Detector::FailFast,
            Detector::Fallback,
            Detector::Isolation,
            Detector::StartUp,
        ];
        let speaks = |finding: &&mut Finding| without.contains(&finding.detector);
        for finding in all.iter_mut().filter(speaks) {
            doubt(finding, "the fault had no effect");
        }
    }
    if any_fails(gates, &[GateId::LoadOnTime]) {
        // Latency counts from the intended time, so a late sender can only make a service look slow.
        let slow = [Detector::Recovery, Detector::Isolation, Detector::FailFast];
        let looks_slow = |finding: &&mut Finding| {
            slow.contains(&finding.detector) && matches!(finding.state, State::Absent { .. })
        };
        for finding in all.iter_mut().filter(looks_slow) {
            doubt(finding, "the load was sent late, and lateness looks like slowness");
        }
    }
    if any_fails(gates, &[GateId::LoadOnTime]) {
        // A machine that stalls keeps calls back that were due, and a caller that stalls gives up instances that are well.
        let dropped = |finding: &&mut Finding| {
            finding.detector == Detector::Failover
                && matches!(finding.state, State::Absent { .. })
                && finding.param("residual").is_some()
        };
        for finding in all.iter_mut().filter(dropped) {
            doubt(finding, "the load was sent late, and calls that come late look dropped");
        }
    }
    if any_fails(gates, &[GateId::LoadOnTime, GateId::LoadSent]) {
        for finding in all.iter_mut().filter(|finding| finding.detector == Detector::Capacity) {
            doubt(finding, "the load was not sent when it was due, so that a limit may be the sender's");
        }
    }
    if run.brief.is_some_and(|brief| brief.loads.iter().any(|load| load.ramp.is_some())) {
        // Too many users do what a fault does.
        let harmed = |finding: &&mut Finding| match finding.detector {
            Detector::Dependency => finding.is_present(),
            Detector::Isolation | Detector::FailFast | Detector::Recovery => {
                matches!(finding.state, State::Absent { .. })
            }
            _ => false,
        };
        for finding in all.iter_mut().filter(harmed) {
            doubt(finding, "a load was raised meanwhile");
        }
    }
    let untold = [
        // What is missing may be just what would have told otherwise.
        (GateId::NothingLost, "events are missing from the journal"),
        // And what was seen, just what somebody did.
        (GateId::HandsOff, "it was steered by hand"),
    ];
    for (_, why) in untold.iter().filter(|(gate, _)| any_fails(gates, &[*gate])) {
        let may_be_otherwise = |finding: &&mut Finding| {
            let certain = matches!(finding.detector, Detector::Lost | Detector::Duplicates);
            !(certain && finding.is_present())
        };
        for finding in all.iter_mut().filter(may_be_otherwise) {
            doubt(finding, why);
        }
    }
    all
}

fn doubt(finding: &mut Finding, why: &str) {
    let found = Found { state: finding.state.clone(), text: finding.text.clone() };
    let found = doubted(found, why);
    (finding.state, finding.text) = (found.state, found.text);
}

/// True if one in twenty requests of a load failed before any fault: what is not well cannot be seen to fall ill.
fn is_sick(run: &RunView<'_>, load: &LoadView) -> bool {
    let (all, good) = load
        .within(&run.baseline)
        .fold((0u64, 0u64), |(all, good), point| (all + 1, good + u64::from(point.is_ok())));
    (all - good) * 20 > all
}

/// A fact that cannot be stood by, and why; what decides nothing stays as it is.
fn doubted(found: Found, why: &str) -> Found {
    match found.state {
        State::Present { .. } | State::Absent { .. } => Found::inconclusive(
            format!("{why} (else: {})", found.text),
            "a run in which that does not happen",
        ),
        State::Inconclusive { .. } | State::NotApplicable { .. } => found,
    }
}

/// True if the caller on this edge ended by itself, or may have: a dead caller calls nobody, as behind a perfect breaker.
pub(crate) fn caller_died(run: &RunView<'_>, edge: &EdgeView) -> bool {
    run.exits
        .iter()
        .filter(|exit| exit.cause == murphy_core::ExitCause::Itself)
        .any(|exit| edge.from.as_deref().is_none_or(|from| from == exit.service))
}

fn finding(detector: Detector, subject: Subject, found: Found) -> Finding {
    Finding { detector, subject, state: found.state, text: found.text }
}

/// A detector is code like any other: its panic must not take the judgement with it.
fn guarded(detect: impl FnOnce() -> Found) -> Found {
    catch_unwind(AssertUnwindSafe(detect)).unwrap_or_else(|_| {
        Found::inconclusive(
            "internal error: the detector panicked",
            "please report this with the run directory",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_that_panics_is_inconclusive() {
        let found = guarded(|| panic!("a bug"));
        assert!(matches!(found.state, State::Inconclusive { ref why, .. } if why.contains("internal error")));
    }
}
