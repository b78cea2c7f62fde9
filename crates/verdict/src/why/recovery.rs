//! Why a service comes back late, once its dependency is well.

use murphy_core::Span;

use super::edge_facts::{EdgeFacts, two_digits_down};
use super::{Told, nothing_seen};
use crate::detect::silences;
use crate::judgement::Cause;
use crate::phase::{LoadView, RunView, Window};
use crate::rows::{Recovered, recovered};
use crate::words;

/// `within`: how soon it was to come back.
pub(super) fn recovery(
    run: &RunView<'_>,
    load: Option<&LoadView>,
    edges: &[EdgeFacts<'_>],
    within: Option<Span>,
) -> Told {
    let (Some(load), Some(lifted)) = (load, run.lifted) else { return nothing_seen() };
    let late = match recovered(run, load) {
        Recovered::Within { high, .. } => high,
        Recovered::NotYet { last_bad, .. } => last_bad,
        Recovered::Unclear { last_bad, watched } => last_bad.unwrap_or(watched),
        Recovered::TooFew { .. } | Recovered::Unknown(_) => return nothing_seen(),
    };
    let Some(edge) = edges.first() else { return nothing_seen() };
    let name = edge.name();
    let trouble = Window { from: lifted, to: lifted.saturating_add(late.max(1)) };
    let calls = edge.edge.in_window(trouble);
    let quiet = silences(run, edge.edge, trouble).iter().map(|gap| gap.length()).max().unwrap_or(0);
    if calls.is_empty() || quiet * 2 > trouble.length() {
        let first = edge.edge.calls.iter().find(|call| call.began >= lifted);
        let when = first.map_or_else(
            || "not at all".to_owned(),
            |call| format!("{} after the lift", words::micros((call.began - lifted) as f64)),
        );
        return Told::new(
            Cause::SlowRecovery,
            format!(
                "{name} was well, but the caller called it again only {when}: its breaker or reconnect wait is that long"
            ),
            shorter_wait(within),
        );
    }
    let failing = calls.iter().filter(|call| edge.edge.is_failing(call)).count();
    if failing * 2 > calls.len() {
        return Told::new(
            Cause::SlowRecovery,
            format!(
                "after the lift {failing} of {} calls on {name} still failed: the caller uses broken connections",
                calls.len()
            ),
            "throw a pool's connections away after an error, and connect anew",
        );
    }
    if let Some((limit, users)) = edge.pool {
        return Told::new(
            Cause::Queue,
            format!(
                "{users} users had piled up behind {limit} places on {name}; the backlog drains after the lift"
            ),
            format!(
                "a timeout of {} and a bounded queue that refuses when it is full, so that nobody is served an answer that nobody \
                 waits for",
                edge.timeout_for_usual()
            ),
        );
    }
    let healthy = calls.len() - failing;
    Told::new(
        Cause::SlowRecovery,
        format!(
            "{healthy} of {} calls on {name} were answered again, yet users were not served as before for {}",
            calls.len(),
            words::micros(late as f64)
        ),
        "look for a failure that the caller keeps: a cached error, a poisoned pool, a back-off of its own",
    )
}

/// A wait that leaves time to serve users as before.
fn shorter_wait(within: Option<Span>) -> String {
    match within.map(|within| within.as_micros() as f64) {
        Some(within) => format!(
            "to recover in {}: an open window or reconnect wait of {} or less, or a half-open try every second",
            words::micros(within),
            words::micros(two_digits_down(within * 0.8))
        ),
        None => "a shorter open window, or a half-open try every second".to_owned(),
    }
}
