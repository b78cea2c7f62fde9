//! `murphy top --api`: a running daemon is watched and steered by keys, and what others put there stays theirs.

use std::net::TcpStream;
use std::time::Duration;

use murphy_tests::{
    Bench, Daemon, Terminal, echo, eventually, free_ports, murphy, processes_with, round_trip,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The faults of a proxy, by name, with their text.
fn faults(daemon: &Daemon, bench: &Bench, proxy: &str) -> Vec<(String, String)> {
    let said = daemon.run(bench, &format!("proxies list {proxy} --output json")).expect(0).stdout;
    let shown: Value = serde_json::from_str(&said).expect(&said);
    let text = |fault: &Value, field: &str| fault[field].as_str().unwrap_or_default().to_owned();
    let proxy = if shown.is_array() { &shown[0] } else { &shown };
    let faults = proxy["faults"].as_array().unwrap_or_else(|| panic!("no faults in {said}"));
    faults.iter().map(|fault| (text(fault, "name"), text(fault, "text"))).collect()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn its_edges_are_steered_by_key_what_others_put_there_stays_and_all_of_it_is_recorded() {
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen 127.0.0.1:{port}")).expect(0);
    daemon.run(&bench, "fault add cache --latency 100ms --name theirs").expect(0);
    let line = format!("{} top --api {}", murphy().display(), daemon.url);
    let Some(terminal) = Terminal::open("daemon", &bench, &line) else { return };
    terminal.shows("1 FAULT STANDS");
    terminal.shows("ON  latency 100ms");
    let mut call = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    round_trip(&mut call).expect("the echo");

    terminal.typed("alatency 300ms");
    terminal.key("Enter");
    terminal.shows("2 FAULTS STAND");
    // Theirs on the way back, and this one each way.
    assert!(round_trip(&mut call).expect("the echo") >= Duration::from_millis(700));
    terminal.key("Right");
    terminal.shows("ON  latency 330ms");
    terminal.typed("2");
    terminal.shows("off latency 330ms");
    terminal.typed("2");
    terminal.shows("2 FAULTS STAND");
    terminal.key("Tab");
    terminal.key("Right");
    terminal.shows("ON  latency 110ms");
    assert_eq!(
        faults(&daemon, &bench, "cache"),
        [pair("theirs", "latency 110ms"), pair("latency-1", "latency 330ms")]
    );
    // Over the API, while it is watched.
    daemon.run(&bench, "fault add cache --reset=10m --name later").expect(0);
    terminal.shows("3 FAULTS STAND");
    daemon.run(&bench, "fault remove cache later").expect(0);
    terminal.shows("2 FAULTS STAND");
    // And by those who speak Toxiproxy's.
    daemon.cli(&bench, "toxic add -t latency -a latency=40 -n slow cache").expect(0);
    terminal.shows("toxic slow: latency 40ms");
    daemon.cli(&bench, "toxic remove -n slow cache").expect(0);
    terminal.shows("2 FAULTS STAND");
    daemon.run(&bench, &format!("proxies add second {upstream}")).expect(0);
    terminal.shows("second listens on");

    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    bench.run(&["check", "recorded.yaml"]).expect(0).says("7 faults");
    let saved = std::fs::read_to_string(bench.path().join("recorded.yaml")).expect("a recording");
    assert_eq!(saved.matches("direction: both").count(), 3, "those of this hand alone\n{saved}");
    assert!(saved.contains("{ delay: 40ms, jitter: 0s }"), "a toxic, in the words of the catalogue\n{saved}");

    terminal.typed("d");
    terminal.shows("1 FAULT STANDS");
    assert_eq!(faults(&daemon, &bench, "cache").len(), 1, "any can be taken off by key");
    daemon.run(&bench, "fault add cache --latency 100ms --name theirs").expect(0);
    terminal.shows("2 FAULTS STAND");
    terminal.typed("0");
    terminal.shows("1 FAULT STANDS");
    assert_eq!(faults(&daemon, &bench, "cache"), [pair("theirs", "latency 100ms")], "nought leaves theirs");
    terminal.typed("1");
    terminal.shows("no fault stands");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("q");
    terminal.shows("ended with 0");
    assert_eq!(faults(&daemon, &bench, "cache"), [pair("theirs", "latency 100ms")]);
}

#[test]
fn a_view_that_is_killed_or_panics_takes_its_faults_with_it() {
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen 127.0.0.1:{port}")).expect(0);
    let line = format!("{} top --api {}", murphy().display(), daemon.url);
    let Some(terminal) = Terminal::open("daemon-killed", &bench, &line) else { return };
    terminal.shows("no fault stands");
    terminal.typed("ablackhole");
    terminal.key("Enter");
    terminal.shows("1 FAULT STANDS");
    assert_eq!(faults(&daemon, &bench, "cache"), [pair("blackhole-1", "blackhole")]);
    let shells = processes_with("ended with $?");
    let mut found = processes_with(&format!("top --api {}", daemon.url));
    found.retain(|pid| !shells.contains(pid));
    let [pid] = found[..] else { panic!("{found:?}") };
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it lives");
    eventually("its lease went with its connection", PATIENCE, || {
        faults(&daemon, &bench, "cache").is_empty()
    });
    if cfg!(debug_assertions) {
        let line = format!("MURPHY_TEST_PANIC=1 {line}");
        let Some(terminal) = Terminal::open("daemon-panic", &bench, &line) else { return };
        terminal.shows("no fault stands");
        terminal.typed("ablackhole");
        terminal.key("Enter");
        terminal.shows("1 FAULT STANDS");
        terminal.key("F12");
        terminal.shows("ended with 3");
        assert!(
            faults(&daemon, &bench, "cache").is_empty(),
            "a panic ends the lease before it ends the view"
        );
    }
}

#[test]
fn a_daemon_that_ends_is_told_of_and_one_that_is_not_there_is_before_the_screen_is_taken() {
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    let line = format!("{} top --api {}", murphy().display(), daemon.url);
    let Some(terminal) = Terminal::open("daemon-empty", &bench, &line) else { return };
    terminal.shows("has no proxy yet");
    terminal.shows("ended with 3");
    drop(terminal);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen 127.0.0.1:{port}")).expect(0);
    let Some(terminal) = Terminal::open("daemon-ends", &bench, &line) else { return };
    terminal.shows("no fault stands");
    daemon.end(Signal::SIGTERM);
    terminal.shows("NO DAEMON");
    terminal.typed("q");
    terminal.shows("ended with 0");
    drop(terminal);
    let Some(terminal) = Terminal::open("daemon-gone", &bench, &line) else { return };
    terminal.shows("start one with `murphy serve`");
    terminal.shows("ended with 3");
}
