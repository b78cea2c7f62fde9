//! Ends open connections at once, also idle ones: the kernel aborts the socket, the far end gets a TCP reset.
//!
//! Must never end a socket of the proxy, which carries the mark.

use crate::NetnsError;
use crate::nft::{self, Tool};
use crate::socket::DIAL_MARK;
use crate::table::Targets;

/// Ends all connections to these addresses from the namespace of the calling thread; how many, is returned. On a kernel
/// without INET_DIAG_DESTROY it ends none and says nothing (ss(8), `-K`).
pub(crate) fn end_sockets(targets: &Targets) -> Result<u64, NetnsError> {
    if targets.is_empty() {
        return Ok(0);
    }
    let filter = filter(targets);
    let arguments = ["-K", "-H", "-t", "-n", "state", "connected", &filter];
    let ended = nft::run(Tool::Ss, &arguments, "", "end open connections")?;
    Ok(ended.lines().filter(|line| !line.trim().is_empty()).count() as u64)
}

fn filter(targets: &Targets) -> String {
    let peers: Vec<String> = match targets {
        Targets::Endpoints(addresses) => addresses.iter().map(|address| format!("dst = {address}")).collect(),
        Targets::Hosts(addresses) => addresses
            .iter()
            .map(|ip| if ip.is_ipv6() { format!("dst = [{ip}]") } else { format!("dst = {ip}") })
            .collect(),
    };
    format!("( {} ) and fwmark != {DIAL_MARK:#x}", peers.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_every_peer_and_spares_the_proxy() {
        let addresses = ["10.0.0.1:80".parse().unwrap(), "[fd00::1]:80".parse().unwrap()];
        assert_eq!(
            filter(&Targets::endpoints(&addresses)),
            "( dst = 10.0.0.1:80 or dst = [fd00::1]:80 ) and fwmark != 0x20d5"
        );
    }
}
