//! What is under Murphy fails in mid-run: the engine vanishes, the disk is full. Nothing is left behind, or the run ends
//! with 5 and says the exact command.

mod engine;
#[path = "engine/relay.rs"]
mod relay;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine::{Victims, armed};
use murphy_core::Timestamp;
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay::Relay;

const PATIENCE: Duration = Duration::from_secs(60);

/// The same with a stop, which takes its whole grace of 3 s if the victim is deaf.
fn stopped_for_a_minute(victims: &Victims) -> String {
    paused_for_a_minute(victims).replace("inject: pause", "inject: { stop: { grace: 3s } }")
}

/// Waits until the engine has begun a stop since then; the way back is on disk by then.
fn until_the_engine_is_at_the_stop(victims: &Victims, bench: &Bench, since: Duration) {
    eventually("the engine begins the stop", PATIENCE, || victims.was_signalled(since));
    let logs = bench.undo_logs();
    let on_disk = |log: &PathBuf| std::fs::read_to_string(log).is_ok_and(|text| text.contains("\"start\""));
    assert!(logs.iter().any(on_disk), "undo before do: {logs:?}");
}

fn paused_for_a_minute(victims: &Victims) -> String {
    format!(
        "murphy: 1\nname: trouble\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 500ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
         faults: [{{ container: {{ label: murphy.test={} }}, inject: pause }}]\n",
        victims.address(),
        victims.sandbox.label()
    )
}

#[test]
fn an_engine_that_vanishes_ends_with_5_and_the_command_and_undo_mends_it_when_it_is_back() {
    let Some(victims) = Victims::start(
        "an_engine_that_vanishes_ends_with_5_and_the_command_and_undo_mends_it_when_it_is_back",
    ) else {
        return;
    };
    let bench = Bench::new();
    let socket = bench.path().join("engine.sock");
    let mut relay = Relay::open(&socket, &victims.sandbox.engine().socket);
    bench.file("s.yaml", &paused_for_a_minute(&victims));
    let host = format!("unix://{}", socket.display());
    let run = bench
        .command(&["run", "s.yaml"])
        .env("DOCKER_HOST", &host)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    armed(&bench);
    eventually("it is paused", PATIENCE, || victims.is_paused());
    relay.cut();
    kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).unwrap();
    let finished: Finished = run.wait_with_output().unwrap().into();
    finished.expect(5).says(&format!("docker unpause {}", victims.member.name)).says("murphy undo");
    assert!(victims.is_paused(), "nobody could take it back");
    // No new run starts over it.
    bench.run(&["run", "s.yaml"]).expect(3).says("murphy undo");
    let _back = Relay::open(&socket, &victims.sandbox.engine().socket);
    // Whoever undoes it need not know where the engine is: the log does.
    bench.run(&["undo"]).expect(0).says("taken back");
    assert!(!victims.is_paused());
}

#[test]
fn an_engine_that_is_away_for_a_moment_is_waited_for() {
    let Some(victims) = Victims::start("an_engine_that_is_away_for_a_moment_is_waited_for") else { return };
    let bench = Bench::new();
    let socket = bench.path().join("engine.sock");
    let mut relay = Relay::open(&socket, &victims.sandbox.engine().socket);
    bench.file("s.yaml", &paused_for_a_minute(&victims));
    let mut run = bench
        .command(&["run", "s.yaml"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .spawn()
        .unwrap();
    armed(&bench);
    eventually("it is paused", PATIENCE, || victims.is_paused());
    relay.cut();
    kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).unwrap();
    std::thread::park_timeout(Duration::from_secs(2));
    let _back = Relay::open(&socket, &victims.sandbox.engine().socket);
    assert_eq!(run.wait().unwrap().code(), Some(143), "interrupted, and everything taken back");
    assert!(!victims.is_paused());
    assert!(bench.undo_logs().is_empty());
}

/// A file system so small that it can be filled; unmounted at the end.
struct Tiny(std::path::PathBuf);

impl Tiny {
    fn mount(at: &Path) -> Option<Tiny> {
        std::fs::create_dir_all(at).expect("a directory");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Tiny(at.to_owned()));
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no tmpfs in CI");
        murphy_testkit::skipped("no tmpfs can be mounted here");
        None
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("fill")).expect("a file");
        while file.write_all(&[0; 512]).is_ok() {}
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_run_and_everything_is_taken_back() {
    let Some(victims) = Victims::start("a_full_disk_ends_the_run_and_everything_is_taken_back") else {
        return;
    };
    let bench = Bench::new();
    let Some(tiny) = Tiny::mount(&bench.path().join("tiny")) else { return };
    bench.file("s.yaml", &paused_for_a_minute(&victims));
    // Journal and undo log both are on it.
    let run = bench
        .command(&["run", "s.yaml", "--report-dir", "tiny/runs"])
        .env("MURPHY_STATE_DIR", tiny.0.join("state"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it is paused", PATIENCE, || victims.is_paused());
    tiny.fill();
    let finished: Finished = run.wait_with_output().unwrap().into();
    finished.expect(3).says("No space left");
    assert!(!victims.is_paused());
    // A run that cannot write its undo log touches nothing.
    let _ = std::fs::remove_dir_all(tiny.0.join("state"));
    tiny.fill();
    let again = bench
        .command(&["run", "s.yaml", "--report-dir", "other"])
        .env("MURPHY_STATE_DIR", tiny.0.join("state"))
        .output()
        .unwrap();
    Finished::from(again).expect(3);
    assert!(!victims.is_paused());
}

#[test]
fn a_stop_that_the_engine_goes_on_with_after_murphy_was_killed_is_taken_back() {
    let Some(victims) =
        Victims::deaf("a_stop_that_the_engine_goes_on_with_after_murphy_was_killed_is_taken_back")
    else {
        return;
    };
    let bench = Bench::new();
    bench.file("s.yaml", &stopped_for_a_minute(&victims));
    let (before, since) = (victims.started_at(), Timestamp::since_epoch());
    let mut run = bench.command(&["run", "s.yaml"]).spawn().unwrap();
    until_the_engine_is_at_the_stop(&victims, &bench, since);
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("the watchdog is done", PATIENCE, || bench.undo_logs().is_empty());
    assert_ne!(victims.started_at(), before, "the engine went on with the stop, else this shows nothing");
    assert_eq!(victims.state()["running"], serde_json::json!(true));
}

/// Interrupts a command while the engine is at its stop: at its end, all is as before.
fn interrupted_at_a_stop(victims: &Victims, args: &[&str], signal: Signal, code: i32) {
    let bench = Bench::new();
    bench.file("s.yaml", &stopped_for_a_minute(victims));
    let (before, began) = (victims.state(), victims.started_at());
    let since = Timestamp::since_epoch();
    let run = bench.spawn(args);
    until_the_engine_is_at_the_stop(victims, &bench, since);
    assert_eq!(victims.started_at(), began, "the stop is under way, and no more");
    kill(Pid::from_raw(run.id() as i32), signal).unwrap();
    let finished: Finished = run.wait_with_output().unwrap().into();
    let finished = finished.expect(code);
    assert_ne!(victims.started_at(), began, "it was stopped, and started again");
    assert_eq!(victims.state(), before, "{}{}", finished.stdout, finished.stderr);
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_stop_in_the_middle_of_which_a_signal_comes_is_awaited_and_taken_back() {
    let Some(victims) =
        Victims::deaf("a_stop_in_the_middle_of_which_a_signal_comes_is_awaited_and_taken_back")
    else {
        return;
    };
    let name = victims.member.name.clone();
    interrupted_at_a_stop(&victims, &["run", "s.yaml"], Signal::SIGTERM, 143);
    let by_hand = ["stop", &name, "--grace", "3s", "--for", "10m"];
    interrupted_at_a_stop(&victims, &by_hand, Signal::SIGINT, 130);
}

/// The command loses the engine's answer to a stop, and the engine goes on with it.
fn cut_off_at_a_stop(victims: &Victims, args: &[&str]) {
    let bench = Bench::new();
    bench.file("s.yaml", &stopped_for_a_minute(victims));
    let socket = bench.path().join("engine.sock");
    let relay = Relay::open(&socket, &victims.sandbox.engine().socket);
    let (began, since) = (victims.started_at(), Timestamp::since_epoch());
    let run = bench
        .command(args)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until_the_engine_is_at_the_stop(victims, &bench, since);
    relay.lose_answers();
    // By hand, an act that failed on its only target ends it; a run goes on, and is told to end.
    let _ = kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM);
    let finished: Finished = run.wait_with_output().unwrap().into();
    assert!(matches!(finished.code, 3 | 143), "{}: {}", finished.code, finished.stderr);
    assert_ne!(victims.started_at(), began, "the engine went on with the stop, else this shows nothing");
    assert_eq!(victims.state()["running"], serde_json::json!(true), "{}{}", finished.stdout, finished.stderr);
    assert!(bench.undo_logs().is_empty());
}

#[test]
fn a_stop_whose_answer_is_lost_is_taken_back_when_the_engine_is_through_with_it() {
    let Some(victims) =
        Victims::deaf("a_stop_whose_answer_is_lost_is_taken_back_when_the_engine_is_through_with_it")
    else {
        return;
    };
    let name = victims.member.name.clone();
    cut_off_at_a_stop(&victims, &["run", "s.yaml"]);
    cut_off_at_a_stop(&victims, &["stop", &name, "--grace", "3s", "--for", "10m"]);
}

#[test]
fn a_signal_in_the_middle_of_taking_back_does_not_cut_it() {
    let Some(victims) = Victims::start("a_signal_in_the_middle_of_taking_back_does_not_cut_it") else {
        return;
    };
    let bench = Bench::new();
    let socket = bench.path().join("engine.sock");
    let mut relay = Relay::open(&socket, &victims.sandbox.engine().socket);
    let text = paused_for_a_minute(&victims).replace("inject: pause", "inject: pause, for: 1s");
    bench.file("s.yaml", &text);
    let run = bench
        .command(&["run", "s.yaml"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it is paused", PATIENCE, || victims.is_paused());
    relay.cut();
    // In the engine's place, one that hangs up: the question for the container's state is the beginning of taking back.
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let asked = format!("/containers/{}/json", victims.member.id);
    loop {
        let (mut caller, _) = listener.accept().unwrap();
        caller.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = [0; 512];
        let length = std::io::Read::read(&mut caller, &mut request).unwrap_or(0);
        if String::from_utf8_lossy(&request[..length]).contains(&asked) {
            break;
        }
    }
    kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).unwrap();
    // The signal has been heard once the run says so.
    eventually("the run is on its way out", PATIENCE, || {
        bench.journals().first().is_some_and(|journal| {
            std::fs::read_to_string(journal).is_ok_and(|text| text.contains("\"interrupted\""))
        })
    });
    drop(listener);
    std::fs::remove_file(&socket).unwrap();
    let _back = Relay::open(&socket, &victims.sandbox.engine().socket);
    let finished: Finished = run.wait_with_output().unwrap().into();
    finished.expect(143);
    assert!(!victims.is_paused(), "nobody takes it back any more");
    assert!(bench.undo_logs().is_empty());
}
