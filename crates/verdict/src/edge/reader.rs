//! Reads the events of a journal into its edges, each with the calls on it in order. Whatever a journal says, no call ends before it
//! begins; and what is no call of anybody, as a look whether somebody listens, must not be read as one that was given up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use murphy_core::{
    Answerer, AttemptOf, CloseHow, ConnId, EdgeName, EventKind, ExchangeEnd, ExitCause, FaultBrief, HttpCall,
    RunBrief, Side,
};

use super::callee::names_callee;
use super::{Call, Conn, EdgeView, Harm};
use crate::marked::Mark;
use crate::phase::{Exit, FaultView, Window, Windows, micros};
use crate::worth::{AnswerWorth, all_are_failures};

/// Looks in health that are a habit: one may be a caller that changed its mind.
const FEWEST_CHECKS: usize = 2;

#[derive(Debug, Default)]
struct Building {
    exchanges: Vec<Call>,
    spoke: BTreeSet<ConnId>,
    conns: BTreeMap<ConnId, Conn>,
    /// Connections that ended badly: when, and how a call on them would have ended.
    broken: BTreeMap<ConnId, (u64, ExchangeEnd)>,
    /// Connections that their callers opened and left without a byte either way.
    silent: BTreeSet<ConnId>,
    /// The address that callers dial.
    listen: Option<String>,
}

impl Building {
    /// True if somebody looks at this edge now and then whether anybody listens: connections are opened and left without a byte also
    /// where nothing is broken, and no more often in a fault. Nothing is asked on them, and nothing given up, however long a fault held
    /// their end. Where more are left than that, callers are among them whose words no proxy heard (`slow-open`), and all are calls.
    fn is_checked(&self, hurt: &Windows) -> bool {
        let last = self.conns.values().filter_map(|conn| conn.closed).max().unwrap_or(0);
        let first = self.conns.values().map(|conn| conn.opened).min().unwrap_or(0);
        let sick: u64 = hurt.iter().map(|part| part.to.min(last).saturating_sub(part.from.max(first))).sum();
        let well = last.saturating_sub(first).saturating_sub(sick);
        let silent = self.silent.difference(&self.spoke);
        let opened = silent.filter_map(|conn| self.conns.get(conn)).map(|conn| conn.opened);
        let (in_sickness, in_health): (Vec<u64>, Vec<u64>) = opened.partition(|at| hurt.holds(*at));
        let expected = in_health.len() as f64 * sick as f64 / well.max(1) as f64;
        !in_sickness.is_empty()
            && in_health.len() >= FEWEST_CHECKS
            && in_sickness.len() as f64 <= 1.25 * expected + 1.0
    }
}

/// Collects what events tell of edges.
#[derive(Debug, Default)]
pub(crate) struct EdgeViews {
    edges: BTreeMap<EdgeName, Building>,
}

impl EdgeViews {
    pub fn take(&mut self, kind: &EventKind, at: u64) {
        match kind {
            EventKind::ConnOpened { edge, conn, peer } => {
                let peer = peer.parse::<SocketAddr>().ok().map(|peer| peer.ip());
                self.of(edge).conns.insert(*conn, Conn { opened: at, closed: None, peer });
            }
            EventKind::EdgeListening { edge, listen, .. } => self.of(edge).listen = Some(listen.clone()),
            EventKind::DialFailed { edge, conn, .. } => {
                let edge = self.of(edge);
                edge.broken.insert(*conn, (at, ExchangeEnd::Failed));
                close(edge, *conn, at);
            }
            EventKind::ConnClosed { edge, conn, by, how, to_upstream, to_client, .. } => {
                let edge = self.of(edge);
                close(edge, *conn, at);
                if (*by, *to_upstream, *to_client) == (Side::Client, 0, 0) {
                    edge.silent.insert(*conn);
                }
                let end = match (by, how) {
                    // An idle connection that is put away.
                    (Side::Client | Side::Proxy, CloseHow::Fin) => return,
                    (Side::Client, CloseHow::Rst) => ExchangeEnd::GivenUp,
                    (Side::Upstream | Side::Proxy, _) => ExchangeEnd::Failed,
                };
                edge.broken.entry(*conn).or_insert((at, end));
            }
            EventKind::Exchange { edge, conn, began, answered, ended, end, touched } => {
                let edge = self.of(edge);
                edge.spoke.insert(*conn);
                let began = micros(*began);
                edge.exchanges.push(Call {
                    began,
                    // No call ends before it begins, whatever a journal says: the detectors subtract.
                    answered: answered.map(|at| micros(at).max(began)),
                    ended: micros(*ended).max(began),
                    end: *end,
                    touched: *touched,
                    answer: None,
                    done_unknown: false,
                    mark: None,
                });
            }
            EventKind::Request(call) => {
                let edge = self.of(&call.edge);
                edge.spoke.insert(call.conn);
                let began = micros(call.began);
                edge.exchanges.push(Call {
                    began,
                    answered: call.answered.map(|at| micros(at).max(began)),
                    ended: micros(call.ended).max(began),
                    end: call.end,
                    touched: call.touched,
                    answer: AnswerWorth::of(call),
                    done_unknown: is_done_unknown(call),
                    mark: Mark::of(call),
                });
            }
            _ => {}
        }
    }

    fn of(&mut self, edge: &EdgeName) -> &mut Building {
        // Looked up first, so that the name is copied once for each edge and not for each event.
        if !self.edges.contains_key(edge) {
            self.edges.insert(edge.clone(), Building::default());
        }
        self.edges.get_mut(edge).expect("inserted above")
    }

    pub fn finish(
        &mut self,
        brief: Option<&RunBrief>,
        baseline: &Windows,
        faults: &[FaultView],
        exits: &[Exit],
    ) -> Vec<EdgeView> {
        let mut edges = std::mem::take(&mut self.edges);
        for edge in brief.iter().flat_map(|brief| &brief.edges) {
            edges.entry(edge.name.clone()).or_default();
        }
        edges.into_iter().map(|(name, edge)| view(name, edge, brief, baseline, faults, exits)).collect()
    }
}

fn close(edge: &mut Building, conn: ConnId, at: u64) {
    if let Some(conn) = edge.conns.get_mut(&conn) {
        conn.closed.get_or_insert(at);
    }
}

/// True if the callee did the work, the caller does not know, and nothing lets the callee tell a second try.
fn is_done_unknown(call: &HttpCall) -> bool {
    let done = call.service_status.is_some_and(|status| (200..300).contains(&status));
    let told = call.end == ExchangeEnd::Answered && call.answerer != Answerer::Murphy;
    // The other methods may be repeated by definition (RFC 9110, 9.2.2).
    let repeats = matches!(call.method.as_str(), "POST" | "PATCH");
    done && !told && repeats && !matches!(call.attempt_of, Some(AttemptOf::Key(_)))
}

/// Faults that make a call slow and then let it be answered.
const SLOW: [&str; 9] =
    ["latency", "delay", "bandwidth", "slice", "drip", "slow-open", "slow-close", "loss", "connection-limit"];

fn view(
    name: EdgeName,
    building: Building,
    brief: Option<&RunBrief>,
    baseline: &Windows,
    faults: &[FaultView],
    exits: &[Exit],
) -> EdgeView {
    let told = brief.and_then(|brief| brief.edges.iter().find(|edge| edge.name == name));
    let real = |fault: &FaultBrief| faults.iter().find(|view| view.id == fault.id && view.armed.is_some());
    let window = |fault: &FaultBrief| {
        let view = real(fault)?;
        Some(Window { from: view.armed?, to: view.lifted.unwrap_or(u64::MAX) })
    };
    let all = || brief.iter().flat_map(|brief| &brief.faults);
    let on_edge: Vec<&FaultBrief> = all().filter(|fault| fault.edge.as_ref() == Some(&name)).collect();
    let on_callee: Vec<&FaultBrief> = all()
        .filter(|fault| fault.edge.is_none() && told.is_some_and(|edge| names_callee(&fault.on, &edge.to)))
        .collect();
    let hurt = Windows::union(on_edge.iter().chain(&on_callee).filter_map(|fault| window(fault)).collect());
    let is_checked = building.is_checked(&hurt);
    let mut calls = building.exchanges;
    for (conn, (ended, end)) in &building.broken {
        if is_checked && building.silent.contains(conn) {
            continue;
        }
        if let Some(Conn { opened: began, .. }) =
            building.conns.get(conn).filter(|_| !building.spoke.contains(conn))
        {
            calls.push(Call {
                began: *began,
                answered: None,
                ended: (*ended).max(*began),
                end: *end,
                touched: on_edge.iter().filter_map(|fault| window(fault)).any(|window| window.holds(*began)),
                answer: None,
                done_unknown: false,
                mark: None,
            });
        }
    }
    let callee_gone: Vec<Window> = on_callee.iter().filter_map(|fault| window(fault)).collect();
    for call in &mut calls {
        // A frozen or killed callee answers late or never; nothing sat on the bytes.
        call.touched |= callee_gone.iter().any(|gone| call.began < gone.to && gone.from < call.ended);
    }
    if all_are_failures(&on_edge) {
        for call in calls.iter_mut().filter(|call| call.touched && call.is_made_up()) {
            call.answer = Some(AnswerWorth::Bad);
        }
    }
    let from = told.and_then(|edge| edge.from.clone()).or_else(|| dials(brief?, building.listen.as_deref()?));
    forgive_a_dying_caller(&mut calls, from.as_deref(), exits);
    calls.sort_by_key(|call| (call.began, call.ended));
    let harm = match (on_edge.is_empty(), on_callee.is_empty()) {
        (true, true) => Harm::None,
        (_, true) if on_edge.iter().all(|fault| SLOW.contains(&fault.name.as_str())) => Harm::Slow,
        // A frozen process answers in the end.
        (true, false) if on_callee.iter().all(|fault| fault.name == "freeze" || fault.name == "pause") => {
            Harm::Slow
        }
        _ => Harm::Error,
    };
    let delays =
        !on_edge.is_empty() && on_edge.iter().all(|fault| fault.name == "latency" || fault.name == "delay");
    let mut conns: Vec<Conn> = building.conns.into_values().collect();
    conns.sort_unstable_by_key(|conn| conn.opened);
    let instance_of = told.and_then(|edge| Some((edge.from.clone(), edge.instance_of.clone()?)));
    let mut view = EdgeView { name, from, instance_of, calls, conns, harm, delays, blind: false, hurt };
    view.blind = on_edge.iter().any(|fault| fault.name == "refuse") && view.is_thinned(baseline);
    view
}

/// The service whose command names the address that callers of an edge dial; `None` if none or several do.
fn dials(brief: &RunBrief, listen: &str) -> Option<String> {
    let names = |word: &str| word.trim_matches(|c| c == '"' || c == '\'').ends_with(listen);
    let mut callers = brief.services.iter().filter(|service| service.command.split_whitespace().any(names));
    let first = callers.next()?;
    callers.next().is_none().then(|| first.name.as_str().to_owned())
}

/// A caller that is killed drops its connections in one stroke; that is not a timeout of its own.
fn forgive_a_dying_caller(calls: &mut [Call], from: Option<&str>, exits: &[Exit]) {
    const STROKE: u64 = 50_000;
    let ends: Vec<u64> = exits
        .iter()
        .filter(|exit| Some(exit.service.as_str()) == from || exit.cause == ExitCause::Stopped)
        .map(|exit| exit.at)
        .collect();
    for call in calls.iter_mut().filter(|call| call.is_given_up()) {
        if ends.iter().any(|at| call.ended.abs_diff(*at) <= STROKE) {
            call.end = ExchangeEnd::Open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::Offset;

    #[test]
    fn a_connection_that_its_caller_leaves_before_a_word_was_given_up() {
        let edge = EdgeName::new("cart").unwrap();
        let mut views = EdgeViews::default();
        let how = [
            (1, Side::Client, CloseHow::Rst),
            (2, Side::Client, CloseHow::Fin),
            (3, Side::Proxy, CloseHow::Rst),
        ];
        for (conn, by, how) in how {
            let conn = ConnId(conn);
            views.take(&EventKind::ConnOpened { edge: edge.clone(), conn, peer: String::new() }, 10);
            let (to_upstream, to_client, age) = (0, 0, murphy_core::Span::ZERO);
            let edge = edge.clone();
            views.take(&EventKind::ConnClosed { edge, conn, by, how, to_upstream, to_client, age }, 20);
        }
        let edges = views.finish(None, &Windows::default(), &[], &[]);
        let ends: Vec<_> = edges[0].calls.iter().map(|call| call.end).collect();
        assert_eq!(ends, [ExchangeEnd::GivenUp, ExchangeEnd::Failed]);
    }

    /// Whether an edge is looked at, on which a connection without a byte was opened at each of these seconds, with a fault from the
    /// tenth to the twentieth that holds its end for two.
    fn is_looked_at(seconds: impl IntoIterator<Item = u64>) -> bool {
        let mut building = Building::default();
        for (conn, second) in (0..).map(ConnId).zip(seconds) {
            let held = if (10..20).contains(&second) { 2_000_000 } else { 1_000 };
            let opened = second * 1_000_000;
            building.conns.insert(conn, Conn { opened, closed: Some(opened + held), peer: None });
            building.silent.insert(conn);
        }
        building.is_checked(&Windows::union(vec![Window { from: 10_000_000, to: 20_000_000 }]))
    }

    #[test]
    fn who_looks_whether_anybody_listens_gives_nothing_up_in_a_fault() {
        assert!(is_looked_at(0..30) && is_looked_at(8..30));
        assert!(!is_looked_at([12, 14, 16]), "only in the fault");
        assert!(!is_looked_at([1, 12, 14, 16]), "one may be a caller that changed its mind");
        assert!(!is_looked_at([1, 8, 25].into_iter().chain(10..20)), "far more often in the fault");
        assert!(
            !is_looked_at((0..30).chain((10..20).step_by(2))),
            "somebody else leaves as well in the fault"
        );
        assert!(!is_looked_at([1, 2, 25]), "in health alone: nothing was held");
    }

    #[test]
    fn a_connection_that_breaks_before_a_word_is_a_failed_call() {
        let edge = EdgeName::new("cart").unwrap();
        let mut views = EdgeViews::default();
        for (conn, spoke) in [(1, true), (2, false)] {
            let conn = ConnId(conn);
            views.take(&EventKind::ConnOpened { edge: edge.clone(), conn, peer: String::new() }, 10);
            if spoke {
                views.take(
                    &EventKind::Exchange {
                        edge: edge.clone(),
                        conn,
                        began: Offset::from_micros(11),
                        answered: Some(Offset::from_micros(13)),
                        ended: Offset::from_micros(14),
                        end: ExchangeEnd::Answered,
                        touched: false,
                    },
                    14,
                );
            }
            views.take(&EventKind::DialFailed { edge: edge.clone(), conn, why: "refused".into() }, 20);
        }
        let edges = views.finish(None, &Windows::default(), &[], &[]);
        let ends: Vec<_> = edges[0].calls.iter().map(|call| (call.began, call.end)).collect();
        assert_eq!(ends, [(10, ExchangeEnd::Failed), (11, ExchangeEnd::Answered)]);
    }
}
