//! How does what users need stand to what their load declares? (verdicts 2.17) Hidden: they need what is not declared, or
//! declared soft. Of what broke at the same time as something else, nothing is said that could be the other's doing.

use std::collections::{BTreeMap, BTreeSet};

use murphy_core::{EdgeBrief, EdgeName, FaultBrief, Need};

use crate::edge::{EdgeView, acts_on_callee};
use crate::judgement::{DependencyClass, Finding};
use crate::phase::{LoadView, RunView, Window, Windows};
use crate::words;

/// What the load declares that its users need.
pub(super) fn needs<'a>(run: &RunView<'a>, load: &LoadView) -> Option<&'a BTreeMap<EdgeName, Need>> {
    run.brief?.loads.iter().find(|brief| brief.name == load.name)?.depends_on.as_ref()
}

/// How the class stands to what is declared.
pub(super) struct Held {
    /// `None` where that is not told.
    pub word: Option<&'static str>,
    /// The class in a sentence, beside the declaration.
    pub text: String,
}

/// Holds the class of what was broken against what is declared. `is_harmed` tells of stretches of the fault whether users missed
/// answers in them.
pub(super) fn held(
    run: &RunView<'_>,
    needs: &BTreeMap<EdgeName, Need>,
    class: DependencyClass,
    without: &str,
    is_harmed: impl Fn(&Windows) -> bool,
) -> Held {
    const AS_DECLARED: &str = "as declared";
    let plain = format!("{class}: {without}");
    let broken: Vec<&EdgeView> = run.edges.iter().filter(|edge| is_broken(run, edge)).collect();
    let alone = match broken[..] {
        [edge] if !breaks_elsewhere(run) => Some(edge),
        _ => None,
    };
    let is_hard = |edge: &&EdgeView| needs.get(&edge.name) == Some(&Need::Hard);
    let (hard, others): (Vec<&EdgeView>, Vec<&EdgeView>) = broken.iter().copied().partition(is_hard);
    let are_hard = format!("{} declared hard", are(&hard));
    if class == DependencyClass::Soft {
        let whole: Vec<&EdgeView> = hard.iter().copied().filter(|edge| is_broken_whole(run, edge)).collect();
        return match alone.and_then(|edge| needs.get(&edge.name)) {
            _ if broken.is_empty() => on_no_edge(&plain),
            _ if !whole.is_empty() => Held {
                word: Some("not needed"),
                text: format!("{plain}; {} declared hard, and users do without", are(&whole)),
            },
            // Who is served while some calls get through may need them.
            _ if !hard.is_empty() => Held { word: Some(AS_DECLARED), text: format!("{plain}; {are_hard}") },
            Some(_) => Held { word: Some(AS_DECLARED), text: format!("{plain}, as declared") },
            None => Held { word: Some(AS_DECLARED), text: plain },
        };
    }
    // Who is not there at all, or was called past Murphy, is needed in a way that nobody sees.
    let unseen = alone.filter(|edge| is_silent(run, edge));
    if let Some(edge) = unseen
        && let Some(ended) = ended_beside(run, edge)
    {
        let text = format!(
            "{plain}; no call passed on {}, and {ended} ended: which of the two, is not told",
            edge.name
        );
        return Held { word: None, text };
    }
    let hidden = |edge: &EdgeView| {
        let name = &edge.name;
        let declared = match needs.get(name) {
            Some(need) => format!("declared {need}"),
            None => "not declared".to_owned(),
        };
        let text = if unseen.is_some() {
            format!("hidden: {name} is {declared} and needed though no call passed on it: {without}")
        } else {
            format!("hidden: {name} is {declared} and {class} in truth: {without}")
        };
        Held { word: Some(Finding::HIDDEN), text }
    };
    match (alone, unseen) {
        (_, Some(edge)) => hidden(edge),
        (Some(_), None) if !hard.is_empty() && class == DependencyClass::Hard => {
            Held { word: Some(AS_DECLARED), text: format!("{plain}, as declared") }
        }
        // What is needed explains nothing of a time at which it was there.
        _ if !hard.is_empty() && is_harmed(&broken_in(run, &others).without(&broken_in(run, &hard))) => {
            Held {
                word: None,
                text: format!(
                    "{plain}; {are_hard}, and users fail as well where only {} broken",
                    are(&others)
                ),
            }
        }
        _ if !hard.is_empty() => Held { word: Some(AS_DECLARED), text: format!("{plain}; {are_hard}") },
        (Some(edge), None) => hidden(edge),
        (None, None) if broken.is_empty() => on_no_edge(&plain),
        (None, None) => Held {
            word: None,
            text: format!("{plain}; several things were broken: which of them users need, is not told"),
        },
    }
}

fn on_no_edge(plain: &str) -> Held {
    Held { word: None, text: format!("{plain}; what was broken is on no edge") }
}

/// How much of the calls was hit, as `20%`, where faults on edges leave the others alone: that users are answered then does not say that
/// they do without. `None` if a fault was on all calls, or on no edge.
pub(super) fn part(run: &RunView<'_>) -> Option<String> {
    let faults = run.brief?.faults.iter().filter(|fault| is_in_world(run, fault));
    let shares: Option<BTreeSet<&String>> = faults.map(share_of).collect();
    let shares: Vec<&str> = shares?.into_iter().map(String::as_str).collect();
    (!shares.is_empty()).then(|| shares.join(" or "))
}

fn share_of(fault: &FaultBrief) -> Option<&String> {
    fault.edge.as_ref().and_then(|_| fault.settings.get(FaultBrief::SHARE))
}

fn is_in_world(run: &RunView<'_>, fault: &FaultBrief) -> bool {
    run.fault(&fault.id).is_some_and(|view| view.armed.is_some())
}

/// True if something was on all calls of an edge, or on who is called.
fn is_broken_whole(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let mut faults = run.brief.into_iter().flat_map(|brief| &brief.faults);
    let is_on = |fault: &FaultBrief| fault.edge.as_ref() == Some(&edge.name) && is_in_world(run, fault);
    faults.any(|fault| is_on(fault) && share_of(fault).is_none()) || is_callee_broken(run, edge)
}

fn is_callee_broken(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let told = run.brief.and_then(|brief| brief.edges.iter().find(|told| told.name == edge.name));
    told.is_some_and(|told| off_edges(run).any(|fault| acts_on_callee(&fault.on, &told.to)))
}

/// `db is`, `db, cache are`.
fn are(edges: &[&EdgeView]) -> String {
    let names: Vec<&str> = edges.iter().map(|edge| edge.name.as_str()).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// When these edges, or who is called on them, were broken.
fn broken_in(run: &RunView<'_>, edges: &[&EdgeView]) -> Windows {
    let Some(brief) = run.brief else { return Windows::default() };
    let told: Vec<&EdgeBrief> =
        brief.edges.iter().filter(|told| edges.iter().any(|edge| edge.name == told.name)).collect();
    let breaks = |fault: &&FaultBrief| match &fault.edge {
        Some(on) => told.iter().any(|edge| &edge.name == on),
        None => told.iter().any(|edge| acts_on_callee(&fault.on, &edge.to)),
    };
    Windows::union(brief.faults.iter().filter(breaks).filter_map(|fault| run.in_world(fault)).collect())
}

/// Faults that were in the world and sit on no edge.
fn off_edges<'a>(run: &RunView<'a>) -> impl Iterator<Item = &'a FaultBrief> {
    let all = run.brief.into_iter().flat_map(|brief| &brief.faults);
    all.filter(move |fault| fault.edge.is_none() && is_in_world(run, fault))
}

/// True if the edge, or who is called on it, was broken.
fn is_broken(run: &RunView<'_>, edge: &EdgeView) -> bool {
    !edge.hurt.is_empty() || is_callee_broken(run, edge)
}

/// True if something was broken that is neither an edge nor who is called on one.
fn breaks_elsewhere(run: &RunView<'_>) -> bool {
    let edges = || run.brief.into_iter().flat_map(|brief| &brief.edges);
    off_edges(run).any(|fault| !edges().any(|edge| acts_on_callee(&fault.on, &edge.to)))
}

/// True if no call was under way on the edge, neither in health nor in the fault: also none that began before, as a stream that stays
/// open. Who is refused leaves no trace, so that nothing is known then.
fn is_silent(run: &RunView<'_>, edge: &EdgeView) -> bool {
    let mut faults = run.brief.iter().flat_map(|brief| &brief.faults);
    let refused = faults.any(|fault| fault.name == "refuse" && fault.edge.as_ref() == Some(&edge.name));
    let under_way = |window: Window| {
        // In order of their beginning, and the last to end may be among the first.
        let begun = &edge.calls[..edge.calls.partition_point(|call| call.began < window.to)];
        begun.iter().rev().any(|call| call.ended >= window.from)
    };
    !refused && !run.baseline.iter().chain(run.during.iter()).any(under_way)
}

/// A process that ended in the fault, and is not the one that is called on this edge.
fn ended_beside<'a>(run: &'a RunView<'_>, edge: &EdgeView) -> Option<&'a str> {
    let told = run.brief.and_then(|brief| brief.edges.iter().find(|told| told.name == edge.name));
    let is_callee = |service: &str| told.is_some_and(|told| acts_on_callee(service, &told.to));
    let mut ended = run.exits.iter().filter(|exit| run.during.holds(exit.at));
    ended.find(|exit| !is_callee(&exit.service)).map(|exit| exit.service.as_str())
}

/// Edges that are called on in health and stand in no declaration. Where a load declares nothing, the calls may be its own.
pub(super) fn undeclared(run: &RunView<'_>) -> String {
    let Some(brief) = run.brief else { return String::new() };
    if brief.loads.iter().any(|load| load.depends_on.is_none()) {
        return String::new();
    }
    let declared = |name: &EdgeName| {
        brief.loads.iter().filter_map(|load| load.depends_on.as_ref()).any(|needs| needs.contains_key(name))
    };
    let each: Vec<String> = run
        .edges
        .iter()
        .filter(|edge| !declared(&edge.name))
        .map(|edge| (&edge.name, edge.within(&run.baseline).count() as u64))
        .filter(|(_, calls)| *calls > 0)
        .map(|(name, calls)| format!("{name} ({} in the baseline)", words::plural(calls, "call")))
        .collect();
    if each.is_empty() {
        String::new()
    } else {
        format!("; called and declared nowhere: {}", each.join(", "))
    }
}

#[cfg(test)]
mod tests;
