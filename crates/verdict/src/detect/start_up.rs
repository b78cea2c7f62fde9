//! Does a service start while a dependency is down? (verdicts 2.17) Told where Murphy ended the caller and it came up again while
//! nobody answered on one of its edges, by a probe that was good before, was bad when the service was gone, and is good again. Whose
//! probe it is nobody says: one that did not notice tells nothing.

use murphy_core::{EdgeBrief, ExitCause, FaultBrief};

use super::health::{IN_A_ROW, in_a_row};
use super::{Found, params};
use crate::edge::{Call, EdgeView, acts_on_callee, takes_away};
use crate::gate::{end_of, ends_target};
use crate::judgement::Reading;
use crate::phase::{Exit, ProbeAnswer, RunView, Window, Windows};
use crate::words;

/// An answer that comes so shortly before the lift of what held its call is told may be of the lift already, in microseconds.
const LET_GO: u64 = 250_000;

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
    let Some(first) = trials.first() else {
        return Found::not_applicable(
            "no service was ended and started again while a dependency of it was down",
        );
    };
    let noticed = trials.iter().find_map(|trial| Some((trial, since_gone(trial, answers)?)));
    let Some((trial, since)) = noticed else {
        return Found::not_applicable(format!(
            "never bad when {} was ended: it asks something else, or too seldom to notice",
            first.service
        ));
    };
    let is_beside = |other: &&Trial<'_>| {
        (other.service, other.started) == (trial.service, trial.started) && other.edge.name != trial.edge.name
    };
    if let Some(other) = trials.iter().find(is_beside) {
        return Found::inconclusive(
            format!("{} was started with {} and {} down", trial.service, trial.edge.name, other.edge.name),
            "a fault on one edge alone",
        );
    }
    judged(run, trial, answers, &since)
}

/// The answers from the first bad one on, if that came of the end of the service: one that was good after the start, and bad then, is
/// bad for another reason.
fn since_gone<'a>(trial: &Trial<'_>, answers: &'a [ProbeAnswer]) -> Option<Vec<&'a ProbeAnswer>> {
    let since: Vec<&ProbeAnswer> = answers.iter().filter(|answer| answer.asked >= trial.ended).collect();
    let bad = since.iter().position(|answer| !answer.ok)?;
    let noticed =
        since[bad].asked < trial.away.to && since[..bad].iter().all(|good| good.asked < trial.started);
    noticed.then(|| since[bad..].to_vec())
}

fn judged(run: &RunView<'_>, trial: &Trial<'_>, answers: &[ProbeAnswer], since: &[&ProbeAnswer]) -> Found {
    let (service, edge, back) = (trial.service, &trial.edge.name, trial.away.to);
    let crashes: Vec<&Exit> = run.exits.iter().filter(|exit| is_crash(trial, exit)).collect();
    // What was good before it ended by itself was no start.
    let again = crashes.iter().map(|crash| crash.at).max().unwrap_or(0);
    let since = &since[since.partition_point(|answer| answer.asked < again)..];
    let good = in_a_row(since, true);
    let until = good.map_or(back, |good| since[good].ended).min(back);
    let answered = trial.edge.in_window(Window { from: trial.started, to: until });
    // What the fault held is let go a moment before the lift is written down.
    let is_let_go =
        |call: &Call| call.touched && back <= run.last && call.ended.saturating_add(LET_GO) >= back;
    let is_spared = |call: &Call| trial.edge.is_good(call) && call.ended < back && !is_let_go(call);
    if answered.iter().any(is_spared) {
        return Found::inconclusive(
            format!("{edge} was answered meanwhile"),
            "a fault that leaves no call unharmed: `refuse`, `hang`",
        );
    }
    match good {
        Some(good) if since[good + IN_A_ROW - 1].ended < back => {
            let after = |answer: &ProbeAnswer| answer.asked.saturating_sub(trial.started) as f64;
            // It became ready between the last bad answer and the first good one.
            let ready = after(since[good]);
            let still_bad = since[..good].last().copied().map_or(0.0, after);
            Found::absent(
                params([("ready", Reading::time(ready, Some(still_bad), Some(ready), 1))]),
                format!("{service} starts without {edge}: ready {} after its start", words::micros(ready)),
            )
        }
        Some(good) if since[good].ended < back => Found::inconclusive(
            format!("good again so shortly before {edge} was back that {IN_A_ROW} answers do not fit in"),
            "a longer fault",
        ),
        _ => not_ready(run, trial, answers, since, good),
    }
}

/// True if the service ended by itself before the dependency was back.
fn is_crash(trial: &Trial<'_>, exit: &Exit) -> bool {
    exit.cause == ExitCause::Itself
        && exit.service == trial.service
        && (trial.started..trial.away.to).contains(&exit.at)
}

/// True if the service asked for its dependency once it was started, as far as can be seen: who is refused leaves no trace.
fn called(run: &RunView<'_>, trial: &Trial<'_>) -> bool {
    let (edge, window) = (trial.edge, Window { from: trial.started, to: trial.away.to });
    let mut faults = run.brief.iter().flat_map(|brief| &brief.faults);
    faults.any(|fault| fault.name == "refuse" && fault.edge.as_ref() == Some(&edge.name))
        || !edge.in_window(window).is_empty()
        || edge.conns.iter().any(|conn| window.holds(conn.opened))
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
        None if !called(run, trial) => {
            return Found::inconclusive(
                format!(
                    "not ready again in the run, and never called {edge}: it may wait for something else"
                ),
                "a run that goes on until it is ready",
            );
        }
        None => "not ready again in the run".to_owned(),
    };
    let seen = params([("waited", Reading::time(waited as f64, None, None, 1))]);
    if let Some(crash) = run.exits.iter().find(|exit| is_crash(trial, exit)) {
        let after = words::micros(crash.at.saturating_sub(trial.started) as f64);
        let said = crash.last_words(": ", 160);
        let text = format!(
            "does not start without {edge}: {} {after} after its start{said}; {outcome}",
            end_of(crash)
        );
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
    Windows::union(faults.filter_map(|fault| run.in_world(fault)).collect())
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
        .filter_map(|fault| Some((fault, run.in_world(fault)?)))
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
        .any(|fault| run.in_world(fault).is_some_and(|there| there.from < first.ended && start < there.to));
    (!gone && !broken).then(|| first.asked.saturating_sub(start))
}

#[cfg(test)]
mod tests;
