//! Which detector looks at what. Whoever judges hands the list over, so that a test can put a detector into it that panics.

use super::{
    Found, amplification, attempts, back_off, breaker, capacity, dependency, fail_fast, failover, fallback,
    health, isolation, jitter, leak, ledger, metastability, pool, reconnect, recovery, shedding, start_up,
    timeout,
};
use crate::edge::EdgeView;
use crate::judgement::Detector;
use crate::phase::{LoadView, ProbeAnswer, RunView};

pub(super) type OnEdge = fn(&RunView<'_>, &EdgeView) -> Found;
pub(super) type OnLoad = fn(&RunView<'_>, &LoadView) -> Found;
/// On loads that have what they look at.
pub(super) type OnSomeLoads = fn(&RunView<'_>, &LoadView) -> Option<Found>;
pub(super) type OnProbe = fn(&RunView<'_>, &[ProbeAnswer]) -> Found;

/// The detectors of a judgement, by what they look at.
#[derive(Clone, Copy)]
pub(crate) struct Detectors<'a> {
    pub on_edges: &'a [(Detector, OnEdge)],
    /// On edges to one of several instances.
    pub on_instances: &'a [(Detector, OnEdge)],
    pub on_loads: &'a [(Detector, OnLoad)],
    pub on_ledgers: &'a [(Detector, OnSomeLoads)],
    pub on_probes: &'a [(Detector, OnProbe)],
}

impl Detectors<'static> {
    /// All that there are.
    pub const ALL: Detectors<'static> = Detectors {
        on_edges: &[
            (Detector::Timeout, timeout::detect),
            (Detector::Attempts, attempts::detect),
            (Detector::Amplification, amplification::detect),
            (Detector::BackOff, back_off::detect),
            (Detector::Jitter, jitter::detect),
            (Detector::Breaker, breaker::detect),
            (Detector::Pool, pool::detect),
            (Detector::Reconnect, reconnect::detect),
            (Detector::Leak, leak::detect),
        ],
        on_instances: &[(Detector::Failover, failover::detect)],
        on_loads: &[
            (Detector::FailFast, fail_fast::detect),
            (Detector::Fallback, fallback::detect),
            (Detector::Isolation, isolation::detect),
            (Detector::Shedding, shedding::detect),
            (Detector::Capacity, capacity::detect),
            (Detector::Recovery, recovery::detect),
            (Detector::Metastability, metastability::detect),
            (Detector::Dependency, dependency::detect),
        ],
        on_ledgers: &[(Detector::Lost, ledger::lost), (Detector::Duplicates, ledger::duplicates)],
        on_probes: &[(Detector::Health, health::detect), (Detector::StartUp, start_up::detect)],
    };
}

#[cfg(test)]
mod tests {
    use murphy_core::{Answer, Event, EventKind, Rule, Served, Span, Subject, SuccessRule, Verdict};
    use murphy_core::{Chance, Quantile};
    use murphy_testkit::golden::{Break, Bystander, Caller, Golden};

    use super::*;
    use crate::judge::judge_by;
    use crate::judgement::{Finding, Judgement, State};

    /// Owned lists, of which one detector can be taken out.
    struct Broken {
        on_edges: Vec<(Detector, OnEdge)>,
        on_instances: Vec<(Detector, OnEdge)>,
        on_loads: Vec<(Detector, OnLoad)>,
        on_ledgers: Vec<(Detector, OnSomeLoads)>,
        on_probes: Vec<(Detector, OnProbe)>,
    }

    impl Broken {
        /// All detectors, of which this one has a bug.
        fn with_a_bug_in(detector: Detector) -> Broken {
            fn broken<F: Copy>(list: &[(Detector, F)], detector: Detector, bug: F) -> Vec<(Detector, F)> {
                list.iter().map(|(one, sound)| (*one, if *one == detector { bug } else { *sound })).collect()
            }
            let all = Detectors::ALL;
            Broken {
                on_edges: broken(all.on_edges, detector, |_, _| panic!("a bug")),
                on_instances: broken(all.on_instances, detector, |_, _| panic!("a bug")),
                on_loads: broken(all.on_loads, detector, |_, _| panic!("a bug")),
                on_ledgers: broken(all.on_ledgers, detector, |_, _| panic!("a bug")),
                on_probes: broken(all.on_probes, detector, |_, _| panic!("a bug")),
            }
        }

        fn judge(&self, events: &[Event]) -> Judgement {
            let detectors = Detectors {
                on_edges: &self.on_edges,
                on_instances: &self.on_instances,
                on_loads: &self.on_loads,
                on_ledgers: &self.on_ledgers,
                on_probes: &self.on_probes,
            };
            judge_by(events, &detectors)
        }
    }

    fn all() -> Vec<Detector> {
        let Detectors { on_edges, on_instances, on_loads, on_ledgers, on_probes } = Detectors::ALL;
        let edges = on_edges.iter().chain(on_instances).map(|(detector, _)| *detector);
        let loads = on_loads.iter().map(|(detector, _)| *detector);
        let ledgers = on_ledgers.iter().map(|(detector, _)| *detector);
        let probes = on_probes.iter().map(|(detector, _)| *detector);
        edges.chain(loads).chain(ledgers).chain(probes).collect()
    }

    /// A run in which every detector has something to look at: edges of which one leads to an instance, and writes that are looked for.
    fn asked_of_all(caller: Caller) -> Vec<Event> {
        let users = || Subject::Load(Golden::load());
        let least = SuccessRule::AtLeast(Chance::from_fraction(0.99).expect("a share"));
        let rules = [
            ("success", users(), Rule::Success { rule: least, may: vec![Served::Stale] }),
            ("p99", users(), Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) }),
            ("ready", Subject::Probe(Golden::probe()), Rule::Always),
            ("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }),
        ];
        let golden = Golden {
            bystander: Bystander::Apart,
            ..Golden::new("a bug", caller, Break::Latency(Span::from_millis(800)))
        };
        let golden = rules
            .into_iter()
            .fold(golden, |golden, (id, subject, rule)| golden.expect(id, subject, rule, "as written"));
        let mut journal = golden.journal();
        let EventKind::RunStarted(brief) = &mut journal[0].kind else {
            panic!("a run begins with its brief")
        };
        brief.edges[0].instance_of = Some("redis".to_owned());
        brief.loads[0].ledger = Some("GET /writes".to_owned());
        journal
    }

    fn name(subject: &Subject) -> &str {
        crate::judge::subject_name(subject)
    }

    fn of(judgement: &Judgement, detector: Detector) -> impl Iterator<Item = &Finding> {
        judgement.findings.iter().filter(move |finding| finding.detector == detector)
    }

    /// The bytes of a judgement without what it says of a detector, wherever that is told.
    fn but_for(mut judgement: Judgement, detector: Detector) -> String {
        let told: Vec<String> = of(&judgement, detector)
            .map(|finding| format!("{} {}", name(&finding.subject), detector.name()))
            .collect();
        judgement.findings.retain(|finding| finding.detector != detector);
        judgement.unknown.retain(|unknown| !told.contains(&unknown.what));
        judgement.saved_by.retain(|saved| !told.iter().any(|told| saved.starts_with(&format!("{told}:"))));
        serde_json::to_string(&judgement).expect("a judgement can be written")
    }

    #[test]
    fn every_detector_is_explained_once() {
        let mut run = all();
        run.sort();
        let mut told: Vec<Detector> = crate::DETECTORS.iter().map(|words| words.detector).collect();
        told.sort();
        assert_eq!(told, run, "detector.rs has what is explained, the lists above what is run");
    }

    #[test]
    fn a_bug_in_one_detector_costs_what_that_one_says_and_no_other_byte_of_the_judgement() {
        let journal = asked_of_all(Caller::careful());
        let sound = judge_by(&journal, &Detectors::ALL);
        assert_eq!(sound.verdict, Verdict::Graceful, "{sound:#?}");
        for detector in all() {
            let judgement = Broken::with_a_bug_in(detector).judge(&journal);
            let subjects = |judgement: &Judgement| -> Vec<String> {
                of(judgement, detector).map(|finding| name(&finding.subject).to_owned()).collect()
            };
            assert!(!subjects(&sound).is_empty(), "{detector:?} looked at nothing");
            assert_eq!(subjects(&judgement), subjects(&sound), "{detector:?}");
            for finding in of(&judgement, detector) {
                let open = matches!(&finding.state, State::Inconclusive { why, .. } if why.starts_with("internal error"));
                assert!(open, "{finding:?}");
            }
            assert_eq!(but_for(judgement, detector), but_for(sound.clone(), detector), "{detector:?}");
        }
    }

    #[test]
    fn a_bug_in_a_detector_takes_no_failure_back_and_makes_none() {
        let journal = asked_of_all(Caller::careless());
        let sound = judge_by(&journal, &Detectors::ALL);
        assert_eq!(sound.verdict, Verdict::NotGraceful);
        for detector in all() {
            let judgement = Broken::with_a_bug_in(detector).judge(&journal);
            assert_eq!(judgement.verdict, sound.verdict, "{detector:?}");
            assert_eq!(judgement.rows, sound.rows, "{detector:?}");
            assert_eq!(judgement.gates, sound.gates, "{detector:?}");
        }
    }

    #[test]
    fn what_is_asserted_of_a_detector_with_a_bug_is_inconclusive_and_says_so() {
        let golden = Golden::new("a bug", Caller::careful(), Break::Latency(Span::from_millis(800)));
        let edge = || Subject::Edge(Golden::edge());
        let golden = golden
            .expect("timeout", edge(), Rule::Timeout { at_most: Span::from_millis(500) }, "<= 500ms")
            .expect("breaker", edge(), Rule::BreakerOpens, "opens");
        let journal = golden.journal();
        assert_eq!(judge_by(&journal, &Detectors::ALL).verdict, Verdict::Graceful);
        let judgement = Broken::with_a_bug_in(Detector::Breaker).judge(&journal);
        let row = judgement.row("breaker").expect("asserted");
        assert_eq!((row.answer, judgement.verdict), (Answer::Inconclusive, Verdict::Inconclusive));
        assert!(row.reason.contains("internal error"), "{row:?}");
        assert_eq!(judgement.row("timeout").map(|row| row.answer), Some(Answer::Pass));
    }
}
