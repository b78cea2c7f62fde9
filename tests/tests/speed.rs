//! What Murphy adds to the engine's own time, one `murphy kill` as a person types it. The figure is printed (`--nocapture`).
//! Trials alternate, and the best and the median of each are held against each other: what a busy machine adds by chance is
//! in both. What fifty containers at once cost is in `crates/docker/tests/speed.rs`.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use murphy_testkit::{Member, Sandbox};
use murphy_tests::Bench;
use serde_json::{Value, json};

/// Pairs of trials: what other work on the machine takes is added to both, and the more there are, the calmer is the best.
const TRIALS: usize = 30;
/// What a kill may add: the start of a process and what it says, an undo on disk, a watchdog, a list and an inspection.
const ADDED: Duration = Duration::from_millis(50);

fn is_running(sandbox: &Sandbox, member: &Member) -> bool {
    sandbox.inspect(&member.id)["State"]["Running"] == true
}

/// From the start of the program to the moment at which it says that the container is dead.
fn by_murphy(bench: &Bench, member: &Member) -> Duration {
    let begun = Instant::now();
    let mut child = bench.spawn(&["kill", &member.name, "--for", "1ms", "--output", "json"]);
    let said = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut dead = None;
    // To its end: whoever writes into a closed pipe stumbles.
    for line in said.lines() {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("an event");
        if event["event"] == "done" {
            dead = Some(begun.elapsed());
        }
    }
    assert!(child.wait().expect("it ends").success());
    dead.expect("it was done")
}

/// The same call to the engine, made directly.
fn by_the_engine(sandbox: &Sandbox, member: &Member) -> Duration {
    let begun = Instant::now();
    sandbox.post(&format!("/containers/{}/kill", member.id), &Value::Null);
    begun.elapsed()
}

#[test]
fn a_kill_adds_less_than_fifty_milliseconds_to_the_engines_own_time() {
    let Some(sandbox) = Sandbox::open("a_kill_adds_less_than_fifty_milliseconds_to_the_engines_own_time")
    else {
        return;
    };
    let (bench, member) = (Bench::new(), sandbox.container("pressure", &["echo", "7"], json!({})));
    let (mut own, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..TRIALS {
        own.push(by_the_engine(&sandbox, &member));
        sandbox.post(&format!("/containers/{}/start", member.id), &Value::Null);
        whole.push(by_murphy(&bench, &member));
        assert!(is_running(&sandbox, &member), "started again");
    }
    own.sort();
    whole.sort();
    // By the best and by the median: a single lucky trial of the engine alone proves nothing, nor does a stall.
    let [at_best, at_median] = [0, TRIALS / 2].map(|at| whole[at].saturating_sub(own[at]));
    let added = at_best.min(at_median);
    println!(
        "murphy kill: {:?} at best of {TRIALS} (median {:?}), the engine alone {:?} ({:?}): added {at_best:?} ({at_median:?})",
        whole[0],
        whole[TRIALS / 2],
        own[0],
        own[TRIALS / 2]
    );
    assert!(added < ADDED, "{added:?}");
}
