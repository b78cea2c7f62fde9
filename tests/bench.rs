//! A place to run the binary in: its own directory, its own state, its own ports.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// The binary under test. `make test` builds it first; a lone `cargo test` that finds none says what to do.
pub fn murphy() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(2).expect("tests live in target/PROFILE/deps");
    let binary = target.join("murphy");
    assert!(binary.is_file(), "{} is missing: run `cargo build -p murphy` first", binary.display());
    binary
}

/// Free ports, given to nobody else.
pub fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| murphy_testkit::free_port())
}

/// True if a redis-server is on the PATH. Without one says so out loud, and fails where `CI=true`.
pub fn redis_or_skip() -> bool {
    let found = Command::new("redis-server").arg("--version").output().is_ok();
    if !found {
        murphy_testkit::skip("there is no redis-server on the PATH");
    }
    found
}

/// What came of one call of the binary.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; 128 + n for signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it ran, where that was measured.
    pub took: Option<Duration>,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Finished {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Finished {
            code,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: None,
        }
    }
}

impl Finished {
    /// True if the report, the matrix of an exploration, or what a program is told of a run, says that the load was sent late.
    fn was_late(&self) -> bool {
        self.stdout.contains("\n late: ")
            || self.stdout.contains(": the load was sent late (else FAIL)")
            || self.document().is_some_and(|told| says_late(&told))
    }

    /// Standard output as one JSON document, if that is what it is.
    fn document(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.stdout).ok()
    }

    /// The one JSON document that standard output must be.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        self.document().unwrap_or_else(|| panic!("no JSON document, or more than one:\n{}", self.stdout))
    }

    /// Standard output as it is before lines are broken for a terminal.
    pub fn words(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Asserts the exit code, and shows everything if it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that a text is in stdout or stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Finished {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "nowhere: {text}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// True if a scenario of those that `--output json` tells of was sent late.
fn says_late(told: &serde_json::Value) -> bool {
    let scenarios = told.as_array().into_iter().flatten();
    let gates = scenarios.filter_map(|one| one["judgement"]["gates"].as_array()).flatten();
    gates.into_iter().any(|gate| gate["id"] == "load-on-time" && gate["holds"] == false)
}

/// Runs something that ends with the verdict of a run, with the exit code that is to come. A run whose report says that
/// this machine could not send the load on time proves nothing either way, and is made again, four times at most.
#[track_caller]
pub fn expecting(code: i32, mut run: impl FnMut() -> Finished) -> Finished {
    let mut finished = run();
    for _ in 0..4 {
        if finished.code == code || !finished.was_late() {
            break;
        }
        eprintln!("again, for it proves nothing:\n{}", finished.stdout);
        finished = run();
    }
    finished.expect(code)
}

/// A directory with its own state, removed at the end.
#[derive(Debug)]
pub struct Bench {
    dir: tempfile::TempDir,
    /// What was started in it and not waited for here.
    started: Mutex<Vec<Pid>>,
}

/// How long a binary that is left behind by a failed test may take to give everything back.
const FAREWELL: Duration = Duration::from_secs(30);

/// A test that fails leaves nothing behind that goes on breaking things until the end of its `--for`.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let started = std::mem::take(self.started.get_mut().unwrap_or_else(PoisonError::into_inner));
        for pid in started {
            // Only a child that nobody has waited for: its number cannot have become another's.
            if !runs(pid) || kill(pid, Signal::SIGTERM).is_err() {
                continue;
            }
            let begun = Instant::now();
            while runs(pid) && begun.elapsed() < FAREWELL {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}

/// True for a child of this process that has not ended. It is left to be waited for.
fn runs(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(Id::Pid(pid), flags), Ok(WaitStatus::StillAlive))
}

impl Default for Bench {
    fn default() -> Bench {
        Bench::new()
    }
}

impl Bench {
    /// An empty one.
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Bench { dir, started: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("the bench can be written");
        path
    }

    /// The binary, ready to be called in it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(murphy());
        command
            .args(args)
            .current_dir(self.path())
            .env("MURPHY_STATE_DIR", self.path().join("state"))
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// As [`Bench::command`], with a soft and a hard limit of open files.
    pub fn limited(&self, soft: u32, hard: u32, args: &[&str]) -> Command {
        let command = self.command(&[]);
        let murphy = command.get_program().to_owned();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$@\""), "sh"])
            .arg(murphy)
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        shell
    }

    /// A program that finds the binary on its PATH as `murphy`, ready to be called in it.
    pub fn shell(&self, program: &str, args: &[&str]) -> Command {
        let murphy = murphy();
        let folder = murphy.parent().expect("a folder").display();
        let path = format!("{folder}:{}", std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.path())
            .env("PATH", path)
            .env("MURPHY_STATE_DIR", self.path().join("state"));
        command
    }

    /// Calls the binary and waits for its end.
    pub fn run(&self, args: &[&str]) -> Finished {
        let begun = Instant::now();
        let finished: Finished = self.command(args).output().expect("the binary starts").into();
        Finished { took: Some(begun.elapsed()), ..finished }
    }

    /// As [`Bench::run`], with the exit code that is to come; see [`expecting`].
    #[track_caller]
    pub fn run_expecting(&self, code: i32, args: &[&str]) -> Finished {
        expecting(code, || self.run(args))
    }

    /// Starts the binary with its output kept. Where the test fails, it is ended with the bench.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let pid = Pid::from_raw(child.id().cast_signed());
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        child
    }

    /// The journals of the runs made so far, oldest first.
    pub fn journals(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.path().join("murphy-runs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("journal.ndjson"))
            .collect();
        found.sort();
        found
    }

    /// All events of a kind in the last journal, each with its time in microseconds.
    pub fn timed(&self, kind: &str) -> Vec<(u64, serde_json::Value)> {
        let journal = self.journals().pop().expect("a journal");
        let text = std::fs::read_to_string(journal).expect("a journal that can be read");
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        events
            .filter_map(|event| {
                Some((event["at"].as_u64().expect("a time"), event["kind"].get(kind)?.clone()))
            })
            .collect()
    }

    /// The undo logs that are left.
    pub fn undo_logs(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.path().join("state"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    }
}
