//! A second, real engine that belongs to a test, with a socket, a store and a network of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_testkit::Engine;
use murphy_tests::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of containers when their engine stops.
#[derive(Clone, Copy, PartialEq)]
pub enum Containers {
    LiveOn,
    Stop,
}

/// An engine with a socket, a store and containers of its own. Ended when dropped.
pub struct OwnEngine {
    folder: tempfile::TempDir,
    daemon: Child,
    more: Vec<String>,
}

impl OwnEngine {
    /// `None` without the daemon's program or without root, said out loud.
    #[allow(dead_code, reason = "not every test that shares this file starts it so")]
    pub fn start(test: &str, containers: Containers) -> Option<OwnEngine> {
        OwnEngine::with(test, containers, |_| Vec::new())
    }

    /// As [`OwnEngine::start`]; `more` is told the engine's folder and gives more arguments for the daemon.
    pub fn with(
        test: &str,
        containers: Containers,
        more: impl FnOnce(&Path) -> Vec<String>,
    ) -> Option<OwnEngine> {
        if !nix::unistd::geteuid().is_root() || Command::new("dockerd").arg("--version").output().is_err() {
            murphy_testkit::skipped(format_args!("no dockerd to start, or no root: {test}"));
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({ "live-restore": containers == Containers::LiveOn });
        std::fs::write(folder.path().join("daemon.json"), config.to_string()).expect("to write");
        let more = more(folder.path());
        let daemon = spawn(folder.path(), &more);
        let engine = OwnEngine { folder, daemon, more };
        engine.answers();
        Some(engine)
    }

    pub fn engine(&self) -> Engine {
        Engine { socket: self.folder.path().join("s.sock") }
    }

    /// Its folder.
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program that runs in the engine's network, where it listens on loopback.
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn in_its_network(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.daemon.id().to_string(), "-n"]).arg(program);
        command
    }

    fn answers(&self) {
        let pings = || self.engine().call("GET", "/_ping", None).is_ok_and(|answer| answer.status == 200);
        eventually("the engine answers", PATIENCE, pings);
    }

    pub fn stop(&mut self) {
        let pid = Pid::from_raw(self.daemon.id().cast_signed());
        if self.daemon.try_wait().is_ok_and(|ended| ended.is_none()) && kill(pid, Signal::SIGTERM).is_ok() {
            let _ = self.daemon.wait();
        }
    }

    #[allow(dead_code, reason = "not every test that shares this file restarts it")]
    pub fn begin_again(&mut self) {
        self.daemon = spawn(self.folder.path(), &self.more);
        self.answers();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(folder: &Path, more: &[String]) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    // In a network of its own: without a bridge, dockerd removes the `docker0` that it finds, and that is another engine's.
    Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "dockerd"])
        .args(["--config-file", &at("daemon.json"), "--data-root", &at("data"), "--exec-root", &at("exec")])
        .args(["--pidfile", &at("pid"), "--host", &format!("unix://{}", at("s.sock"))])
        .args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("dockerd")
}
