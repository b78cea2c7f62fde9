//! An engine behind `ssh://`, as `DOCKER_HOST` means it: a real `sshd` on a port of its own, and the engine's own client at
//! the far end. Whoever may log in breaks and mends through it; all others are told what `ssh` said.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, SshServer, eventually, murphy};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// Murphy with this engine, where `ssh` shows that key. The program of that name on the PATH is one that calls it with the test's
/// settings.
fn murphy_with(server: &SshServer, key: &str, bench: &Bench, words: &[&str]) -> Command {
    let folder = server.folder().join(format!("bin-{key}"));
    if std::fs::create_dir(&folder).is_ok() {
        let ssh = folder.join("ssh");
        let script = format!("#!/bin/sh\nexec {} \"$@\"\n", server.client(key));
        std::fs::write(&ssh, script).expect("to write");
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(murphy());
    command
        .args(words)
        .current_dir(bench.path())
        .stdin(Stdio::null())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("DOCKER_HOST", format!("ssh://{}@127.0.0.1:{}", server.user(), server.port()))
        .env_remove("SSH_AUTH_SOCK");
    command
}

#[test]
fn an_engine_behind_ssh_is_acted_on_and_what_ssh_says_is_told() {
    let test = "an_engine_behind_ssh_is_acted_on_and_what_ssh_says_is_told";
    let Some(sandbox) = Sandbox::open(test) else { return };
    let Some(server) = SshServer::start(test) else { return };
    let settings = json!({ "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } } });
    let member = sandbox.container("victim", &["echo", "7000"], settings);
    let paused = || sandbox.inspect(&member.id)["State"]["Paused"] == json!(true);
    let bench = Bench::new();
    let run = |key: &str, words: &[&str]| -> murphy_tests::Finished {
        murphy_with(&server, key, &bench, words).output().expect("it starts").into()
    };

    let pause = ["pause", &member.name, "--for", "200ms"];
    run("user", &pause).expect(0).says("taken back");
    assert!(!paused());
    run("user", &["doctor"]).says(&format!("@127.0.0.1:{}", server.port())).says("on another machine");
    run("user", &["exec", &member.name, "--", "/victim", "print", "hello", "exit", "0"])
        .expect(0)
        .says("hello");

    // A terminal sends Ctrl-C to the whole group in front: what is under way has its answer all the same.
    let file = format!("/containers/{}/archive?path=/tmp/begun", member.id);
    let begun = || sandbox.engine().call("GET", &file, None).expect("the engine").status == 200;
    let slow = ["/victim", "write", "/tmp/begun", "wait", "2000", "print", "hello", "exit", "0"];
    let held = murphy_with(&server, "user", &bench, &[&["exec", &member.name, "--"][..], &slow].concat())
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    eventually("the command is at work", PATIENCE, begun);
    killpg(Pid::from_raw(held.id().cast_signed()), Signal::SIGINT).expect("it lives");
    let ended: murphy_tests::Finished = held.wait_with_output().expect("its end").into();
    ended.expect(130).says("done ").says("| hello");

    // Whoever is not let in is told so, and nothing is touched.
    run("stranger", &pause).expect(3).says("ssh").says("Permission denied");
    assert!(bench.undo_logs().is_empty());

    // The watchdog reaches the engine the same way.
    let mut held = murphy_with(&server, "user", &bench, &["pause", &member.name, "--for", "10m"])
        .spawn()
        .expect("it starts");
    eventually("it is paused", PATIENCE, paused);
    kill(Pid::from_raw(held.id().cast_signed()), Signal::SIGKILL).expect("it lives");
    held.wait().expect("its end");
    eventually("the watchdog takes it back", PATIENCE, || !paused() && bench.undo_logs().is_empty());
}
