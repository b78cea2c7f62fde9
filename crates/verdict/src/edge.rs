//! The calls on one edge as its caller made them: exchanges, and connections that broke before a word was said. What the
//! fault did to them is kept apart from what the caller did about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use murphy_core::{
    Answerer, AttemptOf, CloseHow, ConnId, EdgeBrief, EdgeName, EventKind, ExchangeEnd, ExitCause,
    FaultBrief, HttpCall, RunBrief, Side,
};

use crate::marked::Mark;
use crate::phase::{Exit, FaultView, Window, Windows, micros};
use crate::worth::{AnswerWorth, all_are_failures};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub began: u64,
    /// First byte of the answer delivered.
    pub answered: Option<u64>,
    pub ended: u64,
    pub end: ExchangeEnd,
    /// A fault sat on it: on its bytes, or on the process that should have answered.
    pub touched: bool,
    /// Whether the answer was of use, where the protocol tells; `None` if only its bytes are known.
    pub answer: Option<AnswerWorth>,
    /// The callee did what was asked, its answer was lost, and a second try would do it again.
    pub done_unknown: bool,
    /// Which call it says that it is a try of.
    pub mark: Option<Mark>,
}

/// True if the callee did the work, the caller does not know, and nothing lets the callee tell a second try.
fn is_done_unknown(call: &HttpCall) -> bool {
    let done = call.service_status.is_some_and(|status| (200..300).contains(&status));
    let told = call.end == ExchangeEnd::Answered && call.answerer != Answerer::Murphy;
    // The other methods may be repeated by definition (RFC 9110, 9.2.2).
    let repeats = matches!(call.method.as_str(), "POST" | "PATCH");
    done && !told && repeats && !matches!(call.attempt_of, Some(AttemptOf::Key(_)))
}

impl Call {
    /// How long the caller waited: to the last byte of the answer, or to the end without one.
    pub fn wait(&self) -> u64 {
        self.ended.saturating_sub(self.began)
    }

    /// True if the caller ended it.
    pub fn is_given_up(&self) -> bool {
        matches!(self.end, ExchangeEnd::GivenUp | ExchangeEnd::Cut)
    }

    /// True if Murphy answered, and with what no caller need take for a failure.
    pub fn is_made_up(&self) -> bool {
        self.answer == Some(AnswerWorth::MadeUp)
    }
}

/// One connection of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conn {
    pub opened: u64,
    /// When it was gone; `None` if the journal tells of no end.
    pub closed: Option<u64>,
    /// The caller's host.
    pub peer: Option<IpAddr>,
}

/// How the faults on an edge hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing sits on it.
    None,
    /// Calls take longer, and are then answered as ever.
    Slow,
    /// Calls are not answered, or answered with an error.
    Error,
}

/// One edge.
#[derive(Debug, Clone)]
pub(crate) struct EdgeView {
    pub name: EdgeName,
    /// The caller, where known.
    pub from: Option<String>,
    /// Whose calls these are, by their caller, and of which dependency the callee is one of several instances.
    pub instance_of: Option<(Option<String>, String)>,
    /// By beginning.
    pub calls: Vec<Call>,
    /// By opening.
    pub conns: Vec<Conn>,
    pub harm: Harm,
    /// A fault on it adds a delay to what passes, and nothing else.
    pub delays: bool,
    /// Calls cannot be seen in the fault window: the listener itself was down.
    pub blind: bool,
    /// The stretch in which something sat on this edge.
    pub hurt: Windows,
}

impl EdgeView {
    pub fn within<'a>(&'a self, windows: &'a Windows) -> impl Iterator<Item = &'a Call> + 'a {
        windows.iter().flat_map(|window| self.in_window(window))
    }

    pub fn in_window(&self, window: Window) -> &[Call] {
        let from = self.calls.partition_point(|call| call.began < window.from);
        let to = self.calls.partition_point(|call| call.began < window.to);
        &self.calls[from..to.max(from)]
    }

    /// True if far fewer calls were seen in the fault than the baseline lets expect.
    fn is_thinned(&self, baseline: &Windows) -> bool {
        let rate = self.within(baseline).count() as f64 / baseline.length().max(1) as f64;
        (self.within(&self.hurt).count() as f64) < rate * self.hurt.length() as f64 * 0.5
    }

    /// A call that every caller must take for a failed one.
    pub fn is_failing(&self, call: &Call) -> bool {
        match call.end {
            ExchangeEnd::Answered => match call.answer {
                Some(worth) => worth == AnswerWorth::Bad,
                None => call.touched && self.harm == Harm::Error,
            },
            ExchangeEnd::GivenUp | ExchangeEnd::Cut | ExchangeEnd::Failed | ExchangeEnd::Open => true,
        }
    }

    /// A call that the callee itself answered well. One that Murphy answered in its stead never is, and need not be failing either.
    pub fn is_good(&self, call: &Call) -> bool {
        !self.is_failing(call) && !call.is_made_up()
    }
}

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

/// Faults on an edge that leave its caller alone, as if the callee were not there.
const AWAY: [&str; 6] = ["refuse", "hang", "blackhole", "timeout", "reset", "drop"];
/// Faults of the callee that do the same.
const GONE: [&str; 6] = ["kill", "stop", "pause", "freeze", "remove", "disconnect"];

/// True if by this fault there is nobody to answer the calls on an edge.
pub(crate) fn takes_away(fault: &FaultBrief, edge: &EdgeBrief) -> bool {
    match &fault.edge {
        Some(on) => on == &edge.name && AWAY.contains(&fault.name.as_str()),
        None => GONE.contains(&fault.name.as_str()) && acts_on_callee(&fault.on, &edge.to),
    }
}

/// True if a process fault that acts on `on` (`process redis`, `redis`) ends or stops the callee `to` (`redis`, `redis:6379`).
fn names_callee(on: &str, to: &str) -> bool {
    let callee = to.split(':').next().unwrap_or(to);
    on.split_whitespace().last() == Some(callee)
}

/// True if a fault acts on whoever is called at `to`, which may be all containers of a service: `container service:redis`.
pub(crate) fn acts_on_callee(on: &str, to: &str) -> bool {
    let all_of = on.split_whitespace().last().and_then(|last| last.strip_prefix("service:"));
    names_callee(on, to) || all_of.is_some_and(|service| names_callee(service, to))
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
    fn a_process_fault_is_matched_to_the_callee_by_its_name() {
        assert!(names_callee("process redis", "redis:6379"));
        assert!(names_callee("redis", "redis"));
        assert!(!names_callee("process redis-2", "redis:6379"));
        assert!(!names_callee("", "redis"));
        assert!(acts_on_callee("container service:redis", "redis:6379") && acts_on_callee("redis", "redis"));
        assert!(!acts_on_callee("container service:redis-2", "redis:6379"));
    }

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
