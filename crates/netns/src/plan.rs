//! Prepares a fault on a namespace: what will be done and how it is taken back are known before anything is touched.

use murphy_core::{TableFamily, Undo};

use crate::intercept::{self, Intercept};
use crate::lease::{Lease, LeaseTerm, OpenSockets};
use crate::packets::{self, Loss, Partition, Reset};
use crate::shape;
use crate::table::{LeasedTable, TableName, Targets};
use crate::{Netns, NetnsError, capability};

/// A fault on the packets of a namespace, held on a lease.
#[derive(Debug, Clone, PartialEq)]
pub enum NetFault {
    /// Redirect connections into a proxy.
    Intercept(Intercept),
    /// Let nothing through.
    Partition(Partition),
    /// Lose a share.
    Loss(Loss),
    /// Refuse and reset connections.
    Reset(Reset),
}

/// Where packets can be discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hooks {
    /// At the interfaces, both ways (Linux 5.16 and later).
    Edge { interfaces: Vec<String> },
    /// At the sockets.
    Sockets,
}

/// What a kind of fault puts into its table.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) family: TableFamily,
    pub(crate) counters: Vec<&'static str>,
    pub(crate) chains: String,
    pub(crate) targets: Targets,
    pub(crate) open: OpenSockets,
}

/// A fault, prepared: nothing is touched yet.
#[derive(Debug)]
pub struct Plan {
    netns: Netns,
    table: LeasedTable,
    term: LeaseTerm,
    open: OpenSockets,
}

impl Netns {
    /// Prepares a fault. `note` says for a person who lists the tables whose it is and what for. Touches nothing.
    pub async fn plan(
        &self,
        fault: NetFault,
        name: TableName,
        note: &str,
        term: LeaseTerm,
    ) -> Result<Plan, NetnsError> {
        let Rules { family, counters, chains, targets, open } = match &fault {
            NetFault::Intercept(fault) => intercept::rules(fault)?,
            NetFault::Partition(fault) => packets::partition(fault, &self.hooks().await?),
            NetFault::Loss(fault) => packets::loss(fault, &self.hooks().await?),
            NetFault::Reset(fault) => packets::reset(fault),
        };
        if targets.is_empty() {
            return Err(NetnsError::NoTargets);
        }
        let table = LeasedTable { name, family, note: note.to_owned(), counters, chains, targets };
        Ok(Plan { netns: self.clone(), table, term, open })
    }

    async fn hooks(&self) -> Result<Hooks, NetnsError> {
        let process = self.identity().process;
        self.run_with(move |_| {
            if !capability::has_egress() {
                return Ok(Hooks::Sockets);
            }
            match shape::interfaces()? {
                names if names.is_empty() => Err(NetnsError::NoInterface { process }),
                interfaces => Ok(Hooks::Edge { interfaces }),
            }
        })
        .await?
    }
}

impl Plan {
    /// How to take it back: to be on disk before [`Plan::apply`].
    pub fn undo(&self) -> Undo {
        self.table.undo(self.netns.identity())
    }

    /// Does it, and holds it until the lease is lifted or dropped.
    pub async fn apply(self) -> Result<Lease, NetnsError> {
        let Plan { netns, table, term, open } = self;
        let inside = netns.clone();
        netns.run_with(move |keeper| keeper.hold(&inside, table, term, open)).await?
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::ErrorKind;
    use std::net::UdpSocket;
    use std::time::Duration;

    use murphy_core::Chance;

    use super::*;
    use crate::intercept::{OpenConnections, ProxyPorts};
    use crate::nft;
    use crate::packets::{Destinations, Way};

    /// Runs a test in a namespace of its own whose loopback is up; says so and does nothing without root.
    pub(crate) fn in_trial_namespace(test: impl FnOnce() + Send) {
        if !nix::unistd::geteuid().is_root() {
            murphy_testkit::skip("this is not root");
            return;
        }
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
                assert!(up.success());
                test();
            });
            // The panic of the test, with its message.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    /// Makes the table in the namespace of the calling thread.
    pub(crate) fn load(rules: Rules) {
        let Rules { family, counters, chains, targets, .. } = rules;
        let name = TableName::new("unit", 1);
        let table = LeasedTable { name, family, note: "edge a -> b".to_owned(), counters, chains, targets };
        nft::script(&table.creation(Duration::from_secs(60)), "make a table").unwrap();
        nft::script(&table.renewal(Duration::from_secs(60)), "renew").unwrap();
    }

    fn sockets_only(way: Way, fraction: f64) -> Rules {
        let peers = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()].into();
        let chance = Chance::from_fraction(fraction).unwrap();
        packets::loss(&Loss { peers, way, chance }, &Hooks::Sockets)
    }

    #[test]
    fn the_kernel_takes_every_rule_that_can_be_made() {
        let edge = Hooks::Edge { interfaces: vec!["lo".to_owned()] };
        let peers = || ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()].into();
        let destinations = || ["10.0.0.1:80".parse().unwrap(), "[fd00::1]:80".parse().unwrap()].into();
        let mut all = vec![
            packets::reset(&Reset { destinations: Destinations::Endpoints(destinations()) }),
            packets::reset(&Reset { destinations: Destinations::Hosts(peers()) }),
        ];
        for open in [OpenConnections::Keep, OpenConnections::Cut] {
            let proxy = ProxyPorts { v4: Some(4000), v6: Some(4001) };
            for destinations in [Destinations::Endpoints(destinations()), Destinations::Hosts(peers())] {
                all.push(intercept::rules(&Intercept { destinations, proxy, open }).unwrap());
            }
        }
        for way in [Way::In, Way::Out, Way::Both] {
            for fraction in [0.0, 0.000_001, 0.5, 1.0] {
                all.push(sockets_only(way, fraction));
                let chance = Chance::from_fraction(fraction).unwrap();
                if capability::has_egress() {
                    all.push(packets::loss(&Loss { peers: peers(), way, chance }, &edge));
                }
            }
        }
        for rules in all {
            in_trial_namespace(|| load(rules));
        }
    }

    /// What a kernel without an egress hook gets.
    #[test]
    fn at_the_sockets_packets_are_lost_on_the_asked_way_only() {
        for (way, fraction, passes) in
            [(Way::In, 1.0, false), (Way::Out, 1.0, false), (Way::Both, 0.0, true), (Way::Both, 1.0, false)]
        {
            in_trial_namespace(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(socket.local_addr().unwrap()).unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                load(sockets_only(way, fraction));
                let sent = socket.send(b"x").map_err(|error| error.kind());
                let noticed = sent == Err(ErrorKind::PermissionDenied);
                assert_eq!(noticed, !passes && way != Way::In, "{way:?} {fraction}: {sent:?}");
                assert_eq!(socket.recv(&mut [0; 4]).is_ok(), passes, "{way:?} {fraction}");
            });
        }
    }
}
