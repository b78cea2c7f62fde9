//! Faults: what breaks, where and when.

use std::collections::{BTreeMap, BTreeSet};

use murphy_core::{Chance, EdgeName, FaultId, Protocol, ServiceName};
use murphy_faults::{Fault, Place, Problems};

use super::context::{Check, Cursor, Kind};
use super::timing;
use crate::fault_document::{FaultDoc, HostDoc, ProcessDoc};
use crate::plan::{EdgePlan, FaultStep, FaultTarget, ProcessSelector};

/// All faults that are whole, in file order.
pub(super) fn plans(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    documents: &[FaultDoc],
    edges: &[EdgePlan],
) -> Vec<FaultStep> {
    let Some(list) = root.child("faults") else { return Vec::new() };
    let named: BTreeSet<&str> =
        murphy_core::gathered(documents.iter().filter_map(|fault| fault.name.as_deref()));
    let mut taken: BTreeMap<String, Cursor<'_>> = BTreeMap::new();
    let mut ordinals: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut steps = Vec::new();
    for (entry, (here, document)) in list.children().zip(documents).enumerate() {
        let id = match (&document.name, &document.inject) {
            (Some(name), _) => {
                if let Some(first) = taken.insert(name.clone(), here) {
                    check
                        .findings
                        .error(here.value("name"), format!("two faults are named `{name}`"))
                        .also(first.value("name"), "first here")
                        .help("give one of them another name");
                }
                check.name(here.value("name"), name, FaultId::new)
            }
            (None, Some(fault)) => next_id(fault, &named, &mut ordinals),
            (None, None) => None,
        };
        let timing = timing::window(check, here, document);
        let trigger = super::trigger::trigger(check, here, document);
        let target = target(check, here, document);
        if let Some(fault) = &document.inject {
            requests(check, root, here, document, fault, edges);
        }
        match &document.inject {
            None => check.missing(here, "a fault", "inject", "{ latency: 800ms }"),
            Some(fault) => settings(check, here, fault),
        }
        if let (Some(id), Some(target), Some((at, lasts)), Some(trigger), Some(fault)) =
            (id, target, timing, trigger, &document.inject)
        {
            let starts = timing::starts(check, here, document, at, lasts);
            let Some((fault, ramp)) = super::ramp::ramp(check, here, document, fault, lasts) else {
                continue;
            };
            for (turn, at) in (1..).zip(starts) {
                // The first keeps the name; `latency-1.2` is its second time.
                let id = match turn {
                    1 => Some(id.clone()),
                    again => FaultId::new(&format!("{id}.{again}")).ok(),
                };
                let Some(id) = id else { break };
                let (target, fault, ramp) = (target.clone(), fault.clone(), ramp.clone());
                let trigger = trigger.clone();
                steps.push(FaultStep { id, target, fault, ramp, trigger, at, lasts, entry, turn });
            }
        }
    }
    steps
}

/// `latency-1`, or the next number that no fault was given as its name.
fn next_id(
    fault: &Fault,
    named: &BTreeSet<&str>,
    ordinals: &mut BTreeMap<&'static str, u32>,
) -> Option<FaultId> {
    let ordinal = ordinals.entry(fault.name()).or_default();
    loop {
        *ordinal += 1;
        let id = format!("{}-{ordinal}", fault.name());
        if !named.contains(id.as_str()) {
            return FaultId::new(&id).ok();
        }
    }
}

/// Keys that name what a fault sits on, each with the kind of place.
const PLACES: [(&str, Place); 6] = [
    ("edge", Place::Edge),
    ("service", Place::Process),
    ("process", Place::Process),
    ("container", Place::Container),
    ("network", Place::Network),
    ("host", Place::Host),
];

/// What the fault sits on.
fn target(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &FaultDoc) -> Option<FaultTarget> {
    let keys: Vec<(&'static str, Place)> = PLACES.into_iter().filter(|(key, _)| here.has(key)).collect();
    if let [(first, _), (second, _), ..] = keys[..] {
        let help = "a fault sits on one thing; make a second entry for the other";
        check.not_both(here, [first, second], "in one fault", help);
        return None;
    }
    let Some((key, place)) = keys.first().copied() else {
        if PLACES.iter().any(|(key, _)| here.meant(key)) {
            return None;
        }
        check
            .findings
            .error(here.own(), "a fault that sits on nothing")
            .label("where it sits is missing")
            .help(document.inject.as_ref().map_or_else(|| places(|_| true), where_it_sits));
        return None;
    };
    if let Some(fault) = &document.inject
        && !fault.sits_on(place)
    {
        let message = format!("`{}` {}, not on {}", fault.name(), words(fault), thing(place));
        let help = match (fault.name(), place) {
            ("limit", Place::Container) => {
                "`limits` is the fault of containers: `inject: { limits: { memory: 64MiB } }`".to_owned()
            }
            ("freeze", Place::Container) => "`pause` is the fault of containers: `inject: pause`".to_owned(),
            ("pause", Place::Process) => "`freeze` is the fault of processes: `inject: freeze`".to_owned(),
            _ => where_it_sits(fault),
        };
        check.findings.error(here.key(key), message).help(help);
        return None;
    }
    if place != Place::Edge {
        for key in ["direction", "chance", "match", "which"] {
            if here.has(key) {
                check
                    .findings
                    .error(here.key(key), format!("`{key}` belongs to a fault on an edge"))
                    .help("remove it");
            }
        }
    }
    match key {
        "edge" => on_edge(check, here, document),
        "service" => {
            let service = document.service.as_ref()?;
            let known = check.must_be_service(service, here.value("service"));
            Some(FaultTarget::Service { service: ServiceName::new(service).ok().filter(|_| known)? })
        }
        "process" => on_process(check, here.child("process")?, document.process.as_ref()?),
        "network" => {
            let (network, fault) = (document.network.as_ref()?, document.inject.as_ref());
            super::network::target(check, here.child("network")?, network, fault)
        }
        "host" => document.host.map(|HostDoc::This| FaultTarget::Host),
        _ => Some(FaultTarget::Container { container: document.container.clone()? }),
    }
}

/// `write `edge: NAME``, with all keys whose place is asked for.
fn places(asked: impl Fn(Place) -> bool) -> String {
    let forms = [
        (Place::Edge, "`edge: NAME`"),
        (Place::Process, "`service: NAME` for one that Murphy starts"),
        (Place::Process, "`process: { name: NAME }`"),
        (Place::Container, "`container: { service: NAME }`"),
        (Place::Network, "`network: { between: [NAME, NAME] }`"),
        (Place::Host, "`host: this` for the machine that Murphy runs on"),
    ];
    let forms: Vec<&str> =
        forms.into_iter().filter(|(place, _)| asked(*place)).map(|(_, form)| form).collect();
    format!("write {}", forms.join(", or "))
}

fn where_it_sits(fault: &Fault) -> String {
    places(|place| fault.sits_on(place))
}

fn words(fault: &Fault) -> &'static str {
    match fault.place() {
        Place::Edge => "sits on calls",
        Place::Process => "acts on a process",
        Place::Container => "acts on containers",
        Place::Network => "acts on a network",
        Place::Host => "acts on a machine",
    }
}

fn thing(place: Place) -> &'static str {
    match place {
        Place::Edge => "calls",
        Place::Process => "a process",
        Place::Container => "containers",
        Place::Network => "a network",
        Place::Host => "a machine",
    }
}

fn on_edge(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &FaultDoc) -> Option<FaultTarget> {
    let edge = document.edge.as_ref()?;
    if document.chance.is_some_and(|chance| chance.as_fraction() == 0.0) {
        check
            .findings
            .error(here.value("chance"), "a fault that never happens")
            .help("write for example `chance: 20%`, or remove the fault");
    }
    let known = check.must_be(Kind::Edge, edge, here.value("edge"));
    Some(FaultTarget::Edge {
        edge: EdgeName::new(edge).ok().filter(|_| known)?,
        directions: document.direction.unwrap_or_default(),
        chance: document.chance.unwrap_or(Chance::ALWAYS),
        matching: Box::new(document.matches.clone().unwrap_or_default()),
        which: document.which.clone().unwrap_or_default(),
    })
}

fn on_process(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &ProcessDoc) -> Option<FaultTarget> {
    let keys: Vec<&str> = ["pid", "name", "command"].into_iter().filter(|key| here.has(key)).collect();
    match keys[..] {
        [] if here.has_gone() => return None,
        [] => {
            check
                .findings
                .error(here.own(), "no process is named")
                .help("write `name: redis-server`, or `pid`, or `command` for a part of the command line");
            return None;
        }
        [_] => {}
        [first, second, ..] => {
            check.not_both(here, [first, second], "for one process", "keep one of them");
            return None;
        }
    }
    let process = match document {
        ProcessDoc { pid: Some(pid), .. } => match i32::try_from(*pid) {
            Ok(pid) if pid > 1 => ProcessSelector::Pid(pid),
            _ => {
                check
                    .findings
                    .error(here.value("pid"), format!("process {pid} is never touched"))
                    .help("write the number of another process, or its `name`");
                return None;
            }
        },
        ProcessDoc { name: Some(text), .. } | ProcessDoc { command: Some(text), .. }
            if text.trim().is_empty() =>
        {
            check
                .findings
                .error(here.value(keys[0]), format!("`{}` is empty", keys[0]))
                .help("write for example `name: redis-server`");
            return None;
        }
        ProcessDoc { name: Some(name), .. } => ProcessSelector::Name(name.clone()),
        ProcessDoc { command: Some(command), .. } => ProcessSelector::Command(command.clone()),
        _ => return None,
    };
    Some(FaultTarget::Process { process })
}

/// What says which requests, and whether requests can be told apart at all.
fn requests(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    here: Cursor<'_>,
    document: &FaultDoc,
    fault: &Fault,
    edges: &[EdgePlan],
) {
    let name = fault.name();
    let edge = document.edge.as_deref().and_then(|edge| edges.iter().find(|e| e.name.as_str() == edge));
    let shakes = |edge: &EdgePlan| edge.tls.as_ref().is_some_and(|tls| tls.mode.terminates());
    if let Some(edge) = edge.filter(|edge| fault.acts_on_handshakes() && !shakes(edge)) {
        let why = format!(
            "`{name}` acts on handshakes, and callers of `{}` do not shake hands with murphy",
            edge.name
        );
        let help = format!(
            "write `tls: both` at the edge `{0}`, or `tls: terminate` if its dependency is dialled without TLS",
            edge.name
        );
        unfit(check, root, here, edge, why, help);
    }
    if !fault.acts_on_requests() {
        // On a process the target's own check says it.
        for key in ["match", "which"].into_iter().filter(|key| fault.place() == Place::Edge && here.has(key))
        {
            check
                .findings
                .error(here.key(key), format!("`{key}` chooses requests, but `{name}` acts on bytes"))
                .help("remove it; `chance: 20%` picks a share of the connections");
        }
        return;
    }
    let Some(edge) = edge else { return };
    if edge.protocol != Protocol::Http {
        let why = format!("`{name}` acts on requests, and `{}` is not read as HTTP", edge.name);
        let help = format!("write `protocol: http` at the edge `{}`", edge.name);
        unfit(check, root, here, edge, why, help);
    }
    if here.has("chance") {
        check
            .findings
            .error(here.key("chance"), format!("`chance` picks connections, but `{name}` acts on requests"))
            .help("write `which: { chance: 20% }`");
    }
    if here.has("direction") {
        check
            .findings
            .error(
                here.key("direction"),
                format!("`direction` is about bytes, but `{name}` acts on requests"),
            )
            .help("remove it");
    }
    let mut problems = Problems::new();
    if let Some(matching) = &document.matches {
        matching.check(&mut problems);
    }
    report(check, here.child("match").unwrap_or(here), problems);
    let mut problems = Problems::new();
    if let Some(which) = &document.which {
        which.check(&mut problems);
    }
    report(check, here.child("which").unwrap_or(here), problems);
}

/// Reports a fault that its edge, as it is written, does not let act.
fn unfit(
    check: &mut Check<'_, '_>,
    root: Cursor<'_>,
    here: Cursor<'_>,
    edge: &EdgePlan,
    why: String,
    help: String,
) {
    let at = root.child("edges").and_then(|edges| edges.child(edge.name.as_str()));
    let finding = check.findings.error(here.value("inject"), why).help(help);
    if let Some(at) = at {
        finding.also(at.own(), "this edge");
    }
}

/// What the catalogue finds about the settings, each at its field.
fn settings(check: &mut Check<'_, '_>, here: Cursor<'_>, fault: &Fault) {
    let mut problems = Problems::new();
    fault.check(&mut problems);
    if here.has("network") {
        fault.check_on(Place::Network, &mut problems);
    }
    let inject = here.child("inject").unwrap_or(here);
    report(check, inject.child(fault.name()).unwrap_or(inject), problems);
}

pub(super) fn report(check: &mut Check<'_, '_>, fields: Cursor<'_>, problems: Problems) {
    for problem in problems {
        // Of settings that were partly passed over, nothing can be said as a whole.
        if problem.field.is_none() && fields.has_gone() {
            continue;
        }
        let at = match problem.field {
            Some(field) if fields.has(field) => fields.value(field),
            // In the short form the one value stands behind the fault's name.
            _ if fields.node.scalar().is_some() => fields.node.region,
            _ => fields.own(),
        };
        let at = if at.start == at.end { fields.own() } else { at };
        check.findings.error(at, problem.message).help(problem.help);
    }
}
