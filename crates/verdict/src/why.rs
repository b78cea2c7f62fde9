//! Why a row failed: the mechanism that the facts allow, with its numbers, and one change that would help. A mechanism is
//! named only if its numbers fit what users saw; otherwise the cause is said to be unknown.

mod edge_facts;
mod patterns;
mod recovery;
mod users;

use murphy_core::{Answer, ExitCause, Rule, Span, Subject};

use crate::gate::end_of;
use crate::judge::subject_name;
use crate::judgement::{Cause, Detector, Finding, Row, RowKind, State, Why};
use crate::phase::{LoadView, RunView};

use edge_facts::EdgeFacts;

/// What explains a row.
struct Told {
    cause: Cause,
    mechanism: String,
    change: String,
}

impl Told {
    fn new(cause: Cause, mechanism: impl Into<String>, change: impl Into<String>) -> Told {
        Told { cause, mechanism: mechanism.into(), change: change.into() }
    }

    fn unknown(mechanism: impl Into<String>) -> Told {
        Told::new(Cause::Unknown, mechanism, "look at the service's own log for this stretch")
    }
}

/// The causes of all rows that failed.
pub(crate) fn why(run: &RunView<'_>, rows: &[Row], findings: &[Finding]) -> Vec<Why> {
    let edges = EdgeFacts::all(run, findings);
    rows.iter()
        .filter(|row| row.answer == Answer::Fail)
        .map(|row| {
            let told = explain(run, row, findings, &edges);
            Why {
                row: row.id.clone(),
                label: row.label.clone(),
                cause: told.cause,
                mechanism: told.mechanism,
                change: told.change,
            }
        })
        .collect()
}

fn explain(run: &RunView<'_>, row: &Row, findings: &[Finding], edges: &[EdgeFacts<'_>]) -> Told {
    if row.kind == RowKind::Alive {
        return Told::new(Cause::Crash, row.reason.clone(), not_the_process(run));
    }
    if let Some(told) = crashed(run, row) {
        return told;
    }
    let of_row = || edges.iter().find(|edge| edge.edge.name.as_str() == subject_name(&row.subject));
    match (row.kind, &row.subject) {
        (RowKind::Success, Subject::Load(name)) => match run.load(name) {
            Some(load) => users::success(run, row, load, edges),
            None => Told::unknown("no such load"),
        },
        (RowKind::Latency | RowKind::FailFast, Subject::Load(name)) => match run.load(name) {
            Some(load) => users::latency(run, row, load, edges),
            None => Told::unknown("no such load"),
        },
        (RowKind::Recovery, subject) => {
            let load = slowest(run, subject);
            match load.and_then(|load| metastable(load, findings)) {
                Some(finding) => {
                    Told::new(Cause::Metastable, finding.text.clone(), patterns::AGAINST_METASTABILITY)
                }
                None => recovery::recovery(run, load, edges, recovered_within(run, row)),
            }
        }
        (RowKind::Metastability, subject)
            if findings.iter().any(|finding| finding.is_stuck() && finding.subject == *subject) =>
        {
            recovery::recovery(run, slowest(run, subject), edges, None)
        }
        (RowKind::Isolation, _) => users::isolation(row, edges),
        (RowKind::Timeout, _) => of_row().map_or_else(nothing_seen, EdgeFacts::timeout_told),
        (RowKind::Attempts | RowKind::Amplification, _) => {
            of_row().map_or_else(nothing_seen, EdgeFacts::calls_told)
        }
        (RowKind::Pool, subject) => {
            let name = subject_name(subject);
            let places = row.want.trim_start_matches(['<', '=', ' ']);
            let mechanism = format!("{name}: {}", row.reason);
            let change = format!(
                "at most {places} calls at once on {name}, and an error at once for what finds no place"
            );
            Told::new(Cause::NoLimit, mechanism, change)
        }
        (RowKind::Dependency, Subject::Load(name)) => match run.load(name) {
            Some(load) => users::success(run, row, load, edges),
            None => Told::unknown("no such load"),
        },
        // There is one, and it tries too often.
        (RowKind::HalfOpenEvery, subject) if has_breaker(subject, findings) => {
            patterns::tries_too_often(run, row)
        }
        // There is one, and it opens too late.
        (RowKind::Breaker | RowKind::CallsToOpen, subject) if has_breaker(subject, findings) => {
            patterns::opens_late(run, row, findings)
        }
        (RowKind::Breaker | RowKind::CallsToOpen | RowKind::HalfOpenEvery, _) => {
            of_row().map_or_else(nothing_seen, |edge| edge.breaker_told(findings))
        }
        (RowKind::Always | RowKind::Good, _)
            if let Some(told) = edges.iter().find_map(|edge| edge.lasting_told(&row.reason))
                && stayed_bad(row) =>
        {
            told
        }
        (RowKind::Always | RowKind::Good, _) => {
            let told = edges.iter().find(|edge| edge.touched > 0 || edge.edge.blind).map_or_else(
                || Told::unknown(format!("the probe was {}", row.reason)),
                |edge| edge.probe_told(&row.reason),
            );
            follows(row, findings, told)
        }
        _ => patterns::told(run, row, findings, of_row()).unwrap_or_else(nothing_seen),
    }
}

/// What a detector says of a subject.
fn of<'a>(findings: &'a [Finding], detector: Detector, subject: &Subject) -> Option<&'a Finding> {
    findings.iter().find(|finding| finding.detector == detector && &finding.subject == subject)
}

/// What was asserted.
fn asked<'a>(run: &RunView<'a>, row: &Row) -> Option<&'a Rule> {
    let asked = run.brief?.expectations.iter().find(|asked| asked.id == row.id)?;
    Some(&asked.rule)
}

/// How soon users are to be served as before.
fn recovered_within(run: &RunView<'_>, row: &Row) -> Option<Span> {
    match asked(run, row) {
        Some(Rule::Recovery { at_most }) => Some(*at_most),
        _ => None,
    }
}

/// True if a breaker was seen on this edge.
fn has_breaker(subject: &Subject, findings: &[Finding]) -> bool {
    of(findings, Detector::Breaker, subject).is_some_and(Finding::is_present)
}

/// Of a probe that goes bad with what was broken, and must not: it asks a dependency. Who restarts a service for that mends nothing.
fn follows(row: &Row, findings: &[Finding], told: Told) -> Told {
    let about = |finding: &&Finding| finding.detector == Detector::Health && finding.subject == row.subject;
    match findings.iter().find(about).filter(|finding| finding.is_present()) {
        Some(finding) if told.cause == Cause::Unknown => Told::new(
            Cause::HealthCheck,
            format!("the probe was {}; it follows what was broken: it {}", row.reason, finding.text),
            "a health check that asks no dependency: whoever restarts the service for what this one says mends nothing",
        ),
        _ => told,
    }
}

/// True if nothing was good again after the fault: what broke is not a matter of being reachable.
fn stayed_bad(row: &Row) -> bool {
    row.after.as_ref().is_some_and(|after| after.good == Some(0))
}

fn nothing_seen() -> Told {
    Told::unknown("nothing that the proxies saw explains it")
}

/// What is found of a load that keeps its service down by itself.
fn metastable<'a>(load: &LoadView, findings: &'a [Finding]) -> Option<&'a Finding> {
    let about = |finding: &&Finding| {
        finding.detector == Detector::Metastability && finding.subject == Subject::Load(load.name.clone())
    };
    findings.iter().find(about).filter(|finding| finding.is_present())
}

/// The load that a recovery row is about: the named one, else the one with the longest trouble.
fn slowest<'a>(run: &'a RunView<'_>, subject: &Subject) -> Option<&'a LoadView> {
    use crate::rows::{Recovered, recovered};
    if let Subject::Load(name) = subject {
        return run.load(name);
    }
    run.loads.iter().max_by_key(|load| match recovered(run, load) {
        Recovered::NotYet { watched, .. } | Recovered::Unclear { watched, .. } => (2, watched),
        Recovered::Within { high, .. } => (1, high),
        Recovered::TooFew { .. } | Recovered::Unknown(_) => (0, 0),
    })
}

/// What to do about a service that ended by itself: of a load that was raised only where nothing was broken.
fn not_the_process(run: &RunView<'_>) -> &'static str {
    if run.first_armed().is_none() && run.trouble().is_some() {
        "a limit on requests in flight: too many users may cost answers, not the process"
    } else {
        "handle the error that ended it: a sick dependency may cost an answer, not the process"
    }
}

/// If most of what users lost was lost after a service had died, the death is the cause.
fn crashed(run: &RunView<'_>, row: &Row) -> Option<Told> {
    let exit = run.exits.iter().find(|exit| exit.cause == ExitCause::Itself)?;
    let names: Vec<&LoadView> = match &row.subject {
        Subject::Load(name) => run.load(name).into_iter().collect(),
        Subject::Run | Subject::Probe(_) => run.loads.iter().collect(),
        Subject::Edge(_) => return None,
    };
    let bad = || {
        names
            .iter()
            .flat_map(|load| load.within(&run.during).chain(load.within(&run.recovery)))
            .filter(|point| !point.is_ok())
    };
    let all = bad().count();
    let later = bad().filter(|point| point.ended >= exit.at).count();
    (all == 0 && matches!(row.kind, RowKind::Always | RowKind::Good) || all > 0 && later * 2 >= all).then(
        || {
            let said = exit.last_words("; its last line: ", 120);
            Told::new(
                Cause::Crash,
                format!("{}, and {later} of {all} failed requests came after that{said}", end_of(exit)),
                not_the_process(run),
            )
        },
    )
}

/// What kept users unharmed, if nothing that they saw failed.
pub(crate) fn saved_by(run: &RunView<'_>, rows: &[Row], findings: &[Finding]) -> Vec<String> {
    let of_users = |row: &&Row| {
        matches!(row.kind, RowKind::Success | RowKind::Latency | RowKind::FailFast | RowKind::Alive)
    };
    if rows.iter().filter(of_users).any(|row| row.answer != Answer::Pass) || run.first_armed().is_none() {
        return Vec::new();
    }
    let patterns = [Detector::Timeout, Detector::Breaker, Detector::Fallback];
    findings
        .iter()
        .filter(|finding| patterns.contains(&finding.detector) && finding.is_present())
        .filter(|finding| finding.detector != Detector::Fallback || has_most(finding))
        .map(|finding| {
            format!("{} {}: {}", subject_name(&finding.subject), finding.detector.name(), finding.text)
        })
        .collect()
}

/// A fallback that is worth a word: at least one answer in a hundred.
fn has_most(finding: &Finding) -> bool {
    match &finding.state {
        State::Present { params } => {
            params.get("degraded").and_then(|share| share.value).is_some_and(|share| share >= 0.01)
        }
        _ => false,
    }
}
