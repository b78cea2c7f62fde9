//! What is asserted about when a breaker opens and closes. That it opens at all is asked in `edge`.

use murphy_core::{Answer, EdgeName, Span};

use super::{Case, Draft, edge};
use crate::judgement::{Detector, RowKind, State};
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
