//! Faults on the network between containers of a real engine, looked at from inside these containers' networks: what is
//! broken is broken there and nowhere else, and is gone when the run is over or Murphy dead.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, Finished, eventually, processes_with};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

const SHORT: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(20);

/// Three containers on one network, each of which echoes on port 7000.
struct Three {
    sandbox: Sandbox,
    network: String,
    members: Vec<Member>,
}

impl Three {
    fn start(test: &str) -> Option<Three> {
        let sandbox = Sandbox::open(test)?;
        let network = sandbox.network("net", json!({}));
        let settings = json!({ "HostConfig": { "NetworkMode": network } });
        let members =
            ["a", "b", "c"].map(|name| sandbox.container(name, &["echo", "7000"], settings.clone())).into();
        Some(Three { sandbox, network, members })
    }

    fn name(&self, of: usize) -> &str {
        &self.members[of].name
    }

    fn ip(&self, of: usize) -> IpAddr {
        let networks = &self.sandbox.inspect(&self.members[of].id)["NetworkSettings"]["Networks"];
        networks[&self.network]["IPAddress"].as_str().and_then(|ip| ip.parse().ok()).expect("an address")
    }

    fn echo(&self, of: usize) -> SocketAddr {
        SocketAddr::new(self.ip(of), 7000)
    }

    fn pid(&self, of: usize) -> String {
        self.sandbox.inspect(&self.members[of].id)["State"]["Pid"].to_string()
    }

    /// Does something in the network of a container, on a thread that lives for this only.
    fn inside<T: Send>(&self, of: usize, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid(of))).expect("a namespace");
        std::thread::scope(|scope| {
            let acting = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("to enter it");
                act()
            });
            acting.join().expect("no panic in there")
        })
    }

    /// How long it takes one to get its line back from another.
    fn line(&self, from: usize, to: usize) -> io::Result<Duration> {
        let address = self.echo(to);
        self.inside(from, || {
            let begun = Instant::now();
            let mut stream = TcpStream::connect_timeout(&address, SHORT)?;
            stream.set_read_timeout(Some(2 * SHORT))?;
            stream.write_all(b"line\n")?;
            stream.read_exact(&mut [0; 5])?;
            Ok(begun.elapsed())
        })
    }

    /// How many of so many datagrams arrive.
    fn datagrams(&self, from: usize, to: usize, count: usize) -> usize {
        let ear = self.inside(to, || UdpSocket::bind("0.0.0.0:7100").expect("a port"));
        ear.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
        let address = SocketAddr::new(self.ip(to), 7100);
        self.inside(from, || {
            let mouth = UdpSocket::bind("0.0.0.0:0").expect("a port");
            for _ in 0..count {
                // Full queues are no loss.
                while mouth
                    .send_to(b"x", address)
                    .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                {}
            }
        });
        let mut heard = 0;
        while ear.recv(&mut [0; 8]).is_ok() {
            heard += 1;
        }
        heard
    }

    /// What of Murphy's is in the network of a container.
    fn left(&self, of: usize) -> String {
        let look = |command: &[&str]| {
            let output = Command::new("nsenter").args(["-t", &self.pid(of), "-n"]).args(command).output();
            String::from_utf8_lossy(&output.expect("nsenter").stdout).into_owned()
        };
        let all = look(&["nft", "list", "tables"]) + &look(&["tc", "qdisc", "show"]);
        all.lines().filter(|line| line.contains("murphy") || line.contains("tbf")).collect()
    }

    fn untouched(&self) {
        for of in 0..3 {
            assert_eq!(self.left(of), "", "{}", self.name(of));
        }
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            self.line(from, to).unwrap_or_else(|error| panic!("{from} does not reach {to}: {error}"));
        }
    }

    /// A run with this fault in the world. `network` names `a`, `b` and `c`.
    fn begin(&self, bench: &Bench, network: &str, fault: &str) -> Child {
        let network = ["a", "b", "c"]
            .iter()
            .enumerate()
            .fold(network.to_owned(), |text, (of, name)| text.replace(&format!("<{name}>"), self.name(of)));
        bench.file(
            "s.yaml",
            &format!(
                "murphy: 1\nname: network\nprobes: {{ up: {{ tcp: \"{}\", every: 200ms }} }}\n\
                 phases: {{ warm-up: 0s, baseline: 300ms, fault: 60s, recovery: 1s }}\nlearn: all\n\
                 faults: [{{ network: {network}, inject: {fault} }}]\n",
                self.echo(2)
            ),
        );
        let run = bench.spawn(&["run", "s.yaml"]);
        eventually("the fault is in the world", PATIENCE, || {
            let journal = bench.journals().first().map(std::fs::read_to_string);
            journal.is_some_and(|text| text.is_ok_and(|text| text.contains("\"fault-armed\"")))
        });
        run
    }

    fn end(&self, bench: &Bench, run: Child) -> String {
        kill(Pid::from_raw(run.id() as i32), Signal::SIGTERM).expect("it runs");
        let finished: Finished = run.wait_with_output().expect("it ends").into();
        finished.expect(143);
        assert!(bench.undo_logs().is_empty(), "{:?}", bench.undo_logs());
        self.untouched();
        std::fs::read_to_string(&bench.journals()[0]).expect("a journal")
    }
}

/// What the journal says that the fault did.
fn hits(journal: &str) -> u64 {
    let lifted = journal.lines().find(|line| line.contains("fault-lifted")).expect("it was lifted");
    let number = lifted.split("\"hits\":").nth(1).expect(lifted);
    number.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).expect(lifted)
}

#[test]
fn a_partition_cuts_both_ways_between_its_groups_and_nobody_else() {
    let Some(three) = Three::start("a_partition_cuts_both_ways_between_its_groups_and_nobody_else") else {
        return;
    };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ between: [<a>, <b>] }", "partition");
    assert!(three.line(0, 1).is_err() && three.line(1, 0).is_err(), "cut");
    assert_eq!(three.datagrams(0, 1, 5) + three.datagrams(1, 0, 5), 0);
    for (from, to) in [(0, 2), (2, 0), (1, 2), (2, 1)] {
        three.line(from, to).expect("the third is no part of it");
    }
    let journal = three.end(&bench, run);
    assert!(hits(&journal) >= 10, "{journal}");
}

#[test]
fn a_partition_one_way_lets_the_other_way_through() {
    let Some(three) = Three::start("a_partition_one_way_lets_the_other_way_through") else { return };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ from: <a>, to: [<b>, <c>] }", "partition");
    assert_eq!([three.datagrams(0, 1, 5), three.datagrams(0, 2, 5)], [0, 0]);
    assert_eq!([three.datagrams(1, 0, 5), three.datagrams(2, 0, 5), three.datagrams(1, 2, 5)], [5, 5, 5]);
    // A connection needs both.
    assert!(three.line(1, 0).is_err());
    three.end(&bench, run);
}

#[test]
fn groups_of_a_partition_reach_their_own() {
    let Some(three) = Three::start("groups_of_a_partition_reach_their_own") else { return };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ between: [[<a>, <b>], <c>] }", "partition");
    assert!(three.line(0, 2).is_err() && three.line(2, 1).is_err());
    three.line(0, 1).expect("of one group");
    three.end(&bench, run);
}

#[test]
fn the_share_of_packets_that_is_lost_is_the_one_asked_for() {
    let Some(three) = Three::start("the_share_of_packets_that_is_lost_is_the_one_asked_for") else { return };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ from: <a>, to: <b> }", "{ loss: 30% }");
    let heard = three.datagrams(0, 1, 400);
    // Six standard deviations on both sides.
    assert!((225..=335).contains(&heard), "{heard} of 400");
    assert_eq!(three.datagrams(1, 0, 100), 100, "the other way loses nothing");
    three.end(&bench, run);
}

#[test]
fn a_reset_breaks_open_connections_and_refuses_new_ones() {
    let Some(three) = Three::start("a_reset_breaks_open_connections_and_refuses_new_ones") else { return };
    let bench = Bench::new();
    let (near, far) = (three.echo(1), three.echo(2));
    let mut open = three.inside(0, || TcpStream::connect(near).expect("before the fault"));
    let run = three.begin(&bench, "{ between: [<a>, <b>] }", "reset");
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    let broken = open.write_all(b"line\n").and_then(|()| open.read_exact(&mut [0; 5])).unwrap_err();
    assert!(
        matches!(broken.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
        "{broken:?}"
    );
    assert_eq!(three.line(0, 1).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    three.inside(0, || TcpStream::connect(far).expect("the third is no part of it"));
    three.end(&bench, run);
}

#[test]
fn a_limited_network_carries_what_it_may_and_is_free_again_afterwards() {
    const BYTES: usize = 600_000;
    let Some(three) = Three::start("a_limited_network_carries_what_it_may_and_is_free_again_afterwards")
    else {
        return;
    };
    let send = |from: usize, to: usize| {
        let address = three.echo(to);
        three.inside(from, || {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address).expect("a connection");
            let mut reading = stream.try_clone().expect("a handle");
            let echoed = std::thread::spawn(move || {
                reading.read_exact(&mut vec![0; BYTES]).expect("all of it comes back");
            });
            stream.write_all(&vec![b'x'; BYTES]).expect("all of it goes out");
            echoed.join().expect("the reader");
            begun.elapsed()
        })
    };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ of: <a> }", "{ bandwidth: 300KB/s }");
    let took = send(0, 1);
    assert!(
        took >= Duration::from_millis(1700) && took < Duration::from_secs(6),
        "{took:?} for 2 s of bytes"
    );
    let took = send(1, 2);
    assert!(took < Duration::from_secs(1), "the others are not limited: {took:?}");
    let journal = three.end(&bench, run);
    assert_eq!(hits(&journal), 1, "one interface");
    assert!(send(0, 1) < Duration::from_secs(1));
}

#[test]
fn latency_between_two_is_felt_on_the_calls_that_they_make_to_each_other() {
    let Some(three) = Three::start("latency_between_two_is_felt_on_the_calls_that_they_make_to_each_other")
    else {
        return;
    };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ between: [<a>, <b>] }", "{ latency: 150ms }");
    let near = three.echo(1);
    let mut open = three.inside(0, || TcpStream::connect(near).expect("a connection"));
    for (from, to) in [(0, 1), (1, 0)] {
        let took = three.line(from, to).expect("late, but there");
        assert!(took >= Duration::from_millis(290) && took < Duration::from_millis(900), "{took:?}");
    }
    let took = three.line(0, 2).expect("the third is no part of it");
    assert!(took < Duration::from_millis(140), "{took:?}");
    let journal = three.end(&bench, run);
    assert!(hits(&journal) >= 4, "{journal}");
    assert_eq!(open.read(&mut [0; 1]).map_err(|error| error.kind()), Ok(0), "ended with the run, not before");
}

#[test]
fn when_murphy_and_its_watchdog_are_dead_the_kernel_lets_traffic_flow_again() {
    let Some(three) =
        Three::start("when_murphy_and_its_watchdog_are_dead_the_kernel_lets_traffic_flow_again")
    else {
        return;
    };
    let bench = Bench::new();
    let mut run = three.begin(&bench, "{ between: [<a>, <b>] }", "partition");
    assert!(three.line(0, 1).is_err());
    let pid = Pid::from_raw(run.id() as i32);
    kill(pid, Signal::SIGSTOP).expect("it runs");
    let state = bench.path().join("state").display().to_string();
    for watchdog in processes_with(&format!("watchdog {state}")) {
        kill(Pid::from_raw(watchdog as i32), Signal::SIGKILL).expect("it runs");
    }
    kill(pid, Signal::SIGKILL).expect("it runs");
    run.wait().expect("it is dead");
    eventually("the lease has run out", Duration::from_secs(8), || three.line(0, 1).is_ok());
    bench.run(&["undo"]).expect(0).says("taken back: delete nftables table");
    three.untouched();
}

#[test]
fn a_fault_that_needs_two_sides_is_refused_with_the_words_to_write() {
    let bench = Bench::new();
    bench.file(
        "s.yaml",
        "murphy: 1\nname: network\nprobes: { up: { tcp: \"127.0.0.1:1\" } }\nfaults: [{ network: { of: web }, inject: partition }]\n",
    );
    bench.run(&["check", "s.yaml"]).expect(2).says("between: [NAME, NAME]");
}
