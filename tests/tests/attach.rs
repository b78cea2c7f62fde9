//! `murphy attach`: by hand, Murphy sits in on the calls of containers that know nothing of it, and leaves nothing behind,
//! however it ends. Real containers, whose calls go on all the while.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use murphy_testkit::Member;
use murphy_tests::{Bench, CartStack, Finished, cart, eventually, get, lent, processes_with, redis};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Far above what a call takes that nobody delays, also on a machine that stalls.
const DELAY: Duration = Duration::from_millis(1500);

/// A caller that pings a Redis over one connection, again and again, and comes again when it is cut.
fn pinger(stack: &CartStack, short: &str) -> Member {
    let calls = format!("redis-cli -h {} -r -1 -i 0.02 ping", stack.redis.name);
    let words = ["-c", &format!("while :; do {calls}; sleep 0.05; done")];
    stack.sandbox.container(short, &words, lent(&stack.network, Path::new("/bin/sh"), short))
}

/// Connections that are open from a container to the Redis, as the kernel of its network tells: both addresses of each. What waits to
/// be read or sent on one at the moment stands before them, and is left out.
fn open_calls(stack: &CartStack, from: &Member) -> Vec<String> {
    let filter = ["ss", "-Htn", "state", "established", "dport", "=", ":6379"];
    let addresses = |line: &str| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    stack.inside(from, &filter).lines().map(addresses).collect()
}

/// `murphy attach --output json` as it runs.
struct Attached {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// All that it said so far.
    said: Vec<Value>,
}

impl Attached {
    /// Starts it and waits until it sits.
    fn to(bench: &Bench, stack: &CartStack, from: &str, args: &[&str]) -> Attached {
        let to = format!("{}:6379", stack.redis.name);
        let base = ["attach", "--from", from, "--to", &to, "--output", "json", "--seed", "7"];
        let mut child = bench.spawn(&[&base, args].concat());
        let lines = BufReader::new(child.stdout.take().expect("its output is kept"));
        let mut attached = Attached { child, lines, said: Vec::new() };
        attached.until("attached");
        attached
    }

    /// Reads on until it tells of such an event, which is handed out.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("its output");
            if read == 0 {
                let mut stderr = String::new();
                let _ = self.child.stderr.take().map(|mut err| err.read_to_string(&mut stderr));
                panic!("it ended before `{event}`: {:?}\n{stderr}", self.said);
            }
            let value: Value = serde_json::from_str(&line).expect(&line);
            self.said.push(value.clone());
            if value["event"] == json!(event) {
                return value;
            }
        }
    }

    fn told(&self, event: &str) -> Vec<&Value> {
        self.said.iter().filter(|value| value["event"] == json!(event)).collect()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).expect("murphy runs");
    }

    /// Waits for its own end: the exit code and the summary.
    fn end(&mut self) -> (i32, Value) {
        let summary = self.until("summary");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("its output");
        assert_eq!(rest, "", "the summary is the last word");
        (self.child.wait().expect("it ends").code().unwrap_or(-1), summary)
    }

    fn end_by(&mut self, signal: Signal) -> (i32, Value) {
        self.signal(signal);
        self.end()
    }
}

fn nothing_is_left(bench: &Bench, stack: &CartStack, callers: &[&Member]) {
    for caller in callers {
        assert_eq!(stack.tables_of_murphy(caller), 0, "in the network of {}", caller.name);
    }
    assert!(bench.undo_logs().is_empty(), "neither logs nor locks: {:?}", bench.undo_logs());
}

#[test]
fn a_fault_hits_the_calls_of_that_caller_to_that_destination_and_no_others() {
    let Some(stack) = CartStack::up("a_fault_hits_the_calls_of_that_caller") else { return };
    let bench = Bench::new();
    let (other_redis, other_cart) = (
        redis(&stack.sandbox, &stack.network, "sessions"),
        cart(&stack.sandbox, &stack.network, "other", &stack.redis.name, json!({})),
    );
    let busy = pinger(&stack, "busy");
    eventually("the busy caller calls", PATIENCE, || !open_calls(&stack, &busy).is_empty());
    let shown = get(&format!("{}:7004", stack.address(&stack.cart)), "/cart/7");
    assert_eq!(shown.expect("an answer").0, 200, "the cart's pool has a connection from now on");
    let mut attached = Attached::to(&bench, &stack, &stack.cart.name, &["--latency", "1500ms"]);
    let seat = attached.told("sat-in")[0].clone();
    assert_eq!(seat["caller"], json!(stack.cart.name));
    assert_eq!(seat["destinations"], json!([format!("{}:6379", stack.address(&stack.redis))]));
    assert!(seat["cut"].as_u64() >= Some(1), "the pool of the cart, which came again: {seat}");
    let took = stack.ping(&stack.cart, &stack.redis);
    assert!(took >= DELAY, "{took:?}");
    for (from, to) in [(&stack.cart, &other_redis), (&other_cart, &stack.redis), (&busy, &stack.redis)] {
        let took = stack.ping(from, to);
        assert!(took < DELAY, "{} to {} took {took:?}", from.name, to.name);
        assert_eq!(stack.tables_of_murphy(from), usize::from(from == &stack.cart));
    }
    let (code, summary) = attached.end_by(Signal::SIGINT);
    assert_eq!(code, 0, "without a time, Ctrl-C is the end that was meant: {summary}");
    assert_eq!(summary["attached"]["callers"][0]["name"], json!(stack.cart.name));
    assert_eq!(summary["upstream"], json!(format!("{}:6379", stack.redis.name)));
    assert!(summary["calls"]["answered"].as_u64() >= Some(1), "{summary}");
    assert!(summary["faults"][0]["tally"]["hits"].as_u64() >= Some(1), "{summary}");
    let undo = attached.told("taken-back")[0]["undo"].as_str().unwrap().to_owned();
    assert!(undo.contains("nftables"), "{undo}");
    assert_eq!(attached.told("planned")[0]["undo"], json!([undo]), "as it was said before");
    let took = stack.ping(&stack.cart, &stack.redis);
    assert!(took < DELAY, "afterwards {took:?}");
    nothing_is_left(&bench, &stack, &[&stack.cart, &other_cart, &busy]);
}

#[test]
fn its_time_and_every_signal_end_it_with_nothing_left() {
    let Some(stack) = CartStack::up("its_time_and_every_signal_end_it") else { return };
    let bench = Bench::new();
    let busy = pinger(&stack, "busy");
    eventually("the busy caller calls", PATIENCE, || !open_calls(&stack, &busy).is_empty());
    let (code, summary) = Attached::to(&bench, &stack, &busy.name, &["--for", "500ms", "--reset"]).end();
    assert_eq!(code, 0, "{summary}");
    nothing_is_left(&bench, &stack, &[&busy]);
    for (signal, ends_with) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let mut attached = Attached::to(&bench, &stack, &busy.name, &["--for", "10m", "--blackhole"]);
        let (code, summary) = attached.end_by(signal);
        assert_eq!(code, ends_with, "{summary}");
        assert_eq!(attached.told("interrupted").len(), 1);
        assert_eq!(attached.told("taken-back").len(), 1);
        nothing_is_left(&bench, &stack, &[&busy]);
    }
    let (code, text) = as_text(&bench, &stack, &busy);
    assert_eq!(code, 0, "{text}");
    for part in [
        format!("  sits in on  {} (process {}): calls to ", busy.name, stack.pid(&busy)),
        "  taken back  delete nftables table".to_owned(),
        format!("{} -> {}:6379: ", busy.name, stack.redis.name),
        "  fault       none\n".to_owned(),
    ] {
        assert!(text.contains(&part), "nowhere: {part}\n{text}");
    }
    assert!(stack.ping(&busy, &stack.redis) < DELAY);
}

/// Without a fault it only looks on; what it says to a person.
fn as_text(bench: &Bench, stack: &CartStack, caller: &Member) -> (i32, String) {
    let to = format!("{}:6379", stack.redis.name);
    let finished = bench.run(&["attach", "--from", &caller.name, "--to", &to, "--for", "500ms"]);
    (finished.code, finished.stdout + &finished.stderr)
}

#[test]
fn sigkill_leaves_no_table_and_without_the_watchdog_calls_flow_by_the_end_of_the_lease() {
    let Some(stack) = CartStack::up("sigkill_leaves_no_table") else { return };
    let bench = Bench::new();
    let mut attached = Attached::to(&bench, &stack, &stack.cart.name, &["--blackhole"]);
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1);
    attached.signal(Signal::SIGKILL);
    attached.child.wait().unwrap();
    eventually("the table is gone", PATIENCE, || stack.tables_of_murphy(&stack.cart) == 0);
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
    assert!(stack.ping(&stack.cart, &stack.redis) < DELAY);

    // The watchdog first, so that only the kernel is left.
    let mut attached = Attached::to(&bench, &stack, &stack.cart.name, &["--blackhole"]);
    let watchdogs = processes_with(&format!("watchdog {}", bench.path().join("state").display()));
    attached.signal(Signal::SIGSTOP);
    kill(Pid::from_raw(i32::try_from(watchdogs[0]).unwrap()), Signal::SIGKILL).unwrap();
    attached.signal(Signal::SIGKILL);
    let killed = Instant::now();
    attached.child.wait().unwrap();
    let (pid, redis) = (stack.pid(&stack.cart).to_string(), stack.address(&stack.redis));
    let call = ["-t", &pid, "-n", "redis-cli", "-h", &redis, "ping"];
    eventually("the caller's calls reach Redis again", PATIENCE, || {
        Command::new("nsenter").args(call).output().is_ok_and(|output| output.stdout.starts_with(b"PONG"))
    });
    // The term is 5 s; the rest is the slack of a busy machine.
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    let to = format!("{}:6379", stack.redis.name);
    let again = ["attach", "--from", &stack.cart.name, "--to", &to, "--for", "100ms"];
    bench.run(&again).expect(3).says("murphy undo").says("murphy attach --from");
    bench.run(&["undo"]).expect(0).says("taken back").says("nftables");
    bench.run(&again).expect(0);
    nothing_is_left(&bench, &stack, &[&stack.cart]);
}

#[test]
fn open_connections_are_cut_or_left_as_was_asked() {
    let Some(stack) = CartStack::up("open_connections_are_cut_or_left") else { return };
    let bench = Bench::new();
    let busy = pinger(&stack, "busy");
    eventually("the busy caller calls", PATIENCE, || !open_calls(&stack, &busy).is_empty());
    let before = open_calls(&stack, &busy);
    let mut attached = Attached::to(&bench, &stack, &busy.name, &["--open-connections", "leave"]);
    assert_eq!(attached.told("sat-in")[0]["cut"], json!(0));
    assert_eq!(open_calls(&stack, &busy), before, "the connection goes on past Murphy");
    let took = stack.ping(&busy, &stack.redis);
    assert!(took < DELAY, "{took:?}");
    let (_, summary) = attached.end_by(Signal::SIGINT);
    assert_eq!(summary["connections"], json!(1), "only the new one: {summary}");
    assert_eq!(summary["attached"]["open-connections"], json!("leave"));

    let mut attached = Attached::to(&bench, &stack, &busy.name, &[]);
    assert!(attached.told("sat-in")[0]["cut"].as_u64() >= Some(1));
    let until_it_comes = |value: &Value| value["calls"]["answered"].as_u64() >= Some(10);
    while !until_it_comes(&attached.until("now")) {}
    let (code, summary) = attached.end_by(Signal::SIGINT);
    assert_eq!((code, &summary["calls"]["failed"]), (0, &json!(0)), "{summary}");
    nothing_is_left(&bench, &stack, &[&busy]);
}

#[test]
fn all_replicas_of_a_service_are_sat_in_on_or_as_many_as_are_picked() {
    let Some(stack) = CartStack::up("all_replicas_of_a_service") else { return };
    let bench = Bench::new();
    let (project, service) = (stack.sandbox.name("shop"), stack.sandbox.name("basket"));
    let replica = |number: u32| {
        let labels = stack.sandbox.compose_labels(&project, &service, number);
        let more = json!({ "Labels": labels });
        cart(&stack.sandbox, &stack.network, &format!("basket{number}"), &stack.redis.name, more)
    };
    let (first, second) = (replica(1), replica(2));
    let to = format!("{}:6379", stack.redis.name);
    let planned = bench
        .run(&["attach", "--from", &service, "--to", &to, "--latency", "1s", "--for", "30s", "--dry-run"])
        .expect(0)
        .says(": 2 containers, for 30s")
        .says(&first.name)
        .says(&second.name)
        .says("  undo        delete nftables table inet murphy_")
        .says("faults on these calls: latency 1s")
        .says("dry run: nothing was touched");
    assert_eq!(planned.stderr, "");
    nothing_is_left(&bench, &stack, &[&first, &second]);

    let one = format!("service:{service},project:{project}");
    let mut attached = Attached::to(&bench, &stack, &one, &["--pick", "1", "--latency", "1500ms"]);
    assert_eq!(attached.told("planned")[0]["of"], json!(2));
    assert_eq!(stack.tables_of_murphy(&first) + stack.tables_of_murphy(&second), 1);
    attached.end_by(Signal::SIGINT);

    let mut attached = Attached::to(&bench, &stack, &service, &["--latency", "1500ms"]);
    assert_eq!(attached.told("sat-in").len(), 2);
    let third = replica(3);
    let seat = attached.until("sat-in");
    assert_eq!(seat["caller"], json!(third.name), "one that comes later");
    for caller in [&first, &second, &third] {
        let took = stack.ping(caller, &stack.redis);
        assert!(took >= DELAY, "{}: {took:?}", caller.name);
    }
    assert!(stack.ping(&stack.cart, &stack.redis) < DELAY, "no replica of it");
    let (_, summary) = attached.end_by(Signal::SIGINT);
    assert!(summary["faults"][0]["tally"]["connections"].as_u64() >= Some(3), "{summary}");
    assert_eq!(attached.told("taken-back").len(), 3);
    nothing_is_left(&bench, &stack, &[&first, &second, &third, &stack.cart]);
}

#[test]
fn one_caller_is_in_one_hand_at_a_time() {
    let Some(stack) = CartStack::up("one_caller_is_in_one_hand") else { return };
    let bench = Bench::new();
    let mut attached = Attached::to(&bench, &stack, &stack.cart.name, &[]);
    let (cart, to) = (&stack.cart.name, format!("{}:6379", stack.redis.name));
    let held = "in the hands of another run (\"murphy attach --from";
    let by_pid = format!("pid:{}", stack.pid(&stack.cart));
    for from in [cart, &by_pid] {
        bench.run(&["attach", "--from", from, "--to", &to, "--for", "100ms"]).expect(3).says(held);
        bench.run(&["attach", "--from", from, "--to", &to, "--dry-run"]).expect(3).says(held);
    }
    bench.run(&["pause", cart, "--for", "100ms"]).expect(3).says(held);
    let text = format!(
        "murphy: 1\nname: a run beside it\nedges:\n  calls: {{ from: {cart}, to: \"{to}\" }}\nprobes:\n  \
         cart: {{ container: {cart}, every: 1s }}\nphases: {{ warm-up: 0s, baseline: 500ms, fault: 500ms, recovery: 0s }}\n\
         faults:\n  - {{ edge: calls, inject: refuse }}\nexpect:\n  cart: {{ always: true }}\n"
    );
    bench.file("run.yaml", &text);
    bench.run(&["run", "run.yaml"]).expect(3).says(held);
    assert_eq!(stack.tables_of_murphy(&stack.cart), 1, "that of the first");
    assert_eq!(attached.end_by(Signal::SIGINT).0, 0);
    bench.run(&["attach", "--from", &by_pid, "--to", &to, "--for", "100ms"]).expect(0).says(&by_pid);
    nothing_is_left(&bench, &stack, &[&stack.cart]);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_touched() {
    let Some(stack) = CartStack::up("what_cannot_be_done_is_said") else { return };
    let bench = Bench::new();
    let (cart, to) = (&stack.cart.name, format!("{}:6379", stack.redis.name));
    let attach = |from: &str, to: &str, more: &[&str]| {
        bench.run(&[&["attach", "--from", from, "--to", to, "--for", "1s"], more].concat())
    };
    attach("nobody", &to, &[]).expect(3).says("nobody").says(cart);
    attach("service:nothing", &to, &[]).expect(3).says("service:nothing");
    attach(cart, "nowhere.invalid:6379", &[]).expect(3).says(cart).says("nowhere.invalid");
    attach(cart, "redis", &[]).expect(2).says("has no port");
    attach("process:redis", &to, &[]).expect(2).says("pid:4711");
    attach("cart-*", &to, &["--save", "x.yaml"]).expect(2).says("--save").says("--from web");
    attach(cart, &to, &["--pick", "1", "--save", "x.yaml"]).expect(2).says("--save").says("--pick");
    attach(cart, &to, &["--tls-handshake", "expired"]).expect(2).says("--tls");
    nothing_is_left(&bench, &stack, &[&stack.cart]);

    std::fs::set_permissions(bench.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let copy = bench.path().join("murphy");
    std::fs::copy(murphy_tests::murphy(), &copy).expect("to copy the binary");
    let run = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy)
        .args(["attach", "--from", cart, "--to", &to])
        .current_dir(bench.path())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .output()
        .expect("setpriv");
    let finished: Finished = run.into();
    finished.expect(3).says("CAP_SYS_ADMIN").says("sudo").says(&format!("murphy proxy 127.0.0.1:0 {to}"));
    nothing_is_left(&bench, &stack, &[&stack.cart]);
}

#[test]
fn what_was_done_is_saved_as_a_scenario_that_sits_in_on_the_same_calls() {
    let Some(stack) = CartStack::up("what_was_done_is_saved") else { return };
    let bench = Bench::new();
    let busy = pinger(&stack, "busy");
    eventually("the busy caller calls", PATIENCE, || !open_calls(&stack, &busy).is_empty());
    let args = ["--latency", "50ms", "--for", "1200ms", "--save", "saved.yaml"];
    let (code, summary) = Attached::to(&bench, &stack, &busy.name, &args).end();
    assert_eq!(code, 0, "{summary}");
    bench.run(&["check", "saved.yaml"]).expect(0).says("1 fault");
    bench.run(&["plan", "saved.yaml"]).expect(0).says(&busy.name).says("latency 50ms");
    let finished = bench.run(&["run", "saved.yaml"]);
    assert_ne!(finished.code, 3, "it is carried out:\n{}\n{}", finished.stdout, finished.stderr);
    nothing_is_left(&bench, &stack, &[&busy]);
}
