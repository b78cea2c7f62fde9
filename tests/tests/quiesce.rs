//! A service that goes on failing for as long as it is asked, through the real binary: its load is stopped, and begun again once
//! it answers; and where it comes back by itself, that is left out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use murphy_tests::{Bench, free_ports, turn};

/// So long nobody asks.
const PAUSE: Duration = Duration::from_millis(2500);

/// How a service takes a pause.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// It fails after one, and is well after the next.
    Moody,
    /// It is always well.
    Well,
}

/// Answers 200, or 502 while it is down.
fn service(mood: Mood) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let last = Arc::new(Mutex::new((None::<Instant>, false)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let last = Arc::clone(&last);
            std::thread::spawn(move || {
                let (mut head, mut bytes) = (Vec::new(), [0; 1024]);
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut bytes) {
                        Ok(0) | Err(_) => return,
                        Ok(n) => head.extend_from_slice(&bytes[..n]),
                    }
                }
                let down = {
                    let mut last = last.lock().unwrap();
                    if mood == Mood::Moody && last.0.is_some_and(|last| last.elapsed() > PAUSE) {
                        last.1 = !last.1;
                    }
                    last.0 = Some(Instant::now());
                    last.1
                };
                let status = if down { "502 Bad Gateway" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

fn scenario(service: SocketAddr) -> String {
    let [edge]: [u16; 1] = free_ports();
    format!(
        r#"murphy: 1
name: it comes back
edges:
  api: {{ listen: "127.0.0.1:{edge}", to: "{service}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/", rate: 40/s, timeout: 500ms, arrivals: constant }}
phases: {{ warm-up: 1s, baseline: 6s, fault: 4s, recovery: 12s, quiet: 30s, again: 7s }}
faults:
  - {{ edge: api, inject: {{ blackhole: {{}} }}, direction: both }}
learn: all
"#
    )
}

#[test]
fn load_is_stopped_until_a_request_alone_is_answered_and_then_begun_again() {
    let _turn = turn();
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(service(Mood::Moody)));
    bench.run(&["plan", "s.yaml"]).expect(0).says("quiet for 30s at most, again for 7s");
    let ended = bench.run(&["run", "s.yaml", "--inconclusive", "warn"]).expect(0);
    ended.says("phase quiet").says("phase again");
    // The terminal shows the first of what could not be told; all of it is in the report.
    let report = bench.journals().pop().expect("a journal").with_file_name("report.json");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains(" without load"), "{report}");
    let phases = bench.timed("phase-started");
    let names: Vec<&str> = phases.iter().filter_map(|(_, event)| event["phase"].as_str()).collect();
    assert_eq!(names, ["warm-up", "baseline", "fault", "recovery", "quiet", "again"]);
    let (quiet, again) = (phases[4].0, phases[5].0);
    assert!((3_000_000..=20_000_000).contains(&(again - quiet)), "{phases:?}");
    let samples = bench.timed("sample");
    let came = |from: u64, to: u64| {
        let came = samples
            .iter()
            .filter(move |(_, sample)| (from..to).contains(&sample["intended"].as_u64().unwrap()));
        came.map(|(_, sample)| sample["outcome"] == "ok").collect::<Vec<bool>>()
    };
    // What was due before the load had heard of it, and one alone.
    let between = came(quiet + 500_000, again);
    assert_eq!(between, [true], "one request alone");
    let after = came(again, u64::MAX);
    let good = after.iter().filter(|good| **good).count();
    assert!(after.len() >= 200 && good * 10 >= after.len() * 9, "{good} of {} after it", after.len());
    let before = came(quiet - 5_000_000, quiet);
    assert!(before.len() >= 150 && before.iter().all(|good| !good), "down until then: {before:?}");
    let mut ordinals: Vec<u64> = samples.iter().map(|(_, sample)| sample["n"].as_u64().unwrap()).collect();
    ordinals.sort_unstable();
    assert!(ordinals.iter().copied().eq(0..ordinals.len() as u64), "no request is left out");
}

#[test]
fn a_service_that_comes_back_keeps_its_load() {
    // It has come back if it is as quick as before.
    let _turn = turn();
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(service(Mood::Well)));
    let ended = bench.run(&["run", "s.yaml", "--inconclusive", "warn"]).expect(0);
    ended.says("phases quiet and again skipped: read has ").says("not metastable at 40/s");
    assert_eq!(bench.timed("phase-started").len(), 4);
    assert_eq!(bench.timed("quiesce-skipped").len(), 1);
}
