//! Faults on a network: which stretch is meant, and whether the fault can sit on one of that kind.

use murphy_faults::Fault;

use super::context::{Check, Cursor};
use crate::caller::Caller;
use crate::fault_document::NetworkDoc;
use crate::names::Names;
use crate::plan::FaultTarget;
use crate::source_map::Region;
use crate::stretch::{Stretch, StretchError};

/// Which stretch is meant.
pub(super) fn target(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &NetworkDoc,
    fault: Option<&Fault>,
) -> Option<FaultTarget> {
    let stretch = stretch(check, here, document)?;
    match fault.map_or(Ok(()), |fault| stretch.takes(fault)) {
        Err(error @ StretchError::KnowsNoSides { .. }) => {
            check
                .findings
                .error(here.own(), error.to_string())
                .help("write `network: { of: NAME }`; or use an edge, for the calls to one dependency");
            return None;
        }
        Err(error @ StretchError::NeedsSides { .. }) => {
            check.findings.error(here.key("of"), error.to_string()).help(
                "write `network: { between: [NAME, NAME] }`, or `{ from: NAME, to: NAME }` for one way",
            );
            return None;
        }
        // What acts elsewhere has been refused already.
        _ => {}
    }
    Some(FaultTarget::Network { network: stretch })
}

fn stretch(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &NetworkDoc) -> Option<Stretch> {
    let forms = [here.has("between"), here.has("from") || here.has("to"), here.has("of")];
    if forms.into_iter().filter(|form| *form).count() != 1 {
        if !here.has_gone() {
            check.findings.error(here.own(), "a network is named in one of three ways").help(
                "write `{ between: [web, db] }`, or `{ from: web, to: db }` for one way, or `{ of: web }`",
            );
        }
        return None;
    }
    if let Some(groups) = &document.between {
        let at = here.value("between");
        let groups = groups.iter().map(|group| callers(check, at, group)).collect::<Option<Vec<_>>>()?;
        let help = if groups.len() < 2 {
            "write at least two: `between: [web, db]`, or groups: `between: [[web, worker], db]`"
        } else {
            "name each in one group only; what is in no group reaches everybody"
        };
        return said(check, at, Stretch::between(groups), help);
    }
    if let Some(of) = &document.of {
        return Some(Stretch::Of { callers: callers(check, here.value("of"), of)? });
    }
    for key in ["from", "to"] {
        check.missing(here, "one way", key, "web");
    }
    let from = callers(check, here.value("from"), document.from.as_ref()?)?;
    let to = callers(check, here.value("to"), document.to.as_ref()?)?;
    said(check, here.value("to"), Stretch::one_way(from, to), "name it on one side only")
}

/// A stretch, or what is wrong with it and the help.
fn said(
    check: &mut Check<'_, '_>,
    at: Region,
    stretch: Result<Stretch, StretchError>,
    help: &str,
) -> Option<Stretch> {
    stretch.map_err(|error| check.findings.error(at, error.to_string()).help(help)).ok()
}

fn callers(check: &mut Check<'_, '_>, at: Region, names: &Names) -> Option<Vec<Caller>> {
    let mut all = Vec::new();
    for name in &names.0 {
        match name.parse::<Caller>() {
            Ok(caller) => all.push(caller),
            Err(error) => {
                check.refuse(at, &error);
                return None;
            }
        }
    }
    Some(all)
}
