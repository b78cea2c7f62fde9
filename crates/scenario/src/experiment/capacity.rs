//! What can be told of how much a service can serve: a load must be raised, as far as is asked, and with nothing broken.

use murphy_core::{Expectation, Frequency, Subject};

use super::context::{Check, Cursor};
use super::lint::place_of;
use crate::plan::Plan;

/// Reports a bound that no ramp can reach, or none that is seen.
pub(super) fn errors(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    plan: &Plan,
    rule: &Expectation,
    at_least: Frequency,
) {
    let Subject::Load(name) = &rule.subject else { return };
    let Some(load) = plan.loads.iter().find(|load| &load.name == name) else { return };
    let at = place_of(root, rule);
    let Some(ramp) = load.ramp else {
        // One that is written and wrong was reported as such.
        let section = root.child("load").and_then(|section| section.child(name.as_str()));
        if !section.is_some_and(|load| load.has("ramp")) {
            check
                .findings
                .error(at, format!("`{}` needs a load that is raised, and `{name}` has no `ramp`", rule.id))
                .help(format!("write below `{name}`: `ramp: {{ to: {at_least} }}`, or more"));
        }
        return;
    };
    if ramp.to < at_least {
        check
            .findings
            .error(at, format!("`{}` can never hold: `{name}` is raised to {} only", rule.id, ramp.to))
            .help(format!("write `to: {at_least}` or more in its `ramp`"));
        return;
    }
    // The last requests of a step must be over before something breaks.
    let needed = ramp.every.as_micros().saturating_add(load.timeout.as_micros());
    let first = plan.faults.iter().filter(|step| step.trigger.is_none()).map(|step| step.at).min();
    if let Some(first) = first.filter(|first| first.as_micros() < needed) {
        check
            .findings
            .error(
                at,
                format!(
                    "`{}` can never be told: something breaks {first} into the fault phase, before the first step of `{name}` is over",
                    rule.id
                ),
            )
            .help("write a later `at` in the fault, or a scenario of its own without any");
    }
}
