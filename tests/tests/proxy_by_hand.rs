//! `murphy proxy` over real sockets: flags, the summary, the saved scenario.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use murphy_core::Span;
use murphy_tests::{
    Bench, Sitting, Terminal, answering, echo, free_ports, murphy, processes_with, recorded, replay,
    round_trip,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

#[test]
fn flags_put_faults_up_and_the_end_says_what_was_done_to_whom() {
    let bench = Bench::new();
    let sitting = Sitting::before(
        &bench,
        echo(),
        &["--latency", "150ms", "--jitter", "10ms", "--output", "json", "--seed", "7"],
    );
    let mut stream = TcpStream::connect(&sitting.listen).unwrap();
    for _ in 0..3 {
        assert!(round_trip(&mut stream).unwrap() >= Duration::from_millis(140));
    }
    drop(stream);
    let (code, rest) = sitting.end(Some(Signal::SIGINT));
    assert_eq!(code, 0, "without a time, Ctrl-C is the end that was meant");
    let summary: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!((&summary["connections"], &summary["to-client"]), (&1.into(), &15.into()), "{summary}");
    assert_eq!(summary["calls"]["callers"]["127.0.0.1"], 1);
    assert_eq!(summary["calls"]["answered"], 3);
    let fault = &summary["faults"][0];
    assert_eq!((&fault["switch"], &fault["tally"]["hits"]), (&"off".into(), &3.into()), "{fault}");
    assert_eq!(fault["fault"]["latency"]["delay"], "150ms");
}

#[test]
fn how_the_caller_behaves_is_told_as_far_as_it_was_seen() {
    let bench = Bench::new();
    let mut sitting = Sitting::before(&bench, echo(), &["--blackhole", "--output", "json", "--seed", "7"]);
    for _ in 0..6 {
        let mut call = TcpStream::connect(&sitting.listen).expect("the proxy listens");
        call.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        call.write_all(b"hello").expect("it takes the call");
        let waited = call.read(&mut [0; 16]);
        assert!(waited.is_err(), "nobody answers: {waited:?}");
    }
    // The last one is over when the proxy says so: a signal before that would end it.
    sitting.until(|now| now["calls"]["patterns"]["timeout"]["gives-up"]["calls"] == 6);
    let summary = sitting.summary();
    let patterns = &summary["calls"]["patterns"];
    let given_up = &patterns["timeout"]["gives-up"];
    assert_eq!(given_up["calls"], 6, "{summary}");
    let after: Span = given_up["after"].as_str().expect("a time").parse().expect("a time");
    assert!(after >= Span::from_millis(290), "{summary}");
    assert!(patterns.get("breaker").is_none() && patterns.get("attempts").is_none(), "{summary}");
}

fn statuses(address: &str, requests: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let ask = |request: &&str| {
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes()).unwrap();
        lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("HTTP/1.1 ")).unwrap()[9..12]
            .to_owned()
    };
    requests.iter().map(ask).collect()
}

#[test]
fn a_fault_on_requests_touches_the_chosen_ones_and_is_saved_with_its_choice() {
    let bench = Bench::new();
    let fault =
        ["--abort", "503", "--abort-body", "", "--method", "POST", "--path", "/orders/*", "--first", "2"];
    let more = ["--save", "mine.yaml", "--output", "json"];
    let sitting = Sitting::before(&bench, answering(""), &[&fault[..], &more[..]].concat());
    let asked = ["GET /orders/1", "POST /orders/1", "POST /items", "POST /orders/2", "POST /orders/3"];
    assert_eq!(statuses(&sitting.listen, &asked), ["200", "503", "200", "503", "200"]);
    let (code, rest) = sitting.end(Some(Signal::SIGINT));
    assert_eq!(code, 0, "{rest}");
    let summary: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["calls"]["answered"], &summary["calls"]["failed"]),
        (&3.into(), &2.into()),
        "{summary}"
    );
    assert_eq!(summary["faults"][0]["tally"]["hits"], 2);
    bench.run(&["check", "mine.yaml"]).expect(0).says("1 fault");
    bench.run(&["plan", "mine.yaml"]).expect(0).says("abort 503, the first 2 of POST /orders/*");
}

#[test]
fn a_time_ends_it_and_a_signal_before_that_is_told_by_the_code() {
    let bench = Bench::new();
    let (code, rest) = Sitting::before(&bench, echo(), &["--for", "500ms", "--refuse"]).end(None);
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("0 connections in") && rest.contains("refuse: "), "{rest}");
    let (code, rest) = Sitting::before(&bench, echo(), &["--for", "10m"]).end(Some(Signal::SIGTERM));
    assert_eq!(code, 143, "{rest}");
}

#[test]
fn what_was_done_is_saved_as_a_scenario_that_passes_check_and_plans() {
    let bench = Bench::new();
    let args = ["--reset=2s", "--slice", "10B", "--direction", "both", "--chance", "20%"];
    let more = ["--for", "300ms", "--save", "mine.yaml", "--seed", "7"];
    let (code, rest) = Sitting::before(&bench, echo(), &[&args[..], &more[..]].concat()).end(None);
    assert_eq!(code, 0, "{rest}");
    bench.run(&["check", "mine.yaml"]).expect(0).says("2 faults");
    bench.run(&["plan", "mine.yaml"]).expect(0).says("reset").says("slice").says("20%").says("both");
}

#[test]
fn what_cannot_be_meant_is_answered_with_what_to_type() {
    let bench = Bench::new();
    for (args, code, says) in [
        ("--jitter 5ms", 2, "`--latency` too"),
        ("--latency 5", 2, "5ms"),
        ("--latncy 5ms", 2, "--latency"),
        ("--limit 0B --limit-then stall", 2, "blackhole"),
        ("--chance 200%", 2, "200%"),
        ("--latency 5ms --path /orders", 2, "--abort 503"),
        ("--abort 503 --fail 3", 2, "`fail` without `pass`"),
        ("--abort 99", 2, "status"),
    ] {
        let args: Vec<&str> =
            ["proxy", "127.0.0.1:0", "127.0.0.1:9"].into_iter().chain(args.split(' ')).collect();
        bench.run(&args).expect(code).says(says);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    bench.run(&["proxy", &address, "127.0.0.1:9"]).expect(3).says("is taken by process");
    bench.run(&["proxy", "--help"]).expect(0).says("--bandwidth").says("--connection-limit");
}

#[test]
fn keys_switch_its_faults_one_live_line_shows_them_and_the_recording_does_it_again() {
    const DELAY: Duration = Duration::from_millis(150);
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let more = "--latency 150ms --blackhole --off --seed 7 --save recorded.yaml";
    let line = format!("{} proxy 127.0.0.1:{port} {upstream} {more}", murphy().display());
    let Some(terminal) = Terminal::open("proxy-keys", &bench, &line) else { return };
    terminal.shows("keys 1-9 switch faults");
    terminal.shows("[1 latency 150ms]  [2 blackhole]");
    let mut call = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    // Few calls: what is told of many would not fit on the line.
    let quickest = |call: &mut TcpStream| (0..3).map(|_| round_trip(call).expect("the echo")).min();
    assert!(quickest(&mut call) < Some(DELAY), "all are off");
    terminal.typed("1");
    terminal.shows("[1*latency 150ms]  [2 blackhole]");
    assert!(quickest(&mut call) >= Some(DELAY), "on the connection that was open before");
    terminal.typed("2");
    terminal.shows("[1*latency 150ms]  [2*blackhole]");
    terminal.typed("1");
    terminal.shows("[1 latency 150ms]  [2*blackhole]");
    terminal.typed("1");
    terminal.shows("[1*latency 150ms]  [2*blackhole]");
    let screen = terminal.screen();
    assert_eq!(screen.matches("blackhole]").count(), 1, "one line, written anew\n{screen}");
    // The shell's own command line holds the words too, and more.
    let shells = processes_with("ended with $?");
    let mut found = processes_with(&format!("proxy 127.0.0.1:{port}"));
    found.retain(|pid| !shells.contains(pid));
    let [pid] = found[..] else { panic!("{found:?}") };
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT).expect("it lives");
    terminal.shows("ended with 0");
    let screen = terminal.screen();
    assert!(screen.contains("fault       latency 150ms: ") && !screen.contains("blackhole]"), "{screen}");
    assert_eq!(recorded(&bench).len(), 3, "the one twice, the other once");
    replay(&bench);
}
