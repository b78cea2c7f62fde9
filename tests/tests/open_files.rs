//! The limit of open files: Murphy uses all it may have, leaves services theirs, and lives on when there is no more.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use murphy_tests::{Bench, echo, eventually, free_ports};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_service_gets_the_limit_that_the_user_set_and_murphy_the_highest() {
    let bench = Bench::new();
    let [service, edge] = free_ports();
    let text = format!(
        r#"murphy: 1
name: limits
services:
  limits: {{ run: [sh, -c, "sleep 0.3; echo service $(ulimit -Sn) of $(ulimit -Hn); grep 'open files' /proc/$PPID/limits; exec sleep 60"] }}
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{service}"]
    ready: {{ tcp: "127.0.0.1:{service}" }}
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 50/s, timeout: 2s }}
phases: {{ warm-up: 200ms, baseline: 1s, fault: 1s, recovery: 1s }}
faults:
  - {{ edge: items, inject: {{ latency: 9ms }} }}
expect:
  read: {{ success: ">= 50%" }}
"#
    );
    bench.file("s.yaml", &text);
    let output = bench.limited(300, 900, &["run", "s.yaml"]).output().expect("a shell");
    let log = bench.journals()[0].with_file_name("services").join("limits.log");
    let log = std::fs::read_to_string(log).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(log.contains("service 300 of 900"), "{log}");
    let own: Vec<&str> = log.lines().last().unwrap_or_default().split_whitespace().collect();
    assert_eq!(own[3..5], ["900", "900"], "{log}");
}

/// One byte there and back through the proxy.
fn is_served(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_daemon_without_descriptors_serves_who_is_there_and_takes_new_callers_when_some_leave() {
    let bench = Bench::new();
    let proxy = format!(r#"[{{"name":"echo","listen":"127.0.0.1:0","upstream":"{}"}}]"#, echo());
    bench.file("proxies.json", &proxy);
    let mut daemon = bench
        .limited(60, 60, &["serve", "--port", "0", "--config", "proxies.json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let from = line.find("http://").unwrap_or_else(|| panic!("no address in {line:?}"));
    let url = line[from..].split(',').next().unwrap();
    let list = bench.command(&["toxiproxy", "list"]).env("TOXIPROXY_URL", url).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let listen = list.split('\t').nth(1).unwrap();

    // Two descriptors each: sixty callers are far more than there are numbers for.
    let mut callers: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(listen).unwrap()).collect();
    let served: Vec<bool> =
        callers.iter_mut().map(|caller| is_served(caller, Duration::from_millis(200))).collect();
    let count = served.iter().filter(|served| **served).count();
    assert!((1..60).contains(&count), "{count} of 60 served");
    let first = served.iter().position(|served| *served).unwrap();
    assert!(is_served(&mut callers[first], PATIENCE), "who was there is still served");
    // All leave, and new ones get their turn.
    callers.clear();
    eventually("a new caller is served", PATIENCE, || {
        TcpStream::connect(listen).is_ok_and(|mut caller| is_served(&mut caller, Duration::from_millis(500)))
    });
    assert!(daemon.try_wait().unwrap().is_none());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
