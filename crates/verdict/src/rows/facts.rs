//! What is asserted about a fact that a detector answers with yes or no: the fact, held against the wish.

use murphy_core::{Frequency, LoadName, Span, Subject};

use super::{Case, Draft, Recovered, recovered};
use crate::judgement::{Detector, Finding, RowKind, State};
use crate::words;

/// What is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Present,
    Absent,
}

/// What is asked: by which detector, and what is wished.
pub(super) struct Asked {
    pub kind: RowKind,
    pub detector: Detector,
    pub wish: Wish,
    pub rule: &'static str,
    /// The parameter that stands in the table.
    pub shown: &'static str,
}

pub(super) fn row(case: &Case<'_>, subject: &Subject, asked: &Asked, want: &str) -> Draft {
    let name = crate::judge::subject_name(subject);
    let draft = Draft::new(asked.kind, format!("{name} {}", asked.detector.name()), asked.rule);
    held(draft, finding(case, asked.detector, subject), asked, want)
}

fn finding<'a>(case: &Case<'a>, detector: Detector, subject: &Subject) -> Option<&'a Finding> {
    case.findings.iter().find(|finding| finding.detector == detector && &finding.subject == subject)
}

fn held(mut draft: Draft, finding: Option<&Finding>, asked: &Asked, want: &str) -> Draft {
    let Some(finding) = finding else {
        return draft.open("no such name in the journal", "correct the scenario");
    };
    draft.during = finding.param(asked.shown).cloned();
    match (&finding.state, asked.wish) {
        (State::Present { .. }, Wish::Present) | (State::Absent { .. }, Wish::Absent) => draft.pass(want),
        (State::Present { .. }, Wish::Absent) | (State::Absent { .. }, Wish::Present) => {
            draft.fail(format!("want {want}: {}", finding.text))
        }
        (State::Inconclusive { why, settle, .. }, _) => draft.open(why.clone(), settle.clone()),
        (State::NotApplicable { why }, _) => draft.open(why.clone(), "a fault that puts the question"),
    }
}

/// `back-off: grows`: a wait that is there and does not grow is not enough.
pub(super) fn back_off(case: &Case<'_>, subject: &Subject, want: &str) -> Draft {
    let asked = Asked {
        kind: RowKind::BackOff,
        detector: Detector::BackOff,
        wish: Wish::Present,
        rule: "pass if the last wait between tries is longer than the first by 15% or more, with its whole interval",
        shown: "growth",
    };
    let draft = row(case, subject, &asked, want);
    let found = finding(case, Detector::BackOff, subject);
    let shape = found.and_then(|finding| finding.param("shape")).map(|shape| shape.text.as_str());
    match shape {
        Some("constant") => draft.fail(format!("want {want}: the waits are constant")),
        Some("unresolved") => draft.open(
            found.map_or("", |finding| finding.text.as_str()),
            "a caller that tries three times or more, and more requests that fail",
        ),
        _ => draft,
    }
}

/// `dependency: as declared`: fails only where users need more than is declared. That they can do without what is declared hard
/// may be so under another fault alone.
pub(super) fn as_declared(case: &Case<'_>, subject: &Subject, want: &str) -> Draft {
    let asked = Asked {
        kind: RowKind::Dependency,
        detector: Detector::Dependency,
        wish: Wish::Absent,
        rule: "fail if the success rate drops by more than 2 points (Newcombe) without what is declared soft or not at all",
        shown: "success",
    };
    let draft = row(case, subject, &asked, want);
    match finding(case, Detector::Dependency, subject) {
        Some(finding) if finding.declared() == Some(Finding::HIDDEN) => {
            draft.fail(format!("want {want}: {}", finding.text))
        }
        Some(finding) if finding.declared().is_some() => draft.pass(want),
        Some(finding) if matches!(finding.state, State::Present { .. } | State::Absent { .. }) => {
            draft.open(finding.text.clone(), "a fault on one edge, and nothing else broken")
        }
        _ => draft,
    }
}

/// `metastability: none`: holds as well where nobody was hurt, so that nothing could last, and not where users are never served
/// again, though that is no metastability.
pub(super) fn metastability(case: &Case<'_>, load: &LoadName, want: &str) -> Draft {
    let asked = Asked {
        kind: RowKind::Metastability,
        detector: Detector::Metastability,
        wish: Wish::Absent,
        rule: "fail if fewer than half are served after the fault, with no rise, and once the load was stopped and begun again \
               either as many as before, or still fewer than half",
        shown: "low",
    };
    let subject = Subject::Load(load.clone());
    let mut draft = row(case, &subject, &asked, want);
    (draft.during, draft.after) = (None, draft.during);
    let unhurt = || {
        let load = case.run.load(load);
        load.is_some_and(|load| {
            load.within(&case.run.during).next().is_some()
                && matches!(recovered(case.run, load), Recovered::Within { high: 0, .. })
        })
    };
    let found = finding(case, Detector::Metastability, &subject);
    if let Some(stuck) = found.filter(|finding| finding.is_stuck()) {
        draft.after = stuck.param(Finding::KEPT).cloned();
        return draft.fail(format!("want {want}: {}", stuck.text));
    }
    match found.map(|finding| &finding.state) {
        Some(State::NotApplicable { why }) if unhurt() => {
            let why = why.clone();
            draft.settle = None;
            draft.pass(format!("{want}: {why}"))
        }
        _ => draft,
    }
}

/// `staleness: <= 60s`.
pub(super) fn staleness(case: &Case<'_>, subject: &Subject, at_most: Span, want: &str) -> Draft {
    let name = crate::judge::subject_name(subject);
    let mut draft = Draft::new(
        RowKind::Staleness,
        format!("{name} staleness"),
        "pass if the oldest answer during the fault, by its Age header, is at or below the bound",
    );
    let found = finding(case, Detector::Fallback, subject);
    match found.and_then(|finding| finding.param("oldest")) {
        Some(oldest) => {
            draft.during = Some(oldest.clone());
            if oldest.value.is_some_and(|age| age <= at_most.as_secs_f64()) {
                draft.pass(want)
            } else {
                draft.fail(format!("want {want}"))
            }
        }
        None if found.is_some_and(|finding| matches!(finding.state, State::Absent { .. })) => {
            draft.pass(format!("{want}; no degraded answer"))
        }
        None => draft.open("no answer says how old it is", "an `Age` header on answers from a cache"),
    }
}

/// `start-up: <= 30s`.
pub(super) fn start_up(case: &Case<'_>, subject: &Subject, at_most: Span, want: &str) -> Draft {
    let asked = Asked {
        kind: RowKind::StartUp,
        detector: Detector::StartUp,
        wish: Wish::Absent,
        rule: "pass if three good answers in a row come while the dependency is still down, and begin within the bound after the \
               start; fail if none do, or the probe was bad after the bound",
        shown: "ready",
    };
    let draft = row(case, subject, &asked, want);
    let found = finding(case, Detector::StartUp, subject);
    let ready = found.filter(|finding| matches!(finding.state, State::Absent { .. }));
    let ready = ready.and_then(|finding| finding.param("ready"));
    let bound = at_most.as_secs_f64();
    match ready.and_then(|ready| Some((ready.low?, ready.value?))) {
        Some((still_bad, ready)) if still_bad > bound => {
            draft.fail(format!("want {want}, ready after {}", words::micros(ready * 1e6)))
        }
        Some((still_bad, ready)) if ready > bound => draft.open(
            format!(
                "bad {} after the start and good after {}",
                words::micros(still_bad * 1e6),
                words::micros(ready * 1e6)
            ),
            "a shorter `every` of the probe",
        ),
        _ => draft,
    }
}

/// `dead-letters: <= 3`.
pub(super) fn dead_letters(case: &Case<'_>, subject: &Subject, at_most: u32, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::DeadLetters,
        format!("{} dead letters", crate::judge::subject_name(subject)),
        "pass if no more acknowledged writes than that stand with the dead letters when all is over, nor may yet from a queue; fail if \
         more do",
    );
    let Some(found) = finding(case, Detector::Lost, subject) else {
        return draft.open("no such name in the journal", "correct the scenario");
    };
    draft.during = found.param(Finding::DEAD_LETTERED).cloned();
    let written = draft.during.as_ref().map_or(0, |dead| dead.n);
    let queued = found.param("queued").and_then(|queued| queued.value);
    match (draft.during.as_ref().and_then(|dead| dead.value), &found.state) {
        (Some(dead), _) if dead > f64::from(at_most) => draft.fail(format!("want {want}")),
        // What waits still may be given up yet.
        (Some(dead), _) if queued.is_some_and(|queued| dead + queued > f64::from(at_most)) => draft.open(
            "more writes are queued still than may be given up yet",
            "a longer `within` of the ledger, so that its queue is empty",
        ),
        (Some(_), _) if written <= u64::from(at_most) => draft.open(
            format!("only {} that could have ended there", words::plural(written, "acknowledged write")),
            "more writes: a higher rate",
        ),
        (Some(_), _) => draft.pass(want),
        (None, State::Inconclusive { why, settle, .. }) => draft.open(why.clone(), settle.clone()),
        (None, _) => {
            draft.open("nobody asked for dead letters", "`dead-letters` in the `ledger` of the load")
        }
    }
}

/// `capacity: >= 100/s`.
pub(super) fn capacity(case: &Case<'_>, subject: &Subject, at_least: Frequency, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Capacity,
        format!("{} capacity", crate::judge::subject_name(subject)),
        "pass if the last rate that good answers followed is at or above the bound, fail if the first that they did not is at or below it",
    );
    let Some(found) = finding(case, Detector::Capacity, subject) else {
        return draft.open("no such name in the journal", "correct the scenario");
    };
    match &found.state {
        State::Present { .. } | State::Absent { .. } => {}
        State::Inconclusive { why, settle, .. } => return draft.open(why.clone(), settle.clone()),
        State::NotApplicable { why } => return draft.open(why.clone(), "a `ramp` in the load"),
    }
    let bound = at_least.as_per_second();
    draft.during = found.param("capacity").cloned();
    let (low, high) = draft.during.as_ref().map_or((None, None), |seen| (seen.low, seen.high));
    match (low, high) {
        (Some(low), _) if low >= bound => draft.pass(want),
        (_, Some(high)) if high <= bound => draft.fail(format!("want {want}: {}", found.text)),
        (_, Some(_)) => draft.open(
            format!("{at_least} lies between the last rate that is served and the first that is not"),
            "smaller steps: `by: 1.1`",
        ),
        (_, None) => draft.open(
            format!("all that was tried is served, but {at_least} was not"),
            format!("a ramp that goes further: `to: {at_least}`"),
        ),
    }
}

/// `follows: <= 10s`.
pub(super) fn follows(case: &Case<'_>, subject: &Subject, at_most: Span, want: &str) -> Draft {
    let asked = Asked {
        kind: RowKind::Follows,
        detector: Detector::Health,
        wish: Wish::Present,
        rule: "pass if three bad answers in a row begin within the bound after the fault, and three good ones come after it",
        shown: "lag",
    };
    let mut draft = row(case, subject, &asked, want);
    draft.label = format!("{} follows", crate::judge::subject_name(subject));
    let Some(finding) = finding(case, Detector::Health, subject).filter(|finding| finding.is_present())
    else {
        return draft;
    };
    let lag = finding.param("lag").and_then(|lag| lag.value).unwrap_or(0.0);
    if lag > at_most.as_secs_f64() {
        return draft.fail(format!("want {want}, bad after {}", words::micros(lag * 1e6)));
    }
    if finding.param("back").is_none() {
        return draft.open("not seen good again after the fault", "a longer recovery phase");
    }
    draft
}
