//! What to change where a breaker is missing, opens too late, tries too often or is open for too long. It must never
//! look for why a row failed: that is known by then, and its words are taken over.

use murphy_core::Rule;

use super::{Facts, IN_A_ROW};
use crate::judgement::{Cause, Detector, Finding, Row};
use crate::phase::RunView;
use crate::why::{Told, asked};
use crate::words::{micros, span};

/// A breaker that opens, and later than it was asserted.
pub(in crate::why) fn opens_late(run: &RunView<'_>, row: &Row, findings: &[Finding]) -> Told {
    let facts = Facts { run, row, findings };
    let (calls, took) =
        (facts.value(Detector::Breaker, "calls-to-open"), facts.value(Detector::Breaker, "time-to-open"));
    let fewer = match (asked(run, row), calls, took) {
        (Some(Rule::BreakerOpensWithin { at_most }), Some(calls), Some(took)) if took > 0.0 => {
            let fits = (calls * at_most.as_secs_f64() / took).floor().max(1.0);
            format!(", {fits:.0} at most where {calls:.0} went by in {}", micros(took * 1e6))
        }
        (Some(Rule::CallsToOpen { at_most }), Some(calls), _) => {
            format!(", {at_most} at most where it took {calls:.0}")
        }
        _ => String::new(),
    };
    Told::new(
        Cause::NoBreaker,
        row.reason.clone(),
        format!(
            "a breaker that opens after fewer failures{fewer}, or a shorter timeout: a call counts once it has failed"
        ),
    )
}

/// A breaker that asks who is sick more often than it was asserted.
pub(in crate::why) fn tries_too_often(run: &RunView<'_>, row: &Row) -> Told {
    let window = match asked(run, row) {
        Some(Rule::HalfOpenEvery { at_least }) => format!("an open window of {} at least", span(*at_least)),
        _ => "a longer open window".to_owned(),
    };
    let change = format!("{window}, growing while tries fail, so that who is sick is asked less often");
    Told::new(Cause::NoBreaker, row.reason.clone(), change)
}

/// A breaker where there is none, in words.
pub(in crate::why) fn breaker_after(failed_in_a_row: Option<f64>) -> String {
    match failed_in_a_row {
        Some(failed) if failed > IN_A_ROW as f64 => {
            format!(
                "a circuit breaker that opens after {IN_A_ROW} failures in a row (there were {failed:.0})"
            )
        }
        _ => "a circuit breaker".to_owned(),
    }
}

impl Facts<'_> {
    pub(super) fn shorter_window(&self) -> String {
        let bound = match asked(self.run, self.row) {
            Some(Rule::BreakerCloses { at_most }) => format!(": {} at most", span(*at_most)),
            _ => String::new(),
        };
        let is = self
            .value(Detector::Breaker, "silence")
            .map_or_else(String::new, |window| format!(" (it is {})", micros(window * 1e6)));
        format!("a shorter open window{bound}{is}, or a half-open try every second")
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::{Rule, Span, Subject};
    use murphy_testkit::golden::{Break, Caller, Golden};

    use crate::why::patterns::tests::{change, edge};

    #[test]
    fn a_breaker_that_opens_late_is_told_how_many_failures_fit() {
        let late = Caller { breaker: Some((200, Span::from_secs(2))), ..Caller::careful() };
        let rule = Rule::BreakerOpensWithin { at_most: Span::from_secs(2) };
        let told = change(Golden::new("why", late, Break::Reset), edge(), rule);
        let fits = told.split(", ").nth(1).and_then(|words| words.split(' ').next()).expect("a number");
        let fits: f64 = fits.parse().expect("a number");
        // Sixty calls a second, for each of thirty users is tried twice.
        assert!((40.0..=130.0).contains(&fits) && told.contains(" at most where 20"), "{told}");
    }

    #[test]
    fn where_there_is_no_breaker_the_failures_in_a_row_are_told() {
        let told = change(Golden::new("why", Caller::careless(), Break::Reset), edge(), Rule::BreakerOpens);
        assert!(
            told.starts_with("a circuit breaker that opens after 5 failures in a row (there were "),
            "{told}"
        );
    }

    #[test]
    fn a_window_is_held_against_the_bound_of_closing_and_of_recovery() {
        let long = || Caller { breaker: Some((5, Span::from_secs(30))), ..Caller::careful() };
        let at_most = Span::from_secs(3);
        let closes =
            change(Golden::new("why", long(), Break::Reset), edge(), Rule::BreakerCloses { at_most });
        assert!(closes.starts_with("a shorter open window: 3s at most (it is "), "{closes}");
        let caller = Caller { stale: false, ..long() };
        let recovers =
            change(Golden::new("why", caller, Break::Reset), Subject::Run, Rule::Recovery { at_most });
        assert!(
            recovers.starts_with("to recover in 3s: an open window or reconnect wait of 2.4s or less"),
            "{recovers}"
        );
    }
}
