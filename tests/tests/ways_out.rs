//! However a run ends, nothing of it is left: signals, SIGKILL, a killed watchdog, a closed terminal.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_tests::{Bench, Finished, eventually, free_ports, processes_with};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

/// What "within seconds" may mean on a machine that is busy with other tests; alone it is a fraction of one.
const SECONDS: Duration = Duration::from_secs(15);

/// A run of a minute, in mid-fault. The service leaves a grandchild in a session of its own behind, so that a group kill
/// would miss it. `mark` is in the command line of everything that the run starts.
struct Running {
    bench: Bench,
    child: Child,
    mark: String,
}

fn start(fault: &str) -> Running {
    start_with("sleep 600", fault)
}

/// As [`start`]; `straggler` is what the leader of the straggling group does.
fn start_with(straggler: &str, fault: &str) -> Running {
    start_by(straggler, fault, |bench| bench.spawn(&["run", "s.yaml"]))
}

/// As [`start_with`]; `spawn` starts `murphy run s.yaml`.
fn start_by(straggler: &str, fault: &str, spawn: impl FnOnce(&Bench) -> Child) -> Running {
    let bench = Bench::new();
    let [service, edge] = free_ports();
    let mark = format!("murphy-mark-{service}-{}", std::process::id());
    let text = format!(
        r#"murphy: 1
name: a long run
services:
  straggler:
    run: [sh, -c, "setsid sh -c 'sleep 600; : {mark}' & {straggler}; : {mark}"]
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "127.0.0.1:{service}"]
    ready: {{ tcp: "127.0.0.1:{service}" }}
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{service}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 50/s, timeout: 2s }}
phases: {{ warm-up: 200ms, baseline: 500ms, fault: 60s, recovery: 5s }}
faults:
  - {fault}
expect:
  read: {{ success: ">= 50%" }}
"#
    );
    bench.file("s.yaml", &text);
    let child = spawn(&bench);
    let running = Running { bench, child, mark };
    eventually("the fault is armed", PATIENCE, || {
        running.bench.journals().first().is_some_and(|journal| {
            std::fs::read_to_string(journal).is_ok_and(|text| text.contains("\"fault-armed\""))
        })
    });
    eventually("the straggler and its child run", PATIENCE, || processes_with(&running.mark).len() >= 2);
    running
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the run lives");
    }

    fn finish(self) -> (Bench, Finished, String) {
        let output = self.child.wait_with_output().expect("the run can be waited for");
        (self.bench, output.into(), self.mark)
    }
}

fn ends_in_order(signal: Signal, code: i32, name: &str) {
    let running = start("{ edge: items, inject: { latency: 100ms } }");
    running.signal(signal);
    let (bench, finished, mark) = running.finish();
    let finished = finished.expect(code).says(name);
    assert!(
        finished.stdout.to_lowercase().contains("interrupted"),
        "the report says so:\n{}",
        finished.stdout
    );
    // The partial report is kept, and a later judgement says the same.
    let run = bench.journals()[0].parent().unwrap().display().to_string();
    let again = bench.run(&["report", &run]).expect(4);
    assert!(finished.stdout.starts_with(&again.stdout), "{}\n-----\n{}", finished.stdout, again.stdout);
    assert_eq!(processes_with(&mark), [0u32; 0], "everything that was started is gone");
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn sigint_takes_everything_back_and_reports_130() {
    ends_in_order(Signal::SIGINT, 130, "SIGINT");
}

#[test]
fn sigterm_takes_everything_back_and_reports_143() {
    ends_in_order(Signal::SIGTERM, 143, "SIGTERM");
}

#[test]
fn sighup_takes_everything_back_and_reports_129() {
    ends_in_order(Signal::SIGHUP, 129, "SIGHUP");
}

#[test]
fn a_closed_terminal_takes_everything_back() {
    // Closed on exec: what the run starts must not hold it open.
    let window = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&window).and_then(|()| unlockpt(&window)).expect("a terminal");
    let inner = ptsname_r(&window).expect("a name");
    let terminal = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(inner);
    let terminal = terminal.expect("a terminal");
    let running = start_by("sleep 600", "{ service: catalogue, inject: freeze }", |bench| {
        let murphy = bench.command(&[]);
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(murphy.get_program()).args(["run", "s.yaml"]).current_dir(bench.path());
        for (key, value) in murphy.get_envs() {
            value.map(|value| session.env(key, value));
        }
        let end = || Stdio::from(terminal.try_clone().expect("a handle"));
        session.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid")
    });
    // Who closes the window closes both: the session gets SIGHUP, and nothing can be written any more.
    drop((terminal, window));
    let (bench, finished, mark) = running.finish();
    finished.expect(129);
    assert_eq!(processes_with(&mark), [0u32; 0], "everything that was started is gone");
    assert!(bench.undo_logs().is_empty());
    let journal = std::fs::read_to_string(&bench.journals()[0]).expect("a journal");
    assert!(
        journal.contains("\"run-ended\"") && journal.contains("\"fault-lifted\""),
        "it is whole: {journal}"
    );
}

#[test]
fn a_second_signal_ends_at_once_and_the_watchdog_takes_everything_back() {
    // It takes the whole grace of 3 s to stop a service that does not heed SIGTERM.
    let mut running = start_with(
        "trap '' TERM; while :; do sleep 600; done",
        "{ edge: items, inject: { latency: 100ms } }",
    );
    running.signal(Signal::SIGINT);
    eventually("the first signal is noted", PATIENCE, || {
        running.bench.journals().first().is_some_and(|journal| {
            std::fs::read_to_string(journal).is_ok_and(|text| text.contains("\"interrupted\""))
        })
    });
    assert!(running.child.try_wait().unwrap().is_none(), "it ends in order, which takes its time");
    running.signal(Signal::SIGTERM);
    let (bench, finished, mark) = running.finish();
    let finished = finished.expect(143);
    assert_eq!(finished.stdout, "", "nothing is judged any more");
    eventually("the watchdog stops what the run started", PATIENCE, || processes_with(&mark).is_empty());
    eventually("the undo log is done with", PATIENCE, || bench.undo_logs().is_empty());
}

#[test]
fn sigkill_leaves_nothing_behind_within_seconds() {
    let running = start("{ service: catalogue, inject: freeze }");
    running.signal(Signal::SIGKILL);
    let (bench, _, mark) = running.finish();
    eventually("the watchdog stops what the run started", SECONDS, || processes_with(&mark).is_empty());
    eventually("the undo log is done with", SECONDS, || bench.undo_logs().is_empty());
    bench.run(&["undo"]).expect(0).says("nothing to take back");
}

#[test]
fn when_run_and_watchdog_are_both_killed_undo_takes_everything_back() {
    let running = start("{ edge: items, inject: { latency: 100ms } }");
    let state = running.bench.path().join("state").display().to_string();
    let watchdogs = processes_with(&format!("watchdog {state}"));
    assert_eq!(watchdogs.len(), 1);
    running.signal(Signal::SIGSTOP);
    kill(Pid::from_raw(watchdogs[0] as i32), Signal::SIGKILL).expect("the watchdog lives");
    running.signal(Signal::SIGKILL);
    let (bench, _, mark) = running.finish();
    assert!(!processes_with(&mark).is_empty(), "nobody was left to stop it");
    // A new run does not start over it.
    bench.run(&["run", "s.yaml"]).expect(3).says("murphy undo");
    bench.run(&["undo"]).expect(0).says("taken back");
    assert_eq!(processes_with(&mark), [0u32; 0]);
    bench.run(&["undo"]).expect(0).says("nothing to take back");
}

#[test]
fn a_killed_watchdog_is_replaced() {
    let running = start("{ edge: items, inject: { latency: 100ms } }");
    let needle = format!("watchdog {}", running.bench.path().join("state").display());
    let first = processes_with(&needle);
    kill(Pid::from_raw(first[0] as i32), Signal::SIGKILL).expect("the watchdog lives");
    eventually("another one watches", PATIENCE, || {
        let now = processes_with(&needle);
        now.len() == 1 && now != first
    });
    running.signal(Signal::SIGKILL);
    // The bench is kept: its state directory holds the log that the watchdog reads.
    let (_bench, _, mark) = running.finish();
    eventually("the new watchdog stops what the run started", PATIENCE, || processes_with(&mark).is_empty());
}
