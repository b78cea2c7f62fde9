//! How to take something back, as plain data: written to disk before the thing is done, so that any later process can
//! carry it out. Every undo names its target for good (pid with start time, container id), never "the last one".

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ContainerIdentity, EndpointRecord, FaultId, LimitsRecord, NetworkIdentity, ServiceName, Span};

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub born: u64,
}

/// A network namespace of another process, and the process through which it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamespaceIdentity {
    /// The inode of the namespace file. The kernel gives a freed number out again: what is taken back by it must also
    /// carry a name of its own.
    pub inode: u64,
    /// A process that lived in it.
    pub process: ProcessIdentity,
}

/// The family of an nftables table: where in the kernel its chains hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableFamily {
    /// IPv4 and IPv6, at sockets.
    Inet,
    /// All packets, at interfaces.
    Netdev,
}

impl fmt::Display for TableFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableFamily::Inet => "inet",
            TableFamily::Netdev => "netdev",
        })
    }
}

/// One thing to take back. Carrying one out twice is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Stop every process whose environment carries `MURPHY_RUN=<marker>`: what a run started, and all that came of
    /// it, also what has left its process group. Unlike a pid, a marker can be on disk before the process exists.
    StopMarked {
        /// The value of `MURPHY_RUN`, unique to one service of one run.
        marker: String,
        /// For messages.
        service: ServiceName,
    },
    /// Stop a process group that Murphy started: SIGTERM, then SIGKILL after the grace.
    StopGroup {
        /// The group's leader.
        leader: ProcessIdentity,
        /// For messages.
        service: ServiceName,
    },
    /// End the pressure that worker processes of Murphy's own make, known by their mark, and remove what they fill.
    EndPressure {
        /// The value of `MURPHY_RUN`, unique to one pressure: it is on disk before the worker exists.
        marker: String,
        /// The file that is filled. Its name is used once; it is removed already while it is filled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<PathBuf>,
        /// For messages: `memory-pressure 2GiB on this machine`.
        pressure: String,
    },
    /// Let a frozen process go on: SIGCONT.
    Continue {
        /// The process.
        process: ProcessIdentity,
        /// For messages.
        name: String,
    },
    /// Let a paused container go on.
    Unpause {
        /// The container.
        container: ContainerIdentity,
    },
    /// Have a container running again, if it is not.
    Start {
        /// The container.
        container: ContainerIdentity,
        /// Its addresses when it ran, by network: after the start they are compared with these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<(NetworkIdentity, EndpointRecord)>,
        /// The grace of the stop that is taken back: an engine goes on with a stop whose caller has died.
        #[serde(default, skip_serializing_if = "is_zero")]
        grace: Span,
    },
    /// Give a container its name back.
    Rename {
        /// The container, by the name that it shall have again.
        container: ContainerIdentity,
    },
    /// Put a container back on a network.
    Reconnect {
        /// The container.
        container: ContainerIdentity,
        /// The network.
        network: NetworkIdentity,
        /// How it sat there.
        endpoint: Box<EndpointRecord>,
    },
    /// Give a container the limits that it had.
    RestoreLimits {
        /// The container.
        container: ContainerIdentity,
        /// The limits, only those that were changed.
        limits: LimitsRecord,
    },
    /// Run a command in a container, given by the scenario as the way back.
    Exec {
        /// The container.
        container: ContainerIdentity,
        /// The command and its arguments.
        command: Vec<String>,
        /// How long it may take.
        within: Span,
    },
    /// Take down a compose project that Murphy brought up.
    TakeDown {
        /// The project.
        project: String,
        /// Volumes that were there before it was brought up, and stay.
        keep_volumes: Vec<String>,
    },
    /// Delete an nftables table of our own in a network namespace.
    DropTable {
        /// The namespace.
        namespace: NamespaceIdentity,
        /// The table's family.
        family: TableFamily,
        /// The table's name, unique to one fault of one run.
        table: String,
    },
    /// Give an interface in a network namespace the kernel's default queueing discipline back.
    RemoveQdisc {
        /// The namespace.
        namespace: NamespaceIdentity,
        /// The interface.
        interface: String,
        /// The major number of our discipline's handle: one with another number is not ours and stays.
        handle: u16,
    },
}

/// The ordinal of an undo in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UndoId(pub u64);

/// One line of the undo log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoEntry {
    /// This may have been done, or is about to be.
    Due {
        /// Its ordinal.
        id: UndoId,
        /// The fault that it belongs to, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultId>,
        /// How to take it back.
        undo: Undo,
    },
    /// It has been taken back, or was never done.
    Done {
        /// Its ordinal.
        id: UndoId,
    },
}

fn is_zero(span: &Span) -> bool {
    span.is_zero()
}

impl Undo {
    /// How long after the death of whoever did it the thing may still come about: an engine carries a request out whose
    /// caller is gone, and a program that was started for it goes on. What is taken back before that is to be looked at
    /// once more after it.
    pub fn may_still_come(&self) -> Span {
        /// An engine's own time for what has no grace.
        const ENGINE: Span = Span::from_secs(1);
        /// The same where an image may have to be unpacked for a container, and volumes to be filled.
        const ENGINE_CREATES: Span = Span::from_secs(3);
        match self {
            Undo::StopMarked { .. }
            | Undo::StopGroup { .. }
            | Undo::EndPressure { .. }
            | Undo::Continue { .. } => Span::ZERO,
            Undo::Start { grace, .. } => {
                Span::from_micros(grace.as_micros().saturating_add(ENGINE.as_micros()))
            }
            Undo::TakeDown { .. } => ENGINE_CREATES,
            _ => ENGINE,
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undo::StopMarked { service, .. } => write!(f, "stop service {service}"),
            Undo::StopGroup { leader, service } => {
                write!(f, "stop service {service} (group of {})", leader.pid)
            }
            Undo::EndPressure { pressure, .. } => write!(f, "end {pressure}"),
            Undo::Continue { process, name } => write!(f, "let {name} (process {}) go on", process.pid),
            Undo::Unpause { container } => write!(f, "unpause {container}"),
            Undo::Start { container, .. } => write!(f, "have {container} running"),
            Undo::Rename { container } => write!(f, "give {container} its name back"),
            Undo::Reconnect { container, network, .. } => {
                write!(f, "put {container} back on network {}", network.name)
            }
            Undo::RestoreLimits { container, .. } => write!(f, "give {container} its limits back"),
            Undo::Exec { container, command, .. } => write!(f, "run `{}` in {container}", command.join(" ")),
            Undo::TakeDown { project, .. } => write!(f, "take compose project {project} down"),
            Undo::DropTable { namespace, family, table } => {
                write!(
                    f,
                    "delete nftables table {family} {table} in the network namespace of {}",
                    namespace.process.pid
                )
            }
            Undo::RemoveQdisc { namespace, interface, .. } => {
                write!(
                    f,
                    "remove the shaping of {interface} in the network namespace of {}",
                    namespace.process.pid
                )
            }
        }
    }
}
