//! What is told of a request as it comes: its route, when it began, and what it shares with other attempts.

use murphy_core::{Answerer, AttemptOf, ExchangeEnd, HttpCall};

use super::hub::{Hub, Speaks};

/// The longest path that is told of a request.
const ROUTE: usize = 200;

/// What is told of a request to this path, where anything is. `text` finds the first value of a header that is text.
pub(super) fn call_of<'t>(
    hub: &Hub,
    method: &str,
    path: &str,
    text: impl Fn(&str) -> Option<&'t str>,
) -> Option<HttpCall> {
    let recorder = &hub.shared.recorder;
    if !recorder.is_enabled() {
        return None;
    }
    let asked = hub.io.lock().asked.take();
    let began = asked.filter(|_| hub.speaks == Speaks::One).unwrap_or_else(|| recorder.clock().now());
    Some(HttpCall {
        edge: hub.shared.edge.clone(),
        conn: hub.conn,
        method: method.to_owned(),
        route: path.chars().take(ROUTE).collect(),
        began,
        answered: None,
        ended: began,
        end: ExchangeEnd::Open,
        by: None,
        status: None,
        service_status: None,
        answerer: Answerer::Nobody,
        reached: false,
        faults: hub.shown.iter().cloned().collect(),
        touched: hub.shown.is_some(),
        attempt_of: attempt_of(text),
    })
}

/// The idempotency key (the IETF's draft of the header), else the trace of a W3C `traceparent`.
fn attempt_of<'t>(text: impl Fn(&str) -> Option<&'t str>) -> Option<AttemptOf> {
    if let Some(key) = text("idempotency-key") {
        return Some(AttemptOf::Key(key.chars().take(ROUTE).collect()));
    }
    let trace = text("traceparent").and_then(|parent| parent.split('-').nth(1));
    trace.map(|trace| AttemptOf::Trace(trace.to_owned()))
}
