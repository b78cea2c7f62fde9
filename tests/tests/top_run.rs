//! `murphy top --run`: a run that is under way is looked at, and steered by key where that is wanted.

use std::path::PathBuf;
use std::time::Duration;

use murphy_runner::Helm;
use murphy_tests::{Bench, Terminal, catalogue_scenario, eventually, finish, murphy, send, until};
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The directory of the run that was begun last, once it takes orders.
fn run_dir(bench: &Bench) -> PathBuf {
    let found = || bench.journals().pop().and_then(|journal| journal.parent().map(PathBuf::from));
    eventually("the run takes orders", PATIENCE, || {
        found().is_some_and(|run| run.join("steer.sock").exists())
    });
    found().expect("it is there")
}

#[test]
fn a_run_is_only_looked_at_unless_told_and_says_what_was_done_to_it_by_key() {
    let bench = Bench::new();
    // Nothing is broken by the scenario: whatever stands was put there by key.
    let more = "control: true\nphases: { warm-up: 200ms, baseline: 1s, fault: 45s, recovery: 1s }\n\
        expect: { read: { success: \">= 50%\" } }\n";
    bench.file("s.yaml", &catalogue_scenario("s", more));
    let child = bench.spawn(&["run", "s.yaml"]);
    let run = run_dir(&bench);
    // Seen from where the terminal is, so that the title has room for all that it says.
    let run = run.strip_prefix(bench.path()).expect("it is in the bench");
    let line = format!("{} top --run {}", murphy().display(), run.display());
    let Some(terminal) = Terminal::open("run-tied", &bench, &line) else {
        send(&child, Signal::SIGINT);
        finish(child).expect(130);
        return;
    };
    terminal.shows("watching only");
    terminal.shows("items");
    terminal.typed("o");
    terminal.shows("open on items, the oldest first");
    terminal.typed("q");
    terminal.shows("ended with 0");
    drop(terminal);

    let Some(terminal) = Terminal::open("run-free", &bench, &format!("{line} --hands")) else { return };
    terminal.shows("no fault stands");
    terminal.typed("alatency 300ms");
    terminal.key("Enter");
    terminal.shows("ON  latency 300ms");
    terminal.shows("by hand: latency 300ms on items");
    terminal.key("Right");
    terminal.shows("ON  latency 330ms");
    terminal.typed("o");
    terminal.shows("*latency-1");
    terminal.typed("o");
    terminal.typed("1");
    terminal.shows("off latency 330ms");
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("q");
    terminal.shows("ended with 0");
    drop(terminal);
    bench.run(&["check", "recorded.yaml"]).expect(0).says("2 faults");

    let finished = finish(child).expect(4);
    assert!(finished.words().contains("steered by hand: latency 300ms on items at"), "{}", finished.stdout);
    let lifted = bench.timed("by-hand").into_iter().filter(|(_, deed)| deed.get("lifted").is_some()).count();
    assert_eq!(lifted, 2, "by key, and with the view");

    let Some(terminal) = Terminal::open("run-over", &bench, &format!("{line} --hands")) else { return };
    terminal.shows("takes no orders");
    terminal.shows("ended with 3");
}

#[test]
fn a_view_for_which_there_is_no_room_says_how_many_hands_are_there() {
    let bench = Bench::new();
    let more = "control: true\nphases: { warm-up: 200ms, baseline: 1s, fault: 300s, recovery: 1s }\n\
        expect: { read: { success: \">= 50%\" } }\n";
    bench.file("s.yaml", &catalogue_scenario("s", more));
    let child = bench.spawn(&["run", "s.yaml"]);
    let run = run_dir(&bench);
    let runtime = Runtime::new().expect("a runtime");
    let take = || until("there is room", PATIENCE, || runtime.block_on(Helm::take(&run)).ok());
    let helms: Vec<Helm> = (0..16).map(|_| take()).collect();
    let line = format!("{} top --run {} --hands", murphy().display(), run.display());
    if let Some(terminal) = Terminal::open("run-full", &bench, &line) {
        terminal.shows("16 hands are already on this run");
        terminal.shows("ended with 3");
    }
    drop(helms);
    send(&child, Signal::SIGINT);
    finish(child).expect(130);
}
