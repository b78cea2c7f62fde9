//! `murphy proxy` as it runs: where it listens, and what it says at its end.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bench::Bench;

/// One proxy by hand, until [`Sitting::end`].
#[derive(Debug)]
pub struct Sitting {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where callers dial.
    pub listen: String,
}

impl Sitting {
    /// Starts a proxy on a free port and waits until it says where it listens.
    pub fn before(bench: &Bench, upstream: SocketAddr, args: &[&str]) -> Sitting {
        let upstream = upstream.to_string();
        let mut child = bench.spawn(&[&["proxy", "127.0.0.1:0", &upstream], args].concat());
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is kept"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says where it listens");
        let listen = match serde_json::from_str::<Value>(&line) {
            Ok(event) => event["listen"].as_str().expect("an address").to_owned(),
            Err(_) => line
                .strip_prefix("listening on ")
                .and_then(|rest| rest.split(',').next())
                .expect(&line)
                .to_owned(),
        };
        Sitting { child, stdout, listen }
    }

    /// Waits until a proxy with `--output json` says this of itself.
    pub fn until(&mut self, says: impl Fn(&Value) -> bool) {
        let mut line = String::new();
        while line.is_empty() || !says(&serde_json::from_str(&line).expect("JSON")) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).expect("a line"), 0, "it ended, and never said it");
        }
    }

    /// Ends it by a signal, or waits for its own end: the exit code, and what it said last.
    pub fn end(mut self, signal: Option<Signal>) -> (i32, String) {
        if let Some(signal) = signal {
            let pid = i32::try_from(self.child.id()).expect("a process id");
            kill(Pid::from_raw(pid), signal).expect("murphy runs");
        }
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("it ends its output");
        (self.child.wait().expect("it ends").code().unwrap_or(-1), rest)
    }

    /// Ends a proxy with `--output json` by Ctrl-C: its summary.
    pub fn summary(self) -> Value {
        let (code, rest) = self.end(Some(Signal::SIGINT));
        assert_eq!(code, 0, "{rest}");
        serde_json::from_str(rest.lines().last().expect("a summary")).expect("JSON")
    }
}
