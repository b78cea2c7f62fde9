//! Child processes: this program again, with another role, or another's; and what the kernel tells of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::others::{self, Invocation};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Upstream,
    Direct,
    Copy8,
    Copy8PerCore,
    Copy64,
    Lazy,
    /// A delay and nothing else; its words are in the place of a fault.
    DelayLine,
    NginxStream,
    HaProxy,
    Murphy,
    Recorded,
    /// A thread for each processor that never sleeps.
    Busy,
    HttpUpstream,
    Hyper,
    Nginx,
    HaProxyHttp,
    MurphyHttp,
    RecordedHttp,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Upstream => "upstream",
            Kind::Direct => "direct",
            Kind::Copy8 => "copy8",
            Kind::Copy8PerCore => "copy8-percore",
            Kind::Copy64 => "copy64",
            Kind::Lazy => "lazy",
            Kind::DelayLine => "delay-line",
            Kind::NginxStream => "nginx-stream",
            Kind::HaProxy => "haproxy",
            Kind::Murphy => "murphy",
            Kind::Recorded => "recorded",
            Kind::Busy => "busy",
            Kind::HttpUpstream => "http-upstream",
            Kind::Hyper => "hyper",
            Kind::Nginx => "nginx",
            Kind::HaProxyHttp => "haproxy-http",
            Kind::MurphyHttp => "murphy-http",
            Kind::RecordedHttp => "recorded-http",
        }
    }
}

/// A process that ends with its standard input, or by a signal if it is another's program.
pub struct Child {
    process: Option<std::process::Child>,
    pub address: String,
    /// Its configuration, where it has one.
    config: Option<tempfile::TempDir>,
}

impl Child {
    pub fn start(kind: Kind, upstream: &str, fault: &str) -> Child {
        if kind == Kind::Direct {
            return Child { process: None, address: upstream.to_owned(), config: None };
        }
        let mut process = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--child", kind.word(), upstream, fault])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child can be started");
        let mut address = String::new();
        let output = process.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut address).expect("it says where it listens");
        Child { process: Some(process), address: address.trim().to_owned(), config: None }
    }

    /// The same; `None` for another's program that is not there or does not start.
    pub fn try_start(kind: Kind, upstream: &str, fault: &str) -> Option<Child> {
        match others::invocation(kind, upstream) {
            Some(invocation) => Child::others(invocation),
            None => Some(Child::start(kind, upstream, fault)),
        }
    }

    fn others(invocation: Invocation) -> Option<Child> {
        let Invocation { mut command, address, config } = invocation;
        let process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut child = Child { process: Some(process), address, config: Some(config) };
        // Nothing tells when it listens.
        while std::net::TcpStream::connect(&child.address).is_err() {
            if let Some(Ok(Some(_))) = child.process.as_mut().map(std::process::Child::try_wait) {
                return None;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        Some(child)
    }

    /// The process and its children: nginx has workers.
    fn pids(&self) -> Vec<u32> {
        let Some(process) = &self.process else { return Vec::new() };
        let pid = process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(pid).chain(children).collect()
    }

    /// Processor time so far, in seconds; clock ticks are hundredths on every Linux that this runs on.
    pub fn cpu(&self) -> f64 {
        let of = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the child lives");
            let fields: Vec<&str> =
                stat.rsplit(')').next().expect("a stat line").split_whitespace().collect();
            let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
            (ticks(11) + ticks(12)) / 100.0
        };
        self.pids().into_iter().map(of).sum()
    }

    /// Resident memory in KiB.
    pub fn rss(&self) -> f64 {
        let of = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the child lives");
            let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a resident size");
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number")
        };
        self.pids().into_iter().map(of).sum()
    }

    /// Descriptors that are open.
    pub fn descriptors(&self) -> usize {
        let of = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).expect("the child lives").count();
        self.pids().into_iter().map(of).sum()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            if self.config.is_some() {
                // Not SIGKILL, which would leave nginx's workers behind.
                let _ = kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM);
            }
            let _ = process.wait();
        }
    }
}

/// As many descriptors as this user may have; answers how many.
pub fn raise_descriptors() -> u64 {
    const PLENTY: u64 = 65_536;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Beyond the hard limit only for root; else up to it.
        if hard >= PLENTY || setrlimit(Resource::RLIMIT_NOFILE, PLENTY, PLENTY).is_err() {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(PLENTY), hard);
        }
    }
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

pub fn congestion() -> String {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    text.trim().to_owned()
}
