//! Faults on the packets between a namespace and given addresses: partition, loss, reset.
//!
//! They are blind to who made the packet: also what the proxy dials on from inside the namespace is hit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use murphy_core::{Chance, TableFamily};

use crate::lease::OpenSockets;
use crate::plan::{Hooks, Rules};
use crate::table::Targets;

/// Which packets are meant, seen from the namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// Those that leave it.
    Out,
    /// Those that come in.
    In,
    /// All.
    #[default]
    Both,
}

impl Way {
    fn out(self) -> bool {
        self != Way::In
    }

    fn in_(self) -> bool {
        self != Way::Out
    }
}

/// No packet gets through between the namespace and these peers. Partitions may overlap: each is a table of its own, and
/// a packet passes if none of them holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The other side.
    pub peers: BTreeSet<IpAddr>,
    /// Which packets are held.
    pub way: Way,
}

/// A share of the packets between the namespace and these peers is lost, each decided on its own by the kernel (not by
/// the run's seed). A large packet that the network card or the far side would cut up counts as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The other side.
    pub peers: BTreeSet<IpAddr>,
    /// Which packets are lost.
    pub way: Way,
    /// How many of them: resolved to a millionth.
    pub chance: Chance,
}

/// Connections to these addresses are refused, and open ones reset at their next packet, towards both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Which.
    pub destinations: Destinations,
}

/// Which connections are meant, by their far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destinations {
    /// To these addresses and ports.
    Endpoints(BTreeSet<SocketAddr>),
    /// To and from these machines, whatever the port.
    Hosts(BTreeSet<IpAddr>),
}

impl Destinations {
    pub(crate) fn targets(&self) -> Targets {
        match self {
            Destinations::Endpoints(addresses) => Targets::endpoints(addresses),
            Destinations::Hosts(addresses) => Targets::hosts(addresses.iter().copied()),
        }
    }
}

pub(crate) fn partition(fault: &Partition, hooks: &Hooks) -> Rules {
    discard(Targets::hosts(fault.peers.iter().copied()), fault.way, "", hooks)
}

pub(crate) fn loss(fault: &Loss, hooks: &Hooks) -> Rules {
    const WHOLE: u32 = 1_000_000;
    let share = (fault.chance.as_fraction() * f64::from(WHOLE)).round() as u32;
    let dice = match share {
        // nftables refuses a comparison that is never true; a rule that matches none of two numbers says the same.
        0 => "numgen random mod 2 > 1 ".to_owned(),
        WHOLE.. => String::new(),
        share => format!("numgen random mod {WHOLE} < {share} "),
    };
    discard(Targets::hosts(fault.peers.iter().copied()), fault.way, &dice, hooks)
}

/// At the edge of the namespace where the kernel can: a packet that leaves is thrown onto the loopback interface, which
/// discards it because it is addressed to another machine. So its sender believes it sent, as with a real loss; a
/// `drop` on the way out tells the sender (EPERM, and TCP keeps it as unsent). Older kernels have only that.
fn discard(targets: Targets, way: Way, dice: &str, hooks: &Hooks) -> Rules {
    let mut chains = String::new();
    let (family, leave, arrive, discard_out) = match hooks {
        Hooks::Edge { interfaces } => {
            let quoted: Vec<String> = interfaces.iter().map(|name| format!("\"{name}\"")).collect();
            let devices = format!("devices = {{ {} }}", quoted.join(", "));
            (TableFamily::Netdev, format!("egress {devices}"), format!("ingress {devices}"), "fwd to \"lo\"")
        }
        Hooks::Sockets => (TableFamily::Inet, "output".to_owned(), "input".to_owned(), "drop"),
    };
    let sides = [
        (way.out(), "leaving", leave, "daddr", "out", discard_out),
        (way.in_(), "arriving", arrive, "saddr", "in", "drop"),
    ];
    let mut counters = Vec::new();
    for (meant, chain, hook, side, counter, verdict) in sides {
        if !meant {
            continue;
        }
        counters.push(counter);
        let _ =
            writeln!(chains, "  chain {chain} {{\n    type filter hook {hook} priority 0; policy accept;");
        for (header, set) in [("ip", "targets4"), ("ip6", "targets6")] {
            let _ = writeln!(chains, "    {header} {side} @{set} {dice}counter name \"{counter}\" {verdict}");
        }
        chains.push_str("  }\n");
    }
    Rules { family, counters, chains, targets, open: OpenSockets::Keep }
}

pub(crate) fn reset(fault: &Reset) -> Rules {
    let mut chains = String::new();
    let targets = fault.destinations.targets();
    for (chain, hook, side, port, counter) in
        [("leaving", "output", "daddr", "dport", "out"), ("arriving", "input", "saddr", "sport", "in")]
    {
        let _ = writeln!(
            chains,
            "  chain {chain} {{\n    type filter hook {hook} priority 0; policy accept;\n    \
             tcp flags & rst == rst accept"
        );
        for (header, set) in [("ip", "targets4"), ("ip6", "targets6")] {
            let meant = match targets {
                Targets::Endpoints(_) => format!("{header} {side} . tcp {port} @{set}"),
                Targets::Hosts(_) => format!("{header} {side} @{set} meta l4proto tcp"),
            };
            let _ = writeln!(chains, "    {meant} counter name \"{counter}\" reject with tcp reset");
        }
        chains.push_str("  }\n");
    }
    Rules { family: TableFamily::Inet, counters: vec!["out", "in"], chains, targets, open: OpenSockets::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Hooks {
        Hooks::Edge { interfaces: vec!["eth0".to_owned(), "eth1".to_owned()] }
    }

    fn loss_of(percent: f64) -> String {
        let peers = ["10.0.0.1".parse().unwrap()].into();
        let chance = Chance::from_fraction(percent / 100.0).unwrap();
        loss(&Loss { peers, way: Way::Out, chance }, &edge()).chains
    }

    #[test]
    fn a_one_way_partition_has_only_the_chain_of_its_way() {
        let peers = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let out = partition(&Partition { peers: peers.clone(), way: Way::Out }, &edge());
        assert!(out.chains.contains("egress devices = { \"eth0\", \"eth1\" }"), "{}", out.chains);
        assert!(!out.chains.contains("ingress"));
        let incoming = partition(&Partition { peers, way: Way::In }, &Hooks::Sockets);
        assert!(incoming.chains.contains("hook input") && !incoming.chains.contains("hook output"));
        assert_eq!(incoming.counters, ["in"]);
    }

    #[test]
    fn the_share_of_a_loss_is_resolved_to_a_millionth() {
        assert!(loss_of(12.5).contains("mod 1000000 < 125000 "));
        assert!(loss_of(0.0).contains("mod 2 > 1 "));
        assert!(!loss_of(100.0).contains("numgen"));
    }
}
