//! Requests that are nearly right: what the documents of both APIs show, with a few mistakes in it.

use std::fmt::Write as _;

use murphy_core::Dice;
use murphy_faults::catalogue;

/// One request as bytes.
pub struct Request {
    pub bytes: Vec<u8>,
    /// As far as its framing goes it is one, so that it must be answered.
    pub is_http: bool,
    /// No more of it is to come.
    pub is_whole: bool,
}

impl Request {
    /// It is for the API below `/v1`, which has no status in common with Toxiproxy's.
    pub fn is_native(&self) -> bool {
        let target = self.bytes.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        path == b"/v1" || path.starts_with(b"/v1/")
    }
}

const METHODS: &[&str] = &[
    "GET", "GET", "POST", "POST", "POST", "PUT", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "MURPHY",
];

/// Longer bodies are refused before they have been read, and the answer may be lost in what is still on its way.
const LONGEST: usize = 200_000;

/// What belongs together: most requests are about these, and most of them with a mistake at most.
const ORDERS: &[(&str, &str, &str)] = &[
    ("POST", "/proxies", r#"{"name":"%","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}"#),
    ("POST", "/v1/proxies", r#"{"name":"%","upstream":"127.0.0.1:1"}"#),
    ("POST", "/v1/proxies", r#"{"name":"%","upstream":"127.0.0.1:1","protocol":"http"}"#),
    ("POST", "/populate", r#"[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]"#),
    ("POST", "/proxies/%", r#"{"enabled":false}"#),
    ("PATCH", "/proxies/%", r#"{"enabled":true}"#),
    ("PATCH", "/v1/proxies/%", r#"{"enabled":true}"#),
    ("GET", "/v1/proxies/%", ""),
    ("GET", "/proxies/%/toxics", ""),
    ("GET", "/metrics", ""),
    ("POST", "/proxies/%/toxics", r#"{"type":"latency","attributes":{"latency":100,"jitter":10}}"#),
    (
        "POST",
        "/proxies/%/toxics",
        r#"{"name":"%","type":"bandwidth","toxicity":0.5,"attributes":{"rate":64}}"#,
    ),
    ("POST", "/proxies/%/toxics/%", r#"{"toxicity":0.25,"attributes":{"latency":5}}"#),
    ("DELETE", "/proxies/%/toxics/%", ""),
    ("POST", "/v1/proxies/%/faults", r#"{"inject":@}"#),
    (
        "POST",
        "/v1/proxies/%/faults",
        r#"{"name":"%","inject":@,"directions":"both","chance":"50%","for":"1s"}"#,
    ),
    ("PUT", "/v1/proxies/%/faults/%", r#"{"inject":@}"#),
    ("DELETE", "/v1/proxies/%/faults/%", ""),
    ("GET", "/v1/proxies/%/connections", ""),
    (
        "PUT",
        "/v1/rules/%",
        r#"{"rules":[{"proxy":"a","inject":@},{"proxy":"b","inject":@,"chance":"10%"}],"for":"10s"}"#,
    ),
    ("PUT", "/v1/rules/%", r#"{"rules":[]}"#),
    ("PUT", "/v1/leases/%", r#"{"for":"30s"}"#),
    ("GET", "/v1/leases/%", ""),
    ("DELETE", "/v1/leases/%", ""),
];

/// `%` is a name.
const PATHS: &[&str] = &[
    "/proxies",
    "/proxies",
    "/proxies/%",
    "/proxies/%/toxics",
    "/proxies/%/toxics/%",
    "/populate",
    "/reset",
    "/version",
    "/metrics",
    "/v1/proxies",
    "/v1/proxies",
    "/v1/proxies/%",
    "/v1/proxies/%/faults",
    "/v1/proxies/%/faults",
    "/v1/proxies/%/faults/%",
    "/v1/proxies/%/faults/%",
    "/v1/proxies/%/connections",
    "/v1/proxies/%/connections?after=%",
    "/v1/rules/%",
    "/v1/leases",
    "/v1/leases/%",
    "/v1/leases/%/hold",
    "/v1/containers/faults",
    "/v1/containers/faults/%",
    "/v1/events",
    "/v1/openapi.json",
    "/v1/version",
    "/v1",
    "/%",
    "/",
];

const NAMES: &[&str] = &[
    "a",
    "a",
    "b",
    "b",
    "A",
    "latency_downstream",
    "f-1",
    "soak",
    "",
    ".",
    "..",
    "a/b",
    "a b",
    "ü",
    "-1",
    "0",
    "18446744073709551616",
    "%",
    "\u{0}",
    "\"",
    "a_very_long_name_a_very_long_name_a_very_long_name_a_very_long_name_a_very_long_name",
];

/// Bodies of both APIs; `%` is a name, `@` a fault of the catalogue.
const BODIES: &[&str] = &[
    r#"{"name":"%","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}"#,
    r#"{"name":"%","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}"#,
    r#"{"name":"%","upstream":"127.0.0.1:1","protocol":"http"}"#,
    r#"{"name":"%","upstream":"127.0.0.1:1","protocol":"redis","tls":{"client":true}}"#,
    r#"[{"name":"%","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"},{"name":"%","listen":"127.0.0.1:0","upstream":"[::1]:2","enabled":true}]"#,
    r#"{"enabled":false}"#,
    r#"{"enabled":true,"upstream":"localhost:3"}"#,
    r#"{"type":"latency","attributes":{"latency":100,"jitter":10}}"#,
    r#"{"type":"bandwidth","stream":"upstream","toxicity":0.5,"attributes":{"rate":64}}"#,
    r#"{"name":"%","type":"slicer","attributes":{"average_size":64,"size_variation":32,"delay":10}}"#,
    r#"{"type":"limit_data","attributes":{"bytes":1000}}"#,
    r#"{"type":"reset_peer","attributes":{"timeout":0}}"#,
    r#"{"type":"packet_loss","toxicity":1,"attributes":{}}"#,
    r#"{"toxicity":0.25,"attributes":{"latency":5}}"#,
    r#"{"inject":@}"#,
    r#"{"inject":@}"#,
    r#"{"name":"%","inject":@,"directions":"both","chance":"50%","for":"1s"}"#,
    r#"{"inject":@,"lease":"%","directions":"to-upstream"}"#,
    r#"{"inject":@,"match":{"method":"POST","path":"/{**,v1}/items/[.-9]*","header":{"X-A":"/b+/"},"query":{"q":"*"},"source":"127.0.0.0/8"},"which":{"first":3}}"#,
    r#"{"inject":@,"which":{"fail":2,"pass":3,"per":{"header":"X-Id"}}}"#,
    r#"{"rules":[{"proxy":"%","inject":@},{"proxy":"%","inject":@,"chance":"10%"}],"for":"10s"}"#,
    r#"{"rules":[]}"#,
    r#"{"for":"30s"}"#,
    r#"{"container":{"service":"web","pick":1},"inject":"pause","for":"20s"}"#,
    r#"{"name":"%","network":{"between":["web","db"]},"inject":"partition","dry-run":true}"#,
    "",
];

/// What a value may be instead.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "1.5",
    "1e400",
    "-0.0",
    "9223372036854775808",
    "1e-320",
    "NaN",
    "\"\"",
    "\"a\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"99999999999999999999h\"",
    "\"0ms\"",
    "\"-5ms\"",
    "\"200%\"",
    "\"0B/s\"",
    "\"1PiB\"",
    "[]",
    "{}",
    "[[[[[[[[]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":{}}}}",
    "\"latency\"",
    "{\"latency\":\"1ms\"}",
    "{\"inject\":{\"inject\":1}}",
    "\"127.0.0.1:0\"",
    "\"localhost\"",
    "\"[::1]:0\"",
    "\"256.1.1.1:0\"",
    "\"/(((a*)*)*)*/\"",
    "\"{a,b\"",
    "\"both\"",
    "1,1",
    "\"a\":1",
];

/// Bytes that mean something to JSON or to HTTP.
const BYTES: &[u8] = b"\"\\{}[]:,0e-+. \r\n\t\0\x7f\x80\xff%/?#&=;aT";

const HEADERS: &[&str] = &[
    "Content-Type: application/json",
    "Content-Type: application/json",
    "Content-Type: application/json",
    "Content-Type: text/plain",
    "User-Agent: Mozilla/5.0",
    "Origin: http://evil.example",
    "Sec-Fetch-Site: cross-site",
    "Host: evil.example",
    "Authorization: Bearer x",
    "Accept: */*",
    "Accept-Encoding: gzip",
    "X-A: \u{fc}",
    "If-Match: *",
    "Upgrade: websocket",
    "Connection: keep-alive",
    "Range: bytes=0-1",
];

pub fn request(dice: &mut Dice) -> Request {
    let order = (dice.below(3) > 0).then(|| pick(ORDERS, dice));
    let mut body = body(order.map_or_else(|| word(BODIES, dice), |(_, _, body)| *body), dice);
    // Only ports that the system picks: a chosen one may be somebody's.
    if dice.below(3) == 0 {
        let sound = body.clone();
        for _ in 0..=dice.below(3) {
            body = mistaken(&body, dice);
        }
        if chooses_a_port(&body) {
            body = sound;
        }
    }
    let path = order.map_or_else(|| word(PATHS, dice), |(_, path, _)| *path);
    let path = filled(path, dice, escaped);
    let method = order.map_or_else(|| word(METHODS, dice), |(method, _, _)| *method);
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    let mut has_host = false;
    let others = if dice.below(3) == 0 { dice.below(4) } else { 0 };
    for _ in 0..others {
        let header = word(HEADERS, dice);
        if !(has_host && header.starts_with("Host:")) {
            let _ = write!(head, "{header}\r\n");
        }
        has_host |= header.starts_with("Host:");
    }
    if !has_host {
        head.push_str("Host: localhost\r\n");
    }
    if dice.below(8) > 0 {
        head.push_str("Content-Type: application/json\r\n");
    }
    let mut bytes;
    if dice.below(8) == 0 {
        bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for chunk in body.as_bytes().chunks(1 + dice.below(64) as usize) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body.as_bytes());
    }
    if dice.below(6) > 0 {
        return Request { bytes, is_http: true, is_whole: true };
    }
    // The head too is not what it should be.
    let ends = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len()) as u64;
    for _ in 0..=dice.below(4) {
        let at = dice.below(ends.min(bytes.len() as u64)) as usize;
        match dice.below(4) {
            0 => bytes.insert(at, *pick(BYTES, dice)),
            1 if bytes.len() > 1 => {
                bytes.remove(at);
            }
            2 => bytes[at] = *pick(BYTES, dice),
            _ => bytes.truncate(at + 1),
        }
    }
    Request { bytes, is_http: false, is_whole: false }
}

/// A name as a part of a path.
pub fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

fn pick<'a, T>(all: &'a [T], dice: &mut Dice) -> &'a T {
    &all[dice.below(all.len() as u64) as usize]
}

fn word(all: &[&'static str], dice: &mut Dice) -> &'static str {
    all[dice.below(all.len() as u64) as usize]
}

/// With a name for each `%` that stands for one: those of percentages are behind a digit.
fn filled(text: &str, dice: &mut Dice, write: impl Fn(&str) -> String) -> String {
    let (mut filled, mut before) = (String::new(), ' ');
    for sign in text.chars() {
        if sign == '%' && !before.is_ascii_digit() {
            // Mostly one that is there.
            let name = if dice.below(6) > 0 { word(&NAMES[..6], dice) } else { word(NAMES, dice) };
            filled.push_str(&write(name));
        } else {
            filled.push(sign);
        }
        before = sign;
    }
    filled
}

/// With a name for each `%`, and a fault for each `@`.
fn body(text: &str, dice: &mut Dice) -> String {
    let mut body =
        filled(text, dice, |name| serde_json::Value::from(name).to_string().trim_matches('"').to_owned());
    while body.contains('@') {
        let example: serde_json::Value =
            serde_yaml::from_str(pick(catalogue(), dice).example).expect("an example is YAML");
        body = body.replacen('@', &example.to_string().replace('@', ""), 1);
    }
    body
}

/// One mistake: a value is another, a sign is lost, doubled or another, a piece is there many times.
fn mistaken(body: &str, dice: &mut Dice) -> String {
    let place = |dice: &mut Dice| {
        let at = dice.below(body.len() as u64 + 1) as usize;
        (0..=at).rev().find(|at| body.is_char_boundary(*at)).unwrap_or(0)
    };
    let starts: Vec<usize> = body.match_indices(':').map(|(at, _)| at + 1).collect();
    match dice.below(6) {
        0..=2 if !starts.is_empty() => {
            let start = *pick(&starts, dice);
            let end = body[start..].find([',', '}']).map_or(body.len(), |length| start + length);
            format!("{}{}{}", &body[..start], word(VALUES, dice), &body[end..])
        }
        3 => {
            let at = place(dice);
            format!("{}{}{}", &body[..at], char::from(*pick(BYTES, dice)), &body[at..])
        }
        4 => {
            let (one, other) = (place(dice), place(dice));
            format!("{}{}", &body[..one.min(other)], &body[one.max(other)..])
        }
        _ => {
            let (one, other) = (place(dice), place(dice));
            let (from, to) = (one.min(other), one.max(other));
            let times = LONGEST.saturating_sub(body.len()) / (to - from).max(1);
            let piece = body[from..to].repeat(times.min(1 + dice.below(300) as usize));
            format!("{}{piece}{}", &body[..to], &body[to..])
        }
    }
}

/// Whether something could come to listen on a port that nobody picked for it.
fn chooses_a_port(body: &str) -> bool {
    body.match_indices("listen").any(|(at, _)| {
        let value = body[at..].split_once(':').map_or("", |(_, value)| value);
        let good = ["\"127.0.0.1:0\"", "\"[::1]:0\"", "\"localhost\"", "null", "\"\"", "[", "{"];
        !good.iter().any(|good| value.trim_start().starts_with(good))
    })
}
