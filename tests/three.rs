//! Three containers that echo, and how their network is looked at from inside.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command};
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use murphy_testkit::{Member, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::bench::{Bench, Finished};
use crate::entering::in_network;
use crate::wait::eventually;

/// Longer than any connection takes where there is nothing in its way.
const CONNECT: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(60);

/// Three containers on one network, each of which echoes on port 7000.
#[derive(Debug)]
pub struct Three {
    /// Where they live.
    pub sandbox: Sandbox,
    /// The network that they share.
    pub network: String,
    members: Vec<Member>,
}

impl Three {
    /// Starts them; `None` where there is no engine and a test may be skipped.
    pub fn start(test: &str) -> Option<Three> {
        let sandbox = Sandbox::open(test)?;
        let network = sandbox.network("net", json!({}));
        let settings = json!({ "HostConfig": { "NetworkMode": network } });
        let members =
            ["a", "b", "c"].map(|name| sandbox.container(name, &["echo", "7000"], settings.clone())).into();
        Some(Three { sandbox, network, members })
    }

    /// Restarts one of them, as its owner does.
    pub fn restart(&self, of: usize) {
        let path = format!("/containers/{}/restart?t=0", self.members[of].id);
        self.sandbox.post(&path, &serde_json::Value::Null);
    }

    /// Puts another container in the place of one, under its name and at another address.
    pub fn replace(&mut self, of: usize) {
        let (old, was) = (self.members[of].clone(), self.ip(of));
        let path = format!("/containers/{}?force=true", old.id);
        let answer = self.sandbox.engine().call("DELETE", &path, None).expect("an answer");
        assert_eq!(answer.status, 204, "{old:?} is removed");
        let settings = json!({ "HostConfig": { "NetworkMode": self.network } });
        let short = ["a", "b", "c"][of];
        self.sandbox.container(&format!("in-place-of-{short}"), &[], settings.clone());
        self.members[of] = self.sandbox.container(short, &["echo", "7000"], settings);
        assert_ne!(self.ip(of), was, "another container has its address");
    }

    /// The name of the first, second or third.
    pub fn name(&self, of: usize) -> &str {
        &self.members[of].name
    }

    /// Its address.
    pub fn ip(&self, of: usize) -> IpAddr {
        let networks = &self.sandbox.inspect(&self.members[of].id)["NetworkSettings"]["Networks"];
        networks[&self.network]["IPAddress"].as_str().and_then(|ip| ip.parse().ok()).expect("an address")
    }

    /// Where it echoes.
    pub fn echo(&self, of: usize) -> SocketAddr {
        SocketAddr::new(self.ip(of), 7000)
    }

    /// The pid of its main process.
    pub fn pid(&self, of: usize) -> String {
        self.sandbox.inspect(&self.members[of].id)["State"]["Pid"].to_string()
    }

    /// Does something in the network of a container.
    pub fn inside<T: Send>(&self, of: usize, act: impl FnOnce() -> T + Send) -> T {
        in_network(self.pid(of), act)
    }

    /// How long it takes one to get its line back from another.
    pub fn line(&self, from: usize, to: usize) -> io::Result<Duration> {
        let address = self.echo(to);
        self.inside(from, || {
            let begun = Instant::now();
            let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
            stream.set_read_timeout(Some(2 * CONNECT))?;
            stream.write_all(b"line\n")?;
            stream.read_exact(&mut [0; 5])?;
            Ok(begun.elapsed())
        })
    }

    /// How many of so many datagrams arrive.
    pub fn datagrams(&self, from: usize, to: usize, count: usize) -> usize {
        let ear = self.inside(to, || UdpSocket::bind("0.0.0.0:7100").expect("a port"));
        ear.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
        let address = SocketAddr::new(self.ip(to), 7100);
        // Dropped when all are sent.
        let (sending, sent) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            // Beside the sending: the buffer of a socket holds some 250 of them, and what it has no room for is no loss of the network.
            let hearing = scope.spawn(move || {
                let mut heard = 0;
                loop {
                    let over = sent.try_recv() == Err(TryRecvError::Disconnected);
                    match ear.recv(&mut [0; 8]) {
                        Ok(_) => heard += 1,
                        Err(_) if over => return heard,
                        Err(_) => {}
                    }
                }
            });
            self.inside(from, || {
                let mouth = UdpSocket::bind("0.0.0.0:0").expect("a port");
                for number in 1..=count {
                    // Full queues are no loss.
                    while mouth
                        .send_to(b"x", address)
                        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                    {}
                    // In portions that fit into the buffer also where nobody reads for a moment.
                    if number.is_multiple_of(50) {
                        std::thread::park_timeout(Duration::from_millis(20));
                    }
                }
            });
            drop(sending);
            hearing.join().expect("no panic")
        })
    }

    /// What of Murphy's is in the network of a container.
    pub fn left(&self, of: usize) -> String {
        let look = |command: &[&str]| {
            let output = Command::new("nsenter").args(["-t", &self.pid(of), "-n"]).args(command).output();
            String::from_utf8_lossy(&output.expect("nsenter").stdout).into_owned()
        };
        let all = look(&["nft", "list", "tables"]) + &look(&["tc", "qdisc", "show"]);
        all.lines().filter(|line| line.contains("murphy") || line.contains("tbf")).collect()
    }

    /// Asserts that nothing of Murphy's is left and that all reach all.
    pub fn untouched(&self) {
        for of in 0..3 {
            assert_eq!(self.left(of), "", "{}", self.name(of));
        }
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            self.line(from, to).unwrap_or_else(|error| panic!("{from} does not reach {to}: {error}"));
        }
    }

    /// A scenario with this fault, for a minute. `network` names `<a>`, `<b>` and `<c>`.
    pub fn scenario(&self, network: &str, fault: &str) -> String {
        let network = ["a", "b", "c"]
            .iter()
            .enumerate()
            .fold(network.to_owned(), |text, (of, name)| text.replace(&format!("<{name}>"), self.name(of)));
        format!(
            "murphy: 1\nname: network\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
             phases: {{ warm-up: 0s, baseline: 300ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
             faults: [{{ network: {network}, inject: {fault} }}]\n",
            self.echo(2)
        )
    }

    /// A run with this fault in the world. `network` names `a`, `b` and `c`.
    pub fn begin(&self, bench: &Bench, network: &str, fault: &str) -> Child {
        bench.file("s.yaml", &self.scenario(network, fault));
        let run = bench.spawn(&["run", "s.yaml"]);
        self.armed(bench);
        run
    }

    /// Waits until a fault of a run in this place is in the world.
    pub fn armed(&self, bench: &Bench) {
        eventually("the fault is in the world", PATIENCE, || {
            let journal = bench.journals().first().map(std::fs::read_to_string);
            journal.is_some_and(|text| text.is_ok_and(|text| text.contains("\"fault-armed\"")))
        });
    }

    /// Ends such a run with SIGTERM; its journal.
    pub fn end(&self, bench: &Bench, run: Child) -> String {
        kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).expect("it runs");
        let finished: Finished = run.wait_with_output().expect("it ends").into();
        finished.expect(143);
        assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
        self.untouched();
        std::fs::read_to_string(&bench.journals()[0]).expect("a journal")
    }
}
