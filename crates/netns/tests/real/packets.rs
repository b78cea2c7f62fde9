//! Partition, loss and reset between machines.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use murphy_core::Chance;
use murphy_netns::{Destinations, Lease, LeaseTerm, Loss, NetFault, Netns, Partition, Reset, Way};

use crate::bench::{Bench, Machine, PATIENCE, at, at6, host, table};

async fn apply(netns: &Netns, fault: NetFault) -> Lease {
    netns.plan(fault, table(), "test", LeaseTerm::default()).await.unwrap().apply().await.unwrap()
}

fn partition(hosts: &[u8], way: Way) -> NetFault {
    NetFault::Partition(Partition { peers: hosts.iter().map(|number| host(*number)).collect(), way })
}

#[tokio::test]
async fn a_partition_holds_all_between_the_two_and_nothing_else() {
    let Some(bench) = Bench::new() else { return };
    let apart = bench.server.greet(at(2, 0), "apart").await;
    let near = bench.server.greet(at(3, 0), "near").await;
    let netns = bench.caller.enter().await;
    let lease = apply(&netns, partition(&[2], Way::Both)).await;
    assert!(bench.caller.is_cut_from(apart).await);
    assert_eq!(bench.caller.who(near).await, "near");
    assert_eq!(bench.other.who(apart).await, "apart");
    assert!(lease.counters().await.unwrap()["out"].packets > 0);
    lease.lift().await.unwrap();
    assert_eq!(bench.caller.who(apart).await, "apart");
    bench.caller.assert_no_table();
}

#[tokio::test]
async fn a_partition_holds_ipv6_too() {
    let Some(bench) = Bench::new() else { return };
    let apart = bench.server.greet(at6(2, 0), "apart").await;
    let netns = bench.caller.enter().await;
    let fault = Partition { peers: [apart.ip()].into(), way: Way::Both };
    let lease = apply(&netns, NetFault::Partition(fault)).await;
    assert!(bench.caller.is_cut_from(apart).await);
    lease.lift().await.unwrap();
    assert_eq!(bench.caller.who(apart).await, "apart");
}

#[tokio::test]
async fn overlapping_partitions_each_hold_until_they_are_lifted() {
    let Some(bench) = Bench::new() else { return };
    let mut servers = Vec::new();
    for number in [2, 3, 4] {
        servers.push(bench.server.greet(at(number, 0), "server").await);
    }
    let netns = bench.caller.enter().await;
    let first = apply(&netns, partition(&[2, 3], Way::Both)).await;
    let second = apply(&netns, partition(&[3, 4], Way::Both)).await;
    first.lift().await.unwrap();
    assert_eq!(bench.caller.who(servers[0]).await, "server");
    assert!(bench.caller.is_cut_from(servers[1]).await);
    assert!(bench.caller.is_cut_from(servers[2]).await);
    second.lift().await.unwrap();
    assert_eq!(bench.caller.who(servers[1]).await, "server");
    bench.caller.assert_no_table();
}

/// Sockets of the caller and of the server, connected to each other.
async fn pair(bench: &Bench) -> (UdpSocket, UdpSocket) {
    async fn bind(machine: &Machine, address: SocketAddr) -> UdpSocket {
        machine.inside(move || UdpSocket::bind(address).unwrap()).await
    }
    let (caller, server) = (bind(&bench.caller, at(1, 0)).await, bind(&bench.server, at(2, 0)).await);
    caller.connect(server.local_addr().unwrap()).unwrap();
    server.connect(caller.local_addr().unwrap()).unwrap();
    for socket in [&caller, &server] {
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    }
    // So that the neighbours know each other and no datagram waits for that.
    caller.send(b"hello").unwrap();
    server.recv(&mut [0; 16]).unwrap();
    server.send(b"hello").unwrap();
    caller.recv(&mut [0; 16]).unwrap();
    (caller, server)
}

/// Sends datagrams and counts those that arrive. The sender must not notice those that do not.
fn arrivals(from: &UdpSocket, to: &UdpSocket, sent: usize) -> usize {
    for _ in 0..sent {
        from.send(b"x").expect("the sender noticed");
    }
    let mut arrived = 0;
    while arrived < sent && to.recv(&mut [0; 16]).is_ok() {
        arrived += 1;
    }
    arrived
}

#[tokio::test]
async fn a_one_way_partition_holds_one_way() {
    let Some(bench) = Bench::new() else { return };
    let (caller, server) = pair(&bench).await;
    let netns = bench.caller.enter().await;
    for (way, to_server, to_caller) in [(Way::Out, 0, 20), (Way::In, 20, 0), (Way::Both, 0, 0)] {
        let lease = apply(&netns, partition(&[2], way)).await;
        assert_eq!(arrivals(&caller, &server, 20), to_server, "{way:?}: from the caller");
        assert_eq!(arrivals(&server, &caller, 20), to_caller, "{way:?}: to the caller");
        lease.lift().await.unwrap();
    }
    assert_eq!(arrivals(&caller, &server, 20), 20);
}

async fn loses_its_share(way: Way, counter: &str) {
    let Some(bench) = Bench::new() else { return };
    let (caller, server) = pair(&bench).await;
    let netns = bench.caller.enter().await;
    let fault = Loss { peers: [host(2)].into(), way, chance: Chance::from_fraction(0.3).unwrap() };
    let lease = apply(&netns, NetFault::Loss(fault)).await;
    // In portions that fit into the receiver's buffer, so that nothing is lost but by the fault.
    let (portions, portion) = (20, 100);
    let mut arrived = 0;
    for turn in 0..portions {
        arrived += match way {
            Way::In => arrivals_of(&server, &caller, portion, &lease, counter, arrived, turn).await,
            _ => arrivals_of(&caller, &server, portion, &lease, counter, arrived, turn).await,
        };
    }
    let sent = portions * portion;
    let lost = lease.counters().await.unwrap()[counter].packets as usize;
    assert_eq!(arrived + lost, sent, "every datagram is accounted for");
    // Binomial: 600 expected, standard deviation 20.5; five of them are one false alarm in 1.7 million.
    assert!((498..=702).contains(&lost), "{lost} of {sent} lost");
    lease.lift().await.unwrap();
    assert_eq!(arrivals(&caller, &server, 50), 50);
}

/// Sends one portion and reads exactly as many as the fault did not count as lost.
async fn arrivals_of(
    from: &UdpSocket,
    to: &UdpSocket,
    portion: usize,
    lease: &Lease,
    counter: &str,
    before: usize,
    turn: usize,
) -> usize {
    for _ in 0..portion {
        from.send(b"x").expect("the sender noticed");
    }
    let lost = lease.counters().await.unwrap()[counter].packets as usize;
    let expected = (turn + 1) * portion - lost - before;
    (0..expected).take_while(|_| to.recv(&mut [0; 16]).is_ok()).count()
}

#[tokio::test]
async fn loss_on_the_way_out_takes_its_share_unnoticed() {
    loses_its_share(Way::Out, "out").await;
}

#[tokio::test]
async fn loss_on_the_way_in_takes_its_share() {
    loses_its_share(Way::In, "in").await;
}

#[tokio::test]
async fn reset_refuses_new_connections_and_ends_open_ones_at_their_next_packet() {
    let Some(bench) = Bench::new() else { return };
    let listener = bench.server.inside(|| std::net::TcpListener::bind(at(2, 0)).unwrap()).await;
    let address = listener.local_addr().unwrap();
    let elsewhere = bench.server.greet(at(2, 0), "elsewhere").await;
    let connect = || bench.caller.inside(move || std::net::TcpStream::connect_timeout(&address, PATIENCE));
    let (mut talks, mut hears) = (connect().await.unwrap(), connect().await.unwrap());
    let (mut talks_far, mut hears_far) = (listener.accept().unwrap().0, listener.accept().unwrap().0);
    for end in [&talks, &hears, &talks_far, &hears_far] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let netns = bench.caller.enter().await;
    let lease =
        apply(&netns, NetFault::Reset(Reset { destinations: Destinations::Endpoints([address].into()) }))
            .await;
    assert_eq!(connect().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(bench.caller.who(elsewhere).await, "elsewhere");
    let ends = tokio::task::spawn_blocking(move || {
        let _ = talks.write_all(b"x");
        let _ = hears_far.write_all(b"x");
        let near = talks.read(&mut [0]).map_err(|error| error.kind());
        let far = hears_far.read(&mut [0]).map_err(|error| error.kind());
        drop((hears.write_all(b"x"), talks_far.write_all(b"x")));
        (near, far)
    });
    let reset = || Err(io::ErrorKind::ConnectionReset);
    assert_eq!(ends.await.unwrap(), (reset(), reset()));
    lease.lift().await.unwrap();
    assert!(connect().await.is_ok());
    bench.caller.assert_no_table();
}
