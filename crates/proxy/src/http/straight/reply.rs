//! The head of an answer, read where it lies: where its body ends, and what of it must be written anew so that all readers
//! agree on that.
//!
//! It must never pass on what two readers would cut differently; that is no HTTP, and told as such.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::request::{Behind, Wants, has_end, has_plain_lines, length, room};

/// Headers of one answer at the most; more is no HTTP that is passed on.
const MANY: usize = 1024;

/// The longest head, which is what hyper reads too.
const HEAD: usize = 400 * 1024;

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Behind so many bytes.
    Bytes(u64),
    /// Behind its last chunk.
    Chunks,
    /// With the connection.
    Rest,
}

/// A head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Bytes of it.
    pub(super) length: usize,
    /// What is passed on in its place, if it cannot go as it came.
    pub(super) anew: Option<Vec<u8>>,
    pub(super) extent: Extent,
    pub(super) behind: Behind,
}

impl Head {
    /// True if the answer itself is still to come.
    pub(super) fn is_early(&self) -> bool {
        self.status < 200
    }
}

/// What bytes are the beginning of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A head that has no end yet.
    Part,
    /// A whole head.
    Head(Head),
    /// No HTTP that can be passed on.
    Nonsense,
}

/// Reads the head at the beginning of these bytes, of which so many have been looked at before without finding its end.
pub(super) fn read(bytes: &[u8], seen: usize, wants: Wants) -> Read {
    if seen > 0 && !has_end(bytes, seen) {
        return if bytes.len() > HEAD { Read::Nonsense } else { Read::Part };
    }
    match parse(bytes, &mut room(), wants) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut room = vec![MaybeUninit::uninit(); MANY];
            parse(bytes, &mut room, wants).unwrap_or(Read::Nonsense)
        }
        read => read.unwrap_or(Read::Nonsense),
    }
}

fn parse<'b>(
    bytes: &'b [u8],
    room: &mut [MaybeUninit<Header<'b>>],
    wants: Wants,
) -> Result<Read, httparse::Error> {
    let mut config = ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    let mut response = httparse::Response::new(&mut []);
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, room)? {
        Status::Complete(length) if length <= HEAD => length,
        Status::Partial if bytes.len() <= HEAD => return Ok(Read::Part),
        Status::Complete(_) | Status::Partial => return Ok(Read::Nonsense),
    };
    let (Some(version), Some(status)) = (response.version, response.code) else { return Ok(Read::Nonsense) };
    // To another protocol goes only who asked for it (RFC 9110, section 15.2.2), and such a request does not come this way.
    if status == 101 || status < 100 {
        return Ok(Read::Nonsense);
    }
    let Some(framing) = Framing::of(response.headers, version, status, wants) else {
        return Ok(Read::Nonsense);
    };
    let said = Said { version, status, reason: response.reason.unwrap_or(""), headers: response.headers };
    let raw = &bytes[..length];
    let as_it_came =
        framing.keeps == Keeps::AsItCame && status >= 200 && raw.starts_with(b"HTTP") && has_plain_lines(raw);
    let anew = (!as_it_came).then(|| said.anew(framing.keeps));
    Ok(Read::Head(Head { status, length, anew, extent: framing.extent, behind: framing.behind }))
}

/// What becomes of the headers that say where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// All are right.
    AsItCame,
    /// The length, said once.
    Length(u64),
    /// The coding alone.
    Coding,
    /// None, for there is no body.
    Neither,
}

struct Framing {
    extent: Extent,
    behind: Behind,
    keeps: Keeps,
}

impl Framing {
    /// In the order of RFC 9112, section 6.3. `None` if readers would not agree.
    fn of(headers: &[Header<'_>], version: u8, status: u16, wants: Wants) -> Option<Framing> {
        let (mut keeps_alive, mut closes) = (version > 0, false);
        let has_none = status < 200 || matches!(status, 204 | 304);
        // Then nobody cuts by what it says of a body.
        let ends_at_head = has_none || wants == Wants::Head;
        let (mut lengths, mut length_lines, mut said) = (0, 0, None::<u64>);
        let (mut codings, mut chunked_at, mut differ) = (0, None, false);
        for Header { name, value } in headers {
            let parts = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            match name.len() {
                10 if name.eq_ignore_ascii_case("connection") => {
                    for option in parts() {
                        closes |= option.eq_ignore_ascii_case(b"close");
                        keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    length_lines += 1;
                    for part in parts() {
                        let here = length(part);
                        differ |= here.is_none() || said.is_some_and(|said| Some(said) != here);
                        said = said.or(here);
                        lengths += 1;
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    for part in parts() {
                        codings += 1;
                        if part.eq_ignore_ascii_case(b"chunked") && chunked_at.replace(codings).is_some() {
                            return None;
                        }
                    }
                }
                _ => {}
            }
        }
        if differ && !ends_at_head {
            return None;
        }
        let has_framing = lengths > 0 || codings > 0;
        let (extent, keeps) = if has_none {
            // What it says of one speaks of another answer.
            (Extent::Bytes(0), if has_framing { Keeps::Neither } else { Keeps::AsItCame })
        } else if codings > 0 {
            // HTTP/1.0 has no codings, and nothing may stand behind the chunks.
            if version == 0 && !ends_at_head || chunked_at.is_some_and(|at| at != codings) {
                return None;
            }
            let extent = if chunked_at.is_some() { Extent::Chunks } else { Extent::Rest };
            (extent, if lengths > 0 { Keeps::Coding } else { Keeps::AsItCame })
        } else if differ {
            // More than one line of them is more than one reader can make sense of.
            if length_lines > 1 {
                return None;
            }
            (Extent::Bytes(0), Keeps::AsItCame)
        } else if let Some(length) = said {
            let is_plain = lengths == 1 && length_lines == 1;
            let keeps = if is_plain { Keeps::AsItCame } else { Keeps::Length(length) };
            (Extent::Bytes(length), keeps)
        } else {
            (Extent::Rest, Keeps::AsItCame)
        };
        let extent = if wants == Wants::Head { Extent::Bytes(0) } else { extent };
        // To close is the last word, wherever it stands.
        let goes_on = keeps_alive && !closes && extent != Extent::Rest;
        let behind = if goes_on { Behind::More } else { Behind::Nothing };
        Some(Framing { extent, behind, keeps })
    }
}

struct Said<'h, 'b> {
    version: u8,
    status: u16,
    reason: &'b str,
    headers: &'h [Header<'b>],
}

impl Said<'_, '_> {
    /// The same head in plain lines, with what tells the end of the body told once.
    fn anew(&self, keeps: Keeps) -> Vec<u8> {
        let mut raw = format!("HTTP/1.{} {} {}\r\n", self.version, self.status, self.reason).into_bytes();
        let mut said = keeps;
        for Header { name, value } in self.headers {
            let is_length = name.eq_ignore_ascii_case("content-length");
            let is_coding = name.eq_ignore_ascii_case("transfer-encoding");
            match said {
                Keeps::Neither if is_length || is_coding => continue,
                Keeps::Coding if is_length => continue,
                Keeps::Length(length) if is_length => {
                    raw.extend_from_slice(format!("{name}: {length}\r\n").as_bytes());
                    said = Keeps::Coding;
                    continue;
                }
                _ => {}
            }
            // What comes early is written past the HTTP layer elsewhere too, in these letters.
            match self.status < 200 {
                true => raw.extend_from_slice(name.to_ascii_lowercase().as_bytes()),
                false => raw.extend_from_slice(name.as_bytes()),
            }
            raw.extend_from_slice(b": ");
            unfold(value, &mut raw);
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"\r\n");
        raw
    }
}

/// Writes a value in one line: each break and the space around it is one space (RFC 9112, section 5.2).
fn unfold(value: &[u8], raw: &mut Vec<u8>) {
    for (number, line) in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate() {
        if number > 0 {
            raw.push(b' ');
        }
        raw.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head {
        match read(bytes, 0, Wants::Body) {
            Read::Head(head) => head,
            other => panic!("{other:?} of {}", bytes.escape_ascii()),
        }
    }

    fn anew(bytes: &[u8]) -> String {
        String::from_utf8(head(bytes).anew.expect("it is written anew")).unwrap()
    }

    #[test]
    fn a_plain_answer_goes_as_it_came_and_its_end_is_known() {
        for (bytes, extent, behind) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..], Extent::Bytes(5), Behind::More),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", Extent::Chunks, Behind::More),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Extent::Chunks, Behind::More),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Extent::Rest, Behind::Nothing),
            (b"HTTP/1.1 200\r\n\r\n", Extent::Rest, Behind::Nothing),
            (
                b"HTTP/1.1 404 Not at all\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                Extent::Bytes(0),
                Behind::Nothing,
            ),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Extent::Bytes(5), Behind::Nothing),
            (
                b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
                Extent::Bytes(5),
                Behind::More,
            ),
            (
                b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close, keep-alive\r\n\r\n",
                Extent::Bytes(5),
                Behind::Nothing,
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", Extent::Bytes(0), Behind::More),
        ] {
            let head = head(bytes);
            let told = (head.length, head.anew, head.extent, head.behind);
            assert_eq!(told, (bytes.len(), None, extent, behind), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body_and_keeps_what_it_says_of_one() {
        for said in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\n");
            let Read::Head(head) = read(bytes.as_bytes(), 0, Wants::Head) else { panic!("{said}") };
            assert_eq!((head.extent, head.anew), (Extent::Bytes(0), None), "{said}");
        }
    }

    #[test]
    fn an_answer_to_head_ends_there_whatever_it_says_of_its_body() {
        for odd in [
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let Read::Head(head) = read(odd.as_bytes(), 0, Wants::Head) else { panic!("{odd}") };
            assert_eq!((head.extent, head.anew), (Extent::Bytes(0), None), "{odd}");
        }
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
        assert_eq!(read(two, 0, Wants::Head), Read::Nonsense);
    }

    #[test]
    fn what_readers_would_cut_differently_is_made_plain_or_nonsense() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for odd in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 5\n\n",
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ] {
            assert_eq!(anew(odd), plain, "{}", odd.escape_ascii());
        }
        let both = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(anew(both), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(head(both).extent, Extent::Chunks);
        let none = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: a\r\n\r\n";
        assert_eq!(anew(none), "HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n");
        for length in ["", "none", "5\r\nContent-Length: 6"] {
            let none = format!("HTTP/1.1 204 No Content\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(anew(none.as_bytes()), "HTTP/1.1 204 No Content\r\n\r\n", "{length}");
        }
        let folded = b"HTTP/1.1 200 OK\r\nX-Fold: one\r\n \t two\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(anew(folded), "HTTP/1.1 200 OK\r\nX-Fold: one two\r\nContent-Length: 0\r\n\r\n");
        // A break before a value or behind it, of which the value has no trace.
        for (odd, wanted) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\n"[..], plain),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\t\r\n\r\n", plain),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            (
                b"HTTP/1.1 200 OK\r\nX-Empty:\r\n \r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX-Empty: \r\nContent-Length: 5\r\n\r\n",
            ),
        ] {
            assert_eq!(anew(odd), wanted, "{}", odd.escape_ascii());
        }
        for bad in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
            b"HTTP/1.1 101 Unasked\r\nUpgrade: other\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"no HTTP at all\r\n\r\n",
        ] {
            assert_eq!(read(bad, 0, Wants::Body), Read::Nonsense, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn what_comes_early_says_of_no_body() {
        let early = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\nLink: </a>\r\n\r\n";
        assert_eq!(anew(early), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        assert!(head(early).is_early());
    }

    #[test]
    fn a_head_is_a_part_until_its_last_byte_and_never_longer_than_may_be() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for end in 0..whole.len() {
            for seen in [0, end.saturating_sub(1)] {
                assert_eq!(read(&whole[..end], seen, Wants::Body), Read::Part, "{end}");
            }
        }
        for seen in 0..whole.len() {
            assert!(matches!(read(whole, seen, Wants::Body), Read::Head(_)), "{seen}");
        }
        let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'a'; HEAD]].concat();
        for seen in [0, HEAD] {
            assert_eq!(read(&endless, seen, Wants::Body), Read::Nonsense);
        }
    }

    #[test]
    fn many_headers_pass_and_more_do_not() {
        let with = |many| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(many)).into_bytes();
        assert_eq!(head(&with(MANY)).status, 200);
        assert_eq!(read(&with(MANY + 1), 0, Wants::Body), Read::Nonsense);
    }
}
