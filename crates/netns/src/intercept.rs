//! Redirects the connections from inside a namespace to given addresses into a proxy on loopback in the same namespace.
//!
//! Must never catch the connections by which the proxy dials on, nor the packets of a connection that began before.

use std::fmt::Write as _;
use std::net::IpAddr;

use murphy_core::TableFamily;

use crate::NetnsError;
use crate::lease::OpenSockets;
use crate::packets::Destinations;
use crate::plan::Rules;
use crate::socket::{DIAL_MARK, IpFamily};

/// Where the proxy listens, on the loopback addresses of the namespace. The kernel redirects IPv4 to 127.0.0.1 and
/// IPv6 to ::1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyPorts {
    /// The port on 127.0.0.1.
    pub v4: Option<u16>,
    /// The port on ::1.
    pub v6: Option<u16>,
}

/// What becomes of connections to the destination that are open when the interception begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OpenConnections {
    /// They go on past the proxy; only new ones are caught.
    #[default]
    Keep,
    /// They are ended with a TCP reset to both ends; the caller connects again, and is caught.
    Cut,
}

/// Connections to these destinations go into the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intercept {
    /// What the caller dials.
    pub destinations: Destinations,
    /// Where the proxy listens.
    pub proxy: ProxyPorts,
    /// What becomes of connections that are open.
    pub open: OpenConnections,
}

/// The four flags of which a first packet has only SYN. A redirect of any other packet would tear a connection that
/// began before the table was there: the kernel tracks it from its middle, as if it were new.
const FIRST_PACKET: &str = "tcp flags & (fin | syn | rst | ack) == syn";

pub(crate) fn rules(fault: &Intercept) -> Result<Rules, NetnsError> {
    let mut redirects = String::new();
    let families =
        [(IpFamily::V4, "ip", "targets4", fault.proxy.v4), (IpFamily::V6, "ip6", "targets6", fault.proxy.v6)];
    for (family, header, set, port) in families {
        let meant = by_target(&fault.destinations, header, set);
        match port {
            Some(port) => {
                let _ = writeln!(
                    redirects,
                    "    {FIRST_PACKET} {meant} counter name redirected redirect to :{port}"
                );
            }
            None if addresses(&fault.destinations).iter().any(|ip| family_of(ip) == family) => {
                return Err(NetnsError::NoProxyPort { family });
            }
            None => {}
        }
    }
    // Just before the usual place of destination NAT (-100), where an engine has its rules for its name server.
    let mut chains = format!(
        "  chain catch_calls {{\n    type nat hook output priority -105; policy accept;\n    \
         meta mark {DIAL_MARK:#x} accept\n{redirects}  }}\n"
    );
    let (counters, open) = match fault.open {
        OpenConnections::Keep => (vec!["redirected"], OpenSockets::Keep),
        OpenConnections::Cut => {
            chains.push_str(&cut_chain(&fault.destinations));
            (vec!["redirected", "cut"], OpenSockets::Cut)
        }
    };
    Ok(Rules { family: TableFamily::Inet, counters, chains, targets: fault.destinations.targets(), open })
}

/// The words of a rule that mean a packet to one of the targets in this set.
fn by_target(destinations: &Destinations, header: &str, set: &str) -> String {
    match destinations {
        Destinations::Endpoints(_) => format!("{header} daddr . tcp dport @{set}"),
        Destinations::Hosts(_) => format!("{header} daddr @{set} meta l4proto tcp"),
    }
}

fn addresses(destinations: &Destinations) -> Vec<IpAddr> {
    match destinations {
        Destinations::Endpoints(addresses) => {
            addresses.iter().map(|address| address.ip().to_canonical()).collect()
        }
        Destinations::Hosts(addresses) => addresses.iter().map(IpAddr::to_canonical).collect(),
    }
}

fn family_of(ip: &IpAddr) -> IpFamily {
    if ip.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
}

/// Resets whatever goes past the proxy: for kernels that cannot end sockets, and for a connection that began in the
/// instant between. Only what leaves is looked at, since only that carries the mark; what comes in is answered, and the
/// answer is caught. A reset on its way out must pass, or the far end would never hear of it.
fn cut_chain(destinations: &Destinations) -> String {
    let mut text = format!(
        "  chain cut_out {{\n    type filter hook output priority 0; policy accept;\n    \
         meta mark {DIAL_MARK:#x} accept\n    ct status & dnat == dnat accept\n    tcp flags & rst == rst accept\n"
    );
    // Of whole machines only what is dialled from here: calls that they make to this one are not meant.
    let dialled_here = match destinations {
        Destinations::Endpoints(_) => "",
        Destinations::Hosts(_) => "ct direction original ",
    };
    for (header, set) in [("ip", "targets4"), ("ip6", "targets6")] {
        let meant = by_target(destinations, header, set);
        let _ = writeln!(text, "    {dialled_here}{meant} counter name cut reject with tcp reset");
    }
    text.push_str("  }\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intercept(destination: &str, proxy: ProxyPorts) -> Intercept {
        let destinations = Destinations::Endpoints([destination.parse().unwrap()].into());
        Intercept { destinations, proxy, open: OpenConnections::Keep }
    }

    #[test]
    fn a_family_without_a_port_of_the_proxy_is_an_error_not_a_hole() {
        let v4_only = ProxyPorts { v4: Some(4000), v6: None };
        let error = rules(&intercept("[fd00::1]:80", v4_only)).unwrap_err();
        assert!(matches!(error, NetnsError::NoProxyPort { family: IpFamily::V6 }));
        assert!(rules(&intercept("[::ffff:10.0.0.1]:80", v4_only)).is_ok());
    }

    #[test]
    fn only_first_packets_are_redirected_and_the_mark_passes() {
        let rules = rules(&intercept("10.0.0.1:80", ProxyPorts { v4: Some(4000), v6: None })).unwrap();
        let redirect = rules.chains.lines().find(|line| line.contains("redirect to")).unwrap();
        assert!(redirect.contains(FIRST_PACKET) && redirect.ends_with(":4000"), "{redirect}");
        let mark = rules.chains.find("meta mark 0x20d5 accept").unwrap();
        assert!(mark < rules.chains.find("redirect to").unwrap());
    }

    #[test]
    fn without_help_from_the_kernel_an_open_connection_is_reset_at_its_next_packet() {
        use std::io::{ErrorKind, Read, Write};
        use std::net::{TcpListener, TcpStream};
        use std::time::Duration;

        crate::plan::tests::in_trial_namespace(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut near = TcpStream::connect(address).unwrap();
            let mut far = listener.accept().unwrap().0;
            near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let fault = Intercept {
                destinations: Destinations::Endpoints([address].into()),
                proxy: ProxyPorts { v4: Some(1), v6: None },
                open: OpenConnections::Cut,
            };
            crate::plan::tests::load(rules(&fault).unwrap());
            far.write_all(b"x").unwrap();
            let end =
                near.read(&mut [0; 8]).and_then(|_| near.write(b"y")).and_then(|_| near.read(&mut [0; 8]));
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        });
    }
}
