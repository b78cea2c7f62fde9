//! What can be done with network namespaces on this machine, found out by doing it in a throw-away namespace: for
//! `murphy doctor` and for the check before a run.
//!
//! Probing must never touch a namespace that exists.

use std::fmt;
use std::fs::{self, File};
use std::sync::OnceLock;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use crate::nft::{self, Tool};
use crate::{NetnsError, inside};

/// One thing that Murphy may be able to do with the network of another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// The rights that the rest needs.
    Rights,
    /// Enter the network of another process.
    Enter,
    /// Redirect its connections into a proxy, on a lease.
    Intercept,
    /// Cut and reset its connections and lose packets, on a lease.
    Cut,
    /// Lose packets at the interface, unnoticed by the sender.
    LoseUnnoticed,
    /// End its open connections at once.
    EndSockets,
    /// Limit its rate.
    Bandwidth,
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ability::Rights => "rights over other processes' networks",
            Ability::Enter => "enter the network of another process",
            Ability::Intercept => "redirect its connections into a proxy",
            Ability::Cut => "partition, lose and reset in its network",
            Ability::LoseUnnoticed => "lose packets without the sender noticing",
            Ability::EndSockets => "end open connections at once",
            Ability::Bandwidth => "limit the rate of an interface (tbf)",
        })
    }
}

/// Whether it can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It was tried and works.
    Works {
        /// By what, for example a version.
        by: String,
    },
    /// It does not.
    Missing {
        /// Why not.
        why: String,
        /// What to do, or what to use in its place.
        mend: String,
    },
}

/// One ability with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What.
    pub ability: Ability,
    /// Whether.
    pub finding: Finding,
}

/// All abilities, in the order of [`Ability`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities(pub Vec<Capability>);

impl Capabilities {
    /// What was found for one ability.
    pub fn of(&self, ability: Ability) -> Option<&Finding> {
        self.0.iter().find(|capability| capability.ability == ability).map(|capability| &capability.finding)
    }

    /// True if it works.
    pub fn has(&self, ability: Ability) -> bool {
        matches!(self.of(ability), Some(Finding::Works { .. }))
    }
}

const MEND_RIGHTS: &str = "run murphy with sudo, or as a privileged container with the host's pid namespace; \
                           without these rights use edges with `listen:`";
const MEND_NFT: &str = "install the package nftables (1.0 or later) on a kernel with CONFIG_NF_TABLES, NFT_REDIR, \
                        NFT_REJECT and NFT_NUMGEN; else use edges with `listen:`";

/// Finds out what can be done here. Takes some tens of milliseconds and blocks: not for a thread of the runtime.
pub fn probe() -> Capabilities {
    let rights = rights();
    let enter = enter();
    // Without a namespace to throw away nothing else can be tried.
    let others: [(Ability, fn() -> Finding); 5] = [
        (Ability::Intercept, intercept),
        (Ability::Cut, cut),
        (Ability::LoseUnnoticed, lose_unnoticed),
        (Ability::EndSockets, end_sockets),
        (Ability::Bandwidth, bandwidth),
    ];
    let mut all = vec![
        Capability { ability: Ability::Rights, finding: rights },
        Capability { ability: Ability::Enter, finding: enter },
    ];
    all.extend(others.map(|(ability, try_it)| {
        let finding = in_throwaway(try_it).unwrap_or_else(|error| missing(error.to_string(), MEND_RIGHTS));
        Capability { ability, finding }
    }));
    Capabilities(all)
}

/// True if packets can be discarded at interfaces on their way out; found out once.
pub(crate) fn has_egress() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| matches!(in_throwaway(lose_unnoticed), Ok(Finding::Works { .. })))
}

fn missing(why: String, mend: &str) -> Finding {
    Finding::Missing { why, mend: mend.to_owned() }
}

fn works(by: impl Into<String>) -> Finding {
    Finding::Works { by: by.into() }
}

/// Runs a trial on a thread in a new network namespace, which ends with the thread.
fn in_throwaway<T: Send>(trial: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .map_err(|error| NetnsError::io("make a network namespace", error.into()))?;
            Ok(trial())
        });
        thread.join().unwrap_or_else(|_| Err(lost()))
    })
}

fn lost() -> NetnsError {
    NetnsError::io("probe", std::io::Error::other("the trial did not end"))
}

/// The bits of CapEff in `/proc/self/status` (capabilities(7)).
const NEEDED: [(u64, &str); 3] = [(12, "CAP_NET_ADMIN"), (19, "CAP_SYS_PTRACE"), (21, "CAP_SYS_ADMIN")];

fn rights() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lacking = lacking(&status);
    if lacking.is_empty() {
        let root = if nix::unistd::geteuid().is_root() { "root, with " } else { "" };
        return works(format!("{root}{}", NEEDED.map(|(_, name)| name).join(", ")));
    }
    missing(format!("{} missing", lacking.join(", ")), MEND_RIGHTS)
}

fn lacking(status: &str) -> Vec<&'static str> {
    let held =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    let held = held.unwrap_or(0);
    NEEDED.iter().filter(|(bit, _)| held & (1 << bit) == 0).map(|(_, name)| *name).collect()
}

/// Makes a namespace on one thread and enters it from another: the way in, without a container.
fn enter() -> Finding {
    let entered = in_throwaway(|| {
        let file = File::open("/proc/thread-self/ns/net")?;
        thread::scope(|scope| {
            scope
                .spawn(|| inside::enter_thread(&file))
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("panic")))
        })
    });
    match entered {
        Ok(Ok(())) => works("setns"),
        Ok(Err(error)) => missing(error.to_string(), MEND_RIGHTS),
        Err(error) => missing(error.to_string(), MEND_RIGHTS),
    }
}

fn by_script(text: &str, mend: &str) -> Finding {
    match nft::script(text, "make a trial table") {
        Ok(()) => works(nft_version()),
        Err(error) => missing(error.to_string(), mend),
    }
}

/// For example `nftables v1.0.6`.
fn nft_version() -> String {
    let text = nft::run(Tool::Nft, &["--version"], "", "tell its version").unwrap_or_default();
    text.split('(').next().unwrap_or_default().trim().to_owned()
}

fn intercept() -> Finding {
    by_script(
        "table inet trial {\n  set s { type ipv4_addr . inet_service; flags timeout; }\n  counter c { }\n  chain o {\n    \
         type nat hook output priority -105; policy accept;\n    meta mark 0x1 accept\n    \
         ip daddr . tcp dport @s counter name c redirect to :1\n  }\n}\n\
         add element inet trial s { 192.0.2.1 . 1 timeout 2000ms }\n",
        MEND_NFT,
    )
}

fn cut() -> Finding {
    by_script(
        "table inet trial {\n  set s { type ipv4_addr; flags timeout; }\n  chain o {\n    \
         type filter hook output priority 0; policy accept;\n    \
         ip daddr @s numgen random mod 1000000 < 10 drop\n    \
         ip daddr @s meta l4proto tcp reject with tcp reset\n  }\n}\n\
         add element inet trial s { 192.0.2.1 timeout 2000ms }\n",
        MEND_NFT,
    )
}

fn lose_unnoticed() -> Finding {
    by_script(
        "table netdev trial {\n  set s { type ipv4_addr; flags timeout; }\n  chain o {\n    \
         type filter hook egress devices = { \"lo\" } priority 0; policy accept;\n    \
         ip daddr @s numgen random mod 10 < 1 fwd to \"lo\"\n  }\n  chain i {\n    \
         type filter hook ingress devices = { \"lo\" } priority 0; policy accept;\n    ip saddr @s drop\n  }\n}\n",
        "nothing to do: packets are dropped at the sockets, and a sender may see EPERM; Linux 5.16 or later \
         with CONFIG_NETFILTER_EGRESS has it",
    )
}

/// Ends a connection over the loopback of the trial's namespace and looks whether it noticed.
fn end_sockets() -> Finding {
    const MEND: &str = "nothing to do: an open connection is reset at its next packet; a kernel with \
                        CONFIG_INET_DIAG_DESTROY and the package iproute2 have it";
    // A listening socket can be ended as well, and needs no interface that is up.
    let ended = std::net::TcpListener::bind("0.0.0.0:0")
        .map_err(|error| NetnsError::io("listen", error))
        .and_then(|_listener| nft::run(Tool::Ss, &["-K", "-H", "-t", "-n", "-l"], "", "end a trial socket"));
    match ended {
        Ok(text) if !text.trim().is_empty() => works("ss -K"),
        Ok(_) => missing("the kernel ends no sockets".to_owned(), MEND),
        Err(error) => missing(error.to_string(), MEND),
    }
}

fn bandwidth() -> Finding {
    let mut arguments = vec!["qdisc", "add", "dev", "lo", "root", "handle", "1000:", "tbf"];
    arguments.extend(["rate", "1mbit", "burst", "16kb", "latency", "50ms"]);
    match nft::run(Tool::Tc, &arguments, "", "shape a trial interface") {
        Ok(_) => works("tc, tbf"),
        Err(NetnsError::Refused { said, .. }) if said.contains("qdisc kind is unknown") => missing(
            "this kernel has no tbf".to_owned(),
            "the proxy does the same on an edge; for the kernel's way load the module sch_tbf",
        ),
        Err(error) => missing(error.to_string(), "install the package iproute2; else use faults on an edge"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_rights_are_named() {
        assert!(lacking("Name:\tx\nCapEff:\t000001ffffffffff\n").is_empty());
        assert_eq!(lacking("CapEff:\t0000000000001000\n"), ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]);
        assert_eq!(lacking("").len(), 3);
    }

    #[test]
    fn every_ability_gets_a_finding_and_every_lack_a_mend() {
        let found = probe();
        assert_eq!(found.0.len(), 7);
        assert!(found.0.is_sorted_by_key(|capability| capability.ability));
        for capability in &found.0 {
            if let Finding::Missing { why, mend } = &capability.finding {
                assert!(!why.is_empty() && !mend.is_empty(), "{capability:?}");
            }
        }
        assert_eq!(found.has(Ability::Enter), found.has(Ability::Rights), "{found:?}");
    }
}
