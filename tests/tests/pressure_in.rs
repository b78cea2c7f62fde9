//! `murphy pressure … --in CONTAINER` and pressure faults on containers, on a real engine: inside the container's own limits,
//! with nothing in its image for it, and gone with Murphy and with the container.

mod pressing;

use std::time::{Duration, Instant};

use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, catalogue_scenario, eventually, finish, kill_with_watchdog, send};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use pressing::{held_on_disk, processor_time, resident, worker, workers};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// A container with 128 MiB and half a processor; `None` without an engine, or without the rights to join its groups.
fn victim(test: &str) -> Option<(Sandbox, Member)> {
    let sandbox = Sandbox::open(test)?;
    if !Uid::effective().is_root() {
        murphy_testkit::skip(format_args!("this is not root: {test}"));
        return None;
    }
    let host = json!({ "Memory": 128 * MIB, "MemorySwap": 128 * MIB, "NanoCpus": 500_000_000 });
    let member = sandbox.container("pressure", &["echo", "7"], json!({ "HostConfig": host }));
    Some((sandbox, member))
}

/// Memory that the container has in use, as its engine counts it.
fn memory_of(sandbox: &Sandbox, member: &Member) -> u64 {
    let path = format!("/containers/{}/stats?stream=false&one-shot=true", member.id);
    let stats = sandbox.engine().call("GET", &path, None).expect("an answer").json();
    stats["memory_stats"]["usage"].as_u64().unwrap_or(0)
}

#[test]
fn memory_is_taken_within_the_containers_limit_and_given_back() {
    let Some((sandbox, member)) = victim("memory_is_taken_within_the_containers_limit_and_given_back") else {
        return;
    };
    let bench = Bench::new();
    let free = 128 * MIB - memory_of(&sandbox, &member);
    let child = bench.spawn(&["pressure", "memory", "50%", "--in", &member.name, "--for", "10m"]);
    let pid = worker(&bench);
    eventually("the engine counts it", PATIENCE, || memory_of(&sandbox, &member) > free / 2);
    assert!(resident(pid) < 110 * MIB, "half of what is free: {}", resident(pid));
    send(&child, Signal::SIGINT);
    finish(child).expect(130).says("1 container, for 10m").says("nothing left to take back");
    assert!(workers(&bench).is_empty() && bench.undo_logs().is_empty());
    eventually("it is given back", PATIENCE, || memory_of(&sandbox, &member) < free / 2);
    assert_eq!(sandbox.inspect(&member.id)["State"]["OOMKilled"], false);
    let args = ["pressure", "memory", "1GiB", "--in", &member.name, "--dry-run"];
    bench.run(&args).expect(3).says(&member.name).says("at most");
}

#[test]
fn processors_are_those_of_the_container() {
    let Some((_sandbox, member)) = victim("processors_are_those_of_the_container") else { return };
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "cpu", "--cpus", "1", "--in", &member.name, "--for", "10m"]);
    let pid = worker(&bench);
    let (begun, before) = (Instant::now(), processor_time(pid));
    eventually("it works", PATIENCE, || processor_time(pid) - before > 1.0);
    // The time last: what passes between the two looks must not count as work.
    let had = processor_time(pid) - before;
    let took = begun.elapsed().as_secs_f64();
    // Half a processor, and the quota of a period at either end.
    assert!(had < 0.5 * took + 0.15, "{had} s of {took} s");
    send(&child, Signal::SIGKILL);
    finish(child).expect(137);
    eventually("the worker has ended", PATIENCE, || workers(&bench).is_empty());
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
}

#[test]
fn a_file_system_is_filled_from_within_and_no_file_stays() {
    let Some((sandbox, _)) = victim("a_file_system_is_filled_from_within_and_no_file_stays") else { return };
    // One of its own, so that all of it may be filled.
    let host = json!({ "Tmpfs": { "/data": "size=8m" } });
    let member = sandbox.container("full", &["echo", "7"], json!({ "HostConfig": host }));
    let bench = Bench::new();
    for (folder, amount, least) in [("/data", "100%", 8 * MIB), ("/", "4MiB", 4 * MIB)] {
        let args = ["pressure", "disk", amount, "--folder", folder, "--reserve", "0B", "--in", &member.name];
        let child = bench.spawn(&args);
        let pid = worker(&bench);
        eventually("it is filled", PATIENCE, || held_on_disk(pid) >= least);
        send(&child, Signal::SIGTERM);
        finish(child).expect(143).says("nothing left to take back");
        assert!(workers(&bench).is_empty() && bench.undo_logs().is_empty());
    }
    let args = ["pressure", "disk", "1MiB", "--folder", "data", "--in", &member.name];
    bench.run(&args).expect(2).says("--folder /data");
    let args = ["pressure", "disk", "1MiB", "--folder", "/none", "--in", &member.name];
    bench.run(&args).expect(3).says("name one that is there");
    let changes = sandbox.engine().call("GET", &format!("/containers/{}/changes", member.id), None);
    let changes = changes.expect("an answer").json().to_string();
    assert!(!changes.contains(".murphy-"), "{changes}");
}

#[test]
fn a_worker_ends_with_its_container_and_does_not_hold_it() {
    let Some((sandbox, member)) = victim("a_worker_ends_with_its_container_and_does_not_hold_it") else {
        return;
    };
    let bench = Bench::new();
    let child = bench.spawn(&["pressure", "memory", "32MiB", "--in", &member.name, "--for", "10s"]);
    let pid = worker(&bench);
    eventually("it is there", PATIENCE, || resident(pid) > 32 * MIB);
    sandbox.post(&format!("/containers/{}/stop?t=1", member.id), &json!(null));
    eventually("the worker has ended", PATIENCE, || workers(&bench).is_empty());
    sandbox.post(&format!("/containers/{}/start", member.id), &json!(null));
    assert_eq!(sandbox.inspect(&member.id)["State"]["Running"], true);
    finish(child).expect(3).says("main process had ended").says("nothing left to take back");
    // Nobody is there to be pressed on.
    sandbox.post(&format!("/containers/{}/kill", member.id), &json!(null));
    bench.run(&["pressure", "cpu", "--in", &member.name, "--for", "1s"]).expect(3);
    for args in [["--in", "no-such-container"], ["--in", "pid:7"]] {
        let code = if args[1] == "pid:7" { 2 } else { 3 };
        bench.run(&[&["pressure", "cpu", "--dry-run"], &args[..]].concat()).expect(code);
    }
}

#[test]
fn a_run_presses_inside_containers_and_leaves_nothing() {
    let Some((_sandbox, member)) = victim("a_run_presses_inside_containers_and_leaves_nothing") else {
        return;
    };
    let bench = Bench::new();
    let more = |fault: &str| {
        format!(
            r#"phases: {{ warm-up: 200ms, baseline: 1s, fault: {fault}, recovery: 500ms }}
faults:
  - {{ container: {{ name: {0} }}, inject: {{ cpu-pressure: 0.3 }} }}
  - {{ container: {{ name: {0} }}, inject: {{ memory-pressure: 48MiB }} }}
  - {{ container: {{ name: {0} }}, inject: {{ disk-pressure: {{ folder: /, amount: 4MiB }} }} }}
expect: {{ read: {{ success: ">= 50%" }} }}
"#,
            member.name
        )
    };
    let all_there = || {
        let pids = workers(&bench);
        pids.len() == 3
            && pids.iter().any(|pid| resident(*pid) > 48 * MIB)
            && pids.iter().any(|pid| held_on_disk(*pid) >= 4 * MIB)
    };
    bench.file("s.yaml", &catalogue_scenario("a container with little to spare", &more("8s")));
    bench.run(&["plan", "s.yaml"]).expect(0).says("when murphy or the container dies");
    let child = bench.spawn(&["run", "s.yaml", "--inconclusive", "warn"]);
    eventually("all three are there", PATIENCE, all_there);
    finish(child).expect(0);
    assert_eq!((workers(&bench).len(), bench.undo_logs().len()), (0, 0));
    // And where nobody is left to take it back.
    bench.file("s.yaml", &catalogue_scenario("a container with little to spare", &more("10m")));
    let child = bench.spawn(&["run", "s.yaml"]);
    eventually("all three are there", PATIENCE, all_there);
    kill_with_watchdog(&bench, child);
    eventually("the workers have ended", PATIENCE, || workers(&bench).is_empty());
    bench.run(&["undo"]).expect(0).says("taken back: end ");
}
