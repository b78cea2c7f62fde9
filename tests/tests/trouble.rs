//! What is under Murphy fails in mid-run: the engine vanishes, the disk is full. Nothing is left behind, or the run ends
//! with 5 and says the exact command.

mod engine;
#[path = "engine/relay.rs"]
mod relay;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use engine::{Victims, armed};
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay::Relay;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

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
    std::thread::park_timeout(std::time::Duration::from_secs(2));
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
        eprintln!("skipped: no tmpfs can be mounted here");
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
        Victims::start("a_stop_that_the_engine_goes_on_with_after_murphy_was_killed_is_taken_back")
    else {
        return;
    };
    let bench = Bench::new();
    // The victim is pid 1 and hears no SIGTERM: the stop takes its whole grace.
    bench.file(
        "s.yaml",
        &paused_for_a_minute(&victims).replace("inject: pause", "inject: { stop: { grace: 3s } }"),
    );
    let before = victims.started_at();
    let mut run = bench.command(&["run", "s.yaml"]).spawn().unwrap();
    eventually("the way back is on disk", PATIENCE, || {
        bench
            .undo_logs()
            .iter()
            .any(|log| std::fs::read_to_string(log).is_ok_and(|text| text.contains("\"start\"")))
    });
    // The request follows at once; what comes of it is seen below.
    std::thread::park_timeout(std::time::Duration::from_millis(700));
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("the watchdog is done", PATIENCE, || bench.undo_logs().is_empty());
    assert_ne!(victims.started_at(), before, "the engine went on with the stop, else this shows nothing");
    assert_eq!(victims.state()["running"], serde_json::json!(true));
}
