//! Where a body ends, as a caller of HTTP/1 is told. The HTTP layer decides that as it writes the head; here it is only foretold, so
//! that what is written past that layer fits. HTTP/2 has frames of its own.

use hyper::Version;
use hyper::http::{HeaderMap, header};

/// What tells the caller that a body is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Framing {
    /// Its length.
    #[default]
    Length,
    /// Its last chunk.
    Chunks,
    /// The end of the connection: HTTP/1.0 has no chunks.
    Connection,
}

impl Framing {
    /// Of an answer with these headers and a body of that length, if it is known, to a caller of that version.
    pub(crate) fn of(version: Version, headers: &HeaderMap, length: Option<u64>) -> Framing {
        if headers.contains_key(header::CONTENT_LENGTH) || length.is_some() {
            Framing::Length
        } else if version == Version::HTTP_10 {
            Framing::Connection
        } else {
            Framing::Chunks
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::http::HeaderValue;

    #[test]
    fn chunks_are_for_bodies_whose_length_nobody_knows_and_never_for_http_1_0() {
        let plain = HeaderMap::new();
        let mut sized = HeaderMap::new();
        sized.insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
        for (version, unknown) in
            [(Version::HTTP_10, Framing::Connection), (Version::HTTP_11, Framing::Chunks)]
        {
            assert_eq!(Framing::of(version, &plain, None), unknown);
            assert_eq!(Framing::of(version, &sized, None), Framing::Length);
            // As of an answer that is made up: the HTTP layer adds the header.
            assert_eq!(Framing::of(version, &plain, Some(5)), Framing::Length);
        }
    }
}
