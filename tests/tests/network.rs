//! Faults on the network between containers of a real engine, looked at from inside these containers' networks: what is
//! broken is broken there and nowhere else, and is gone when the run is over or Murphy dead.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use murphy_tests::{Bench, Three, eventually, processes_with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

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
fn of_two_partitions_that_overlap_each_ends_for_itself() {
    let Some(three) = Three::start("of_two_partitions_that_overlap_each_ends_for_itself") else { return };
    let bench = Bench::new();
    // The second cuts the pair of the first as well, and begins and ends while that stands.
    let second = format!(
        ",\n  {{ network: {{ between: [{}, [{}, {}]] }}, inject: partition, at: 1s, for: 10s }}]",
        three.name(0),
        three.name(1),
        three.name(2)
    );
    let text = three.scenario("{ between: [<a>, <b>] }", "partition");
    let at = text.rfind(']').expect("the end of the faults");
    bench.file("s.yaml", &(text[..at].to_owned() + &second + &text[at + 1..]));
    let run = bench.spawn(&["run", "s.yaml"]);
    three.armed(&bench);
    let heard = |other| three.datagrams(0, other, 5) + three.datagrams(other, 0, 5);
    assert_eq!(heard(1), 0, "by the first");
    eventually("the third is cut off by the second", PATIENCE, || heard(2) == 0);
    assert_eq!(heard(1), 0, "by both");
    assert_eq!(three.datagrams(1, 2, 5), 5, "of one group");
    eventually("the second has ended", PATIENCE, || heard(2) == 10);
    assert_eq!(heard(1), 0, "by the first, which stands");
    assert!(three.line(0, 1).is_err() && three.line(1, 0).is_err());
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
        took >= Duration::from_millis(1700) && took < Duration::from_secs(15),
        "{took:?} for 2 s of bytes"
    );
    // The quickest of a few: a machine may stand still once.
    let quickest = |from, to| (0..3).map(|_| send(from, to)).min();
    let took = quickest(1, 2);
    assert!(took < Some(Duration::from_millis(1700)), "the others are not limited: {took:?}");
    let journal = three.end(&bench, run);
    assert_eq!(hits(&journal), 1, "one interface");
    assert!(quickest(0, 1) < Some(Duration::from_millis(1700)));
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
        assert!(took >= Duration::from_millis(290), "{took:?}");
    }
    // The quickest of a few: a machine may stand still once.
    let took = (0..3).map(|_| three.line(0, 2).expect("the third is no part of it")).min();
    assert!(took < Some(Duration::from_millis(140)), "{took:?}");
    let journal = three.end(&bench, run);
    assert!(hits(&journal) >= 4, "{journal}");
    assert_eq!(open.read(&mut [0; 1]).map_err(|error| error.kind()), Ok(0), "ended with the run, not before");
}

#[test]
fn both_sides_of_a_network_fault_are_in_one_hand_at_a_time() {
    let Some(three) = Three::start("both_sides_of_a_network_fault_are_in_one_hand_at_a_time") else { return };
    let bench = Bench::new();
    let run = three.begin(&bench, "{ between: [<a>, <b>] }", "partition");
    let (b, c) = (three.name(1), three.name(2));
    let of_pid = format!("{{ of: \"pid:{}\" }}", three.pid(0));
    for (network, fault) in [
        ("{ between: [<b>, <c>] }", "partition"),
        ("{ from: <c>, to: <a> }", "{ latency: 10ms }"),
        (of_pid.as_str(), "{ bandwidth: 1MB/s }"),
    ] {
        let other = three.scenario(network, fault).replace("name: network", "name: other");
        bench.file("other.yaml", &other);
        bench
            .run(&["run", "other.yaml"])
            .expect(3)
            .says("in the hands of another run (\"network\", process ");
    }
    bench.run(&["pause", b, "--for", "1s"]).expect(3).says("in the hands of another run");
    bench.run(&["pause", c, "--for", "100ms"]).expect(0);
    assert!(three.line(0, 1).is_err(), "the first run is not disturbed");
    three.end(&bench, run);
    bench.run(&["pause", b, "--for", "100ms"]).expect(0);
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
