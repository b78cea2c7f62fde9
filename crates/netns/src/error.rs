//! Why something could not be done in a network namespace. Every message says what, where, and what to do instead.

use std::io;
use std::process::ExitStatus;

use murphy_core::ProcessIdentity;

use crate::nft::Tool;
use crate::socket::IpFamily;

/// Why something could not be done in a network namespace.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The process ended, or its pid belongs to a later one.
    #[error("process {} has ended; its network cannot be entered through it", .process.pid)]
    Gone {
        /// The process.
        process: ProcessIdentity,
    },
    /// The process has no network of its own.
    #[error(
        "process {} shares the network of murphy itself (host network): a change would hit every process of this \
         machine; give it a network of its own, or put an edge with `listen:` in front of it", .process.pid
    )]
    Own {
        /// The process.
        process: ProcessIdentity,
    },
    /// A right is missing.
    #[error(
        "not allowed to {act}: it needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE); run murphy with sudo, \
         or as a privileged container with the host's pid namespace, or use edges with `listen:`"
    )]
    NotAllowed {
        /// What was tried.
        act: String,
    },
    /// The system refused.
    #[error("cannot {act}: {source}")]
    Io {
        /// What was tried.
        act: String,
        /// Why not.
        source: io::Error,
    },
    /// The thread that holds the namespace is gone: a defect of Murphy. Its leases end by themselves.
    #[error("the thread that holds the network namespace of process {} has ended", .process.pid)]
    WorkerGone {
        /// The process.
        process: ProcessIdentity,
    },
    /// A program is not installed.
    #[error("`{tool}` is not installed; install the package `{}` of your distribution", .tool.package())]
    ToolMissing {
        /// The program.
        tool: Tool,
    },
    /// A program refused.
    #[error("`{tool}` refused to {act} ({status}): {said}")]
    Refused {
        /// The program.
        tool: Tool,
        /// What was tried.
        act: String,
        /// How it ended.
        status: ExitStatus,
        /// The first lines of what it said.
        said: String,
    },
    /// What a program printed is not what its version promises.
    #[error("cannot read what `{tool}` printed: {why}")]
    Unreadable {
        /// The program.
        tool: Tool,
        /// What is wrong.
        why: String,
    },
    /// A redirect to addresses of a family for which the proxy has no port.
    #[error("the destination has {family} addresses, but the proxy does not listen on the {family} loopback")]
    NoProxyPort {
        /// The family.
        family: IpFamily,
    },
    /// Nothing to act on.
    #[error("no address is given to act on; resolve the destination first")]
    NoTargets,
    /// The namespace has no interface but its loopback.
    #[error("the network of process {} has no interface but its loopback; connect it to a network", .process.pid)]
    NoInterface {
        /// The process.
        process: ProcessIdentity,
    },
    /// An interface with a name that cannot be put into a script.
    #[error("interface `{name}` has letters in its name that nftables scripts cannot carry; rename it")]
    OddInterface {
        /// Its name, escaped.
        name: String,
    },
    /// Somebody else shapes this interface already.
    #[error(
        "interface {interface} is shaped already (qdisc {kind} {handle}); remove that first: it could not be given back exactly"
    )]
    QdiscTaken {
        /// The interface.
        interface: String,
        /// What is there.
        kind: String,
        /// Its handle.
        handle: String,
    },
    /// The kernel was built without this queueing discipline.
    #[error("this kernel has no `{kind}` queueing discipline; {instead}")]
    QdiscUnknown {
        /// Which.
        kind: &'static str,
        /// What to do.
        instead: &'static str,
    },
}

impl NetnsError {
    /// An I/O error with what was tried; a refusal of rights gets its own variant.
    pub(crate) fn io(act: impl Into<String>, source: io::Error) -> NetnsError {
        match source.kind() {
            io::ErrorKind::PermissionDenied => NetnsError::NotAllowed { act: act.into() },
            _ => NetnsError::Io { act: act.into(), source },
        }
    }
}
