//! What a fault waits for: whether it can be seen, and whether it leaves anything to decide.

use murphy_core::{EdgeName, ProbeName};

use super::context::{Check, Cursor, Kind};
use crate::fault_document::FaultDoc;
use crate::plan::{FaultStep, Plan, ProbeState, Trigger};

/// `Some(None)` for a fault that waits for nothing, `None` for one whose trigger is wrong.
pub(super) fn trigger(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &FaultDoc,
) -> Option<Option<Trigger>> {
    let keys: Vec<&'static str> = ["after", "when"].into_iter().filter(|key| here.has(key)).collect();
    let [key] = keys[..] else {
        if let [first, second] = keys[..] {
            let help = "a fault waits for one thing; remove one of the two";
            check.not_both(here, [first, second], "in one fault", help);
            return None;
        }
        return Some(None);
    };
    if here.has("every") {
        check
            .findings
            .error(
                here.key("every"),
                format!("`every` in a fault with `{key}`: it begins once, when that is seen"),
            )
            .also(here.key(key), "what it waits for")
            .help("remove one of the two");
        return None;
    }
    let at = here.child(key)?;
    match key {
        "after" => after(check, at, document),
        _ => when(check, at, document),
    }
    .map(Some)
}

fn after(check: &mut Check<'_, '_>, at: Cursor<'_>, document: &FaultDoc) -> Option<Trigger> {
    let after = document.after.as_ref()?;
    if after.nth == Some(0) {
        let one = after.of.one();
        check
            .findings
            .error(at.value("nth"), format!("there is no {one} 0: they are counted from 1"))
            .help("write `nth: 1`; for a fault that waits for nothing remove `after`");
    }
    match &after.edge {
        None => check.missing(at, "`after`", "edge", "NAME"),
        Some(edge) => drop(check.must_be(Kind::Edge, edge, at.value("edge"))),
    }
    if after.nth.is_none() {
        check.missing(at, "`after`", "nth", "3");
    }
    let nth = after.nth.filter(|nth| *nth > 0)?;
    Some(Trigger::After { edge: EdgeName::new(after.edge.as_ref()?).ok()?, nth, of: after.of })
}

fn when(check: &mut Check<'_, '_>, at: Cursor<'_>, document: &FaultDoc) -> Option<Trigger> {
    let when = document.when.as_ref()?;
    match &when.probe {
        None => check.missing(at, "`when`", "probe", "NAME"),
        Some(probe) => drop(check.must_be(Kind::Probe, probe, at.value("probe"))),
    }
    if when.is.is_none() {
        check.missing(at, "`when`", "is", "failing");
    }
    Some(Trigger::When { probe: ProbeName::new(when.probe.as_ref()?).ok()?, is: when.is? })
}

/// A probe that is to fail first, where nothing makes it fail.
pub(super) fn never_comes(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan) {
    let waits =
        |step: &FaultStep| matches!(step.trigger, Some(Trigger::When { is: ProbeState::Failing, .. }));
    if plan.faults.is_empty() || !plan.faults.iter().all(waits) {
        return;
    }
    let Some(first) = root.child("faults").and_then(|list| list.children().next()) else { return };
    check
        .findings
        .warning(first.key("when"), "nothing is broken before this: the probe may never fail")
        .help(
            "write another fault that begins by itself; a fault that never begins makes the run inconclusive",
        );
}
