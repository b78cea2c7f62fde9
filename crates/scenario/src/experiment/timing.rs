//! When a fault is in the world: its start, its length, and how often it comes again.

use murphy_core::Span;

use super::context::{Check, Cursor};
use crate::fault_document::FaultDoc;

/// Start and length, within the fault phase.
pub(super) fn window(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &FaultDoc,
) -> Option<(Span, Span)> {
    check.some_time(here, "for", document.lasts);
    let phase = check.phases?.fault;
    let at = document.at.unwrap_or(Span::ZERO);
    if phase.is_zero() {
        return None;
    }
    if at >= phase {
        check
            .findings
            .error(here.value("at"), format!("starts at {at}, but the fault phase is over after {phase}"))
            .help(format!("write an earlier `at`, or a longer phase: `phases: {{ fault: {} }}`", longer(at)));
        return None;
    }
    let left: Span = (phase.as_duration() - at.as_duration()).into();
    let lasts = document.lasts.unwrap_or(left);
    if lasts > left {
        let end: Span = (at.as_duration() + lasts.as_duration()).into();
        check
            .findings
            .error(here.value("for"), format!("lasts until {end}, but the fault phase is over after {phase}"))
            .help(format!("write `for: {left}`, or a longer phase: `phases: {{ fault: {end} }}`"));
        return None;
    }
    Some((at, lasts))
}

/// All starts of a fault: one, or with `every` as many as fit whole into the fault phase.
pub(super) fn starts(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &FaultDoc,
    at: Span,
    lasts: Span,
) -> Vec<Span> {
    let (Some(every), Some(phases)) = (document.every, check.phases) else { return vec![at] };
    if document.lasts.is_none() {
        if !here.is_gone("for") {
            check
                .findings
                .error(
                    here.value("every"),
                    "`every` without `for`: it would last to the end of the phase the first time",
                )
                .help(format!("write how long it lasts each time, for example `for: {}`", half(every)));
        }
        return vec![at];
    }
    if every <= lasts {
        check
            .findings
            .error(here.value("every"), format!("starts again every {every}, but lasts {lasts} each time"))
            .help("write a shorter `for` or a longer `every`; for one long fault leave `every` out");
        return vec![at];
    }
    let (phase, every, lasts) = (phases.fault.as_micros(), every.as_micros(), lasts.as_micros());
    let starts: Vec<Span> = (0..)
        .map(|n: u64| at.as_micros().saturating_add(every.saturating_mul(n)))
        .take_while(|start| start.saturating_add(lasts) <= phase)
        .take(MOST_REPEATS + 1)
        .map(Span::from_micros)
        .collect();
    if starts.len() > MOST_REPEATS {
        check
            .findings
            .error(here.value("every"), format!("more than {MOST_REPEATS} times within the fault phase"))
            .help("write a longer `every`");
        return vec![at];
    }
    if starts.len() < 2 {
        check
            .findings
            .error(
                here.value("every"),
                "it happens only once: the fault phase is over before its second time",
            )
            .help("write a shorter `every`, or a longer fault phase");
    }
    starts
}

/// A fault does not start more often than this.
const MOST_REPEATS: usize = 500;

fn half(span: Span) -> Span {
    Span::from_micros((span.as_micros() / 2).max(1))
}

fn longer(at: Span) -> Span {
    (at.as_duration() + std::time::Duration::from_secs(10)).into()
}
