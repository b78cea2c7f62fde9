//! Why a row failed: the mechanism that the facts allow, with its numbers, and one change that would help. A mechanism is
//! named only if its numbers fit what users saw; otherwise the cause is said to be unknown.

mod edge_facts;
mod recovery;
mod users;

use murphy_core::{Answer, ExitCause, Subject};

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
            let held_down = load.and_then(|load| metastable(load, findings));
            match held_down.zip(change_for(RowKind::Metastability)) {
                Some((finding, (cause, change))) => Told::new(cause, finding.text.clone(), change),
                None => recovery::recovery(run, load, edges),
            }
        }
        (RowKind::Metastability, subject)
            if findings.iter().any(|finding| finding.is_stuck() && finding.subject == *subject) =>
        {
            recovery::recovery(run, slowest(run, subject), edges)
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
        (kind, _) if change_for(kind).is_some() => {
            let (cause, change) = change_for(kind).unwrap_or((Cause::Unknown, ""));
            Told::new(cause, row.reason.clone(), change)
        }
        // There is one, and it opens too late.
        (RowKind::Breaker, subject)
            if findings.iter().any(|finding| {
                finding.detector == Detector::Breaker && finding.subject == *subject && finding.is_present()
            }) =>
        {
            Told::new(
                Cause::NoBreaker,
                row.reason.clone(),
                "a breaker that opens after fewer failures, or a shorter timeout: a call counts once it has failed",
            )
        }
        (RowKind::Breaker, _) => of_row().map_or_else(nothing_seen, |edge| edge.breaker_told(findings)),
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
        _ => nothing_seen(),
    }
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

/// Rows whose reason is the mechanism itself.
fn change_for(kind: RowKind) -> Option<(Cause, &'static str)> {
    Some(match kind {
        RowKind::BackOff => {
            (Cause::NoBackOff, "double the wait with each try, up to a cap, and draw it at random")
        }
        RowKind::Jitter => (
            Cause::NoBackOff,
            "draw each wait between zero and its bound, so that callers that failed together do not come back together",
        ),
        RowKind::Reconnect => {
            (Cause::Herd, "wait a random time before connecting anew, growing with each try")
        }
        RowKind::Leak => (Cause::Leak, "close the connection of a call that is given up"),
        RowKind::Failover => (
            Cause::NoFailover,
            "take an instance out for some seconds after a few failures in a row, and let one call try it then",
        ),
        RowKind::Shedding => (
            Cause::NoShedding,
            "a limit on requests in flight, and a 503 with Retry-After at once for what is beyond it",
        ),
        RowKind::Capacity => (
            Cause::TooMany,
            "more instances or more processors for the service, a larger pool where that is the limit, or less work a request",
        ),
        RowKind::Metastability => (
            Cause::Metastable,
            "a retry budget of 10% or a breaker in the caller, and in the service a short queue that refuses what is beyond it",
        ),
        RowKind::Lost => (
            Cause::LostWrites,
            "acknowledge a write only when it is on disk, or at a second instance: sync before the answer, not after it",
        ),
        RowKind::Duplicates => (
            Cause::DoneTwice,
            "keep the id of each write and make it unique, so that a second try finds that the first was carried out",
        ),
        RowKind::DeadLetters => (
            Cause::GivenUp,
            "deliver a message again for longer than its dependency may be away, with waits that grow, and put aside at once only what can \
             never be done",
        ),
        RowKind::Staleness => {
            (Cause::DegradedAnswers, "an end to the age at which an old answer is still served")
        }
        RowKind::StartUp => (
            Cause::NeededToStart,
            "start without it, answer what can be answered, and connect in the background until it is there",
        ),
        RowKind::Closes => (Cause::SlowRecovery, "a shorter open window, or a half-open try every second"),
        RowKind::Follows => {
            (Cause::HealthCheck, "let readiness ask the breaker of a dependency that is needed")
        }
        _ => return None,
    })
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
