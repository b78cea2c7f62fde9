//! A recording carries what callers were seen to do as an `expect:` block: the same callers pass when it is replayed, and again, and others
//! do not; and its faults stand at the same times. By `murphy proxy`, by `murphy top`, over the API, watched by `top` or by nobody, and, for callers of a
//! container, by `murphy attach`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use murphy_tests::{
    Bench, Caller, CartStack, Daemon, Sitting, Terminal, assert_replayed, echo, eventually, free_ports, lent,
    murphy,
};

const PATIENCE: Duration = Duration::from_secs(90);
/// After this, the callers give up.
const SOON: Duration = Duration::from_millis(300);
/// And others, which do not do what was recorded.
const LATE: Duration = Duration::from_millis(700);
/// Enough to say after how long: a verdict wants 19 of 20 given up, and the four that are under way when the fault goes are answered.
const ENOUGH: u64 = 160;

/// Asserts that the recording says after how long callers give up.
#[track_caller]
fn expects(bench: &Bench) {
    let saved = std::fs::read_to_string(bench.path().join("recorded.yaml")).expect("a recording");
    assert!(saved.contains("\nexpect:\n") && saved.contains("timeout: \"<= "), "{saved}");
}

/// Asserts that the same callers pass when the recording is replayed, and again, and that others do not.
#[track_caller]
fn replayed(bench: &Bench, listen: SocketAddr) {
    expects(bench);
    bench.run(&["check", "recorded.yaml"]).expect(0);
    {
        let _callers = Caller::of(listen, SOON);
        for _ in 0..2 {
            bench.run_expecting(0, &["run", "recorded.yaml"]).says("GRACEFUL");
        }
    }
    assert_replayed(bench);
    let _others = Caller::of(listen, LATE);
    bench.run_expecting(1, &["run", "recorded.yaml"]).says("NOT GRACEFUL").says("timeout");
}

/// Saves what was done by hand in top, and leaves it.
#[track_caller]
fn save(terminal: &Terminal) {
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("q");
    terminal.shows("ended with 0");
}

#[test]
fn what_was_done_by_a_proxy_has_the_same_verdict_again() {
    let bench = Bench::new();
    let more = ["--blackhole", "--save", "recorded.yaml", "--output", "json", "--seed", "7"];
    let sitting = Sitting::before(&bench, echo(), &more);
    let listen: SocketAddr = sitting.listen.parse().expect("an address");
    {
        let callers = Caller::of(listen, SOON);
        eventually("enough calls are given up", PATIENCE, || callers.given_up() >= ENOUGH);
    }
    sitting.summary();
    replayed(&bench, listen);
}

#[test]
fn what_was_done_in_top_has_the_same_verdict_again() {
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let line = format!("{} top --edge cache {listen} {upstream}", murphy().display());
    let Some(terminal) = Terminal::open("verdict-top", &bench, &line) else { return };
    terminal.shows("no fault stands");
    {
        let callers = Caller::of(listen, SOON);
        terminal.typed("ablackhole");
        terminal.key("Enter");
        terminal.shows("1 FAULT STANDS");
        eventually("enough calls are given up", PATIENCE, || callers.given_up() >= ENOUGH);
        terminal.typed("1");
        terminal.shows("no fault stands");
    }
    save(&terminal);
    replayed(&bench, listen);
}

#[test]
fn what_was_done_over_the_api_has_the_same_verdict_again() {
    let (bench, upstream, [port]) = (Bench::new(), echo(), free_ports());
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen {listen}")).expect(0);
    let line = format!("{} top --api {}", murphy().display(), daemon.url);
    let Some(terminal) = Terminal::open("verdict-api", &bench, &line) else { return };
    terminal.shows("no fault stands");
    {
        let callers = Caller::of(listen, SOON);
        daemon.run(&bench, "fault add cache --blackhole --direction both").expect(0);
        terminal.shows("1 FAULT STANDS");
        eventually("enough calls are given up", PATIENCE, || callers.given_up() >= ENOUGH);
        daemon.run(&bench, "fault remove cache blackhole").expect(0);
        terminal.shows("no fault stands");
    }
    save(&terminal);
    daemon.run(&bench, "proxies remove cache").expect(0);
    replayed(&bench, listen);
}

#[test]
fn what_was_done_over_the_api_with_nobody_watching_has_the_same_verdict_again() {
    let (bench, upstream, [port, other]) = (Bench::new(), echo(), free_ports());
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    daemon.run(&bench, &format!("proxies add cache {upstream} --listen {listen}")).expect(0);
    daemon.run(&bench, &format!("proxies add other {upstream} --listen 127.0.0.1:{other}")).expect(0);
    {
        let callers = Caller::of(listen, SOON);
        daemon.run(&bench, "fault add cache --blackhole --direction both").expect(0);
        eventually("enough calls are given up", PATIENCE, || callers.given_up() >= ENOUGH);
        daemon.run(&bench, "fault remove cache blackhole").expect(0);
    }
    // What was seen stays, whatever becomes of the proxy.
    daemon.run(&bench, "proxies remove cache").expect(0);
    daemon.run(&bench, "proxies save recorded.yaml").expect(0).says("murphy check recorded.yaml");
    let saved = std::fs::read_to_string(bench.path().join("recorded.yaml")).expect("a recording");
    assert!(!saved.contains("other"), "{saved}");
    replayed(&bench, listen);
}

#[test]
fn what_was_done_to_the_calls_of_a_container_has_the_same_verdict_again() {
    let Some(stack) = CartStack::up("what_was_done_to_the_calls_of_a_container") else { return };
    let bench = Bench::new();
    let redis = format!("/dev/tcp/{}/6379", stack.redis.name);
    let calling = |patience: Duration| {
        let read = format!("read -t {} -u 3 answer", patience.as_secs_f64());
        let call = format!("( exec 3<>{redis} && printf 'PING\\r\\n' >&3 && {read} ) 2>/dev/null");
        // Five at a time, so that enough are given up in the time of the fault.
        let script = format!("for n in 1 2 3 4 5; do while :; do {call}; sleep 0.05; done & done; wait");
        let words = ["-c", &script];
        stack.sandbox.container("caller", &words, lent(&stack.network, Path::new("/bin/bash"), "caller"))
    };
    let caller = calling(SOON);
    let to = format!("{}:6379", stack.redis.name);
    let attach = ["attach", "--from", &caller.name, "--to", &to, "--blackhole", "--for", "15s"];
    bench
        .run(&[&attach[..], &["--seed", "7", "--save", "recorded.yaml"]].concat())
        .expect(0)
        .says("gives up after");
    expects(&bench);
    for _ in 0..2 {
        bench.run_expecting(0, &["run", "recorded.yaml"]).says("GRACEFUL");
    }
    assert_replayed(&bench);
    // Others under the same name.
    let path = format!("/containers/{}?force=true", caller.id);
    assert_eq!(stack.sandbox.engine().call("DELETE", &path, None).expect("an answer").status, 204);
    calling(LATE);
    bench.run_expecting(1, &["run", "recorded.yaml"]).says("NOT GRACEFUL").says("timeout");
}
