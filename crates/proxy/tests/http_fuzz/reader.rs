//! Reads HTTP/1.1 off bytes, written apart from the proxy's own way: strictly, as a receiver that trusts nobody, or
//! leniently, with what RFC 9112 lets a receiver forgive. Each head that the strict one takes is held against httparse.

/// How much is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Strict,
    Lenient,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    /// An answer that has a body if its status and headers say so.
    Answer,
    /// An answer to HEAD.
    AnswerToHead,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its first line.
    pub first: String,
    /// Names in lower case, values without white space around them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As far as it came; chunks are joined.
    pub body: Vec<u8>,
    /// Its end is the end of the connection.
    pub until_close: bool,
    /// Its trailers are none, which a receiver may forgive.
    pub odd_trailers: bool,
}

/// What is at the beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A message of so many bytes.
    Whole(Message, usize),
    /// The beginning of one; what is known of it if its head was whole.
    Part(Option<Message>),
    /// No message; what was known of it if its head was one.
    Bad(Option<Message>, &'static str),
}

/// What two messages that are one have in common, whoever carried it.
#[derive(Debug, PartialEq, Eq)]
pub struct EndToEnd<'m> {
    first: Vec<String>,
    pub headers: Vec<(&'m str, Vec<u8>)>,
    pub body: &'m [u8],
}

impl EndToEnd<'_> {
    /// True if this is the beginning of another one: all of its head, and some of its body.
    pub fn begins(&self, whole: &EndToEnd<'_>) -> bool {
        (&self.first, &self.headers) == (&whole.first, &whole.headers) && whole.body.starts_with(self.body)
    }
}

enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Message {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]).collect()
    }

    fn is_old(&self, kind: Kind) -> bool {
        if kind == Kind::Request { self.first.ends_with("1.0") } else { self.first.starts_with("HTTP/1.0") }
    }

    /// Of an answer.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status")
    }

    /// Of a request: the connection may end with its answer, and must where its length was said in two ways (RFC 9112,
    /// section 6.1).
    pub fn is_last(&self) -> bool {
        let closes = |value: &&[u8]| {
            value.to_ascii_lowercase().split(|byte| *byte == b',').any(|word| trim(word) == b"close")
        };
        let both = ["content-length", "transfer-encoding"].iter().all(|name| !self.values(name).is_empty());
        both || self.is_old(Kind::Request) || self.values("connection").iter().any(closes)
    }

    pub fn end_to_end(&self) -> EndToEnd<'_> {
        // However a folded line is made one.
        let unfolded = |value: &[u8]| {
            let words = value.split(|byte| [b' ', b'\t'].contains(byte)).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join(&b' ')
        };
        const OF_THE_HOP: [&str; 4] = ["connection", "content-length", "trailer", "transfer-encoding"];
        let first = self.first.split('#').next().unwrap_or_default();
        let mut headers: Vec<(&str, Vec<u8>)> = self
            .headers
            .iter()
            .filter(|(name, _)| !OF_THE_HOP.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), unfolded(value)))
            .collect();
        headers.sort();
        // An address without a path has the path `/`, and its scheme is the same in any case (RFC 9110, section 4.2.3).
        let plain = |word: &str| match word.split_once("://") {
            Some((scheme, rest)) => format!("{}:{}", scheme.to_ascii_lowercase(), rest.replace('/', "")),
            None => word.to_owned(),
        };
        let first = first.split(' ').take(2).map(plain).collect();
        EndToEnd { first, headers, body: &self.body }
    }
}

/// All messages in some bytes, and what is left.
pub fn read_all(mut bytes: &[u8], kind: Kind, manner: Manner) -> (Vec<Message>, Read) {
    let mut messages = Vec::new();
    loop {
        match read(bytes, kind, manner) {
            Read::Whole(message, length) => {
                messages.push(message);
                bytes = &bytes[length..];
            }
            rest => return (messages, rest),
        }
    }
}

/// True if what no message could be made of holds an empty line, so that a receiver need not wait for more of its head.
pub fn has_a_head(mut bytes: &[u8], kind: Kind) -> bool {
    while let Read::Whole(_, length) = read(bytes, kind, Manner::Lenient) {
        bytes = &bytes[length..];
    }
    let from = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    [&b"\n\n"[..], b"\n\r\n"].iter().any(|end| bytes[from..].windows(end.len()).any(|some| some == *end))
}

/// The final answer in some bytes behind informational ones, and how many bytes they all are. Nobody asked for another
/// protocol.
pub fn read_final(bytes: &[u8], kind: Kind, manner: Manner) -> Read {
    let mut passed = 0;
    loop {
        match read(&bytes[passed..], kind, manner) {
            Read::Whole(message, _) if message.status() == 101 => return Read::Bad(None, "a switch unasked"),
            Read::Whole(message, length) if (100..200).contains(&message.status()) => passed += length,
            Read::Whole(message, length) => return Read::Whole(message, passed + length),
            rest => return rest,
        }
    }
}

pub fn read(bytes: &[u8], kind: Kind, manner: Manner) -> Read {
    let (mut message, begun) = match head(bytes, kind, manner) {
        Ok(Some(read)) => read,
        Ok(None) => return Read::Part(None),
        Err(why) => return Read::Bad(None, why),
    };
    if manner == Manner::Strict {
        hold_against_httparse(&bytes[..begun], kind, &message);
    }
    let framing = match framing(&message, kind, manner) {
        Ok(framing) => framing,
        Err(why) => return Read::Bad(None, why),
    };
    let rest = &bytes[begun..];
    match framing {
        Framing::Length(length) => {
            let there = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
            message.body = rest[..there].to_vec();
            if there as u64 == length {
                Read::Whole(message, begun + there)
            } else {
                Read::Part(Some(message))
            }
        }
        Framing::UntilClose => {
            (message.body, message.until_close) = (rest.to_vec(), true);
            Read::Whole(message, bytes.len())
        }
        Framing::Chunked => match chunks(rest, manner, &mut message) {
            Ok(Some(length)) => Read::Whole(message, begun + length),
            Ok(None) => Read::Part(Some(message)),
            Err(why) => Read::Bad(Some(message), why),
        },
    }
}

/// A line and the length with its end.
fn line(bytes: &[u8], manner: Manner) -> Result<Option<(&[u8], usize)>, &'static str> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = match bytes[..end].strip_suffix(b"\r") {
        Some(line) => line,
        None if manner == Manner::Strict => return Err("LF alone"),
        None => &bytes[..end],
    };
    if line.contains(&b'\r') { Err("CR alone") } else { Ok(Some((line, end + 1))) }
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| [b' ', b'\t'].contains(byte);
    let begin = bytes.iter().position(|byte| !is_space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(begin, |at| at + 1);
    &bytes[begin..end]
}

fn first_line(line: &[u8], kind: Kind) -> Result<String, &'static str> {
    let text: String = line.iter().map(|byte| char::from(*byte)).collect();
    let parts: Vec<&str> = text.splitn(3, ' ').collect();
    let good = match (kind, &parts[..]) {
        (Kind::Request, [method, target, version]) => {
            let visible = target.chars().all(|c| c > ' ' && c != '\u{7f}');
            std::str::from_utf8(line).is_ok()
                && is_token(method.as_bytes())
                && !target.is_empty()
                && visible
                && ["HTTP/1.1", "HTTP/1.0"].contains(version)
        }
        (Kind::Answer | Kind::AnswerToHead, [version, status, rest @ ..]) => {
            let number = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
            number
                && status.as_bytes()[0] != b'0'
                && ["HTTP/1.1", "HTTP/1.0"].contains(version)
                && rest.iter().all(|reason| reason.chars().all(|c| c == '\t' || (c >= ' ' && c != '\u{7f}')))
        }
        _ => false,
    };
    if good { Ok(text) } else { Err("no first line") }
}

fn head(bytes: &[u8], kind: Kind, manner: Manner) -> Result<Option<(Message, usize)>, &'static str> {
    let mut at = 0;
    if manner == Manner::Lenient {
        // Empty lines before a message.
        while let Some(empty) = [&b"\r\n"[..], b"\n"].iter().find(|empty| bytes[at..].starts_with(empty)) {
            at += empty.len();
        }
    }
    let Some((first, length)) = line(&bytes[at..], manner)? else { return Ok(None) };
    let mut message = Message { first: first_line(first, kind)?, ..Message::default() };
    at += length;
    loop {
        let Some((header, length)) = line(&bytes[at..], manner)? else { return Ok(None) };
        at += length;
        if header.is_empty() {
            return Ok(Some((message, at)));
        }
        if let [b' ' | b'\t', ..] = header {
            // Of an answer, its receiver may make one line of it (RFC 9112, section 5.2).
            let (Some((_, value)), Kind::Answer | Kind::AnswerToHead, Manner::Lenient) =
                (message.headers.last_mut(), kind, manner)
            else {
                return Err("a folded line");
            };
            value.push(b' ');
            value.extend_from_slice(trim(header));
            continue;
        }
        let colon = header.iter().position(|byte| *byte == b':').ok_or("a header without a colon")?;
        let (name, value) = (&header[..colon], trim(&header[colon + 1..]));
        if !is_token(name) || !is_value(value) {
            return Err("no header");
        }
        let name = name.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        message.headers.push((name, value.to_vec()));
    }
}

fn framing(message: &Message, kind: Kind, manner: Manner) -> Result<Framing, &'static str> {
    let codings = message.values("transfer-encoding").join(&b',').to_ascii_lowercase();
    let codings: Vec<&[u8]> = codings.split(|byte| *byte == b',').map(trim).collect();
    let is_coded = !message.values("transfer-encoding").is_empty();
    let lengths = message.values("content-length");
    let bodiless = match kind {
        Kind::Request => false,
        Kind::AnswerToHead => true,
        Kind::Answer => matches!(message.status(), 100..200 | 204 | 304),
    };
    if manner == Manner::Strict && (lengths.len() > 1 || (is_coded && !lengths.is_empty())) {
        return Err("more than one length");
    }
    let number = |text: &&[u8]| -> Option<u64> {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
    };
    let chunked = codings.iter().filter(|coding| **coding == b"chunked").count();
    let is_odd = chunked > 1 || (chunked == 1 && codings.last() != Some(&&b"chunked"[..]));
    if manner == Manner::Strict && is_odd {
        return Err("chunks that are not all there is");
    }
    if bodiless {
        return Ok(Framing::Length(0));
    }
    if is_coded {
        if message.is_old(kind) {
            return Err("chunks in HTTP/1.0");
        }
        return match (chunked, codings.last()) {
            (1, Some(&b"chunked")) => Ok(Framing::Chunked),
            (0, _) if kind != Kind::Request => Ok(Framing::UntilClose),
            _ => Err("a coding whose end is not known"),
        };
    }
    let parts = |value: &&'_ [u8]| {
        value.split(|byte| *byte == b',').map(trim).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let lengths: Vec<Vec<u8>> = if kind != Kind::Request && manner == Manner::Lenient {
        lengths.iter().flat_map(parts).collect()
    } else {
        lengths.iter().map(|value| value.to_vec()).collect()
    };
    let mut lengths = lengths.iter().map(|value| number(&&value[..]));
    match lengths.next() {
        None if kind == Kind::Request => Ok(Framing::Length(0)),
        None => Ok(Framing::UntilClose),
        Some(Some(length)) if lengths.all(|other| other == Some(length)) => Ok(Framing::Length(length)),
        Some(_) => Err("lengths that are none, or differ"),
    }
}

fn chunks(bytes: &[u8], manner: Manner, message: &mut Message) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let Some((text, length)) = line(&bytes[at..], Manner::Strict)? else { return Ok(None) };
        let text = match manner {
            Manner::Strict => text,
            Manner::Lenient => trim(text.split(|byte| *byte == b';').next().unwrap_or_default()),
        };
        if text.is_empty() || !text.iter().all(u8::is_ascii_hexdigit) {
            return Err("no size of a chunk");
        }
        let mut size = 0usize;
        for digit in text {
            let digit = char::from(*digit).to_digit(16).unwrap_or_default() as usize;
            size =
                size.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or("a monstrous chunk")?;
        }
        at += length;
        if size == 0 {
            break;
        }
        let rest = &bytes[at..];
        message.body.extend_from_slice(&rest[..size.min(rest.len())]);
        match rest.get(size..) {
            Some([b'\r', b'\n', ..]) => at += size + 2,
            Some([] | [b'\r']) | None => return Ok(None),
            Some(_) => return Err("a chunk that is longer than it says"),
        }
    }
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        at += end + 2;
        let trailer = &rest[..end];
        if trailer.is_empty() {
            return Ok(Some(at));
        }
        let good = trailer
            .iter()
            .position(|byte| *byte == b':')
            .is_some_and(|colon| is_token(&trailer[..colon]) && is_value(&trailer[colon + 1..]));
        if manner == Manner::Strict && !good {
            return Err("no trailer");
        }
        message.odd_trailers |= !good;
    }
}

/// Two readers that were written apart must read the same head.
fn hold_against_httparse(bytes: &[u8], kind: Kind, message: &Message) {
    let mut headers = vec![httparse::EMPTY_HEADER; 4096];
    let (length, headers) = if kind == Kind::Request {
        let mut request = httparse::Request::new(&mut headers);
        (request.parse(bytes), &*request.headers)
    } else {
        let mut answer = httparse::Response::new(&mut headers);
        (answer.parse(bytes), &*answer.headers)
    };
    let read: Vec<(String, Vec<u8>)> =
        headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect();
    assert_eq!(length, Ok(httparse::Status::Complete(bytes.len())), "{}", bytes.escape_ascii());
    assert_eq!(read, message.headers, "{}", bytes.escape_ascii());
}
