//! What is asked of writes: it needs a ledger of the load that reads them back, and the places that it is about.

use murphy_core::{Expectation, Rule, Subject};

use super::context::{Check, Cursor};
use super::lint::place_of;
use crate::plan::Plan;

/// Reports what no ledger can tell.
pub(super) fn errors(check: &mut Check<'_, '_>, root: Cursor<'_>, plan: &Plan, rule: &Expectation) {
    let Subject::Load(name) = &rule.subject else { return };
    let Some(load) = plan.loads.iter().find(|load| &load.name == name) else { return };
    let at = place_of(root, rule);
    let Some(ledger) = &load.ledger else {
        check
            .findings
            .error(
                at,
                format!("`{}` needs to read back what was written, and `{name}` has no `ledger`", rule.id),
            )
            .help(format!(
                "write below `{name}`: `ledger: {{ read: {{ http: http://127.0.0.1:8000/orders }} }}`"
            ));
        return;
    };
    // One that is written and wrong was reported as such.
    let section = root.child("load").and_then(|section| section.child(name.as_str()));
    let written = section.and_then(|load| load.child("ledger")).is_some_and(|it| it.meant("dead-letters"));
    if matches!(rule.rule, Rule::DeadLetters { .. }) && ledger.dead_letters.is_none() && !written {
        check
            .findings
            .error(
                at,
                format!(
                    "`{}` needs a `ledger` that asks for `dead-letters`, and that of `{name}` does not",
                    rule.id
                ),
            )
            .help(format!(
                "write below the `ledger` of `{name}`: `dead-letters: {{ http: http://127.0.0.1:8000/dead }}`"
            ));
    }
}
