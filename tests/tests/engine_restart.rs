//! The engine itself is restarted in mid-run: a second, real one that belongs to the test. Whether its containers live
//! through that (`live-restore`) or not, nothing is left behind.

#[path = "engine/own.rs"]
mod own;

use std::path::Path;
use std::process::Stdio;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Finished, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use own::{Containers, OwnEngine, PATIENCE};
use serde_json::json;

/// Runs a pause of a minute, restarts the engine under it, and ends the run with SIGTERM. Answers how it ended, and
/// whether the container runs and is paused.
fn restarted_in_mid_run(test: &str, containers: Containers) -> Option<(Finished, bool, bool)> {
    let others = Path::new("/sys/class/net/docker0").exists();
    let mut own = OwnEngine::start(test, containers)?;
    let sandbox = Sandbox::on(own.engine());
    let settings = json!({ "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } } });
    let member = sandbox.container("victim", &["echo", "7000"], settings);
    let healthy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let scenario = format!(
        "murphy: 1\nname: restart\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
         phases: {{ warm-up: 0s, baseline: 500ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
         faults: [{{ container: {{ label: murphy.test={} }}, inject: pause }}]\n",
        healthy.local_addr().expect("an address"),
        sandbox.label()
    );
    let bench = Bench::new();
    bench.file("s.yaml", &scenario);
    let run = bench
        .command(&["run", "s.yaml"])
        .env("DOCKER_HOST", format!("unix://{}", own.engine().socket.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("murphy");
    let state = || sandbox.inspect(&member.id)["State"].clone();
    eventually("it is paused", PATIENCE, || state()["Paused"] == json!(true));
    own.stop();
    own.begin_again();
    if containers == Containers::LiveOn {
        assert_eq!(state()["Paused"], json!(true), "else there would be nothing to take back");
    }
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    let finished: Finished = run.wait_with_output().expect("its end").into();
    assert!(bench.undo_logs().is_empty(), "the undo log is gone with what it asked for");
    let state = state();
    assert_eq!(
        Path::new("/sys/class/net/docker0").exists(),
        others,
        "the bridge of this machine's own engine"
    );
    Some((finished, state["Running"] == json!(true), state["Paused"] == json!(true)))
}

#[test]
fn an_engine_that_is_restarted_with_its_containers_alive_leaves_nothing_paused() {
    let test = "an_engine_that_is_restarted_with_its_containers_alive_leaves_nothing_paused";
    let Some((finished, running, paused)) = restarted_in_mid_run(test, Containers::LiveOn) else { return };
    finished.expect(143);
    assert_eq!((running, paused), (true, false));
}

#[test]
fn an_engine_that_is_restarted_and_stops_its_containers_leaves_nothing_paused() {
    let test = "an_engine_that_is_restarted_and_stops_its_containers_leaves_nothing_paused";
    let Some((finished, _, paused)) = restarted_in_mid_run(test, Containers::Stop) else { return };
    finished.expect(143);
    assert!(!paused);
}
