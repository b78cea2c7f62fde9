//! Child processes: this program again, with another role; and what the kernel tells of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Upstream,
    Direct,
    Copy8,
    Copy64,
    Lazy,
    Murphy,
    Recorded,
    HttpUpstream,
    Hyper,
    Nginx,
    MurphyHttp,
    RecordedHttp,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Upstream => "upstream",
            Kind::Direct => "direct",
            Kind::Copy8 => "copy8",
            Kind::Copy64 => "copy64",
            Kind::Lazy => "lazy",
            Kind::Murphy => "murphy",
            Kind::Recorded => "recorded",
            Kind::HttpUpstream => "http-upstream",
            Kind::Hyper => "hyper",
            Kind::Nginx => "nginx",
            Kind::MurphyHttp => "murphy-http",
            Kind::RecordedHttp => "recorded-http",
        }
    }
}

/// A process that ends with its standard input.
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

    /// The same; `None` for an nginx that is not there.
    pub fn try_start(kind: Kind, upstream: &str, fault: &str) -> Option<Child> {
        if kind == Kind::Nginx { Child::nginx(upstream) } else { Some(Child::start(kind, upstream, fault)) }
    }

    /// One process, so that what it costs is told by that alone.
    fn nginx(upstream: &str) -> Option<Child> {
        let dir = tempfile::tempdir().expect("a directory");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let at = dir.path().display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"));
        let conf = format!(
            "daemon off; master_process off; pid {at}/pid; error_log /dev/null; events {{ worker_connections 4096; }}
             http {{ access_log off; {} keepalive_requests 100000000;
               upstream shop {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
               server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shop; proxy_http_version 1.1;
                 proxy_set_header Connection \"\"; }} }} }}",
            temp.concat()
        );
        fs::write(dir.path().join("nginx.conf"), conf).expect("a file");
        let process = Command::new("nginx")
            .args(["-e", "/dev/null", "-c"])
            .arg(dir.path().join("nginx.conf"))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let address = format!("127.0.0.1:{port}");
        // Nothing tells when it listens.
        while std::net::TcpStream::connect(&address).is_err() {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        Some(Child { process: Some(process), address, config: Some(dir) })
    }

    /// Processor time so far, in seconds; clock ticks are hundredths on every Linux that this runs on.
    pub fn cpu(&self) -> f64 {
        let Some(process) = &self.process else { return 0.0 };
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("the child lives");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a stat line").split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Resident memory in KiB.
    pub fn rss(&self) -> f64 {
        let Some(process) = &self.process else { return 0.0 };
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("the child lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a resident size");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            if self.config.is_some() {
                let _ = process.kill();
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
