//! A daemon as a person starts it, on a free port; ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Bench, Finished};

/// A running `murphy serve`.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Where its control API is: `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Daemon {
    /// Starts it and waits until it says where it listens.
    pub fn start(bench: &Bench, args: &[&str]) -> Daemon {
        let mut child = bench.spawn(&[&["serve", "--port", "0"], args].concat());
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is kept"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        let from = line.find("http://").unwrap_or_else(|| panic!("no address in {line:?}"));
        let url = line[from..].split(',').next().unwrap_or_default().to_owned();
        Daemon { child, stderr, url }
    }

    /// The port of its control API.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address has a port")
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// Ends it by a signal: its exit code, and what it has said since it listens.
    pub fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(self.pid(), signal).expect("it runs");
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("its last words");
        (self.child.wait().expect("it ended").code(), rest)
    }

    /// Calls `murphy` with words that are for it, such as `proxies list`, without spaces in any of them.
    pub fn run(&self, bench: &Bench, args: &str) -> Finished {
        self.command(bench, args).output().expect("the binary starts").into()
    }

    /// The same, ready to be started.
    pub fn command(&self, bench: &Bench, args: &str) -> Command {
        let mut command = bench.command(&args.split(' ').collect::<Vec<_>>());
        command.env("MURPHY_API", &self.url);
        command
    }

    /// Calls `murphy toxiproxy` for it, with arguments without spaces.
    pub fn cli(&self, bench: &Bench, args: &str) -> Finished {
        let args: Vec<&str> = ["toxiproxy"].into_iter().chain(args.split(' ')).collect();
        bench.command(&args).env("TOXIPROXY_URL", &self.url).output().expect("the binary starts").into()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
