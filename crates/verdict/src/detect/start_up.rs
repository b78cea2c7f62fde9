//! Does a service start while a dependency is down? (verdicts 2.17) Told where Murphy ended the caller and it came up again while
//! nobody answered on one of its edges, by a probe that was good before, was bad when the service was gone, and is good again. Whose
//! probe it is nobody says: one that did not notice tells nothing.

use murphy_core::{EdgeBrief, ExitCause, FaultBrief};

use super::health::{IN_A_ROW, in_a_row};
use super::{Found, params};
use crate::edge::{EdgeView, acts_on_callee, takes_away};
use crate::gate::{end_of, ends_target};
use crate::judgement::Reading;
use crate::phase::{Exit, ProbeAnswer, RunView, Window, Windows};
use crate::words;

/// A service that is not ready after so many times what it usually takes, and a little more, waits for something.
const PATIENCE: u64 = 2;
const LITTLE: u64 = 1_000_000;

/// A start of a service while there was nobody to answer on one of its edges.
#[derive(Clone, Copy)]
struct Trial<'a> {
    service: &'a str,
    edge: &'a EdgeView,
    told: &'a EdgeBrief,
    /// When the service was ended before.
    ended: u64,
    started: u64,
    /// When there was nobody to answer; up to the end of the run if that was not taken back.
    away: Window,
}

pub(super) fn detect(run: &RunView<'_>, answers: &[ProbeAnswer]) -> Found {
    let trials = trials(run);
    match trials[..] {
        [] => {
            Found::not_applicable("no service was ended and started again while a dependency of it was down")
        }
        [first, second, ..] if first.started == second.started => Found::inconclusive(
            format!("{} was started with {} and {} down", first.service, first.edge.name, second.edge.name),
            "a fault on one edge alone",
        ),
        [first, ..] => judged(run, &first, answers),
    }
}

fn judged(run: &RunView<'_>, trial: &Trial<'_>, answers: &[ProbeAnswer]) -> Found {
    let (service, edge, back) = (trial.service, &trial.edge.name, trial.away.to);
    let since: Vec<&ProbeAnswer> = answers.iter().filter(|answer| answer.asked >= trial.ended).collect();
    let Some(bad) = since.iter().position(|answer| !answer.ok && answer.asked < back) else {
        return Found::not_applicable(format!(
            "never bad when {service} was ended: it asks something else, or too seldom to notice"
        ));
    };
    let since = &since[bad..];
    let good = in_a_row(since, true);
    let until = good.map_or(back, |good| since[good].ended).min(back);
    let answered = trial.edge.in_window(Window { from: trial.started, to: until });
    if answered.iter().any(|call| trial.edge.is_good(call) && call.ended < back) {
        return Found::inconclusive(
            format!("{edge} was answered meanwhile"),
            "a fault that leaves no call unharmed: `refuse`, `hang`",
        );
    }
    match good {
        Some(good) if since[good + IN_A_ROW - 1].ended < back => {
            let ready = since[good].asked.saturating_sub(trial.started);
            Found::absent(
                params([("ready", Reading::time(ready as f64, None, None, 1))]),
                format!(
                    "{service} starts without {edge}: ready {} after its start",
                    words::micros(ready as f64)
                ),
            )
        }
        Some(good) if since[good].ended < back => Found::inconclusive(
            format!("good again so shortly before {edge} was back that {IN_A_ROW} answers do not fit in"),
            "a longer fault",
        ),
        _ => not_ready(run, trial, answers, since, good),
    }
}

/// Of a service whose probe was not good before the dependency was back.
fn not_ready(
    run: &RunView<'_>,
    trial: &Trial<'_>,
    answers: &[ProbeAnswer],
    since: &[&ProbeAnswer],
    good: Option<usize>,
) -> Found {
    let (service, edge, back) = (trial.service, &trial.edge.name, trial.away.to);
    let waited = back.saturating_sub(trial.started);
    if let Some(other) = beside(run, trial) {
        return Found::inconclusive(
            format!("{other} while {service} was started"),
            "a run in which nothing else happens",
        );
    }
    let outcome = match good {
        Some(good) => {
            let later = since[good].asked.saturating_sub(back);
            format!("ready only {} after it was back", words::micros(later as f64))
        }
        None if back <= run.last && since.iter().filter(|answer| answer.asked >= back).count() < IN_A_ROW => {
            return Found::inconclusive(
                format!("hardly asked once {edge} was back"),
                "a longer recovery phase",
            );
        }
        None => "not ready again in the run".to_owned(),
    };
    let seen = params([("waited", Reading::time(waited as f64, None, None, 1))]);
    let crash = run.exits.iter().find(|exit| {
        exit.cause == ExitCause::Itself && exit.service == service && (trial.started..back).contains(&exit.at)
    });
    if let Some(crash) = crash {
        let after = words::micros(crash.at.saturating_sub(trial.started) as f64);
        let text =
            format!("does not start without {edge}: {} {after} after its start; {outcome}", end_of(crash));
        return Found::present(seen, text);
    }
    if since.iter().any(|answer| answer.ok && answer.asked >= trial.started && answer.ended < back) {
        return Found::inconclusive("good now and then while it started", "a shorter `every`");
    }
    let before: Vec<&ProbeAnswer> = answers
        .iter()
        .filter(|answer| answer.asked >= trial.away.from && answer.ended < trial.ended)
        .collect();
    if before.iter().any(|answer| !answer.ok) {
        return Found::inconclusive(
            format!("bad before {service} was ended: it may follow {edge}, started or not"),
            "a probe of what the service can do without it, as a liveness check",
        );
    }
    if before.len() < IN_A_ROW {
        return Found::inconclusive(
            format!(
                "asked {} in the fault before {service} was ended: it may follow {edge}, started or not",
                words::plural(before.len() as u64, "time")
            ),
            "a `kill` or `restart` later in the fault, or a shorter `every`",
        );
    }
    let Some(usual) = usual(run, trial, answers) else {
        return Found::inconclusive(
            format!("how long {service} takes to start anyway is not known"),
            "one more restart of it, while nothing else is broken",
        );
    };
    if waited <= PATIENCE * usual + LITTLE {
        return Found::inconclusive(
            format!(
                "{edge} was back {} after the start, and a start takes up to {} anyway",
                words::micros(waited as f64),
                words::micros(usual as f64)
            ),
            "a longer fault after the restart",
        );
    }
    let mut seen = seen;
    seen.insert("usual".to_owned(), Reading::time(usual as f64, None, None, 1));
    let text = format!(
        "{service} does not start without {edge}: not ready in {}, {outcome}; a start takes up to {} otherwise",
        words::micros(waited as f64),
        words::micros(usual as f64)
    );
    Found::present(seen, text)
}

fn trials<'a>(run: &'a RunView<'_>) -> Vec<Trial<'a>> {
    let Some(brief) = run.brief else { return Vec::new() };
    let mut trials = Vec::new();
    for start in &run.starts {
        let service = start.service.as_str();
        let before = run.exits.iter().filter(|exit| exit.service == service && exit.at <= start.at);
        let Some(exit) = before.max_by_key(|exit| exit.at).filter(|exit| exit.cause == ExitCause::Fault)
        else {
            continue;
        };
        for edge in &run.edges {
            let Some(told) = brief.edges.iter().find(|told| told.name == edge.name) else { continue };
            let away = away(run, told);
            let Some(away) = away.iter().find(|away| away.holds(start.at)) else { continue };
            if calls(edge, told, service) {
                trials.push(Trial { service, edge, told, ended: exit.at, started: start.at, away });
            }
        }
    }
    trials
}

/// True if the service is the caller on this edge, as far as is known.
fn calls(edge: &EdgeView, told: &EdgeBrief, service: &str) -> bool {
    match &edge.from {
        Some(from) => from == service,
        None => !acts_on_callee(service, &told.to),
    }
}

/// When there was nobody to answer on an edge.
fn away(run: &RunView<'_>, edge: &EdgeBrief) -> Windows {
    let faults = run.brief.iter().flat_map(|brief| &brief.faults).filter(|fault| takes_away(fault, edge));
    Windows::union(faults.filter_map(|fault| window(run, fault)).collect())
}

/// When a fault was in the world.
fn window(run: &RunView<'_>, fault: &FaultBrief) -> Option<Window> {
    let view = run.fault(&fault.id)?;
    Some(Window { from: view.armed?, to: view.lifted.unwrap_or(run.last.saturating_add(1)) })
}

/// What else happened from the service's end until the dependency was back.
fn beside(run: &RunView<'_>, trial: &Trial<'_>) -> Option<String> {
    let stretch = Window { from: trial.ended, to: trial.away.to };
    let brief = run.brief?;
    let is_on_it =
        |fault: &FaultBrief| fault.edge.as_ref() == Some(&trial.edge.name) || takes_away(fault, trial.told);
    let others: Vec<(&FaultBrief, Window)> = brief
        .faults
        .iter()
        .filter(|fault| !is_on_it(fault))
        .filter_map(|fault| Some((fault, window(run, fault)?)))
        .collect();
    // The last one that was armed before it ended is what ended it.
    let ending = others
        .iter()
        .filter(|(fault, at)| fault.edge.is_none() && ends_target(fault) && at.from <= trial.ended)
        .max_by_key(|(_, at)| at.from)
        .map(|(fault, _)| &fault.id);
    let mut others = others
        .iter()
        .filter(|(fault, at)| Some(&fault.id) != ending && at.from < stretch.to && stretch.from < at.to);
    if let Some((fault, _)) = others.next() {
        return Some(format!("{} was there as well", fault.id));
    }
    let elsewhere = |exit: &&Exit| exit.cause == ExitCause::Itself && exit.service != trial.service;
    let mut ended = run.exits.iter().filter(elsewhere);
    ended.find(|exit| stretch.holds(exit.at)).map(end_of)
}

/// How long the service takes at the most to become ready where nothing is broken: the quickest of its other starts.
fn usual(run: &RunView<'_>, trial: &Trial<'_>, answers: &[ProbeAnswer]) -> Option<u64> {
    let starts = run.starts.iter().filter(|start| start.service == trial.service).map(|start| start.at);
    starts.filter_map(|start| ready_after(run, trial, start, answers)).min()
}

/// When its probe was good after a start, if nothing was broken up to then.
fn ready_after(run: &RunView<'_>, trial: &Trial<'_>, start: u64, answers: &[ProbeAnswer]) -> Option<u64> {
    let since: Vec<&ProbeAnswer> = answers.iter().filter(|answer| answer.asked >= start).collect();
    let good = in_a_row(&since, true)?;
    let (first, last) = (since[good], since[good + IN_A_ROW - 1]);
    let gone =
        run.exits.iter().any(|exit| exit.service == trial.service && (start..last.ended).contains(&exit.at));
    let faults = run.brief.iter().flat_map(|brief| &brief.faults);
    // What ended the service may still be there when it has come up.
    let mut others =
        faults.filter(|fault| fault.edge.is_some() || !ends_target(fault) || takes_away(fault, trial.told));
    let broken = others
        .any(|fault| window(run, fault).is_some_and(|there| there.from < first.ended && start < there.to));
    (!gone && !broken).then(|| first.asked.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use murphy_core::{
        Answer, EdgeName, Event, EventKind, FaultId, Offset, ProcessStatus, Protocol, Rule, RunBrief,
        ServiceName, Span, Subject, Tally,
    };
    use murphy_testkit::golden::{Break, Caller, Golden};

    use super::*;
    use crate::judge::judge;
    use crate::judgement::{Cause, Detector, Finding, Judgement, State};

    /// Milliseconds since the edge was broken, at which the caller is killed, comes up again, and the edge is whole again.
    const KILLED: i64 = 6_000;
    const STARTED: i64 = 8_000;
    const BACK: i64 = 20_000;
    const EVER: i64 = i64::MAX;

    /// One more event, so many milliseconds after the edge was broken.
    type More = (i64, EventKind);

    fn fault(id: &str, from: i64, to: i64) -> [More; 2] {
        let fault = FaultId::new(id).unwrap();
        let tally = Tally { connections: 0, hits: 100, bytes: 0 };
        [
            (from, EventKind::FaultArmed { fault: fault.clone() }),
            (to, EventKind::FaultLifted { fault, tally }),
        ]
    }

    fn exited(cause: ExitCause) -> EventKind {
        let service = ServiceName::new("shop").unwrap();
        EventKind::ServiceExited { service, status: ProcessStatus::Code(1), cause, last_output: Vec::new() }
    }

    fn started() -> EventKind {
        EventKind::ServiceStarted { service: ServiceName::new("shop").unwrap(), pid: 7 }
    }

    /// A run in which the caller is killed while its edge is reset. Its probe is bad to what it is asked in these stretches, all in
    /// milliseconds since the edge was broken.
    fn restarted(bad: &[(i64, i64)], more: Vec<More>, change: impl Fn(&mut RunBrief)) -> Judgement {
        restarted_at(KILLED, bad, more, change)
    }

    fn restarted_at(
        killed: i64,
        bad: &[(i64, i64)],
        more: Vec<More>,
        change: impl Fn(&mut RunBrief),
    ) -> Judgement {
        let mut journal = Golden::new("starts", Caller::careful(), Break::Reset)
            .expect(
                "ready.start-up",
                Subject::Probe(Golden::probe()),
                Rule::StartUp { at_most: Span::from_secs(5) },
                "<= 5s",
            )
            .journal();
        let armed = journal.iter().find(|event| matches!(event.kind, EventKind::FaultArmed { .. }));
        let armed = armed.expect("a fault").at.as_micros() as i64;
        for event in &mut journal {
            match &mut event.kind {
                EventKind::RunStarted(brief) => {
                    let mut kill = brief.faults[0].clone();
                    (kill.id, kill.name) = (FaultId::new("kill-2").unwrap(), "kill".to_owned());
                    (kill.edge, kill.on) = (None, "process shop".to_owned());
                    brief.faults.push(kill);
                    change(brief);
                }
                EventKind::Probe { asked, ok, .. } => {
                    let asked = (asked.as_micros() as i64 - armed) / 1_000;
                    *ok = !bad.iter().any(|(from, to)| (*from..*to).contains(&asked));
                }
                _ => {}
            }
        }
        let ends = [(killed, exited(ExitCause::Fault)), (STARTED, started()), (-armed / 1_000, started())];
        let all = fault("kill-2", killed, STARTED).into_iter().chain(ends).chain(more);
        journal.extend(all.map(|(at, kind)| {
            let at = Offset::from_micros(u64::try_from(armed + at * 1_000).unwrap_or(0));
            Event { seq: 0, at, kind }
        }));
        // The brief stays first, though a service is started at the same moment.
        journal[1..].sort_by_key(|event| event.at);
        journal.iter_mut().zip(0..).for_each(|(event, seq)| event.seq = seq);
        judge(&journal)
    }

    fn plain(bad: &[(i64, i64)]) -> Judgement {
        restarted(bad, Vec::new(), |_| {})
    }

    fn told(judgement: &Judgement) -> (&Finding, Answer) {
        let found = judgement.findings.iter().find(|finding| finding.detector == Detector::StartUp);
        (found.expect("a finding"), judgement.rows[0].answer)
    }

    #[test]
    fn a_service_that_is_ready_before_its_dependency_is_back_starts_without_it() {
        let judgement = plain(&[(KILLED, 9_500)]);
        let (found, answer) = told(&judgement);
        assert!(matches!(found.state, State::Absent { .. }), "{found:?}");
        assert!(found.text.starts_with("shop starts without cart-cache: ready 2s after"), "{}", found.text);
        assert_eq!(answer, Answer::Pass);
        // Ready without it, and too late.
        let (_, answer) = told(&plain(&[(KILLED, 14_500)]));
        assert_eq!(answer, Answer::Fail);
    }

    #[test]
    fn a_service_that_is_ready_only_once_its_dependency_is_back_or_never_does_not_start_without_it() {
        for (to, says) in [(BACK + 500, "ready only "), (EVER, "not ready again in the run")] {
            let judgement = plain(&[(KILLED, to)]);
            let (found, answer) = told(&judgement);
            assert!(found.is_present(), "{found:?}");
            assert!(found.text.contains(says), "{}", found.text);
            assert_eq!(answer, Answer::Fail);
            assert_eq!(judgement.why[0].cause, Cause::NeededToStart);
        }
    }

    #[test]
    fn a_service_that_ends_at_its_start_needs_nothing_to_be_compared_with() {
        let more = vec![(STARTED + 300, exited(ExitCause::Itself)), (BACK + 100, started())];
        let judgement = restarted(&[(-EVER, -14_000), (KILLED, BACK + 500)], more, |_| {});
        let (found, _) = told(&judgement);
        assert!(found.is_present(), "{found:?}");
        assert!(found.text.contains("ended by itself (exit code 1) 300ms after its start"), "{}", found.text);
    }

    fn is_open(judgement: &Judgement, says: &str) {
        let (found, answer) = told(judgement);
        assert!(matches!(found.state, State::Inconclusive { .. }), "{found:?}");
        assert!(found.text.contains(says), "{}", found.text);
        assert_eq!(answer, Answer::Inconclusive);
    }

    #[test]
    fn a_service_that_always_takes_long_to_start_is_not_known_to_wait() {
        is_open(&plain(&[(-EVER, -14_000), (KILLED, BACK + 500)]), "takes up to 8s anyway");
    }

    #[test]
    fn a_probe_that_was_bad_before_the_restart_may_follow_the_dependency() {
        is_open(&plain(&[(2_000, BACK + 500)]), "bad before shop was ended");
    }

    #[test]
    fn a_restart_at_the_beginning_of_the_fault_does_not_tell_a_start_from_a_probe_that_follows() {
        let judgement = restarted_at(1_500, &[(1_500, BACK + 500)], Vec::new(), |_| {});
        is_open(&judgement, "asked 1 time in the fault before shop was ended");
    }

    #[test]
    fn what_else_was_broken_may_be_why_it_did_not_start() {
        let more = Vec::from(fault("cpu-pressure-3", 7_000, 15_000));
        let judgement = restarted(&[(KILLED, BACK + 500)], more, |brief| {
            let mut other = brief.faults[0].clone();
            (other.id, other.name) = (FaultId::new("cpu-pressure-3").unwrap(), "cpu-pressure".to_owned());
            (other.edge, other.on) = (None, "this machine".to_owned());
            brief.faults.push(other);
        });
        is_open(&judgement, "cpu-pressure-3 was there as well");
    }

    #[test]
    fn of_two_dependencies_that_were_down_none_is_named() {
        let more = Vec::from(fault("reset-3", 0, BACK));
        let judgement = restarted(&[(KILLED, BACK + 500)], more, |brief| {
            let pay = EdgeName::new("pay").unwrap();
            let mut edge = brief.edges[0].clone();
            (edge.name, edge.to, edge.protocol) = (pay.clone(), "payments:8080".to_owned(), Protocol::Tcp);
            brief.edges.push(edge);
            let mut other = brief.faults[0].clone();
            (other.id, other.edge) = (FaultId::new("reset-3").unwrap(), Some(pay));
            brief.faults.push(other);
        });
        is_open(&judgement, "started with cart-cache and pay down");
    }

    #[test]
    fn without_a_restart_and_for_a_probe_that_does_not_notice_the_question_does_not_arise() {
        let unbroken = judge(&Golden::new("starts", Caller::careful(), Break::Reset).journal());
        let found = unbroken.findings.iter().find(|finding| finding.detector == Detector::StartUp);
        assert!(matches!(found.expect("a finding").state, State::NotApplicable { .. }));
        assert!(matches!(told(&plain(&[])).0.state, State::NotApplicable { .. }));
    }
}
