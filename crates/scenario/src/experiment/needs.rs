//! What loads declare of the edges that their users need, and what is asked about it.

use murphy_core::{Expectation, Subject};

use super::context::Check;
use crate::plan::Plan;
use crate::source_map::Region;

/// True if a load is asked about that declares nothing.
pub(super) fn undeclared(plan: &Plan, subject: &Subject) -> bool {
    let Subject::Load(name) = subject else { return false };
    plan.loads.iter().any(|load| &load.name == name && load.depends_on.is_none())
}

/// Reports it.
pub(super) fn error(check: &mut Check<'_, '_>, at: Region, plan: &Plan, rule: &Expectation) {
    check
        .findings
        .error(
            at,
            format!("`{}` is held against what the load declares, and it has no `depends-on`", rule.id),
        )
        .help(example(plan, &rule.subject));
}

/// What to write so that a load says what its users need.
fn example(plan: &Plan, subject: &Subject) -> String {
    let load = match subject {
        Subject::Load(name) => name.as_str(),
        Subject::Probe(_) | Subject::Edge(_) | Subject::Run => "the load",
    };
    let edge = plan.edges.first().map_or("EDGE", |edge| edge.name.as_str());
    format!("write below `{load}`: `depends-on: {{ {edge}: hard }}`")
}

/// True if a load says whether its users need this edge.
pub(super) fn is_declared(plan: &Plan, name: &str) -> bool {
    let mut declared = plan.loads.iter().filter_map(|load| load.depends_on.as_ref());
    declared.any(|needs| needs.keys().any(|edge| edge.as_str() == name))
}
