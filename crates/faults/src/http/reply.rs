//! The answer that a fault makes up, from settings that several faults share.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use murphy_core::Span;
use murphy_proxy::http::Answer;

use crate::check::Problems;

/// Headers that frame a message: those are made, not set.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// Reports headers that cannot be sent.
pub(super) fn check_headers(
    field: &'static str,
    headers: &BTreeMap<String, String>,
    problems: &mut Problems,
) {
    for (name, value) in headers {
        if HeaderName::from_str(name).is_err() {
            problems.field(
                field,
                format!("`{name}` is not the name of a header"),
                "write for example `x-cache`",
            );
        } else if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
            problems.field(
                field,
                format!("`{name}` says where a message ends, and is made from the body"),
                "remove it; to break it on purpose, write `malform`",
            );
        }
        if HeaderValue::from_str(value).is_err() {
            problems.field(
                field,
                format!("the value of `{name}` holds a character that a header cannot"),
                "write it without line breaks and control characters",
            );
        }
    }
}

/// Headers that can be sent.
pub(super) fn headers(written: &BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
    let one = |(name, value): (&String, &String)| {
        Some((HeaderName::from_str(name).ok()?, HeaderValue::from_str(value).ok()?))
    };
    written.iter().filter_map(one).collect()
}

/// Reports a time that the header cannot say: RFC 9110 counts in whole seconds.
pub(super) fn check_retry_after(retry_after: Option<Span>, problems: &mut Problems) {
    if let Some(after) = retry_after {
        problems.not_absurd("retry-after", after);
        if after.as_duration().subsec_nanos() != 0 {
            let seconds = after.as_duration().as_secs() + 1;
            problems.field(
                "retry-after",
                format!("{after} cannot be said: the header counts whole seconds"),
                format!("write for example `retry-after: {seconds}s`"),
            );
        }
    }
}

/// An answer; without a body of its own, a line that says where it comes from.
pub(super) fn answer(
    status: StatusCode,
    written: &BTreeMap<String, String>,
    retry_after: Option<Span>,
    body: Option<&str>,
) -> Answer {
    let mut map = HeaderMap::new();
    if let Some(after) = retry_after {
        map.insert(header::RETRY_AFTER, HeaderValue::from(after.as_duration().as_secs()));
    }
    let written = headers(written);
    let has_type = written.iter().any(|(name, _)| *name == header::CONTENT_TYPE);
    for (name, value) in written {
        map.insert(name, value);
    }
    let body = match body {
        Some(body) => body.to_owned(),
        None => format!("{} (injected by murphy)\n", status.canonical_reason().unwrap_or("injected")),
    };
    if !has_type {
        let json = body.trim_start().starts_with(['{', '[']);
        let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
        map.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Answer { status, headers: map, body: Bytes::from(body) }
}

/// A status that ends a request.
pub(super) fn status(code: u16) -> Option<StatusCode> {
    StatusCode::from_u16(code).ok().filter(|status| (200..=599).contains(&status.as_u16()))
}

/// Reports a number that is no such status.
pub(super) fn check_status(code: u16, problems: &mut Problems) {
    if status(code).is_none() {
        problems.field(
            "status",
            format!("{code} is not the status of an answer"),
            "write one from 200 to 599, as 503",
        );
    }
}
