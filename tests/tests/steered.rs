//! A run that is steered by hand while it goes on: what is done stands in its journal and takes the verdict back, and it goes with
//! the hand.

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use murphy_core::{ConnId, EdgeName, FaultId};
use murphy_runner::{Helm, SteerAnswer, SteerAsk, SteeredEdge, SteeredFault, WhoseFault};
use murphy_testkit::skip;
use murphy_tests::{Bench, Finished, catalogue_scenario, eventually, finish, send, until};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the hand puts on, each way.
const DELAY: Duration = Duration::from_millis(600);

/// The directory of the run that was begun last.
fn run_dir(bench: &Bench) -> Option<PathBuf> {
    bench.journals().pop()?.parent().map(PathBuf::from)
}

/// One who has nothing to do with a run.
const STRANGER: u32 = 65534;
/// Calls at the socket of a run and says how that went.
const CALL: &str = r#"
import socket
caller = socket.socket(socket.AF_UNIX)
caller.settimeout(60)
try:
    caller.connect("steer.sock")
except PermissionError:
    print("shut")
else:
    print("heard", caller.makefile().readline().strip())
"#;

struct Hand<'r> {
    runtime: &'r Runtime,
    helm: Helm,
}

impl<'r> Hand<'r> {
    fn on(runtime: &'r Runtime, bench: &Bench) -> Hand<'r> {
        let take = || runtime.block_on(Helm::take(&run_dir(bench)?)).ok();
        Hand { runtime, helm: until("the run takes orders", PATIENCE, take) }
    }

    fn ask(&mut self, ask: &SteerAsk) -> SteerAnswer {
        self.runtime.block_on(self.helm.ask(ask)).expect("it answers")
    }

    fn items(&mut self) -> SteeredEdge {
        let SteerAnswer::Edges(edges) = self.ask(&SteerAsk::Edges) else { panic!("no edges") };
        let [items] = <[SteeredEdge; 1]>::try_from(edges).expect("one edge");
        items
    }

    fn arm(&mut self, fault: &str, inject: Value) -> SteerAnswer {
        let inject = serde_json::from_value(inject).expect("a fault");
        self.ask(&SteerAsk::Arm { edge: edge(), fault: id(fault), inject })
    }

    fn lift(&mut self, fault: &str) -> SteerAnswer {
        self.ask(&SteerAsk::Lift { edge: edge(), fault: id(fault) })
    }
}

fn edge() -> EdgeName {
    EdgeName::new("items").expect("a name")
}

fn id(fault: &str) -> FaultId {
    FaultId::new(fault).expect("a name")
}

fn of<'e>(edge: &'e SteeredEdge, whose: &[WhoseFault]) -> Vec<&'e SteeredFault> {
    edge.faults.iter().filter(|fault| whose.contains(&fault.whose)).collect()
}

/// All that was done by hand, as the journal has it.
fn deeds(bench: &Bench) -> Vec<String> {
    let said = bench.timed("by-hand").into_iter().map(|(_, deed)| {
        let (what, of) = deed.as_object().and_then(|deed| deed.iter().next()).expect("a deed");
        format!("{what} {}", of["text"].as_str().unwrap_or_default())
    });
    said.collect()
}

/// A run that goes on for long, with one fault that stands for most of it.
fn long_run(bench: &Bench) -> Child {
    let more = "phases: { warm-up: 200ms, baseline: 1s, fault: 300s, recovery: 1s }\n\
        faults: [{ edge: items, inject: { latency: 40ms } }]\n\
        expect: { read: { success: \">= 50%\" } }\n";
    bench.file("s.yaml", &catalogue_scenario("steered", more));
    bench.spawn(&["run", "s.yaml"])
}

/// Ends it before its time.
fn interrupt(child: Child) {
    send(&child, Signal::SIGINT);
    finish(child).expect(130);
}

/// What somebody finds who calls at the socket of a run.
fn called_by(user: u32, run: &Path) -> io::Result<String> {
    let mut python = Command::new("python3");
    let output = python.args(["-c", CALL]).uid(user).gid(user).current_dir(run).output()?;
    Ok(Finished::from(output).expect(0).stdout.trim().to_owned())
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

/// How long a call through the edge takes; nothing while it is not answered.
fn call(listen: &str) -> Option<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(listen).ok()?;
    stream.write_all(b"GET /items/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then(|| begun.elapsed())
}

#[test]
fn what_a_hand_does_to_a_run_is_in_its_journal_goes_with_the_hand_and_takes_the_verdict_back() {
    let bench = Bench::new();
    // Until the fault stands there is time for the first hand, also on a machine that is busy.
    let more = "phases: { warm-up: 200ms, baseline: 8s, fault: 24s, recovery: 2s }\n\
        faults: [{ edge: items, inject: { latency: 40ms } }]\n\
        expect: { read: { success: \">= 50%\" } }\n";
    bench.file("s.yaml", &catalogue_scenario("steered", more));
    let child = bench.spawn(&["run", "s.yaml"]);
    let runtime = Runtime::new().expect("a runtime");
    let mut first = Hand::on(&runtime, &bench);
    let listen = first.items().listen.expect("callers dial it");
    until("calls are answered", PATIENCE, || call(&listen));

    // The scenario has a `latency-1`, though it does not stand yet: another name is found.
    assert_eq!(first.arm("latency-1", json!({ "latency": "600ms" })), SteerAnswer::Done);
    assert!(call(&listen).expect("it is answered") >= 2 * DELAY);
    let items = first.items();
    let [made] = of(&items, &[WhoseFault::Yours])[..] else { panic!("{items:?}") };
    assert_eq!((made.id.as_str(), made.text.as_str()), ("latency-by-hand-1", "latency 600ms"));
    assert!(made.inject.is_some() && made.tally.connections > 0, "{made:?}");
    assert_eq!(first.arm("latency-by-hand-1", json!({ "latency": "650ms" })), SteerAnswer::Done);

    // What cannot be meant, and what is not there.
    let refused = |answer: SteerAnswer, word: &str| {
        let SteerAnswer::Refused { why } = &answer else { panic!("{answer:?} for {word}") };
        assert!(why.contains(word), "{why}");
    };
    refused(first.arm("a", json!({ "abort": { "status": 503 } })), "protocol: http");
    refused(first.arm("a", json!({ "kill": { "signal": "SIGKILL" } })), "does not sit on an edge");
    refused(first.lift("nothing"), "does not stand");
    let elsewhere = SteerAsk::Lift { edge: EdgeName::new("cache").expect("a name"), fault: id("a") };
    refused(first.ask(&elsewhere), "no edge `cache`");
    assert_eq!(first.ask(&SteerAsk::Tell { text: "pause web-1".into() }), SteerAnswer::Done);

    // Another one sees it, and sees it go with its owner.
    let mut second = Hand::on(&runtime, &bench);
    assert_eq!(of(&second.items(), &[WhoseFault::Another]).len(), 1);
    drop(first);
    let by_hand = [WhoseFault::Yours, WhoseFault::Another];
    eventually("it goes with the hand", PATIENCE, || of(&second.items(), &by_hand).is_empty());
    let asked = SteerAsk::Connections { edge: edge(), after: (0, ConnId(0)), most: 1000 };
    let SteerAnswer::Connections(open) = second.ask(&asked) else { panic!("no connections") };
    assert!(open.iter().all(|open| open.peer.starts_with("127.0.0.1:")), "{open:?}");

    // A fault of the scenario is switched off before its time, and on again.
    let own = |hand: &mut Hand<'_>| of(&hand.items(), &[WhoseFault::Plan]).len();
    eventually("the scenario's own stands", PATIENCE, || own(&mut second) == 1);
    assert_eq!((second.lift("latency-1"), own(&mut second)), (SteerAnswer::Done, 0));
    // For any other hand that is only a name: what it puts on is its own, and goes with it.
    let mut third = Hand::on(&runtime, &bench);
    assert_eq!(third.arm("latency-1", json!({ "latency": "70ms" })), SteerAnswer::Done);
    assert_eq!((of(&third.items(), &[WhoseFault::Yours]).len(), own(&mut third)), (1, 0));
    drop(third);
    eventually("it goes with the hand", PATIENCE, || of(&second.items(), &by_hand).is_empty());
    assert_eq!(second.arm("latency-1", json!({ "latency": "50ms" })), SteerAnswer::Done);
    assert_eq!(own(&mut second), 1);
    assert_eq!(second.arm("reset-1", json!({ "reset": { "after": "1h" } })), SteerAnswer::Done);

    let finished = finish(child).expect(4);
    assert!(finished.words().contains("steered by hand: latency 600ms on items at"), "{}", finished.stdout);
    assert_eq!(
        deeds(&bench),
        [
            "armed latency 600ms",
            "changed latency 650ms",
            "done pause web-1",
            "lifted latency 650ms",
            "lifted latency 40ms",
            "armed latency 70ms",
            "lifted latency 70ms",
            "armed latency 50ms",
            "armed reset after 1h",
            "lifted reset after 1h",
        ],
        "the last one at the end of the run, though its hand is still there"
    );
    let run = run_dir(&bench).expect("it ran");
    assert!(!run.join("steer.sock").exists());
    let error = runtime.block_on(Helm::take(&run)).expect_err("it has ended");
    assert!(error.to_string().contains("takes no orders"), "{error}");
    let again = bench.run(&["report", &run.display().to_string()]).expect(4);
    assert!(again.words().contains("steered by hand"), "{}", again.stdout);
}

#[test]
fn what_a_hand_has_made_of_a_fault_of_the_scenario_goes_with_the_hand_while_its_time_lasts() {
    let bench = Bench::new();
    let child = long_run(&bench);
    let runtime = Runtime::new().expect("a runtime");
    let mut other = Hand::on(&runtime, &bench);
    let stands = |hand: &mut Hand<'_>| -> Vec<String> {
        of(&hand.items(), &[WhoseFault::Plan]).iter().map(|fault| fault.text.clone()).collect()
    };
    let planned = "it is as the scenario has it";
    eventually(planned, PATIENCE, || stands(&mut other) == ["latency 40ms"]);

    let mut hand = Hand::on(&runtime, &bench);
    assert_eq!(hand.lift("latency-1"), SteerAnswer::Done);
    assert_eq!(stands(&mut other), [""; 0]);
    drop(hand);
    eventually(planned, PATIENCE, || stands(&mut other) == ["latency 40ms"]);

    let mut hand = Hand::on(&runtime, &bench);
    assert_eq!(hand.arm("latency-1", json!({ "latency": "50ms" })), SteerAnswer::Done);
    assert_eq!(stands(&mut other), ["latency 50ms"]);
    // Not because just anybody goes: all that one has made goes in one, so that he has left when his own fault is off.
    let mut bystander = Hand::on(&runtime, &bench);
    assert_eq!(bystander.arm("reset-1", json!({ "reset": { "after": "1h" } })), SteerAnswer::Done);
    drop(bystander);
    let of_others = |hand: &mut Hand<'_>| of(&hand.items(), &[WhoseFault::Another]).len();
    eventually("the bystander leaves", PATIENCE, || of_others(&mut other) == 0);
    assert_eq!(stands(&mut other), ["latency 50ms"]);
    drop(hand);
    eventually(planned, PATIENCE, || stands(&mut other) == ["latency 40ms"]);

    // With the run itself nothing is put back.
    assert_eq!(other.lift("latency-1"), SteerAnswer::Done);
    interrupt(child);
    assert_eq!(
        deeds(&bench),
        [
            "lifted latency 40ms",
            "armed latency 40ms",
            "changed latency 50ms",
            "armed reset after 1h",
            "lifted reset after 1h",
            "changed latency 40ms",
            "lifted latency 40ms",
        ]
    );
}

#[test]
fn a_hand_too_many_is_told_how_many_there_are_and_finds_room_when_one_has_gone() {
    let bench = Bench::new();
    let child = long_run(&bench);
    let runtime = Runtime::new().expect("a runtime");
    let first = Hand::on(&runtime, &bench);
    let run = run_dir(&bench).expect("it runs");
    let take = || runtime.block_on(Helm::take(&run));
    let others: Vec<Helm> = (1..16).map(|_| take().expect("there is room")).collect();
    let error = take().expect_err("there is none").to_string();
    assert!(error.contains("16 hands are already on this run"), "{error}");
    drop(first);
    let last = until("there is room again", PATIENCE, || take().ok());
    drop((others, last));
    interrupt(child);
}

#[test]
fn whoever_is_not_of_the_run_is_shut_out_and_hears_nothing_where_the_socket_is_open_to_all() {
    let test = "whoever_is_not_of_the_run_is_shut_out_and_hears_nothing_where_the_socket_is_open_to_all";
    if !Uid::effective().is_root() {
        return skip(format_args!("this is not root: {test}"));
    }
    let bench = Bench::new();
    let child = long_run(&bench);
    let runtime = Runtime::new().expect("a runtime");
    let _hand = Hand::on(&runtime, &bench);
    let run = run_dir(&bench).expect("it runs");
    let socket = run.join("steer.sock");
    // So that it is the socket that shuts them out.
    [bench.path(), &bench.path().join("murphy-runs"), &run].iter().for_each(|folder| permit(folder, 0o755));
    let called = || -> io::Result<[String; 3]> {
        let (own, shut) = (called_by(0, &run)?, called_by(STRANGER, &run)?);
        permit(&socket, 0o666);
        Ok([own, shut, called_by(STRANGER, &run)?])
    };
    let called = called();
    interrupt(child);
    match called {
        Ok(called) => assert_eq!(called, ["heard \"welcome\"", "shut", "heard"]),
        Err(error) => {
            skip(format_args!("no python3 runs in {} for another user: {error}: {test}", run.display()))
        }
    }
}
