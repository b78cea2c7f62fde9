//! Can users of this load do without what was broken? (verdicts 2.17) Soft: the success rate holds. Hard: most fail.
//! Degraded: in between. The class is that of this kind of fault only; many services are soft to one and hard to another.
//!
//! Where the load declares what its users need, the class is held against that. Hidden: they need what is not declared, or
//! declared soft. Of what broke at the same time as something else, nothing is said that could be the other's doing.

use std::collections::BTreeMap;

use murphy_core::{EdgeName, FaultBrief, Need};

use super::{Found, params};
use crate::edge::{EdgeView, acts_on_callee};
use crate::judgement::{DependencyClass, Finding, Reading};
use crate::phase::{LoadView, Point, RunView, Windows, successes};
use crate::stats::{Blocks, newcombe, wilson};
use crate::words;

/// How much of the success rate may go before a dependency is not soft any more.
const MARGIN: f64 = 0.02;

pub(super) fn detect(run: &RunView<'_>, load: &LoadView) -> Found {
    if run.first_armed().is_none() {
        return Found::not_applicable("nothing was broken");
    }
    let (Some(during), Some(base)) = (share(load, &run.during), share(load, &run.baseline)) else {
        return Found::inconclusive(
            "no requests in the baseline or during the fault",
            "a load in both phases",
        );
    };
    let (Some(d), Some(b)) = (during.share(), base.share()) else {
        return Found::inconclusive("no requests", "a load in both phases");
    };
    let (interval, drop) = (wilson(d), newcombe(d, b));
    let reading = Reading::share(during.good(), during.n(), Some((interval.low, interval.high)));
    let harmed = DependencyClass::harmed(interval.high);
    let class = if harmed == DependencyClass::Hard || drop.high < -MARGIN {
        harmed
    } else if drop.low > -MARGIN {
        DependencyClass::Soft
    } else {
        return Found::inconclusive(
            format!("success {} of users: neither soft nor degraded with its whole interval", reading.text),
            "400 requests a phase settle most cases",
        );
    };
    let without = format!("{} of users are answered without it", words::percent(during.good(), during.n()));
    let mut params = params([("success", reading)]);
    let text = match needs(run, load) {
        Some(needs) => {
            let Held { word, text } = held(run, needs, class, &without);
            if let Some(word) = word {
                params.insert("declared".to_owned(), Reading::count(1, 1).says(word));
            }
            text + &undeclared(run)
        }
        None => format!("{class}: {without}"),
    };
    if class == DependencyClass::Soft { Found::absent(params, text) } else { Found::present(params, text) }
}

/// What the load declares that its users need.
fn needs<'a>(run: &RunView<'a>, load: &LoadView) -> Option<&'a BTreeMap<EdgeName, Need>> {
    run.brief?.loads.iter().find(|brief| brief.name == load.name)?.depends_on.as_ref()
}

/// How the class stands to what is declared.
struct Held {
    /// `None` where that is not told.
    word: Option<&'static str>,
    /// The class in a sentence, beside the declaration.
    text: String,
}

fn held(run: &RunView<'_>, needs: &BTreeMap<EdgeName, Need>, class: DependencyClass, without: &str) -> Held {
    const AS_DECLARED: &str = "as declared";
    let plain = format!("{class}: {without}");
    let broken: Vec<&EdgeView> = run.edges.iter().filter(|edge| is_broken(run, edge)).collect();
    let alone = match broken[..] {
        [edge] if !breaks_elsewhere(run) => Some(edge),
        _ => None,
    };
    let hard: Vec<&str> = broken
        .iter()
        .filter(|edge| needs.get(&edge.name) == Some(&Need::Hard))
        .map(|edge| edge.name.as_str())
        .collect();
    let are_hard =
        format!("{} {} declared hard", hard.join(", "), if hard.len() == 1 { "is" } else { "are" });
    if class == DependencyClass::Soft {
        return match alone.and_then(|edge| needs.get(&edge.name)) {
            _ if !hard.is_empty() => {
                Held { word: Some("not needed"), text: format!("{plain}; {are_hard}, and users do without") }
            }
            Some(_) => Held { word: Some(AS_DECLARED), text: format!("{plain}, as declared") },
            None => Held { word: Some(AS_DECLARED), text: plain },
        };
    }
    // Who is not there at all, or was called past Murphy, is needed in a way that nobody sees.
    let unseen = alone.filter(|edge| is_silent(run, edge));
    if let Some(edge) = unseen
        && let Some(ended) = ended_beside(run, edge)
    {
        let text = format!(
            "{plain}; no call passed on {}, and {ended} ended: which of the two, is not told",
            edge.name
        );
        return Held { word: None, text };
    }
    let hidden = |edge: &EdgeView| {
        let name = &edge.name;
        let declared = match needs.get(name) {
            Some(need) => format!("declared {need}"),
            None => "not declared".to_owned(),
        };
        let text = if unseen.is_some() {
            format!("hidden: {name} is {declared} and needed though no call passed on it: {without}")
        } else {
            format!("hidden: {name} is {declared} and {class} in truth: {without}")
        };
        Held { word: Some(Finding::HIDDEN), text }
    };
    match (alone, unseen) {
        (_, Some(edge)) => hidden(edge),
        (Some(_), None) if !hard.is_empty() && class == DependencyClass::Hard => {
            Held { word: Some(AS_DECLARED), text: format!("{plain}, as declared") }
        }
        _ if !hard.is_empty() => Held { word: Some(AS_DECLARED), text: format!("{plain}; {are_hard}") },
        (Some(edge), None) => hidden(edge),
        (None, None) if broken.is_empty() => {
            Held { word: None, text: format!("{plain}; what was broken is on no edge") }
        }
        (None, None) => Held {
            word: None,
            text: format!("{plain}; several things were broken: which of them users need, is not told"),
        },
    }
}

/// Faults that were in the world and sit on no edge.
fn off_edges<'a>(run: &RunView<'a>) -> impl Iterator<Item = &'a FaultBrief> {
    let all = run.brief.into_iter().flat_map(|brief| &brief.faults);
    all.filter(move |fault| {
        fault.edge.is_none() && run.fault(&fault.id).is_some_and(|view| view.armed.is_some())
    })
}

/// True if the edge, or who is called on it, was broken.
fn is_broken(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let told = run.brief.and_then(|brief| brief.edges.iter().find(|told| told.name == edge.name));
    !edge.hurt.is_empty()
        || told.is_some_and(|told| off_edges(run).any(|fault| acts_on_callee(&fault.on, &told.to)))
}

/// True if something was broken that is neither an edge nor who is called on one.
fn breaks_elsewhere(run: &RunView<'_>) -> bool {
    let edges = || run.brief.into_iter().flat_map(|brief| &brief.edges);
    off_edges(run).any(|fault| !edges().any(|edge| acts_on_callee(&fault.on, &edge.to)))
}

/// True if nobody called on the edge, neither in health nor in the fault. Who is refused leaves no trace, so that nothing is known then.
fn is_silent(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let mut faults = run.brief.iter().flat_map(|brief| &brief.faults);
    let refused = faults.any(|fault| fault.name == "refuse" && fault.edge.as_ref() == Some(&edge.name));
    !refused && edge.within(&run.baseline).chain(edge.within(&run.during)).next().is_none()
}

/// A process that ended in the fault, and is not the one that is called on this edge.
fn ended_beside<'a>(run: &'a RunView<'_>, edge: &EdgeView) -> Option<&'a str> {
    let told = run.brief.and_then(|brief| brief.edges.iter().find(|told| told.name == edge.name));
    let is_callee = |service: &str| told.is_some_and(|told| acts_on_callee(service, &told.to));
    let mut ended = run.exits.iter().filter(|exit| run.during.holds(exit.at));
    ended.find(|exit| !is_callee(&exit.service)).map(|exit| exit.service.as_str())
}

/// Edges that are called on in health and stand in no declaration. Where a load declares nothing, the calls may be its own.
fn undeclared(run: &RunView<'_>) -> String {
    let Some(brief) = run.brief else { return String::new() };
    if brief.loads.iter().any(|load| load.depends_on.is_none()) {
        return String::new();
    }
    let declared = |name: &EdgeName| {
        brief.loads.iter().filter_map(|load| load.depends_on.as_ref()).any(|needs| needs.contains_key(name))
    };
    let each: Vec<String> = run
        .edges
        .iter()
        .filter(|edge| !declared(&edge.name))
        .map(|edge| (&edge.name, edge.within(&run.baseline).count() as u64))
        .filter(|(_, calls)| *calls > 0)
        .map(|(name, calls)| format!("{name} ({} in the baseline)", words::plural(calls, "call")))
        .collect();
    if each.is_empty() {
        String::new()
    } else {
        format!("; called and declared nowhere: {}", each.join(", "))
    }
}

/// Of the requests that were over by the end of their stretch: one that was answered after the lift was not answered
/// without the dependency.
fn share(load: &LoadView, windows: &Windows) -> Option<Blocks> {
    let over =
        |point: &&Point| windows.iter().any(|window| window.holds(point.intended) && point.ended < window.to);
    let blocks = successes(load.within(windows).filter(over));
    (blocks.n() > 0).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use murphy_core::{Answer, EdgeBrief, Event, EventKind, FaultId, Protocol, Rule, Span, Subject, Tally};
    use murphy_testkit::golden::{Break, Caller, Golden, Trouble};

    use super::*;
    use crate::judge::judge;
    use crate::judgement::{Detector, Judgement, State};

    fn golden(caller: Caller, broken: Break) -> Golden {
        let users = Subject::Load(Golden::load());
        Golden::new("needs", caller, broken).expect(
            "browse.dependency",
            users,
            Rule::AsDeclared,
            "as declared",
        )
    }

    /// A journal whose load declares that its users need these edges.
    fn declaring(golden: &Golden, needs: &[(EdgeName, Need)]) -> Vec<Event> {
        let mut journal = golden.journal();
        if let EventKind::RunStarted(brief) = &mut journal[0].kind {
            brief.loads[0].depends_on = Some(needs.iter().cloned().collect());
        }
        journal
    }

    fn cache(need: Need) -> Vec<(EdgeName, Need)> {
        vec![(Golden::edge(), need)]
    }

    /// The fact, and the answer to `as declared`.
    fn told(judgement: &Judgement) -> (&Finding, Answer) {
        let found = judgement.findings.iter().find(|finding| finding.detector == Detector::Dependency);
        (found.expect("a finding"), judgement.rows[0].answer)
    }

    fn in_order(mut journal: Vec<Event>) -> Vec<Event> {
        journal.sort_by_key(|event| event.at);
        journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
        journal
    }

    #[test]
    fn what_users_need_and_is_declared_soft_or_not_at_all_is_hidden() {
        let golden = golden(Caller::careless(), Break::Reset);
        for (needs, says) in [
            (cache(Need::Soft), "hidden: cart-cache is declared soft and hard in truth: 0% of users"),
            (Vec::new(), "hidden: cart-cache is not declared and hard in truth: 0% of users"),
        ] {
            let judgement = judge(&declaring(&golden, &needs));
            let (found, answer) = told(&judgement);
            assert!(matches!(found.state, State::Present { .. }), "{found:?}");
            assert!(found.text.starts_with(says), "{}", found.text);
            assert_eq!((found.declared(), answer), (Some("hidden"), Answer::Fail));
            assert_eq!(found.class(), Some(DependencyClass::Hard), "what was measured stays");
        }
    }

    #[test]
    fn what_is_as_declared_passes_and_so_does_what_turns_out_not_to_be_needed() {
        for (caller, need, word) in [
            (Caller::careless(), Need::Hard, "as declared"),
            (Caller::careful(), Need::Soft, "as declared"),
            (Caller::careful(), Need::Hard, "not needed"),
        ] {
            let judgement = judge(&declaring(&golden(caller, Break::Reset), &cache(need)));
            let (found, answer) = told(&judgement);
            assert_eq!((found.declared(), answer), (Some(word), Answer::Pass), "{}", found.text);
        }
        let judgement = judge(&declaring(&golden(Caller::careful(), Break::Reset), &cache(Need::Hard)));
        let text = &told(&judgement).0.text;
        assert!(text.ends_with("; cart-cache is declared hard, and users do without"), "{text}");
    }

    #[test]
    fn without_a_declaration_nothing_is_held_against_one() {
        for caller in [Caller::careless(), Caller::careful()] {
            let judgement = judge(&golden(caller, Break::Reset).journal());
            let (found, _) = told(&judgement);
            assert_eq!(found.declared(), None);
            assert!(found.text.ends_with(" of users are answered without it"), "{}", found.text);
        }
    }

    #[test]
    fn calls_on_an_edge_that_nobody_declares_are_told() {
        let golden = golden(Caller::careful(), Break::Reset);
        let judgement = judge(&declaring(&golden, &[]));
        let (found, answer) = told(&judgement);
        assert!(found.text.contains("; called and declared nowhere: cart-cache ("), "{}", found.text);
        assert_eq!(answer, Answer::Pass, "users need no more than is declared");
        let told_text = judge(&declaring(&golden, &cache(Need::Soft)));
        assert!(!told(&told_text).0.text.contains("nowhere"));
    }

    /// A run in which the callee is killed and users fail, and no proxy sees a call.
    fn past_the_edge(golden: &Golden, needs: &[(EdgeName, Need)]) -> Judgement {
        let mut journal = declaring(golden, needs);
        journal.retain(|event| !matches!(event.kind, EventKind::Exchange { .. }));
        judge(&in_order(journal))
    }

    #[test]
    fn who_is_needed_though_nobody_calls_it_is_hidden_whatever_is_declared() {
        let golden = golden(Caller::careless(), Break::Kill);
        for needs in [cache(Need::Hard), cache(Need::Soft), Vec::new()] {
            let judgement = past_the_edge(&golden, &needs);
            let (found, answer) = told(&judgement);
            assert_eq!((found.declared(), answer), (Some("hidden"), Answer::Fail), "{}", found.text);
            assert!(found.text.contains("needed though no call passed on it"), "{}", found.text);
        }
    }

    #[test]
    fn where_nobody_calls_and_another_process_ended_nothing_is_hidden() {
        let golden = golden(Caller::careless(), Break::Kill).with(Trouble::Crash(Span::from_secs(1)));
        let judgement = past_the_edge(&golden, &[]);
        let (found, answer) = told(&judgement);
        assert_eq!((found.declared(), answer), (None, Answer::Inconclusive), "{}", found.text);
        assert!(found.text.contains("shop ended"), "{}", found.text);
    }

    /// The same run with a second edge that is broken for as long, and met by as many calls.
    fn with_a_second_fault(mut journal: Vec<Event>) -> Vec<Event> {
        let (edge, fault) = (EdgeName::new("pay").unwrap(), FaultId::new("reset-2").unwrap());
        let mut more = Vec::new();
        for event in &mut journal {
            match &mut event.kind {
                EventKind::RunStarted(brief) => {
                    brief.edges.push(EdgeBrief {
                        name: edge.clone(),
                        from: None,
                        to: "payments:8080".to_owned(),
                        protocol: Protocol::Tcp,
                        instance_of: None,
                    });
                    let mut second = brief.faults[0].clone();
                    (second.id, second.edge) = (fault.clone(), Some(edge.clone()));
                    brief.faults.push(second);
                }
                EventKind::FaultArmed { .. } => {
                    more.push((event.at, EventKind::FaultArmed { fault: fault.clone() }))
                }
                EventKind::FaultLifted { .. } => {
                    let tally = Tally { connections: 100, hits: 100, bytes: 0 };
                    more.push((event.at, EventKind::FaultLifted { fault: fault.clone(), tally }));
                }
                _ => {}
            }
        }
        journal.extend(more.into_iter().map(|(at, kind)| Event { seq: 0, at, kind }));
        in_order(journal)
    }

    #[test]
    fn of_two_edges_that_are_broken_at_once_none_is_hidden() {
        let golden = golden(Caller::careless(), Break::Reset);
        let judgement = judge(&with_a_second_fault(declaring(&golden, &cache(Need::Soft))));
        let (found, answer) = told(&judgement);
        assert_eq!((found.declared(), answer), (None, Answer::Inconclusive), "{}", found.text);
        assert!(found.text.contains("which of them users need, is not told"), "{}", found.text);
        // One that is declared hard explains it.
        let judgement = judge(&with_a_second_fault(declaring(&golden, &cache(Need::Hard))));
        let (found, answer) = told(&judgement);
        assert_eq!((found.declared(), answer), (Some("as declared"), Answer::Pass), "{}", found.text);
    }

    #[test]
    fn refused_calls_leave_no_trace_and_so_do_not_make_an_edge_silent() {
        let mut journal = declaring(&golden(Caller::careless(), Break::Refuse), &cache(Need::Hard));
        let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
        let armed = armed.expect("a fault").at;
        // One that is called in the fault alone, as a way out is.
        journal.retain(|event| event.at >= armed || !matches!(event.kind, EventKind::Exchange { .. }));
        for event in &mut journal {
            if let EventKind::FaultLifted { tally, .. } = &mut event.kind {
                tally.connections = 500;
            }
        }
        let judgement = judge(&in_order(journal));
        let (found, answer) = told(&judgement);
        assert_eq!((found.declared(), answer), (Some("as declared"), Answer::Pass), "{}", found.text);
    }
}
