//! `murphy proxy` as it runs: where it listens, and what it says at its end. It never outlives the test that started it, and no
//! wait for its word is without an end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bench::Bench;

/// Far longer than it takes to say anything: it says how it fares four times a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// One proxy by hand, until [`Sitting::end`], or until it is dropped.
#[derive(Debug)]
pub struct Sitting {
    child: Child,
    /// What it says, read by a thread that ends with it.
    lines: Receiver<String>,
    /// Where callers dial.
    pub listen: String,
}

impl Drop for Sitting {
    fn drop(&mut self) {
        // Of one that has ended there is nothing to kill and nobody left to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sitting {
    /// Starts a proxy on a free port and waits until it says where it listens.
    pub fn before(bench: &Bench, upstream: SocketAddr, args: &[&str]) -> Sitting {
        let upstream = upstream.to_string();
        let mut child = bench.spawn(&[&["proxy", "127.0.0.1:0", &upstream], args].concat());
        let stdout = BufReader::new(child.stdout.take().expect("its output is kept"));
        let (said, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let mut sitting = Sitting { child, lines, listen: String::new() };
        let line = sitting.line(Instant::now() + PATIENCE).expect("it says where it listens");
        sitting.listen = match serde_json::from_str::<Value>(&line) {
            Ok(event) => event["listen"].as_str().expect("an address").to_owned(),
            Err(_) => line
                .strip_prefix("listening on ")
                .and_then(|rest| rest.split(',').next())
                .expect(&line)
                .to_owned(),
        };
        sitting
    }

    /// The next line that it says; none once it has ended.
    fn line(&self, until: Instant) -> Option<String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("not within {PATIENCE:?}"),
        }
    }

    /// Waits until a proxy with `--output json` says this of itself.
    pub fn until(&mut self, says: impl Fn(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut last = String::new();
        loop {
            assert!(Instant::now() < until, "not within {PATIENCE:?}; it said last: {last}");
            last = self.line(until).expect("it ended, and never said it");
            if says(&serde_json::from_str(&last).expect("JSON")) {
                return;
            }
        }
    }

    /// Ends it by a signal, or waits for its own end: the exit code, and what it said last.
    pub fn end(mut self, signal: Option<Signal>) -> (i32, String) {
        if let Some(signal) = signal {
            let pid = i32::try_from(self.child.id()).expect("a process id");
            kill(Pid::from_raw(pid), signal).expect("murphy runs");
        }
        let until = Instant::now() + PATIENCE;
        let mut rest = String::new();
        while let Some(line) = self.line(until) {
            rest += &line;
            rest.push('\n');
        }
        (self.child.wait().expect("it ends").code().unwrap_or(-1), rest)
    }

    /// Ends a proxy with `--output json` by Ctrl-C: its summary.
    pub fn summary(self) -> Value {
        let (code, rest) = self.end(Some(Signal::SIGINT));
        assert_eq!(code, 0, "{rest}");
        serde_json::from_str(rest.lines().last().expect("a summary")).expect("JSON")
    }
}
