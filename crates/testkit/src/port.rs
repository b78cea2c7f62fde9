//! Ports for what starts to listen a while after its address was written down.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system draws by itself, for outgoing connections and for those who ask for any.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A free port of loopback that this process is given only once, and that the system gives to nobody: whoever is to
/// listen there may take its time. One that is merely free at the moment is now and then gone before its service is up.
///
/// # Panics
/// If all are taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different places.
    let start = (std::process::id().wrapping_mul(7919) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port of loopback")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_given_once_and_none_that_the_system_draws() {
        let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        let drawn = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let least: u16 = drawn.split_whitespace().next().unwrap().parse().unwrap();
        assert!(ports.iter().all(|port| *port < least), "{ports:?} and {drawn}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
