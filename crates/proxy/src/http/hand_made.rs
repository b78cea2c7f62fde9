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
    refusal(StatusCode::BAD_GATEWAY, why)
}

pub(super) fn bad_request() -> Response<Source> {
    refusal(StatusCode::BAD_REQUEST, "murphy: two readers would not agree on where this request ends\n")
}

/// An answer from memory as HTTP/1.1 writes it: its head, and its body.
pub(super) fn written(response: Response<Source>) -> (Vec<u8>, Bytes) {
    let (head, source) = response.into_parts();
    let body = if let Source::Whole(bytes) = source { bytes } else { Bytes::new() };
    let mut raw = status_line(head.status);
    for (name, value) in &head.headers {
        header_line(&mut raw, name, value);
    }
    raw.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    (raw, body)
}

fn refusal(status: StatusCode, why: &'static str) -> Response<Source> {
    let mut response = Response::new(Source::Whole(Bytes::from_static(why.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// True if all readers of these headers agree on where the message ends: it is coded in chunks at most once, and last
/// (RFC 9112, sections 6.1 and 7.1). What else they could disagree on, the HTTP layer refuses or makes plain.
pub(super) fn has_one_end(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    let mut codings = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
    // Nothing may follow the first of them.
    !codings.any(|is_chunked| is_chunked) || codings.next().is_none()
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

/// Writes a length that is said more than once, and alike, once: `5, 5` is 5 to some readers and nothing to others.
pub(super) fn make_length_plain(headers: &mut HeaderMap) {
    let said = |headers: &HeaderMap| {
        let lines = headers.get_all(header::CONTENT_LENGTH).into_iter();
        let mut parts =
            lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let first = parts.next()?;
        let again = parts.next()?;
        (again == first && parts.all(|part| part == first)).then(|| HeaderValue::from_bytes(first).ok())?
    };
    if let Some(once) = said(headers) {
        headers.insert(header::CONTENT_LENGTH, once);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_said_twice_alike_is_said_once() {
        for (said, wanted) in [
            (&["5, 5"][..], &["5"][..]),
            (&["5", "5"], &["5"]),
            (&["5"], &["5"]),
            (&["5, 6"], &["5, 6"]),
            (&[], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(line));
            }
            make_length_plain(&mut headers);
            assert_eq!(
                headers.get_all(header::CONTENT_LENGTH).iter().collect::<Vec<_>>(),
                wanted,
                "{said:?}"
            );
        }
    }

    #[test]
    fn chunks_within_chunks_and_chunks_within_another_coding_have_no_end_that_all_agree_on() {
        let one_end = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(line));
            }
            has_one_end(&headers)
        };
        assert!(one_end(&[]) && one_end(&["chunked"]) && one_end(&["gzip", "Chunked"]));
        assert!(one_end(&["gzip, chunked"]) && one_end(&["identity"]));
        assert!(!one_end(&["chunked", "gzip, chunked"]) && !one_end(&["chunked, chunked"]));
        assert!(!one_end(&["chunked, identity"]) && !one_end(&["chunked", "gzip"]));
    }
}
