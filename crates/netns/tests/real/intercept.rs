//! Redirects: who is caught, who is not, and what becomes of open connections.

use std::io::{self, Read};
use std::net::SocketAddr;

use murphy_netns::{
    Destinations, Intercept, IpFamily, Lease, LeaseTerm, NetFault, Netns, OpenConnections, ProxyPorts,
    original_destination, revert,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpSocket;

use crate::bench::{Bench, PATIENCE, at, at6, echoes, table};

async fn intercept(netns: &Netns, to: SocketAddr, proxy: SocketAddr, open: OpenConnections) -> Lease {
    let port = Some(proxy.port());
    let ports = match IpFamily::of(&proxy) {
        IpFamily::V4 => ProxyPorts { v4: port, v6: None },
        IpFamily::V6 => ProxyPorts { v4: None, v6: port },
    };
    let destinations = Destinations::Endpoints([to].into());
    let fault = Intercept { destinations, proxy: ports, open };
    let plan = netns.plan(NetFault::Intercept(fault), table(), "test", LeaseTerm::default()).await.unwrap();
    plan.apply().await.unwrap()
}

/// Connects by a socket of the proxy and reads who answers.
async fn dial_on(netns: &Netns, to: SocketAddr) -> String {
    let socket = netns.dial_socket(IpFamily::of(&to)).await.unwrap();
    let stream = TcpSocket::from_std_stream(socket.into()).connect(to).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line.trim().to_owned()
}

async fn catches_only_what_is_meant(destination: SocketAddr, elsewhere: SocketAddr, loopback: SocketAddr) {
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.greet(destination, "server").await;
    let elsewhere = bench.server.greet(elsewhere, "elsewhere").await;
    let proxy = bench.caller.greet(loopback, "proxy").await;
    let netns = bench.caller.enter().await;
    let lease = intercept(&netns, destination, proxy, OpenConnections::Keep).await;

    assert_eq!(bench.caller.who(destination).await, "proxy");
    assert_eq!(bench.caller.who(elsewhere).await, "elsewhere", "another port");
    assert_eq!(bench.other.who(destination).await, "server", "another caller");
    assert_eq!(dial_on(&netns, destination).await, "server", "the proxy's own calls");
    assert_eq!(lease.counters().await.unwrap()["redirected"].packets, 1);

    lease.lift().await.unwrap();
    assert_eq!(bench.caller.who(destination).await, "server");
    bench.caller.assert_no_table();
}

#[tokio::test]
async fn only_that_callers_calls_to_that_destination_are_caught() {
    catches_only_what_is_meant(at(2, 0), at(2, 0), SocketAddr::from(([127, 0, 0, 1], 0))).await;
}

#[tokio::test]
async fn the_same_over_ipv6() {
    catches_only_what_is_meant(at6(2, 0), at6(2, 0), "[::1]:0".parse().unwrap()).await;
}

#[tokio::test]
async fn the_proxy_learns_the_address_that_was_dialled() {
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.greet(at(2, 0), "server").await;
    let netns = bench.caller.enter().await;
    let listener = netns.tcp_listener(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let lease = intercept(&netns, destination, proxy, OpenConnections::Keep).await;
    let dialled = bench.caller.inside(move || std::net::TcpStream::connect(destination));
    let (accepted, dialled) = tokio::join!(listener.accept(), dialled);
    let (stream, peer) = accepted.unwrap();
    assert_eq!(original_destination(&stream).unwrap(), destination);
    assert_eq!(peer, dialled.unwrap().local_addr().unwrap());
    lease.lift().await.unwrap();

    // A caller that dials the proxy itself was not redirected.
    let direct = bench.caller.inside(move || std::net::TcpStream::connect(proxy));
    let (accepted, _direct) = tokio::join!(listener.accept(), direct);
    assert!(original_destination(&accepted.unwrap().0).is_err());
}

#[tokio::test]
async fn new_addresses_of_the_destination_are_followed() {
    let Some(bench) = Bench::new() else { return };
    let old = bench.server.greet(at(2, 0), "old").await;
    let new = bench.server.greet(at(3, 0), "new").await;
    let proxy = bench.caller.greet(SocketAddr::from(([127, 0, 0, 1], 0)), "proxy").await;
    let netns = bench.caller.enter().await;
    let lease = intercept(&netns, old, proxy, OpenConnections::Keep).await;
    assert_eq!(bench.caller.who(new).await, "new");

    lease.set_addresses([new].into()).await.unwrap();
    assert_eq!(bench.caller.who(new).await, "proxy");
    assert_eq!(bench.caller.who(old).await, "old");

    lease.set_addresses([].into()).await.unwrap();
    assert_eq!(bench.caller.who(new).await, "new");
    lease.lift().await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_goes_on_past_the_proxy() {
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.greet(at(2, 0), "server").await;
    let proxy = bench.caller.greet(SocketAddr::from(([127, 0, 0, 1], 0)), "proxy").await;
    let (open, who) = bench.caller.call(destination).await.unwrap();
    assert_eq!(who, "server");
    let netns = bench.caller.enter().await;
    let lease = intercept(&netns, destination, proxy, OpenConnections::Keep).await;
    assert!(echoes(&open).await, "it was torn");
    assert_eq!(bench.caller.who(destination).await, "proxy");
    lease.lift().await.unwrap();
    assert!(echoes(&open).await);
}

#[tokio::test]
async fn a_cut_connection_ends_at_once_for_both_ends_even_if_idle() {
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.inside(|| std::net::TcpListener::bind(at(2, 0)).unwrap()).await;
    let address = destination.local_addr().unwrap();
    let proxy = bench.caller.greet(SocketAddr::from(([127, 0, 0, 1], 0)), "proxy").await;
    let mut open = bench.caller.inside(move || std::net::TcpStream::connect(address).unwrap()).await;
    let mut far = destination.accept().unwrap().0;
    for end in [&open, &far] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let netns = bench.caller.enter().await;
    let own = netns.dial_socket(IpFamily::V4).await.unwrap();
    let own = TcpSocket::from_std_stream(own.into()).connect(address).await.unwrap();
    let mut own_far = destination.accept().unwrap().0;
    own_far.set_read_timeout(Some(PATIENCE)).unwrap();

    let lease = intercept(&netns, address, proxy, OpenConnections::Cut).await;
    let ends = tokio::task::spawn_blocking(move || (open.read(&mut [0]), far.read(&mut [0])));
    let (near, far) = ends.await.unwrap();
    let near = near.unwrap_err().kind();
    assert!(matches!(near, io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset), "{near:?}");
    assert_eq!(far.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "the far end got a reset");
    assert_eq!(lease.status().cut, 1);
    assert_eq!(bench.caller.who(address).await, "proxy");

    // The proxy's own connection is spared, in both directions.
    io::Write::write_all(&mut own_far, b"x").unwrap();
    tokio::time::timeout(PATIENCE, own.readable()).await.unwrap().unwrap();
    assert_eq!(own.try_read(&mut [0; 8]).unwrap(), 1);
    own.try_write(b"y").unwrap();
    own_far.read_exact(&mut [0]).unwrap();
    lease.lift().await.unwrap();
    bench.caller.assert_no_table();
}

#[tokio::test]
async fn an_undo_may_be_carried_out_before_and_after_and_twice() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let fault = Intercept {
        destinations: Destinations::Endpoints([at(2, 80)].into()),
        proxy: ProxyPorts { v4: Some(1), v6: None },
        open: OpenConnections::Keep,
    };
    let plan = netns.plan(NetFault::Intercept(fault), table(), "test", LeaseTerm::default()).await.unwrap();
    bench.caller.assert_no_table();
    let undo = plan.undo();
    revert(&undo).await.unwrap();
    let lease = plan.apply().await.unwrap();
    assert!(bench.caller.output("nft", &["list", "tables"]).contains(lease.table().as_str()));
    for _ in 0..2 {
        revert(&undo).await.unwrap();
        bench.caller.assert_no_table();
    }
    lease.lift().await.unwrap();
}
