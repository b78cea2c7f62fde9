//! Document → plan: names resolved, defaults filled, contradictions found. Nothing is left to decide afterwards.
//!
//! Checks report and go on, so that all problems of a file are seen together. What was reported before and passed
//! over is never reported again as missing.

mod capacity;
mod capture;
mod context;
mod edge;
mod expect;
mod fault;
mod ledger;
mod lint;
mod load;
mod needs;
mod network;
mod phases;
mod question;
mod ramp;
mod service;
mod stack;
mod stop;
mod timing;
mod trigger;
mod unseen;

use murphy_core::{Purpose, Secrets, Seed};

use crate::diagnostic::Findings;
use crate::document::Document;
use crate::include::{Gathered, Together};
use crate::matrix::Cell;
use crate::node::{Gone, Node};
use crate::plan::Plan;
use crate::problem;
use crate::settings::Settings;
use crate::source_map::Region;
use context::{Check, Cursor};

/// The version of the scenario language.
const VERSION: u32 = 1;

/// Reads, fills and checks a source, with one combination of its `matrix`. The plan is whole only if the findings have no errors.
pub(crate) fn plan(
    name: &str,
    gathered: &Gathered,
    settings: &Settings,
    cell: &Cell,
    findings: &mut Findings<'_>,
) -> Option<Plan> {
    let source = gathered.source();
    let Together { mut root, is_whole } = match crate::include::read(gathered, findings) {
        Some(read) if !read.root.scalar().is_some_and(|scalar| scalar.is_absent()) => read,
        _ => {
            if findings.error_count() == 0 {
                nothing(findings);
            }
            return None;
        }
    };
    // Their values were taken already; what is wrong with them is told once.
    crate::matrix::cells(&root, source, settings, findings);
    let mut gone = Gone::new();
    let secrets = crate::variables::fill(&mut root, settings, cell, findings, &mut gone);
    let document: Document = problem::read(&root, &mut gone, findings)?;
    if !is_whole {
        // Names that are missed may stand in what could not be included.
        return None;
    }
    let mut plan = resolve(name, &document, &root, &gone, settings, findings);
    // The name is in every path and headline.
    plan.name = secrets.hide(&plan.name).into_owned();
    plan.secrets = secrets;
    Some(plan)
}

/// The scenarios that a source makes: one, or one for each combination of its `matrix`.
pub(crate) fn cells(gathered: &Gathered, settings: &Settings) -> Vec<Cell> {
    // What is wrong with the text itself is found again, and told, when it is read for a plan.
    let mut findings = Findings::new(gathered.source());
    match crate::include::read(gathered, &mut findings) {
        Some(read) => crate::matrix::cells(&read.root, gathered.source(), settings, &mut findings),
        None => vec![Cell::new()],
    }
}

/// Says that a file is empty.
pub(crate) fn nothing(findings: &mut Findings<'_>) {
    findings
        .whole(crate::diagnostic::Severity::Error, "the file says nothing")
        .help("write a scenario, beginning with `murphy: 1` and `name: …`; `murphy init` writes a first one");
}

fn resolve(
    source: &str,
    document: &Document,
    root: &Node,
    gone: &Gone,
    settings: &Settings,
    findings: &mut Findings<'_>,
) -> Plan {
    let here = Cursor::root(root, gone);
    let phases = phases::lengths(document, here, settings, findings);
    // Of phases that are partly wrong, nothing can be said.
    let partly = here.is_gone("phases") || here.child("phases").is_some_and(Cursor::has_gone);
    let known = !partly && !here.is_gone("profile");
    let mut check = Check::new(here, known.then_some(phases), findings);
    head(&mut check, here, document);
    let name = document.name.as_deref().unwrap_or_default().trim().to_owned();
    let seed = settings.seed.or(document.seed).unwrap_or_else(|| seed_of(&name));
    let mut plan = Plan {
        name,
        source: source.to_owned(),
        seed,
        phases,
        stack: stack::plan(&mut check, here, document.stack.as_ref()),
        services: each(here, "services", &document.services.0, |at, name, doc| {
            service::plan(&mut check, at, name, doc)
        }),
        edges: each(here, "edges", &document.edges.0, |at, name, doc| edge::plan(&mut check, at, name, doc)),
        loads: each(here, "load", &document.load.0, |at, name, doc| load::plan(&mut check, at, name, doc)),
        probes: each(here, "probes", &document.probes.0, |at, name, doc| {
            question::probe(&mut check, at, name, doc)
        }),
        faults: Vec::new(),
        expectations: Vec::new(),
        secrets: Secrets::default(),
        abort_if: stop::conditions(&mut check, here, &document.abort_if),
        learn: document.learn,
        purpose: if document.control == Some(true) { Purpose::Control } else { Purpose::Experiment },
    };
    plan.faults = fault::plans(&mut check, here, &document.faults, &plan.edges);
    plan.expectations = expect::rules(&mut check, here, &document.expect);
    edge::listeners(&mut check, here, &plan.edges);
    capture::uses(&mut check, here);
    lint::errors(&mut check, here, &plan);
    if check.findings.error_count() == 0 {
        lint::warnings(&mut check, here, &plan);
    }
    plan
}

/// Every entry of a section that is still there, with what it says.
fn each<'a, D, P>(
    root: Cursor<'a>,
    section: &str,
    documents: &[(String, D)],
    mut make: impl FnMut(Cursor<'a>, &str, &D) -> Option<P>,
) -> Vec<P> {
    let Some(section) = root.child(section) else { return Vec::new() };
    section.children().zip(documents).filter_map(|(at, (name, document))| make(at, name, document)).collect()
}

/// A small seed from the name, so that a file without one is repeatable too.
fn seed_of(name: &str) -> Seed {
    Seed(Seed(0).derive(name, 0).0 % 100_000)
}

fn head(check: &mut Check<'_, '_>, here: Cursor<'_>, document: &Document) {
    let top = Region { start: here.node.region.start, end: here.node.region.start };
    match document.murphy {
        Some(VERSION) => {}
        Some(other) => {
            check
                .findings
                .error(here.value("murphy"), format!("version {other} of the scenario language is not known"))
                .help(format!("write `murphy: {VERSION}`"));
        }
        None if here.meant("murphy") => {}
        None => {
            check
                .findings
                .error(top, "the version of the scenario language is missing")
                .help(format!("begin the file with `murphy: {VERSION}`"));
        }
    }
    match document.name.as_deref().map(str::trim) {
        Some("") => {
            check
                .findings
                .error(here.value("name"), "`name` is empty")
                .help("say in a sentence what is claimed");
        }
        Some(name) if name.chars().any(is_unseen) => {
            check
                .findings
                .error(here.value("name"), "`name` has characters that nobody sees")
                .help("remove control characters, line breaks and marks that turn the direction of a text");
        }
        Some(name) if name.chars().count() > 200 => {
            check
                .findings
                .error(here.value("name"), "`name` is no headline")
                .help("write one line of at most 200 characters");
        }
        Some(_) => {}
        None if here.meant("name") => {}
        None => {
            check
                .findings
                .error(top, "the scenario has no `name`")
                .help("say in a sentence what is claimed: `name: …`");
        }
    }
}

/// Control characters, and those that reorder what stands beside them in a report (Unicode Standard Annex 9, sections 2.1
/// to 2.4).
fn is_unseen(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
