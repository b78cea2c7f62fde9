//! Journals whose truth is known, held against what their load declares.

use murphy_core::{
    Answer, ConnId, EdgeBrief, Event, EventKind, ExchangeEnd, FaultId, Offset, Protocol, Rule, Span, Subject,
    Tally,
};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};

use super::*;
use crate::judge::judge;
use crate::judgement::{Detector, Judgement, State};

fn golden(caller: Caller, broken: Break) -> Golden {
    let users = Subject::Load(Golden::load());
    Golden::new("needs", caller, broken).expect("browse.dependency", users, Rule::AsDeclared, "as declared")
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
fn users_who_are_served_while_some_calls_get_through_do_not_do_without() {
    let partly = |caller, needs: &[(EdgeName, Need)]| {
        let mut journal = declaring(&golden(caller, Break::Reset), needs);
        if let EventKind::RunStarted(brief) = &mut journal[0].kind {
            brief.faults[0].settings.insert(FaultBrief::SHARE.to_owned(), "20%".to_owned());
        }
        judge(&journal)
    };
    let judgement = partly(Caller::careful(), &cache(Need::Hard));
    let (found, answer) = told(&judgement);
    assert_eq!((found.declared(), answer), (Some("as declared"), Answer::Pass), "{}", found.text);
    let ends = " of users are answered with 20% of it broken; cart-cache is declared hard";
    assert!(found.text.ends_with(ends), "{}", found.text);
    // Who is not served even so needs it, whatever is declared.
    let judgement = partly(Caller::careless(), &cache(Need::Soft));
    let (found, answer) = told(&judgement);
    assert_eq!((found.declared(), answer), (Some("hidden"), Answer::Fail), "{}", found.text);
    assert!(found.text.ends_with(" of users are answered with 20% of it broken"), "{}", found.text);
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
fn what_is_needed_does_not_explain_that_users_fail_where_it_is_there() {
    let (pay, second) = (EdgeName::new("pay").unwrap(), FaultId::new("reset-2").unwrap());
    let needs = [(Golden::edge(), Need::Soft), (pay, Need::Hard)];
    let golden = golden(Caller::careless(), Break::Reset);
    let mut journal = with_a_second_fault(declaring(&golden, &needs));
    let judgement = judge(&journal);
    assert_eq!(told(&judgement).1, Answer::Pass, "as long as both are broken");
    let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let lifted = armed.expect("a fault").at + Span::from_secs(8);
    for event in &mut journal {
        if matches!(&event.kind, EventKind::FaultLifted { fault, .. } if *fault == second) {
            event.at = lifted;
        }
    }
    let judgement = judge(&in_order(journal));
    let (found, answer) = told(&judgement);
    assert_eq!((found.declared(), answer), (None, Answer::Inconclusive), "{}", found.text);
    assert!(found.text.contains("fail as well where only cart-cache is broken"), "{}", found.text);
}

#[test]
fn where_no_edge_is_broken_nothing_is_held_against_what_is_declared() {
    let golden = golden(Caller::careful(), Break::Reset);
    let mut journal = declaring(&golden, &cache(Need::Soft));
    if let EventKind::RunStarted(brief) = &mut journal[0].kind {
        (brief.faults[0].edge, brief.faults[0].on) = (None, "this machine".to_owned());
    }
    let judgement = judge(&journal);
    let (found, answer) = told(&judgement);
    assert_eq!((found.declared(), answer), (None, Answer::Inconclusive), "{}", found.text);
    assert!(found.text.contains("what was broken is on no edge"), "{}", found.text);
}

#[test]
fn a_stream_that_is_open_from_the_beginning_on_does_not_make_an_edge_silent() {
    let mut journal = declaring(&golden(Caller::careless(), Break::Kill), &cache(Need::Hard));
    journal.retain(|event| !matches!(event.kind, EventKind::Exchange { .. }));
    let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
    let armed = armed.expect("a fault").at;
    let stream = EventKind::Exchange {
        edge: Golden::edge(),
        conn: ConnId(1),
        began: Offset::from_micros(1),
        answered: Some(Offset::from_micros(2)),
        ended: armed,
        end: ExchangeEnd::Failed,
        touched: true,
    };
    journal.push(Event { seq: 0, at: armed, kind: stream });
    let judgement = judge(&in_order(journal));
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
