//! Two or three machines on one wire, each a network namespace with a process in it. Entered here by the test's own
//! threads, not by the code under test.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use murphy_core::ProcessIdentity;
use murphy_netns::{Netns, TableName};
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

/// Nothing in a test takes longer than this, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a call may take that should not get through.
pub const BRIEF: Duration = Duration::from_millis(600);

/// Caller .1, server .2 to .4, another caller .9, on one bridge: 10.77.0.0/24 and fd77::/64.
pub struct Bench {
    pub caller: Machine,
    pub server: Machine,
    pub other: Machine,
    _bridge: Namespace,
}

impl Bench {
    /// `None`, said aloud, without root.
    pub fn new() -> Option<Bench> {
        if !nix::unistd::geteuid().is_root() {
            murphy_testkit::skip("this is not root");
            return None;
        }
        let bridge = Namespace::new("br");
        bridge.ip("link add br0 type bridge");
        bridge.ip("link set br0 up");
        let machine = |tag: &str, hosts: &[u8]| {
            let namespace = Namespace::new(tag);
            bridge.ip(&format!("link add {tag} type veth peer name eth0 netns {}", namespace.name));
            bridge.ip(&format!("link set {tag} master br0 up"));
            namespace.ip("link set lo up");
            namespace.ip("link set eth0 up");
            for host in hosts {
                namespace.ip(&format!("addr add 10.77.0.{host}/24 dev eth0"));
                namespace.ip(&format!("addr add fd77::{host}/64 dev eth0 nodad"));
            }
            Machine::new(namespace)
        };
        let caller = machine("port1", &[1]);
        let server = machine("port2", &[2, 3, 4]);
        let other = machine("port3", &[9]);
        Some(Bench { caller, server, other, _bridge: bridge })
    }
}

/// An address of the bench: `at(2, 80)` is 10.77.0.2:80.
pub fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 77, 0, host], port))
}

/// The same in IPv6.
pub fn at6(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(format!("fd77::{host}").parse().unwrap(), port)
}

/// The address alone.
pub fn host(host: u8) -> IpAddr {
    at(host, 0).ip()
}

/// A table name that no other test has.
pub fn table() -> TableName {
    TableName::new(&format!("test{}", std::process::id()), next())
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A named namespace, removed on drop, also after a panic.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new(tag: &str) -> Namespace {
        let name = format!("mtest-{}-{}-{tag}", std::process::id(), next());
        run("ip", &["netns", "add", &name]);
        Namespace { name }
    }

    fn ip(&self, words: &str) {
        let mut arguments = vec!["-n", &self.name];
        arguments.extend(words.split(' '));
        run("ip", &arguments);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A namespace with a process that lives in it.
pub struct Machine {
    namespace: Namespace,
    process: Child,
    pub identity: ProcessIdentity,
}

impl Machine {
    fn new(namespace: Namespace) -> Machine {
        let mut sleep = Command::new("sleep");
        sleep.arg("300");
        let process = start_in(&namespace.name, sleep);
        let identity = identity_of(process.id() as i32);
        Machine { namespace, process, identity }
    }

    /// Starts another process in it.
    pub fn start(&self, command: Command) -> Child {
        start_in(&self.namespace.name, command)
    }

    /// Ends the process by which it was entered; the namespace stays.
    pub fn end_process(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Runs a program in it and returns what it printed.
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let mut all = vec!["netns", "exec", &self.namespace.name, program];
        all.extend(arguments);
        run("ip", &all)
    }

    /// Fails unless no nftables table is left in it.
    pub fn assert_no_table(&self) {
        assert_eq!(self.output("nft", &["list", "tables"]), "", "a table is left behind");
    }

    pub async fn enter(&self) -> Netns {
        Netns::enter(self.identity).await.unwrap()
    }

    /// Runs work on a thread of the test inside it.
    pub async fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let file = File::open(format!("/run/netns/{}", self.namespace.name)).unwrap();
        let (reply, answer) = oneshot::channel();
        thread::spawn(move || {
            setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
            let _ = reply.send(work());
        });
        answer.await.expect("the work inside panicked")
    }

    /// A listener that tells each caller its name and then returns whatever it gets. Ends with the test process.
    pub async fn greet(&self, address: SocketAddr, name: &'static str) -> SocketAddr {
        self.inside(move || {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    thread::spawn(move || greet_one(stream, name));
                }
            });
            address
        })
        .await
    }

    /// Connects from inside, and reads who answers.
    pub async fn call(&self, address: SocketAddr) -> io::Result<(TcpStream, String)> {
        self.call_within(address, PATIENCE).await
    }

    pub async fn call_within(
        &self,
        address: SocketAddr,
        patience: Duration,
    ) -> io::Result<(TcpStream, String)> {
        self.inside(move || {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_read_timeout(Some(patience))?;
            let who = greeting(&stream)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok((stream, who))
        })
        .await
    }

    /// Who answers there.
    pub async fn who(&self, address: SocketAddr) -> String {
        self.call(address).await.map(|(_, who)| who).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// True if nobody answers in a while.
    pub async fn is_cut_from(&self, address: SocketAddr) -> bool {
        match self.call_within(address, BRIEF).await {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start_in(namespace: &str, mut command: Command) -> Child {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    let start = move || {
        setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    thread::spawn(start).join().unwrap()
}

pub fn identity_of(pid: i32) -> ProcessIdentity {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let born = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    ProcessIdentity { pid, born }
}

fn greet_one(mut stream: TcpStream, name: &str) {
    let mut buffer = [0; 1024];
    let _ = stream.write_all(format!("{name}\n").as_bytes());
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

fn greeting(mut stream: &TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            byte => line.push(byte),
        }
    }
}

/// True if the connection carries bytes there and back.
pub async fn echoes(stream: &TcpStream) -> bool {
    let mut stream = stream.try_clone().unwrap();
    tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 4];
        stream.write_all(b"ping").is_ok() && stream.read_exact(&mut buffer).is_ok() && &buffer == b"ping"
    })
    .await
    .unwrap()
}

/// Asks again and again until it is so; fails after [`PATIENCE`]. Returns how long it took.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}
