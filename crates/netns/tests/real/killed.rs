//! Murphy killed: the kernel lets traffic flow again by itself, and the undo finds what is left.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use murphy_core::{ProcessIdentity, Undo};
use murphy_netns::{
    Destinations, Intercept, LeaseTerm, NetFault, Netns, OpenConnections, Partition, ProxyPorts, Reverted,
    Way, revert,
};

use crate::bench::{Bench, PATIENCE, at, host, table, until};

/// What the killed process is told: the caller's pid and birth, the proxy's port, the destination.
const ORDER: &str = "MURPHY_NETNS_HOLD";

#[tokio::test]
async fn faults_end_by_themselves_seconds_after_their_holder_is_killed() {
    if let Ok(order) = std::env::var(ORDER) {
        return hold(&order).await;
    }
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.greet(at(2, 0), "server").await;
    let apart = bench.server.greet(at(3, 0), "apart").await;
    let proxy = bench.caller.greet(SocketAddr::from(([127, 0, 0, 1], 0)), "proxy").await;
    let ProcessIdentity { pid, born } = bench.caller.identity;

    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::faults_end_by_themselves_seconds_after_their_holder_is_killed",
            "--nocapture",
        ])
        .env(ORDER, format!("{pid} {born} {} {destination}", proxy.port()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let undos: Vec<Undo> =
        lines.filter_map(|line| serde_json::from_str(line.split_once("undo ")?.1).ok()).take(2).collect();
    assert_eq!(undos.len(), 2, "the holder said what it holds");
    assert_eq!(bench.caller.who(destination).await, "proxy");
    assert!(bench.caller.is_cut_from(apart).await);
    holder.kill().unwrap();
    holder.wait().unwrap();

    let is_free = async || matches!(bench.caller.call(destination).await, Ok((_, who)) if who == "server");
    let freed = until("calls reach the server again", is_free).await;
    assert_eq!(bench.caller.who(apart).await, "apart");
    // The term is 5 s; the rest is the slack of a busy machine.
    assert!(freed < Duration::from_secs(20), "{freed:?}");
    for undo in &undos {
        assert_eq!(revert(undo).await.unwrap(), Reverted::Done);
        assert_eq!(revert(undo).await.unwrap(), Reverted::Done);
    }
    bench.caller.assert_no_table();
}

/// The process that is killed.
async fn hold(order: &str) {
    let words: Vec<&str> = order.split(' ').collect();
    let process = ProcessIdentity { pid: words[0].parse().unwrap(), born: words[1].parse().unwrap() };
    let netns = Netns::enter(process).await.unwrap();
    let faults = [
        NetFault::Intercept(Intercept {
            destinations: Destinations::Endpoints([words[3].parse().unwrap()].into()),
            proxy: ProxyPorts { v4: Some(words[2].parse().unwrap()), v6: None },
            open: OpenConnections::Keep,
        }),
        NetFault::Partition(Partition { peers: [host(3)].into(), way: Way::Both }),
    ];
    let mut leases = Vec::new();
    for fault in faults {
        leases.push(
            netns.plan(fault, table(), "test", LeaseTerm::default()).await.unwrap().apply().await.unwrap(),
        );
    }
    for lease in &leases {
        println!("\nundo {}", serde_json::to_string(lease.undo()).unwrap());
    }
    // The parent kills it long before.
    tokio::time::sleep(PATIENCE).await;
}
