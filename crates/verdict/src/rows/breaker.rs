//! What is asserted about when a breaker opens, tries again and closes. That it opens at all is asked in `edge`.

use murphy_core::{Answer, EdgeName, Span};

use super::{Case, Draft, edge};
use crate::judgement::{Detector, Finding, RowKind, State};
use crate::solo::unasked;
use crate::words;

/// `breaker: opens within 2s`.
pub(super) fn opens_within(case: &Case<'_>, name: &EdgeName, at_most: Span, want: &str) -> Draft {
    let mut draft = edge::breaker(case, name, want);
    draft.rule = format!(
        "{}; fail if the first silence begins later than the bound after the first failing call",
        draft.rule
    );
    if draft.answer != Answer::Pass {
        return draft;
    }
    let finding = case.finding(Detector::Breaker, name);
    let Some(time) = finding.and_then(|finding| finding.param("time-to-open")).cloned() else {
        return draft.open("it was not seen when it opens", "a longer fault or a higher rate");
    };
    let took = time.value.unwrap_or(0.0);
    draft.during = Some(time.says(format!("opens after {}", words::micros(took * 1e6))));
    if took <= at_most.as_secs_f64() {
        draft
    } else {
        draft
            .fail(format!("want {want}; it opens {} after the first failing call", words::micros(took * 1e6)))
    }
}

/// `calls-to-open: <= 5`.
pub(super) fn calls_to_open(case: &Case<'_>, name: &EdgeName, at_most: u32, want: &str) -> Draft {
    let mut draft = Draft {
        kind: RowKind::CallsToOpen,
        label: format!("{name} calls-to-open"),
        ..edge::breaker(case, name, want)
    };
    draft.rule = format!(
        "{}; pass if all calls that fail before the first silence are no more than the bound, fail if those in a row that it knew of \
         while it was closed, and one more, are",
        draft.rule
    );
    let finding = case.finding(Detector::Breaker, name);
    if draft.answer == Answer::Fail && went_by(case, name, finding) <= u64::from(at_most) {
        return draft.open(
            "no silent interval, but no more calls in a row failed or were slow than it may take",
            "more of them: a longer fault or a higher rate",
        );
    }
    if draft.answer != Answer::Pass {
        return draft;
    }
    let Some(calls) = finding.and_then(|finding| finding.param("calls-to-open")).cloned() else {
        return draft
            .open("it was not seen after how many calls it opens", "a longer fault or a higher rate");
    };
    draft.during = Some(calls.clone());
    let bound = f64::from(at_most);
    match (calls.low, calls.high) {
        (_, Some(high)) if high <= bound => draft.pass(want),
        // That calls stop after more is no breaker's doing where it is open whether there is one: several may stand behind the edge.
        (Some(low), _) if low > bound && finding.is_some_and(Finding::is_present) => {
            draft.fail(format!("want {want}; it opens after {} failed calls", calls.text))
        }
        (Some(low), _) if low > bound => edge::undecided(draft, finding),
        _ => draft.open(
            format!("{} straddles {at_most}: calls were under way when it opened", calls.text),
            "a fault that fails calls at once (`reset`, `abort`), and all of them",
        ),
    }
}

/// How many calls a breaker that did not open let by: those that failed in a row or, where none is given up, those that were slow.
fn went_by(case: &Case<'_>, name: &EdgeName, finding: Option<&Finding>) -> u64 {
    let in_a_row = finding.and_then(|finding| finding.param("failed-in-a-row")).and_then(|calls| calls.value);
    let slow = || {
        let edge = case.run.edges.iter().find(|edge| &edge.name == name);
        edge.map_or(0, |edge| {
            edge.within(&edge.hurt).filter(|call| call.touched && !call.is_made_up()).count() as u64
        })
    };
    in_a_row.map_or_else(slow, |calls| calls as u64)
}

/// A timer of exactly the bound, as a proxy sees it: 5 % and 10 ms.
fn with_tolerance(bound: Span) -> f64 {
    (bound.as_micros() as f64 / 1.05 - 10_000.0).max(0.0)
}

/// With fewer calls of others than this in the longest silence, on average, they do not end all silences: the longest is one that the
/// caller itself ended.
const OF_OTHERS: f64 = 0.5;
/// Nor do they if chance has them end every open window of the bound's length less often than this.
const BY_CHANCE: f64 = 0.05;

/// True if others, who call so often a second, may have ended every one of so many silences of a caller that keeps to the bound, in
/// seconds. They need not come by chance: who calls once in each open window ends all of them.
fn may_end_all(others: f64, bound: f64, silences: u64) -> bool {
    // One call leaves two silences of one open window.
    let windows = i32::try_from(silences.div_ceil(2).max(1)).unwrap_or(i32::MAX);
    (others * bound).min(1.0).powi(windows) > BY_CHANCE
}

/// `half-open-every: >= 5s`.
pub(super) fn half_open_every(case: &Case<'_>, name: &EdgeName, at_least: Span, want: &str) -> Draft {
    let mut draft = Draft {
        kind: RowKind::HalfOpenEvery,
        label: format!("{name} half-open-every"),
        ..edge::breaker(case, name, want)
    };
    draft.rule = format!(
        "{}; pass if the shortest silence between two tries is the bound or longer (with 5% and 10ms for timers), fail if the longest is \
         shorter",
        draft.rule
    );
    if draft.answer != Answer::Pass {
        return draft;
    }
    let finding = case.finding(Detector::Breaker, name);
    let Some(every) = finding.and_then(|finding| finding.param("half-open-every")).cloned() else {
        return match finding.filter(|finding| !finding.is_present()) {
            Some(_) => edge::undecided(draft, finding),
            None => draft.open("it was not seen to try twice", "a fault of three open windows or longer"),
        };
    };
    draft.during = Some(every.clone());
    let bound = with_tolerance(at_least) / 1e6;
    match (every.low, every.high) {
        (Some(low), _) if low >= bound => draft.pass(want),
        (_, Some(high)) if high < bound => {
            let edge = case.run.edges.iter().find(|edge| &edge.name == name);
            let others = edge.map_or(0.0, |edge| unasked(case.run.lives(), edge, &case.run.baseline));
            let others = others * 1e6;
            if others * high >= OF_OTHERS || may_end_all(others, at_least.as_secs_f64(), every.n) {
                return draft.open(
                    "calls that no request asked for, as a poller's, end its silences",
                    "an edge of its own for who asks besides",
                );
            }
            draft.fail(format!("want {want}; it tries again every {}", every.text))
        }
        (_, None) => draft.open(format!("no try was seen in {}", every.text), "a longer fault"),
        _ => draft.open(
            format!("{} straddles {}", every.text, words::span(at_least)),
            "a longer fault; windows that are drawn at random have no one length",
        ),
    }
}

/// So long must calls be made as before.
const SUSTAINED: f64 = 5.0;

/// `closes: <= 10s`.
pub(super) fn closes(case: &Case<'_>, name: &EdgeName, at_most: Span, want: &str) -> Draft {
    let mut draft = Draft::new(
        RowKind::Closes,
        format!("{name} closes"),
        "of a breaker that opened: pass if from a call within the bound of the lift on four in five of those that are due are made, \
         for 5s; fail if that call comes later, or none does",
    );
    let finding = case.finding(Detector::Breaker, name);
    if finding.is_some_and(|finding| matches!(finding.state, State::Absent { .. })) {
        return draft.open("it never opened", "a fault under which the breaker opens");
    }
    // The calls of the dead stop too, and are not made as before.
    let lives = edge::lives(case, name);
    let Some(finding) = finding.filter(|finding| lives && finding.param("opens").is_some()) else {
        return edge::undecided(draft, finding);
    };
    let bound = at_most.as_secs_f64();
    if let Some(closes) = finding.param("closes") {
        draft.after = Some(closes.clone());
        return match closes.value {
            Some(after) if after <= bound => draft.pass(want),
            _ => draft.fail(format!("want {want}")),
        };
    }
    let end = case.run.recovery.iter().map(|part| part.to).max().map(|end| end.min(case.run.last));
    let watched =
        case.run.lifted.zip(end).map_or(0.0, |(lifted, end)| end.saturating_sub(lifted) as f64 / 1e6);
    // A second more, for windows that end with the run.
    if watched > bound + SUSTAINED + 1.0 {
        return draft.fail(format!("want {want}; not called as before in {}", words::micros(watched * 1e6)));
    }
    draft.open("it was not seen to call as before", "a longer recovery phase")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_silences_that_somebody_else_may_have_ended_are_no_proof_of_a_short_window() {
        // Somebody asks once in twelve seconds, and tries are to be five apart.
        let seldom = 1.0 / 12.0;
        assert!(may_end_all(seldom, 5.0, 1) && may_end_all(seldom, 5.0, 4));
        assert!(!may_end_all(seldom, 5.0, 8), "not all of them");
        // Who asks every second ends however many there are, and nobody ends none.
        assert!(may_end_all(1.0, 5.0, 1_000));
        assert!(!may_end_all(0.0, 5.0, 1));
    }
}
