//! Makes bytes that are HTTP, nearly HTTP and no HTTP: messages with what is known to confuse receivers, and then accidents.

use murphy_core::Dice;

fn pick<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize]
}

fn one_in(dice: &mut Dice, n: u64) -> bool {
    dice.below(n) == 0
}

/// Headers that say where a message ends: mostly one that is true, else what smuggling is made of.
const FRAMINGS: &[&str] = &[
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length:\t5 ",
    "Content-Length: 05",
    "Content-Length: 99999999999999999999",
    "Content-Length: 18446744073709551615",
    "Content-Length:",
    "content-length: 6",
    "Content-Length: -0",
    "Content-Length : 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding:",
    "Transfer-Encoding\t: chunked",
    "Content-Length:\r\n 5",
    "Content-Length: 5\r\n\t",
    "Transfer-Encoding:\r\n chunked",
    "X: y\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
];

const HEADERS: &[&str] = &[
    "X-One: 1",
    "X-One:2",
    "x-two: a b\tc",
    "Accept: */*",
    "X-Empty:",
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Cookie: a=1; b=\u{e4}",
    "Connection: keep-alive",
    "Connection: X-One",
    "Connection: close",
    "TE: trailers",
    "Trailer: x-sum",
    "Upgrade: websocket",
    "X-Fold: a\r\n b",
    "X-Nul: a\0b",
    "X Space: 1",
    ": nameless",
    "no colon",
];

const ACCIDENTS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"10000000000000000",
    b"chunked",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"GET /in HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"\xff",
    b"\x7f",
];

fn body(dice: &mut Dice) -> Vec<u8> {
    if one_in(dice, 4) {
        return b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    }
    (0..dice.below(40)).map(|_| pick(dice, b"abc\r\n0:")).collect()
}

fn chunked(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, more) = rest.split_at((1 + dice.below(16) as usize).min(rest.len()));
        let size = match dice.below(12) {
            0 => format!("{:X}", chunk.len()),
            1 => format!("00{:x}", chunk.len()),
            2 => format!("{:x};name=value", chunk.len()),
            3 if one_in(dice, 4) => format!("{:x} ", chunk.len()),
            4 if one_in(dice, 8) => format!("0x{:x}", chunk.len()),
            5 if one_in(dice, 8) => format!("{:x}", chunk.len() + 1),
            _ => format!("{:x}", chunk.len()),
        };
        bytes.extend_from_slice(size.as_bytes());
        bytes.extend_from_slice(if one_in(dice, 60) { b"\n" } else { b"\r\n" });
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        rest = more;
    }
    bytes.extend_from_slice(pick(
        dice,
        &[&b"0\r\n\r\n"[..], b"0\r\n\r\n", b"0\r\nx-sum: 7\r\n\r\n", b"000\r\n\r\n"],
    ));
    bytes
}

/// A message with this first line.
fn message(dice: &mut Dice, first: &str) -> Vec<u8> {
    let mut lines = vec![first.to_owned(), "Host: a".to_owned()];
    for _ in 0..dice.below(4) {
        let rare = one_in(dice, 3);
        lines.push(pick(dice, if rare { HEADERS } else { &HEADERS[..9] }).to_owned());
    }
    let body = match dice.below(3) {
        0 => Vec::new(),
        1 => {
            let body = body(dice);
            lines.push(format!("Content-Length: {}", body.len()));
            body
        }
        _ => {
            let body = body(dice);
            lines.push("Transfer-Encoding: chunked".to_owned());
            chunked(dice, &body)
        }
    };
    if one_in(dice, 5) {
        let framing = pick(dice, FRAMINGS).to_owned();
        if one_in(dice, 2) && lines.len() > 2 {
            let last = lines.len() - 1;
            lines[last] = framing;
        } else {
            lines.insert(1 + dice.below(lines.len() as u64) as usize, framing);
        }
    }
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(if one_in(dice, 150) { b"\n" } else { b"\r\n" });
    }
    bytes.extend_from_slice(if one_in(dice, 100) { b"\n" } else { b"\r\n" });
    bytes.extend_from_slice(&body);
    bytes
}

fn accidents(dice: &mut Dice, bytes: &mut Vec<u8>) {
    if !one_in(dice, 2) {
        return;
    }
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() as u64 + 1) as usize;
        let length = (1 + dice.below(8) as usize).min(bytes.len() - at);
        match dice.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..at + length)),
            2 => {
                let again = bytes[at..at + length].to_vec();
                bytes.splice(at..at, again);
            }
            3 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, pick(dice, ACCIDENTS).iter().copied())),
        }
    }
}

/// Requests, one behind the other.
pub fn requests(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..=dice.below(4) {
        let method = pick(dice, &["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "M-SEARCH"]);
        let version = if one_in(dice, 20) { "1.0" } else { "1.1" };
        let target = match dice.below(30) {
            0 => "http://b/absolute".to_owned(),
            1 => format!("/{}", "long/".repeat(400)),
            2 => "*".to_owned(),
            3 => "/a b".to_owned(),
            _ => format!("/{n}?x=1"),
        };
        bytes.extend(message(dice, &format!("{method} {target} HTTP/{version}")));
    }
    accidents(dice, &mut bytes);
    bytes
}

/// An answer, perhaps behind informational ones and before what nobody asked for.
pub fn answers(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..dice.below(3) {
        if one_in(dice, 3) {
            bytes.extend_from_slice(pick(
                dice,
                &[&b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..], b"HTTP/1.1 100 Continue\r\n\r\n"],
            ));
        }
    }
    let status = pick(
        dice,
        &["200 OK", "200 OK", "404 Not Found", "204 No Content", "304 Not Modified", "200", "599 Odd"],
    );
    let version = if one_in(dice, 12) { "1.0" } else { "1.1" };
    bytes.extend(message(dice, &format!("HTTP/{version} {status}")));
    if one_in(dice, 6) {
        bytes.extend(message(dice, "HTTP/1.1 200 Unasked"));
    }
    accidents(dice, &mut bytes);
    bytes
}

/// What may follow the greeting of HTTP/2: frames, good and bad ones.
pub fn frames(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    if !one_in(dice, 10) {
        bytes.extend_from_slice(&settings);
    }
    for _ in 0..dice.below(6) {
        // GET / and so on, from the static table of HPACK; then noise.
        let payload: Vec<u8> = if one_in(dice, 2) {
            vec![0x82, 0x86, 0x84, 0x41, 0x01, b'a']
        } else {
            (0..dice.below(30)).map(|_| dice.bits() as u8).collect()
        };
        let length = if one_in(dice, 10) { dice.below(1 << 24) } else { payload.len() as u64 };
        bytes.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
        bytes.push(dice.below(12) as u8);
        bytes.push(pick(dice, &[0, 1, 4, 5, 0x2d, 0xff]));
        bytes.extend_from_slice(&(dice.below(8) as u32).to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    accidents(dice, &mut bytes);
    bytes
}

/// The same bytes in pieces: one, a few, or single bytes.
pub fn pieces(dice: &mut Dice, bytes: &[u8]) -> Vec<Vec<u8>> {
    let most = pick(dice, &[1, 3, 30]);
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    // Few reads a case: what is long goes on in larger pieces.
    let least = bytes.len() / 60;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((1 + least + dice.below(most) as usize).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = more;
    }
    pieces
}
