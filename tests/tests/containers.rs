//! Scenarios with faults on containers and processes, against the real engine: what is broken is broken while the fault
//! lasts, and everything is as before afterwards.

mod engine;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use engine::{Victims, armed};
use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// A scenario of one second of baseline, so many of fault, and two of recovery, judged by a probe alone.
fn scenario(victims: &Victims, fault_phase: &str, faults: &str) -> String {
    format!(
        "murphy: 1\nname: containers\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms, within: 500ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 1s, fault: {fault_phase}, recovery: 2s }}\nlearn: all\nfaults:\n{faults}\n",
        victims.address()
    )
}

#[test]
fn every_fault_of_a_container_takes_effect_and_leaves_it_as_before() {
    let Some(victims) = Victims::start("every_fault_of_a_container_takes_effect_and_leaves_it_as_before")
    else {
        return;
    };
    let bench = Bench::new();
    let label = format!("label: murphy.test={}", victims.sandbox.label());
    let mut faults = String::new();
    let all = [
        "kill",
        "{ stop: 1s }",
        "{ restart: 1s }",
        "pause",
        "remove",
        "disconnect",
        "{ limits: { memory: 32MiB, pids: 50 } }",
        "{ exec: { command: [/victim, write, /tmp/broken, exit, \"0\"], revert: [/victim, remove, /tmp/broken, exit, \"0\"] } }",
        "{ signal: SIGHUP }",
    ];
    for (number, fault) in all.iter().enumerate() {
        faults += &format!(
            "  - {{ container: {{ {label} }}, inject: {fault}, at: {}ms, for: 1s }}\n",
            number * 2000
        );
    }
    let before = victims.state();
    // Bad soon after the first fault, good again soon after the last: the probe sees the faults come and go.
    let judged = scenario(&victims, "19s", &faults) + "expect: { up: { follows: \"<= 6s\" } }\n";
    bench.file("s.yaml", &judged);
    let finished = bench.run(&["run", "s.yaml"]);
    let journal = std::fs::read_to_string(&bench.journals()[0]).unwrap();
    let finished = finished.expect(0).says("GRACEFUL");
    assert!(!finished.stdout.contains("nothing asserted"), "{}", finished.stdout);
    assert_eq!(victims.state(), before, "{}", finished.stderr);
    assert!(bench.undo_logs().is_empty(), "neither logs nor locks are left: {:?}", bench.undo_logs());
    for (name, hits) in [("kill-1", 1), ("stop-1", 1), ("pause-1", 1), ("disconnect-1", 1), ("limits-1", 1)] {
        let lifted =
            journal.lines().find(|line| line.contains("fault-lifted") && line.contains(name)).unwrap();
        assert!(lifted.contains(&format!("\"hits\":{hits}")), "{lifted}");
    }
    assert!(journal.contains("\"container-exited\"") && journal.contains("\"cause\":\"fault\""), "{journal}");
    assert!(!journal.contains("\"cause\":\"itself\""), "a fault's deed is no crash: {journal}");
}

#[test]
fn no_target_is_an_error_before_anything_is_touched() {
    let Some(victims) = Victims::start("no_target_is_an_error_before_anything_is_touched") else { return };
    let bench = Bench::new();
    bench.file("s.yaml", &scenario(&victims, "1s", "  - { container: { service: nobody }, inject: pause }"));
    bench.run(&["run", "s.yaml"]).expect(3).says("has no target").says("no running container matches");
    bench.file(
        "p.yaml",
        &scenario(&victims, "1s", "  - { process: { name: no-such-program }, inject: freeze }"),
    );
    bench.run(&["run", "p.yaml"]).expect(3).says("no running process matches");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn two_runs_do_not_fight_over_one_container() {
    let Some(victims) = Victims::start("two_runs_do_not_fight_over_one_container") else { return };
    let bench = Bench::new();
    let fault =
        format!("  - {{ container: {{ label: murphy.test={} }}, inject: pause }}", victims.sandbox.label());
    bench.file("long.yaml", &scenario(&victims, "60s", &fault));
    bench.file("short.yaml", &scenario(&victims, "1s", &fault));
    let mut first = bench.spawn(&["run", "long.yaml"]);
    armed(&bench);
    bench.run(&["run", "short.yaml"]).expect(3).says("in the hands of another run").says("\"containers\"");
    assert!(victims.is_paused(), "the second run has touched nothing");
    kill(Pid::from_raw(first.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(143));
    assert!(!victims.is_paused());
    bench.run(&["run", "short.yaml"]).expect(0);
}

#[test]
fn a_service_that_dies_of_its_dependencys_fault_is_not_graceful_and_its_last_line_is_told() {
    let Some(sandbox) = Sandbox::open(
        "a_service_that_dies_of_its_dependencys_fault_is_not_graceful_and_its_last_line_is_told",
    ) else {
        return;
    };
    let (network, project) = (sandbox.network("net", json!({})), sandbox.name("shop"));
    let service = |name: &str, words: &[&str]| {
        let labels = sandbox.compose_labels(&project, name, 1);
        sandbox.container(name, words, json!({ "Labels": labels, "HostConfig": { "NetworkMode": network } }))
    };
    let db = service("db", &["echo", "7000"]);
    let address = &sandbox.inspect(&db.id)["NetworkSettings"]["Networks"][&network]["IPAddress"];
    let address = format!("{}:7000", address.as_str().expect("an address"));
    // Asks it again and again, and dies if it is not there.
    let web = service("web", &["dial", &address, "wait", "100"].repeat(3000));
    // What users see of it stays well: the death alone is what makes the difference.
    let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let bench = Bench::new();
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: fragile\nstack: {{ project: {project} }}\n\
             probes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 2s, fault: 8s, recovery: 2s }}\n\
             faults: [{{ container: {{ service: db }}, inject: kill }}]\n\
             expect: {{ up: {{ always: true }} }}\n",
            healthy.local_addr().expect("an address")
        ),
    );
    let finished = bench.run(&["run", "s.yaml"]).expect(1).says("NOT GRACEFUL");
    let report = finished.words();
    for text in ["web ended by itself (exit code 1)", &format!("after the fault: {address}: ")] {
        assert!(report.contains(text), "{text}\n{}", finished.stdout);
    }
    assert!(!report.contains("db ended by itself"), "it was killed by the fault: {}", finished.stdout);
    assert_eq!(sandbox.inspect(&db.id)["State"]["Running"], json!(true));
    assert_eq!(
        sandbox.inspect(&web.id)["State"]["ExitCode"],
        json!(1),
        "Murphy starts nothing that it did not end"
    );
}

/// A process that Murphy did not start; killed at the end.
struct Bystander(Child);

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_murphy_did_not_start_is_frozen_and_goes_on() {
    let Some(victims) = Victims::start("a_process_that_murphy_did_not_start_is_frozen_and_goes_on") else {
        return;
    };
    let bench = Bench::new();
    let mark = format!("{}.25", 700 + std::process::id());
    let sleeper = Command::new("sleep").arg(&mark).stdin(Stdio::null()).spawn().unwrap();
    let sleeper = Bystander(sleeper);
    let stat = format!("/proc/{}/stat", sleeper.0.id());
    let is_frozen = || std::fs::read_to_string(&stat).unwrap().contains(") T ");
    bench.file(
        "s.yaml",
        &scenario(
            &victims,
            "60s",
            &format!("  - {{ process: {{ command: \"sleep {mark}\" }}, inject: freeze }}"),
        ),
    );
    let mut run = bench.spawn(&["run", "s.yaml"]);
    eventually("the process is frozen", PATIENCE, is_frozen);
    kill(Pid::from_raw(run.id() as i32), Signal::SIGKILL).unwrap();
    let _ = run.wait();
    eventually("the watchdog lets it go on", PATIENCE, || !is_frozen());
    eventually("the undo log is done with, and the locks", PATIENCE, || bench.undo_logs().is_empty());
    bench.run(&["undo"]).expect(0).says("nothing to take back");
}

#[test]
fn processes_are_signalled_by_pid_and_killed_by_name_in_a_run_without_an_engine() {
    let bench = Bench::new();
    // A name that nobody else has.
    let name = format!("mt{}", std::process::id());
    let program = bench.path().join(&name);
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    let sleep = |program: &std::path::Path| {
        Bystander(Command::new(program).arg("700").stdin(Stdio::null()).spawn().expect("sleep"))
    };
    let (mut by_pid, mut by_name, mut spared) =
        (sleep("/bin/sleep".as_ref()), sleep(&program), sleep("/bin/sleep".as_ref()));
    let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: processes\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 500ms, fault: 2s, recovery: 500ms }}\nlearn: all\nfaults:\n\
             \x20 - {{ process: {{ pid: {} }}, inject: {{ signal: SIGUSR1 }}, for: 1s }}\n\
             \x20 - {{ process: {{ name: {name} }}, inject: kill, for: 1s }}\n",
            healthy.local_addr().expect("an address"),
            by_pid.0.id()
        ),
    );
    let mut run = bench.command(&["run", "s.yaml"]);
    let finished: Finished = run.env("DOCKER_HOST", "unix:///nowhere.sock").output().expect("murphy").into();
    finished.expect(0).says("GRACEFUL");
    let ended_by = |of: &mut Bystander| of.0.try_wait().expect("a child").and_then(|end| end.signal());
    assert_eq!(ended_by(&mut by_pid), Some(Signal::SIGUSR1 as i32));
    assert_eq!(ended_by(&mut by_name), Some(Signal::SIGKILL as i32));
    assert_eq!(spared.0.try_wait().expect("a child"), None, "nobody meant it");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_probe_sees_what_containers_do_how_they_are_and_what_they_write() {
    let Some(sandbox) = Sandbox::open("a_probe_sees_what_containers_do_how_they_are_and_what_they_write")
    else {
        return;
    };
    // Says it once for each start: before the run, which does not count, and when the fault starts it again.
    let talker = sandbox.container("talker", &["print", "here I am", "echo", "7000"], json!({}));
    let check = json!({ "Test": ["CMD", "/victim", "exit", "0"], "Interval": 500_000_000 });
    let well = sandbox.container("well", &["echo", "7000"], json!({ "Healthcheck": check }));
    eventually("it is healthy", Duration::from_secs(60), || {
        sandbox.inspect(&well.id)["State"]["Health"]["Status"] == "healthy"
    });
    let bench = Bench::new();
    let (talker, well) = (&talker.name, &well.name);
    let text = format!(
        "murphy: 1\nname: containers looked at\nprobes:\n\
         \x20 up: {{ container: {talker}, every: 200ms, within: 5s }}\n\
         \x20 said: {{ container: {talker}, log: \"^here\", every: 200ms, within: 5s }}\n\
         \x20 quiet: {{ container: {{ name: [{talker}] }}, log-not: \"I am$\", every: 200ms, within: 5s }}\n\
         \x20 well: {{ container: {well}, health: healthy, every: 200ms, within: 5s }}\n\
         \x20 unchecked: {{ container: {talker}, health: healthy, every: 200ms, within: 5s }}\n\
         \x20 nobody: {{ container: {talker}-2, every: 200ms, within: 5s }}\n\
         phases: {{ warm-up: 0s, baseline: 2s, fault: 7s, recovery: 2s }}\n\
         faults:\n\
         \x20 - {{ container: {talker}, inject: pause, for: 2s }}\n\
         \x20 - {{ container: {talker}, inject: {{ restart: 1s }}, at: 4s, for: 1s }}\n\
         expect: {{ up: {{ always: true }}, well: {{ always: true }} }}\n"
    );
    bench.file("s.yaml", &text);
    bench.run(&["plan", "s.yaml"]).expect(0).says("is running and healthy");
    bench.run(&["run", "s.yaml"]).expect(1).says("NOT GRACEFUL");
    let journal = std::fs::read_to_string(&bench.journals()[0]).unwrap();
    let answers: Vec<serde_json::Value> = journal
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].get("probe").cloned()
        })
        .collect();
    let said = |name: &str, ok: bool, text: &str| {
        answers
            .iter()
            .filter(|one| {
                one["probe"] == name && one["ok"] == ok && one["saw"].as_str().unwrap().contains(text)
            })
            .count()
    };
    assert!(
        said("up", true, "1 running") > 5 && said("up", false, "is paused, not running") > 2,
        "{answers:?}"
    );
    assert!(said("said", false, "nothing written") > 5 && said("said", true, "") > 2);
    assert_eq!(said("quiet", false, "wrote `here I am`"), 1, "told once, when it was written");
    assert!(said("well", true, "1 running, healthy") > 5 && said("well", false, "") == 0);
    assert!(said("unchecked", true, "") == 0 && said("unchecked", false, "has no health check") > 5);
    assert!(said("nobody", true, "") == 0 && said("nobody", false, "no container") > 5);
}
