//! Loads: what users do.

use murphy_core::{LoadName, Span};

use super::context::{Check, Cursor};
use super::question;
use crate::document::LoadDoc;
use crate::node::shortened;
use crate::plan::LoadPlan;
use crate::status::StatusSet;

/// The sender's own limit on one request, if the file does not say.
const TIMEOUT: Span = Span::from_secs(5);
/// Requests in flight at which further ones are dropped, if the file does not say.
const IN_FLIGHT_MAX: u32 = 10_000;

pub(super) fn plan(
    check: &mut Check<'_, '_>,
    here: Cursor<'_>,
    name: &str,
    document: &LoadDoc,
) -> Option<LoadPlan> {
    let name_good = check.name(here.own(), name, LoadName::new);
    if document.rate.is_none() {
        check.missing(here, &format!("`{}`", shortened(name)), "rate", "30/s");
    }
    check.some_time(here, "timeout", document.timeout);
    if document.in_flight_max == Some(0) {
        check
            .findings
            .error(here.value("in-flight-max"), "no request could ever be in flight")
            .help("write a number of at least 1, or remove the key");
    }
    if document.json.is_some() && document.body.is_some() {
        check.not_both(here, ["json", "body"], "in one load", "send one body");
    }
    let Some(http) = &document.http else {
        check.missing(here, &format!("`{}`", shortened(name)), "http", "GET http://127.0.0.1:8000/");
        return None;
    };
    let mut request = question::request(check, here, http, &document.headers)?;
    if let Some(json) = &document.json {
        request.headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
        request.body = Some(json.to_string().into_bytes());
    } else if let Some(body) = &document.body {
        request.body = Some(body.clone().into_bytes());
    }
    Some(LoadPlan {
        name: name_good?,
        request,
        rate: document.rate?,
        arrivals: document.arrivals,
        timeout: document.timeout.unwrap_or(TIMEOUT),
        expect_status: document.expect_status.clone().unwrap_or_else(StatusSet::success),
        in_flight_max: document.in_flight_max.unwrap_or(IN_FLIGHT_MAX),
    })
}
