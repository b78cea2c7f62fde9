//! Answers that Murphy makes itself, and heads that it writes past the HTTP layer. Nothing here decides whether to.

use bytes::Bytes;
use hyper::Response;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::body::Source;
use super::effect::{Answer, Malformed};

pub(super) fn set_length(headers: &mut HeaderMap, length: usize) {
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::TRAILER);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// A length that is not true: it differs from the true one even for an empty body.
pub(super) fn told_length(kind: Malformed, length: usize) -> usize {
    if kind == Malformed::LengthTooShort { length / 2 } else { length + 16 }
}

pub(super) fn made_up(answer: &Answer) -> Response<Source> {
    let mut response = Response::new(Source::Whole(answer.body.clone()));
    *response.status_mut() = answer.status;
    response.headers_mut().clone_from(&answer.headers);
    response
}

pub(super) fn bad_gateway() -> Response<Source> {
    let why = "murphy: the dependency's answer is not HTTP that can be passed on\n";
    let mut response = Response::new(Source::Whole(Bytes::from_static(why.as_bytes())));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The first line of an HTTP/1.1 answer.
pub(super) fn status_line(status: StatusCode) -> Vec<u8> {
    format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("")).into_bytes()
}

/// One line of a head.
pub(super) fn header_line(raw: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        raw.extend_from_slice(part);
    }
}
