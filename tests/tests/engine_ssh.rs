//! An engine behind `ssh://`, as `DOCKER_HOST` means it: a real `sshd` on a port of its own, and the engine's own client at
//! the far end. Whoever may log in breaks and mends through it; all others are told what `ssh` said.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, eventually, free_ports, murphy};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const SSHD: &str = "/usr/sbin/sshd";

fn done(program: &str, words: &[&str], folder: &Path) {
    let output = Command::new(program).args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `sshd` for this user, with keys and a client's settings in a folder of its own.
struct Server {
    child: Child,
    port: u16,
    bench: Bench,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Server {
        let bench = Bench::new();
        let folder = bench.path();
        for key in ["host", "user", "stranger"] {
            done("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key], folder);
        }
        let [port] = free_ports();
        let at = folder.display();
        bench.file(
            "sshd.conf",
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\n\
                 PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
            ),
        );
        let key = std::fs::read_to_string(folder.join("host.pub")).expect("the host's key");
        bench.file("known", &format!("[127.0.0.1]:{port} {key}"));
        // `sshd` wants this folder; it is the system's, and empty.
        let _ = std::fs::create_dir("/run/sshd");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f", &format!("{at}/sshd.conf")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd");
        let server = Server { child, port, bench };
        eventually("sshd listens", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    /// Murphy with this engine, where `ssh` shows that key. `ssh` reads no folder but its user's home, so the program on the
    /// PATH is one that calls it with the test's settings.
    fn murphy(&self, key: &str, bench: &Bench, words: &[&str]) -> Command {
        let at = self.bench.path();
        let folder = at.join(format!("bin-{key}"));
        if std::fs::create_dir(&folder).is_ok() {
            let ssh = folder.join("ssh");
            let script = format!(
                "#!/bin/sh\nexec /usr/bin/ssh -F none -o IdentitiesOnly=yes -o IdentityFile={0}/{key} -o UserKnownHostsFile={0}/known \"$@\"\n",
                at.display()
            );
            std::fs::write(&ssh, script).expect("to write");
            std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().expect("a user");
        let mut command = Command::new(murphy());
        command
            .args(words)
            .current_dir(bench.path())
            .stdin(Stdio::null())
            .env("MURPHY_STATE_DIR", bench.path().join("state"))
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("DOCKER_HOST", format!("ssh://{}@127.0.0.1:{}", user.name, self.port))
            .env_remove("SSH_AUTH_SOCK");
        command
    }
}

#[test]
fn an_engine_behind_ssh_is_acted_on_and_what_ssh_says_is_told() {
    let test = "an_engine_behind_ssh_is_acted_on_and_what_ssh_says_is_told";
    let Some(sandbox) = Sandbox::open(test) else { return };
    if !Path::new(SSHD).exists() || Command::new("ssh").arg("-V").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no sshd in CI");
        return murphy_testkit::skipped(format_args!("no sshd: {test}"));
    }
    let server = Server::start();
    let settings = json!({ "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } } });
    let member = sandbox.container("victim", &["echo", "7000"], settings);
    let paused = || sandbox.inspect(&member.id)["State"]["Paused"] == json!(true);
    let bench = Bench::new();
    let run = |key: &str, words: &[&str]| -> murphy_tests::Finished {
        server.murphy(key, &bench, words).output().expect("it starts").into()
    };

    let pause = ["pause", &member.name, "--for", "200ms"];
    run("user", &pause).expect(0).says("taken back");
    assert!(!paused());
    run("user", &["doctor"]).says(&format!("@127.0.0.1:{}", server.port)).says("on another machine");
    run("user", &["exec", &member.name, "--", "/victim", "print", "hello", "exit", "0"])
        .expect(0)
        .says("hello");

    // A terminal sends Ctrl-C to the whole group in front: what is under way has its answer all the same.
    let file = format!("/containers/{}/archive?path=/tmp/begun", member.id);
    let begun = || sandbox.engine().call("GET", &file, None).expect("the engine").status == 200;
    let slow = ["/victim", "write", "/tmp/begun", "wait", "2000", "print", "hello", "exit", "0"];
    let held = server
        .murphy("user", &bench, &[&["exec", &member.name, "--"][..], &slow].concat())
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
    let mut held =
        server.murphy("user", &bench, &["pause", &member.name, "--for", "10m"]).spawn().expect("it starts");
    eventually("it is paused", PATIENCE, paused);
    kill(Pid::from_raw(held.id().cast_signed()), Signal::SIGKILL).expect("it lives");
    held.wait().expect("its end");
    eventually("the watchdog takes it back", PATIENCE, || !paused() && bench.undo_logs().is_empty());
}
