//! Shapes what leaves an interface of a namespace: a rate by `tbf`. Delays are the proxy's.
//!
//! A queueing discipline has no timeout in the kernel: unlike the tables, this is no lease. When Murphy is killed it
//! stays until the watchdog or `murphy undo` removes it. It hits all that leaves the interface, whoever it is for.
//! It must never replace a discipline that somebody else has put there.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use murphy_core::{Rate, Span, Undo};
use serde::Deserialize;

use crate::nft::{self, Tool};
use crate::table::TableName;
use crate::{Netns, NetnsError};

/// The shaping of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The interface, by its name inside the namespace.
    pub interface: String,
    /// What leaves it is at most this, in bytes with all headers; more waits, and is lost when the queue is full.
    pub rate: Rate,
}

/// A shaping, prepared: nothing is touched yet.
#[derive(Debug)]
pub struct ShapePlan {
    netns: Netns,
    shape: Shape,
    handle: u16,
}

/// Longest time that a packet waits in the queue of a limited interface before it is lost.
const QUEUE: Span = Span::from_millis(400);
/// A bucket must hold a packet of the usual size with its headers, and what the rate gives in some ticks of the
/// kernel's clock (tc-tbf(8)); 10 ms are enough from 100 ticks a second on.
const LEAST_BURST: u64 = 4 * 1_600;

impl Netns {
    /// The interfaces of the namespace but its loopback, by name.
    pub async fn interfaces(&self) -> Result<Vec<String>, NetnsError> {
        self.run(interfaces).await?
    }

    /// The addresses of its interfaces, without those that only mean the machine itself or its own wire.
    pub async fn addresses(&self) -> Result<BTreeSet<IpAddr>, NetnsError> {
        let act = format!("list the addresses of process {}", self.identity().process.pid);
        self.run(addresses).await?.map_err(|error| NetnsError::io(act, error.into()))
    }

    /// Prepares a shaping; `name` gives it a handle of its own. Refuses an interface that is shaped already. Touches
    /// nothing.
    pub async fn plan_shape(&self, shape: Shape, name: &TableName) -> Result<ShapePlan, NetnsError> {
        let interface = shape.interface.clone();
        let root = self.run_with(move |_| root_of(&interface)).await??;
        if let Some(Qdisc { kind, handle, .. }) = root.filter(|root| !root.is_default()) {
            return Err(NetnsError::QdiscTaken { interface: shape.interface, kind, handle });
        }
        Ok(ShapePlan { netns: self.clone(), shape, handle: handle_of(name) })
    }
}

impl ShapePlan {
    /// How to take it back: to be on disk before [`ShapePlan::apply`].
    pub fn undo(&self) -> Undo {
        Undo::RemoveQdisc {
            namespace: self.netns.identity(),
            interface: self.shape.interface.clone(),
            handle: self.handle,
        }
    }

    /// Does it. It stays until [`revert`](crate::revert) of its undo.
    pub async fn apply(self) -> Result<Undo, NetnsError> {
        let undo = self.undo();
        let ShapePlan { netns, shape, handle } = self;
        netns.run_with(move |_| add(&shape, handle)).await??;
        Ok(undo)
    }
}

fn add(shape: &Shape, handle: u16) -> Result<(), NetnsError> {
    let handle = format!("{handle:x}:");
    let burst = (shape.rate.as_bytes_per_sec() / 100).max(LEAST_BURST);
    // For tc `bps` are bytes per second, `bit` would be bits.
    let (rate, burst) = (format!("{}bps", shape.rate.as_bytes_per_sec()), format!("{burst}b"));
    let queue = format!("{}us", QUEUE.as_micros());
    // `add` to the root replaces only the kernel's default.
    let mut arguments = vec!["qdisc", "add", "dev", &shape.interface, "root", "handle", &handle, "tbf"];
    arguments.extend(["rate", &rate, "burst", &burst, "latency", &queue]);
    match nft::run(Tool::Tc, &arguments, "", &format!("shape interface {}", shape.interface)) {
        Ok(_) => Ok(()),
        Err(NetnsError::Refused { said, .. }) if said.contains("qdisc kind is unknown") => {
            Err(NetnsError::QdiscUnknown {
                kind: "tbf",
                instead: "use a bandwidth fault on an edge, which the proxy carries out",
            })
        }
        Err(error) => Err(error),
    }
}

/// Removes the discipline with this handle from the root of the interface, in the namespace of the calling thread; true
/// if there was one.
pub(crate) fn remove(interface: &str, handle: u16) -> Result<bool, NetnsError> {
    let handle = format!("{handle:x}:");
    let is_there = || -> Result<bool, NetnsError> {
        Ok(interfaces()?.iter().any(|name| name == interface)
            && root_of(interface)?.is_some_and(|root| root.handle == handle))
    };
    let removed = || -> Result<bool, NetnsError> {
        if !is_there()? {
            return Ok(false);
        }
        let arguments = ["qdisc", "del", "dev", interface, "root", "handle", &handle];
        nft::run(Tool::Tc, &arguments, "", &format!("remove the shaping of {interface}"))?;
        Ok(true)
    };
    removed().or_else(|error| match interfaces() {
        // Its container was taken apart in the middle, or somebody else was quicker.
        Ok(now) if !now.iter().any(|name| name == interface) => Ok(false),
        _ if matches!(is_there(), Ok(false)) => Ok(false),
        _ => Err(error),
    })
}

#[derive(Debug, Deserialize)]
struct Qdisc {
    kind: String,
    handle: String,
    #[serde(default)]
    root: bool,
}

impl Qdisc {
    /// What the kernel puts there by itself has no handle.
    fn is_default(&self) -> bool {
        self.handle == "0:"
    }
}

fn root_of(interface: &str) -> Result<Option<Qdisc>, NetnsError> {
    let act = format!("look at the shaping of {interface}");
    let text = nft::run(Tool::Tc, &["-j", "qdisc", "show", "dev", interface], "", &act)?;
    let all: Vec<Qdisc> = serde_json::from_str(&text)
        .map_err(|error| NetnsError::Unreadable { tool: Tool::Tc, why: error.to_string() })?;
    Ok(all.into_iter().find(|qdisc| qdisc.root))
}

/// A handle between 1000 and 7fff from the name (FNV-1a), so that an old undo does not remove a newer shaping. The
/// kernel keeps 8000 and above for the handles that it chooses itself.
fn handle_of(name: &TableName) -> u16 {
    let hash = name
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    0x1000 + ((hash ^ (hash >> 16)) % 0x6fff) as u16
}

/// The addresses in the namespace of the calling thread that others can dial.
fn addresses() -> Result<BTreeSet<IpAddr>, nix::errno::Errno> {
    let found = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    let is_reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    Ok(found.filter(is_reachable).collect())
}

/// The interfaces in the namespace of the calling thread but its loopback. `/proc/self` would show those of the main
/// thread.
pub(crate) fn interfaces() -> Result<Vec<String>, NetnsError> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")
        .map_err(|error| NetnsError::io("list the interfaces", error))?;
    names_in(&table)
}

/// Names in the text of `/proc/net/dev`: two lines of heading, then `name: numbers`. The kernel lets a name hold
/// anything but a slash and white space; one that could end a quoted string is refused.
fn names_in(table: &str) -> Result<Vec<String>, NetnsError> {
    let names = table.lines().skip(2).filter_map(|line| Some(line.rsplit_once(':')?.0.trim()));
    names
        .filter(|name| *name != "lo")
        .map(|name| {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.:@".contains(letter);
            match name.chars().all(is_plain) {
                true => Ok(name.to_owned()),
                false => Err(NetnsError::OddInterface { name: name.escape_debug().to_string() }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_from_the_table_of_the_kernel() {
        let table = "Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0: 3 4\neth1.5:5 6\n";
        assert_eq!(names_in(table).unwrap(), ["eth0", "eth1.5"]);
    }

    #[test]
    fn a_name_that_could_break_a_script_is_refused() {
        let table = "h\nh\n e\"};: 3 4\n";
        assert!(matches!(names_in(table), Err(NetnsError::OddInterface { .. })));
    }

    #[test]
    fn handles_differ_by_name_and_stay_in_the_range_of_users() {
        let handles: std::collections::BTreeSet<u16> =
            (0..50).map(|ordinal| handle_of(&TableName::new("run", ordinal))).collect();
        assert!(handles.len() >= 49, "{handles:?}");
        assert!(handles.iter().all(|handle| (0x1000..0x8000).contains(handle)));
    }
}
