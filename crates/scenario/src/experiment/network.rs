//! Faults on a network: which stretch is meant, and whether the fault can sit on one of that kind.

use murphy_faults::{Effect, Fault, NetworkAction, Place};

use super::context::{Check, Cursor};
use crate::caller::Caller;
use crate::document::NetworkDoc;
use crate::names::Names;
use crate::plan::FaultTarget;
use crate::source_map::Region;
use crate::stretch::Stretch;

/// Which stretch is meant.
pub(super) fn target(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    document: &NetworkDoc,
    fault: Option<&Fault>,
) -> Option<FaultTarget> {
    let stretch = stretch(check, here, document)?;
    let effect = fault.and_then(|fault| fault.effect_on(Place::Network));
    let whole = matches!(stretch, Stretch::Of { .. });
    let name = fault.map(Fault::name).unwrap_or_default();
    match effect {
        Some(Effect::Network(NetworkAction::Bandwidth { .. })) if !whole => {
            check
                .findings
                .error(here.own(), format!("`{name}` on a network limits all that leaves an interface"))
                .help("write `network: { of: NAME }`; or use an edge, for the calls to one dependency");
            return None;
        }
        Some(Effect::Network(NetworkAction::Bandwidth { .. })) => {}
        Some(_) if whole => {
            check.findings.error(here.key("of"), format!("`{name}` needs two sides")).help(
                "write `network: { between: [NAME, NAME] }`, or `{ from: NAME, to: NAME }` for one way",
            );
            return None;
        }
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
        if groups.len() < 2 {
            check
                .findings
                .error(at, "between what and what?")
                .help("write at least two: `between: [web, db]`, or groups: `between: [[web, worker], db]`");
            return None;
        }
        let groups = groups.iter().map(|group| callers(check, at, group)).collect::<Option<Vec<_>>>()?;
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = groups.iter().flatten().find(|caller| !seen.insert((*caller).clone())) {
            check
                .findings
                .error(at, format!("`{twice}` stands on both sides"))
                .help("name each in one group only; what is in no group reaches everybody");
            return None;
        }
        return Some(Stretch::Between { groups });
    }
    if let Some(of) = &document.of {
        return Some(Stretch::Of { callers: callers(check, here.value("of"), of)? });
    }
    for key in ["from", "to"] {
        check.missing(here, "one way", key, "web");
    }
    let from = callers(check, here.value("from"), document.from.as_ref()?)?;
    let to = callers(check, here.value("to"), document.to.as_ref()?)?;
    if let Some(both) = from.iter().find(|caller| to.contains(caller)) {
        check
            .findings
            .error(here.value("to"), format!("`{both}` stands on both sides"))
            .help("name it on one side only");
        return None;
    }
    Some(Stretch::OneWay { from, to })
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
