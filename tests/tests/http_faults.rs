//! Every fault on requests, in each of the three ways in which it can be put up: by the command line and by the API on a
//! connection that is open, and by a scenario. It acts on the requests that are meant, and on no other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use murphy_tests::{Bench, Daemon, answering, eventually, free_ports};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(250);

const BODY: &str = r#"{"price_cents":1299,"name":"lamp"}"#;

/// What a caller was told: everything up to the end of the answer, or of the connection, or of its patience.
#[derive(Debug)]
struct Told {
    head: String,
    body: String,
    /// What ended it before its time.
    broken: Option<ErrorKind>,
    took: Duration,
}

impl Told {
    fn is_untouched(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200 ") && self.body == BODY && self.broken.is_none()
    }

    fn says(&self, text: &str) -> bool {
        format!("{}\r\n", self.head).to_ascii_lowercase().contains(text)
    }
}

/// A caller that keeps its connection.
struct Caller(BufReader<TcpStream>);

impl Caller {
    fn dial(address: &str) -> Caller {
        Caller(BufReader::new(TcpStream::connect(address).expect("the proxy listens")))
    }

    fn ask(&mut self, path: &str, patience: Duration) -> Told {
        let begun = Instant::now();
        let stream = self.0.get_mut();
        stream.set_read_timeout(Some(patience)).expect("a time");
        let sent = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes());
        let (mut head, mut body) = (Vec::new(), Vec::new());
        let mut broken = sent.err().map(|error| error.kind());
        let mut left = None;
        while broken.is_none() && left != Some(0) {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(0) => broken = Some(ErrorKind::UnexpectedEof),
                Ok(_) if left.is_some() => {
                    body.push(byte[0]);
                    left = left.map(|left: usize| left - 1);
                }
                Ok(_) => {
                    head.push(byte[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
                        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                        left = Some(length.and_then(|length| length.parse().ok()).unwrap_or(0));
                    }
                }
                Err(error) => broken = Some(error.kind()),
            }
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Told { head: text(&head), body: text(&body), broken, took: begun.elapsed() }
    }
}

/// A fault in all its spellings, and what a caller is told by it. `patience` is how long the caller waits.
struct Case {
    name: &'static str,
    flags: &'static str,
    inject: Value,
    patience: Duration,
    /// Only the second request on a connection.
    second: bool,
    acts: fn(&Told) -> bool,
}

fn ended(told: &Told) -> bool {
    told.head.is_empty()
        && matches!(
            told.broken,
            Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        )
}

/// In order, and without a word.
fn closed(told: &Told) -> bool {
    told.head.is_empty() && told.broken == Some(ErrorKind::UnexpectedEof)
}

fn cases() -> Vec<Case> {
    let case = |flags: &'static str, inject: Value, acts: fn(&Told) -> bool| {
        let name = flags[2..].split(['=', ' ']).next().expect("a name");
        Case { name, flags, inject, patience: PATIENCE, second: false, acts }
    };
    vec![
        case(
            "--abort 503 --abort-retry-after 2s",
            json!({ "abort": { "status": 503, "retry-after": "2s" } }),
            |told| told.head.starts_with("HTTP/1.1 503 ") && told.says("\r\nretry-after: 2\r\n"),
        ),
        case("--delay 300ms", json!({ "delay": "300ms" }), |told| {
            told.is_untouched() && told.took >= Duration::from_millis(299)
        }),
        Case {
            patience: SHORT,
            ..case("--hang", json!("hang"), |told| {
                told.head.is_empty() && told.broken == Some(ErrorKind::WouldBlock)
            })
        },
        // 34 bytes.
        case("--drip 100B/s", json!({ "drip": { "rate": "100B/s" } }), |told| {
            told.is_untouched() && told.took >= Duration::from_millis(300)
        }),
        case("--truncate 5B", json!({ "truncate": { "bytes": "5B" } }), |told| {
            told.body == BODY[..5] && told.broken == Some(ErrorKind::UnexpectedEof)
        }),
        case("--malform json", json!({ "malform": { "flaw": "json" } }), |told| {
            told.broken.is_none() && serde_json::from_str::<Value>(&told.body).is_err()
        }),
        case(
            "--headers --headers-set x-stock:none",
            json!({ "headers": { "set": { "x-stock": "none" } } }),
            |told| told.is_untouched() && told.says("\r\nx-stock: none\r\n"),
        ),
        Case {
            name: "body",
            ..case(
                "--body-at /price_cents --body-value -1",
                json!({ "body": { "at": "/price_cents", "value": -1 } }),
                |told| {
                    let body: Value = serde_json::from_str(&told.body).unwrap_or_default();
                    told.broken.is_none() && body == json!({ "price_cents": -1, "name": "lamp" })
                },
            )
        },
        Case {
            second: true,
            ..case("--rate-limit 0.001/s", json!({ "rate-limit": { "rate": "0.001/s" } }), |told| {
                told.head.starts_with("HTTP/1.1 429 ") && told.says("\r\nretry-after: 1\r\n")
            })
        },
        case("--malform empty", json!({ "malform": "empty" }), |told| {
            told.head.starts_with("HTTP/1.1 200 ")
                && told.says("\r\ncontent-length: 0\r\n")
                && told.broken.is_none()
        }),
        case("--abort --abort-with close", json!({ "abort": { "with": "close" } }), closed),
        case("--lose-response", json!("lose-response"), ended),
        case("--lose-response=close", json!({ "lose-response": { "instead": "close" } }), closed),
        Case { second: true, ..case("--stale-keep-alive", json!("stale-keep-alive"), ended) },
    ]
}

/// The fault stands: it acts on what it is for, on this connection, and on nothing else.
fn acts(case: &Case, mut caller: Caller, address: &str, way: &str) {
    let other = caller.ask("/other", PATIENCE);
    assert!(other.is_untouched(), "{} {way}: {other:?}", case.name);
    if case.second {
        let first = caller.ask("/item", PATIENCE);
        // The connection has been used: another one is first.
        let first = if case.name == "stale-keep-alive" {
            assert!((case.acts)(&first), "{} {way}: {first:?}", case.name);
            caller = Caller::dial(address);
            caller.ask("/item", PATIENCE)
        } else {
            first
        };
        assert!(first.is_untouched(), "{} {way}: {first:?}", case.name);
    }
    let told = caller.ask("/item", case.patience);
    assert!((case.acts)(&told), "{} {way}: {told:?}", case.name);
}

#[test]
fn all_of_the_catalogue_are_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/faults/src/http");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the faults on requests") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a file");
        let name = |rest: &str| rest.split('"').next().map(str::to_owned);
        let found: Vec<String> =
            text.split("const NAME: &'static str = \"").skip(1).filter_map(name).collect();
        assert!(found.len() <= 1, "{found:?} in one file");
        names.extend(found);
    }
    assert_eq!(names, cases().iter().map(|case| case.name.to_owned()).collect());
}

#[test]
fn each_acts_live_by_the_command_line_and_by_the_api_and_ends_without_a_trace() {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let upstream = answering(BODY);
    let made = daemon.run(&bench, &format!("proxies add shop {upstream} --http --output json")).expect(0);
    let made: Value = serde_json::from_str(&made.stdout).expect("a proxy");
    let address = made["listen"].as_str().expect("an address").to_owned();
    let api = format!("127.0.0.1:{}", daemon.port());
    let call = |method: &str, body: &str| {
        let mut stream = TcpStream::connect(&api).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let head = "/v1/proxies/shop/faults/it HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Type: application/json\r\n";
        let length = body.len();
        stream
            .write_all(format!("{method} {head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {body}: {answer}");
        answer
    };
    for case in cases() {
        for way in ["by the command line", "by the API"] {
            // Open before the fault is.
            let mut caller = Caller::dial(&address);
            assert!(caller.ask("/item", PATIENCE).is_untouched());
            if way == "by the API" {
                let body = json!({ "inject": case.inject, "match": { "path": "/item" } });
                call("PUT", &body.to_string());
                acts(&case, caller, &address, way);
                let hits = if case.name == "stale-keep-alive" { 2 } else { 1 };
                assert!(call("GET", "").contains(&format!("\"hits\":{hits}")), "{}", case.name);
                call("DELETE", "");
            } else {
                daemon
                    .run(&bench, &format!("fault add shop --name it {} --path /item", case.flags))
                    .expect(0);
                acts(&case, caller, &address, way);
                daemon.run(&bench, "fault remove shop it").expect(0);
            }
            let told = Caller::dial(&address).ask("/item", PATIENCE);
            assert!(told.is_untouched() && !told.says("x-stock"), "{} after {way}: {told:?}", case.name);
        }
    }
    assert_eq!(daemon.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn each_acts_by_a_scenario() {
    let bench = Bench::new();
    let upstream = answering(BODY);
    let cases = cases();
    let ports = free_ports::<16>();
    let address = |of: usize| format!("127.0.0.1:{}", ports[of]);
    let (mut edges, mut faults) = (String::new(), String::new());
    for (of, case) in cases.iter().enumerate() {
        // Some faults are here in several forms.
        let (listen, name) = (address(of), format!("{}-{of}", case.name));
        let _ = writeln!(edges, "  {name}: {{ listen: \"{listen}\", to: \"{upstream}\", protocol: http }}");
        let _ = writeln!(faults, "  - {{ edge: {name}, inject: {}, match: {{ path: /item }} }}", case.inject);
    }
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: all of them\nedges:\n{edges}\
             probes: {{ up: {{ tcp: \"{upstream}\", every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 300ms, fault: 120s, recovery: 1s }}\nlearn: all\nfaults:\n{faults}"
        ),
    );
    let run = bench.spawn(&["run", "s.yaml"]);
    eventually("all faults stand", PATIENCE, || {
        let journal = bench.journals().first().map(std::fs::read_to_string);
        journal
            .is_some_and(|text| text.is_ok_and(|text| text.matches("\"fault-armed\"").count() == cases.len()))
    });
    for (of, case) in cases.iter().enumerate() {
        acts(case, Caller::dial(&address(of)), &address(of), "by a scenario");
    }
    kill(Pid::from_raw(i32::try_from(run.id()).expect("a pid")), Signal::SIGTERM).expect("it runs");
    let ended = run.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(143), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(bench.undo_logs().is_empty());
}
