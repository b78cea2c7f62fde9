//! Services that Murphy starts.

use murphy_core::{ServiceName, Span};

use super::context::{Check, Cursor};
use super::question;
use crate::document::ServiceDoc;
use crate::node::shortened;
use crate::plan::ServicePlan;

/// The time that a service has to become ready, if the file does not say.
const WITHIN: Span = Span::from_secs(10);

pub(super) fn plan(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    name: &str,
    document: &ServiceDoc,
) -> Option<ServicePlan> {
    let name_good = check.name(here.own(), name, ServiceName::new);
    check.some_time(here, "within", document.within);
    match &document.run {
        None => check.missing(here, &format!("`{}`", shortened(name)), "run", "[program, argument]"),
        Some(argv) => {
            question::argv(check, here, "run", argv);
        }
    }
    if document.dir.as_ref().is_some_and(|dir| dir.trim().is_empty() || dir.contains('\0')) {
        check
            .findings
            .error(here.value("dir"), "`dir` is not a directory")
            .help("write a path, or remove the key");
    }
    if let Some(table) = here.child("env") {
        for (variable, at) in table.fields() {
            let value_bad = document.env.get(variable).is_some_and(|value| value.contains('\0'));
            if variable.is_empty() || variable.contains(['=', '\0']) || value_bad {
                check
                    .findings
                    .error(at.own(), "this cannot be a variable of a process")
                    .help("write for example `PORT: 8080`");
            }
        }
    }
    let ready = match (&document.ready, here.child("ready")) {
        (Some(ready), Some(at)) => Some(question::plan(check, at, "ready", ready)?),
        _ => None,
    };
    Some(ServicePlan {
        name: name_good?,
        run: document.run.clone().filter(|argv| !argv.is_empty())?,
        dir: document.dir.as_ref().map(|dir| check.findings.source().relative(dir, here.value("dir"))),
        env: document.env.clone(),
        ready,
        within: document.within.unwrap_or(WITHIN),
    })
}
