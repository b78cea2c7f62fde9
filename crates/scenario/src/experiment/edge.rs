//! Edges: how Murphy gets between a caller and a dependency.

use murphy_core::{EdgeName, ServiceName};

use murphy_tls::{TlsProblem, TlsSettings};

use super::context::{Check, Cursor};
use crate::address::Address;
use crate::caller::Caller;
use crate::document::EdgeDoc;
use crate::node::shortened;
use crate::plan::{EdgePlan, Route};

/// How many edges in a row are followed in the search for a round trip.
const LONGEST_CHAIN: usize = 64;

pub(super) fn plan(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    name: &str,
    document: &EdgeDoc,
) -> Option<EdgePlan> {
    let name_good = check.name(here.own(), name, EdgeName::new);
    if document.to.is_none() {
        check.missing(here, &format!("`{}`", shortened(name)), "to", "127.0.0.1:8080");
    }
    match (here.has("listen"), here.has("from")) {
        (true, true) => {
            let help = "keep `listen` if callers can be told to dial it, else `from`";
            check.not_both(here, ["listen", "from"], "in one edge", help);
        }
        (false, false) if !here.meant("listen") && !here.meant("from") => {
            check
                .findings
                .error(here.own(), format!("`{}` does not say how calls reach it", shortened(name)))
                .label("`listen` is missing")
                .help("write `listen: 127.0.0.1:18080` and let the caller dial that");
        }
        _ => {}
    }
    let from = match &document.from {
        Some(from) => match from.parse::<Caller>() {
            Ok(from) => Some(from),
            Err(error) => {
                check.refuse(here.value("from"), &error);
                return None;
            }
        },
        None => None,
    };
    if here.has("open-connections") && !here.has("from") {
        check
            .findings
            .error(here.key("open-connections"), "`open-connections` belongs to an edge with `from`")
            .help("remove it: a caller of `listen` connects to murphy from the start");
    }
    let to = document.to.clone()?;
    let route = match (document.listen.clone(), from) {
        (Some(listen), None) => Route::Listen { listen, to },
        (None, Some(from)) => {
            Route::Intercept { from, to, open_connections: document.open_connections.unwrap_or_default() }
        }
        _ => return None,
    };
    let tls = document.tls.clone().map(|tls| tls_of(check, here, tls));
    let instance_of = match &document.instance_of {
        Some(of) => Some(check.name(here.value("instance-of"), of, ServiceName::new)?),
        None => None,
    };
    Some(EdgePlan { name: name_good?, route, protocol: document.protocol, tls, instance_of })
}

fn tls_of(check: &mut Check<'_, '_>, here: Cursor<'_>, tls: TlsSettings) -> TlsSettings {
    let at = here.child("tls").unwrap_or(here);
    for TlsProblem { field, message, help } in tls.problems() {
        let place = if at.has(field) { at.value(field) } else { here.value("tls") };
        check.findings.error(place, message).help(help);
    }
    tls.with_paths(|path| check.findings.source().relative(&path.to_string_lossy(), here.value("tls")))
}

/// Reports listeners that take each other's port, and edges that end up calling themselves.
pub(super) fn listeners(check: &mut Check<'_, '_>, root: Cursor<'_>, edges: &[EdgePlan]) {
    let Some(section) = root.child("edges") else { return };
    let mut listeners: Vec<(&EdgePlan, &Address, &Address, Cursor<'_>)> = Vec::new();
    let by_name: std::collections::BTreeMap<&str, &EdgePlan> =
        edges.iter().map(|edge| (edge.name.as_str(), edge)).collect();
    for (name, at) in section.fields() {
        let Some(edge) = by_name.get(name) else { continue };
        let Route::Listen { listen, to } = &edge.route else { continue };
        listeners.push((edge, listen, to, at));
    }
    let mut by_port: std::collections::BTreeMap<u16, Vec<usize>> = std::collections::BTreeMap::new();
    for (index, (edge, listen, _, at)) in listeners.iter().enumerate() {
        let same_port = by_port.entry(listen.port()).or_default();
        let taken =
            same_port.iter().map(|first| &listeners[*first]).find(|(_, other, ..)| other.overlaps(listen));
        if let Some((first, _, _, first_at)) = taken {
            check
                .findings
                .error(at.value("listen"), format!("`{}` listens where `{}` does", edge.name, first.name))
                .also(first_at.value("listen"), "taken here")
                .help("give one of them another port");
        }
        same_port.push(index);
    }
    let dialled_by = |to: &Address| {
        let candidates = by_port.get(&to.port())?;
        candidates.iter().copied().find(|index| listeners[*index].1.overlaps(to))
    };
    for (index, (edge, _, to, at)) in listeners.iter().enumerate() {
        // Following `to` through other edges either leaves them or comes back. Nobody chains as many as this.
        let mut next = dialled_by(to);
        for _ in 0..listeners.len().min(LONGEST_CHAIN) {
            match next {
                Some(found) if found == index => {
                    check
                        .findings
                        .error(
                            at.value("to"),
                            format!("`{}` dials itself: calls would go round for ever", edge.name),
                        )
                        .help("write the address of the real dependency");
                    break;
                }
                Some(found) => next = dialled_by(listeners[found].2),
                None => break,
            }
        }
    }
}
