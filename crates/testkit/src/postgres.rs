//! A PostgreSQL of a test's own, in a directory that goes with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::{free_port, skip};

/// PostgreSQL does not run as root.
const NOBODY: u32 = 65534;
/// How long its start may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that takes questions, ended with this.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with all its processes, by a handler of its own: what a test inherits as ignored, its servers inherit too. One
        // that is gone already is no matter.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

impl Postgres {
    /// The word of its only user, `postgres`.
    pub const PASSWORD: &'static str = "secret-word";

    /// The port of loopback on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The program: of the PATH, or of the newest PostgreSQL that Debian keeps beside it. Without one says so out loud.
///
/// # Panics
/// If there is none and `CI=true`: there, a skipped test is a failed one.
pub fn program_or_skip(program: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut beside: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin").join(program)))
        })
        .collect();
    beside.sort();
    let all = std::iter::once(PathBuf::from(program)).chain(beside.into_iter().rev().map(|(_, path)| path));
    let runs = |path: &PathBuf| Command::new(path).arg("--version").output().is_ok();
    let found = all.into_iter().find(runs);
    if found.is_none() {
        skip(format_args!("there is no {program}"));
    }
    found
}

/// A PostgreSQL that is ready for questions, on a free port of loopback.
///
/// # Panics
/// If it cannot be started, or there is none and `CI=true`.
pub fn postgres_or_skip() -> Option<Postgres> {
    let (initdb, postgres) = (program_or_skip("initdb")?, program_or_skip("postgres")?);
    let (port, dir) = (free_port(), tempfile::tempdir().expect("a temporary directory"));
    let as_nobody = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(dir.path()).env("LC_ALL", "C").stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let (data, words) = (dir.path().join("data"), dir.path().join("password"));
    std::fs::write(&words, format!("{}\n", Postgres::PASSWORD)).expect("the directory can be written");
    if geteuid().is_root() {
        for path in [dir.path(), &words] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give away");
        }
    }
    let made = as_nobody(&initdb)
        .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--pwfile"])
        .arg(&words)
        .arg("-D")
        .arg(&data)
        .status()
        .expect("initdb starts");
    assert!(made.success(), "initdb: {made}");
    let child = as_nobody(&postgres)
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
        .arg(dir.path())
        .spawn()
        .expect("postgres starts");
    let mut server = Postgres { child, port, _dir: dir };
    let begun = Instant::now();
    while !is_ready(&data) {
        let ended = server.child.try_wait().expect("a child of this process");
        assert!(ended.is_none(), "postgres ended: {ended:?}");
        assert!(begun.elapsed() < PATIENCE, "postgres is not ready after {PATIENCE:?}");
        // A look at another process's file, which nothing in this one could await.
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Some(server)
}

/// Whether it says so itself, in the eighth line of its lock file, as `pg_ctl` reads it.
fn is_ready(data: &Path) -> bool {
    let lock = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    lock.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_the_eighth_line_means_that_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_ready(dir.path()), "no lock file");
        for (status, ready) in [("starting", false), ("ready   ", true), ("stopping", false)] {
            let lock = format!("7\n/data\n1\n5432\n/tmp\n127.0.0.1\n  1 2\n{status}\n");
            std::fs::write(dir.path().join("postmaster.pid"), lock).unwrap();
            assert_eq!(is_ready(dir.path()), ready, "{status}");
        }
    }
}
