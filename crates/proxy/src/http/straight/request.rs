//! The head of a request, read where it lies: whether its bytes may go on as they came, and where it ends.
//!
//! It must never call plain what another reader could understand otherwise, or what asks for more than an answer. What is not plain
//! is not refused here: the HTTP layer reads it, and says what it is.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};
use hyper::Request;
use hyper::http::request::Parts;

/// Headers of a plain request at the most.
const HEADERS: usize = 64;

/// The longest target of a plain request.
const TARGET: usize = 8 * 1024;

/// Room for the headers of one request.
pub(super) type Room<'b> = [MaybeUninit<Header<'b>>; HEADERS];

pub(super) const fn room<'b>() -> Room<'b> {
    [const { MaybeUninit::uninit() }; HEADERS]
}

/// What an answer to a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// Its head alone: the method is `HEAD`.
    Head,
    /// A body too.
    Body,
}

/// Whether the connection goes on behind a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// It does.
    More,
    /// It is the last one.
    Nothing,
}

/// A plain request.
#[derive(Debug)]
pub(super) struct Plain<'h, 'b> {
    pub(super) method: &'b str,
    /// Its path and its query.
    pub(super) target: &'b str,
    pub(super) headers: &'h [Header<'b>],
    /// Bytes of its head.
    pub(super) head: usize,
    /// Bytes of its body.
    pub(super) body: u64,
    pub(super) behind: Behind,
}

/// What bytes are the beginning of.
#[derive(Debug)]
pub(super) enum Read<'h, 'b> {
    /// A head that has no end yet.
    Part,
    /// A plain request.
    Plain(Plain<'h, 'b>),
    /// Something else.
    Other,
}

/// Reads the head at the beginning of these bytes, of which so many have been looked at before without finding its end.
pub(super) fn read<'h, 'b>(bytes: &'b [u8], seen: usize, room: &'h mut Room<'b>) -> Read<'h, 'b> {
    if seen > 0 && !has_end(bytes, seen) {
        return Read::Part;
    }
    // An empty line before it may be skipped by one reader and not by another.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
        return Read::Other;
    }
    let mut request = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, room);
    let head = match parsed {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) => return Read::Part,
        Err(_) => return Read::Other,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version) else {
        return Read::Other;
    };
    let headers: &'h [Header<'b>] = request.headers;
    if !has_plain_lines(&bytes[..head]) || !is_plain(target) || method == "CONNECT" {
        return Read::Other;
    }
    let (mut body, mut behind) = (None, Behind::More);
    for Header { name, value } in headers {
        match name.len() {
            6 if name.eq_ignore_ascii_case("expect") => return Read::Other,
            2 if name.eq_ignore_ascii_case("te") => return Read::Other,
            7 if name.eq_ignore_ascii_case("upgrade") => return Read::Other,
            7 if name.eq_ignore_ascii_case("trailer") => return Read::Other,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => return Read::Other,
            14 if name.eq_ignore_ascii_case("content-length") => match (body, length(value)) {
                (None, Some(length)) => body = Some(length),
                _ => return Read::Other,
            },
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        behind = Behind::Nothing;
                    } else if !option.eq_ignore_ascii_case(b"keep-alive") {
                        return Read::Other;
                    }
                }
            }
            _ => {}
        }
    }
    Read::Plain(Plain { method, target, headers, head, body: body.unwrap_or(0), behind })
}

/// True if a line ends that is empty, behind what has been looked at before.
pub(super) fn has_end(bytes: &[u8], seen: usize) -> bool {
    let new = &bytes[seen.saturating_sub(3)..];
    new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

/// The longest body that is less than nothing to no reader who counts with a sign.
pub(super) const LONGEST: u64 = u64::MAX / 2;

/// A length that all readers read alike.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| digits)?.parse::<u64>().ok().filter(|length| *length <= LONGEST)
}

/// True if each line ends with CR and LF, and none goes on in the next one. The parser does not tell of each that does: where a line
/// breaks before its value or behind it, the value has no trace of that.
pub(super) fn has_plain_lines(head: &[u8]) -> bool {
    head.split_inclusive(|byte| *byte == b'\n')
        .all(|line| line.ends_with(b"\r\n") && !matches!(line.first(), Some(b' ' | b'\t')))
}

/// True of a path of this server, in the characters of RFC 3986.
fn is_plain(target: &str) -> bool {
    target.len() <= TARGET
        && target.starts_with('/')
        && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte))
}

impl Plain<'_, '_> {
    pub(super) fn wants(&self) -> Wants {
        if self.method == "HEAD" { Wants::Head } else { Wants::Body }
    }

    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The first value of a header, if it is text.
    pub(super) fn text(&self, wanted: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted))?;
        let is_text = header.value.iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte));
        str::from_utf8(header.value).ok().filter(|_| is_text)
    }

    /// As faults look at it; `None` if it can be no request to the HTTP layer.
    pub(super) fn parts(&self) -> Option<Parts> {
        let mut request = Request::builder().method(self.method).uri(self.target);
        for header in self.headers {
            request = request.header(header.name, header.value);
        }
        Some(request.body(()).ok()?.into_parts().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Option<(String, String, usize, u64, Behind)> {
        match read(bytes, 0, &mut room()) {
            Read::Plain(plain) => {
                let [method, path] = [plain.method, plain.path()].map(str::to_owned);
                Some((method, path, plain.head, plain.body, plain.behind))
            }
            Read::Part | Read::Other => None,
        }
    }

    #[test]
    fn a_plain_request_is_told_with_its_ends() {
        let whole = b"POST /a/b%20c?d=/e HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\n\r\nhello";
        let (method, path, head, body, behind) = told(whole).unwrap();
        assert_eq!((method.as_str(), path.as_str()), ("POST", "/a/b%20c"));
        assert_eq!((head, body, behind), (whole.len() - 5, 5, Behind::More));
        let last = told(b"GET / HTTP/1.1\r\nConnection: Keep-Alive, close\r\n\r\n").unwrap();
        assert_eq!((last.3, last.4), (0, Behind::Nothing));
    }

    #[test]
    fn what_is_not_plain_is_left_to_who_can_read_it() {
        for other in [
            &b"\r\nGET / HTTP/1.1\r\n\r\n"[..],
            b"get / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET http://a/ HTTP/1.1\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
            b"CONNECT a:443 HTTP/1.1\r\n\r\n",
            b"GET /#a HTTP/1.1\r\n\r\n",
            b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nX-Fold: one\r\n two\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"GET / HTTP/1.1\r\nTE: trailers\r\n\r\n",
            b"no HTTP at all\r\n\r\n",
        ] {
            assert!(matches!(read(other, 0, &mut room()), Read::Other), "{}", other.escape_ascii());
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert!(matches!(read(many.as_bytes(), 0, &mut room()), Read::Other));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(TARGET));
        assert!(matches!(read(long.as_bytes(), 0, &mut room()), Read::Other));
    }

    #[test]
    fn a_head_is_a_part_until_its_last_byte() {
        let whole = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..whole.len() {
            for seen in [0, end.saturating_sub(1)] {
                assert!(matches!(read(&whole[..end], seen, &mut room()), Read::Part), "{end}");
            }
        }
        for seen in 0..whole.len() {
            assert!(matches!(read(whole, seen, &mut room()), Read::Plain(_)), "{seen}");
        }
        assert_eq!(told(whole).unwrap().2, whole.len());
    }

    #[test]
    fn faults_see_the_request_that_the_http_layer_would_read() {
        let mut room = room();
        let Read::Plain(plain) =
            read(b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nX-B: \xff\r\n\r\n", 0, &mut room)
        else {
            panic!("it is plain");
        };
        let parts = plain.parts().unwrap();
        assert_eq!((parts.method.as_str(), parts.uri.path(), parts.uri.query()), ("GET", "/a", Some("b=c")));
        assert_eq!(parts.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((plain.text("x-a"), plain.text("x-b"), plain.text("x-c")), (Some("1"), None, None));
    }
}
