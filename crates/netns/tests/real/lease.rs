//! Leases while their holder lives: held past the term, ended with the value, honest about trouble.

use std::net::SocketAddr;

use murphy_core::Span;
use murphy_netns::{
    Intercept, LeaseTerm, NetFault, Netns, NetnsError, OpenConnections, Partition, ProxyPorts, Reverted, Way,
    revert,
};

use crate::bench::{Bench, at, host, table, until};

/// Renewed so often that a machine which stands still for seconds does not let it run out.
const SHORT: LeaseTerm = LeaseTerm { term: Span::from_millis(4000), renew_every: Span::from_millis(500) };

fn partition() -> NetFault {
    NetFault::Partition(Partition { peers: [host(2)].into(), way: Way::Both })
}

#[tokio::test]
async fn a_held_lease_outlives_its_term() {
    let Some(bench) = Bench::new() else { return };
    let destination = bench.server.greet(at(2, 0), "server").await;
    let proxy = bench.caller.greet(SocketAddr::from(([127, 0, 0, 1], 0)), "proxy").await;
    let netns = bench.caller.enter().await;
    let fault = Intercept {
        destinations: murphy_netns::Destinations::Endpoints([destination].into()),
        proxy: ProxyPorts { v4: Some(proxy.port()), v6: None },
        open: OpenConnections::Keep,
    };
    let lease =
        netns.plan(NetFault::Intercept(fault), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    let held = until("ten renewals", async || lease.status().renewals >= 10).await;
    assert!(held > SHORT.term.as_duration(), "{held:?}");
    assert_eq!(bench.caller.who(destination).await, "proxy");
    assert_eq!(lease.status().trouble, None);
    lease.lift().await.unwrap();
    bench.caller.assert_no_table();
}

#[tokio::test]
async fn a_dropped_lease_leaves_no_table() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let lease = netns.plan(partition(), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    assert_ne!(bench.caller.output("nft", &["list", "tables"]), "");
    drop((lease, netns));
    until("the table is gone", async || bench.caller.output("nft", &["list", "tables"]).is_empty()).await;
}

#[tokio::test]
async fn a_table_that_somebody_else_removed_is_told_and_hurts_no_other_lease() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let lost = netns.plan(partition(), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    let kept = netns.plan(partition(), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    revert(lost.undo()).await.unwrap();
    until("it is told", async || lost.status().trouble.is_some()).await;
    assert!(lost.status().trouble.unwrap().contains(lost.table().as_str()));
    let before = kept.status().renewals;
    until("the other is renewed", async || kept.status().renewals > before + 1).await;
    assert_eq!(kept.status().trouble, None);
    lost.lift().await.unwrap();
    kept.lift().await.unwrap();
    bench.caller.assert_no_table();
}

#[tokio::test]
async fn two_faults_cannot_share_a_table() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let name = table();
    let first = netns.plan(partition(), name.clone(), "test", SHORT).await.unwrap().apply().await.unwrap();
    let second = netns.plan(partition(), name, "test", SHORT).await.unwrap().apply().await;
    assert!(matches!(second, Err(NetnsError::Refused { .. })), "{second:?}");
    first.lift().await.unwrap();
}

#[tokio::test]
async fn an_undo_after_the_namespace_has_ended_is_a_success() {
    let Some(bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let identity = bench.caller.identity;
    let lease = netns.plan(partition(), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    let undo = lease.undo().clone();
    drop((lease, netns, bench));
    assert!(matches!(Netns::enter(identity).await, Err(NetnsError::Gone { .. })));
    // The thread inside may take a moment to end, and holds the namespace until then.
    until("the namespace is gone", async || revert(&undo).await.unwrap() == Reverted::NamespaceGone).await;
}

#[tokio::test]
async fn an_undo_finds_the_namespace_after_its_process_has_ended() {
    let Some(mut bench) = Bench::new() else { return };
    let netns = bench.caller.enter().await;
    let lease = netns.plan(partition(), table(), "test", SHORT).await.unwrap().apply().await.unwrap();
    bench.caller.end_process();
    assert_eq!(revert(lease.undo()).await.unwrap(), Reverted::Done);
    bench.caller.assert_no_table();
}
