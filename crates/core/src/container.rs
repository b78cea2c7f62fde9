//! Containers as undos and events speak of them: plain data that a later process can act on. No word of an engine's API
//! is used here, so that this crate stays free of it. Nothing here may hold a container's environment: an undo log is
//! read by people and ends up in reports, and environments hold secrets.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A container that cannot be mistaken for a later one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerIdentity {
    /// Its full id, 64 hexadecimal digits.
    pub id: String,
    /// Its name when it was found, without a leading slash.
    pub name: String,
}

impl fmt::Display for ContainerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.id.get(..12).unwrap_or(&self.id);
        write!(f, "{} ({short})", self.name)
    }
}

/// A network of the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkIdentity {
    /// Its full id.
    pub id: String,
    /// Its name when it was found.
    pub name: String,
}

/// How a container sat on a network: what is asked for again, and the addresses that it had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct EndpointRecord {
    /// Names under which others reach it, without those that the engine adds by itself.
    pub aliases: Vec<String>,
    /// Legacy links.
    pub links: Vec<String>,
    /// Options of the network's driver.
    pub driver_options: BTreeMap<String, String>,
    /// The IPv4 address that its owner asked for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_v4: Option<String>,
    /// The IPv6 address that its owner asked for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_v6: Option<String>,
    /// Link-local addresses that its owner asked for.
    pub link_local: Vec<String>,
    /// The IPv4 address that it had, asked for or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v4: Option<String>,
    /// The IPv6 address that it had, asked for or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6: Option<String>,
    /// The hardware address that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// The limits of a container before a change, only those parts that the change touches. Numbers are the engine's own;
/// 0 (and -1, and an absent number of processes) mean no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LimitsRecord {
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuRecord>,
    /// Memory and swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryRecord>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<PidsRecord>,
}

/// Processor time: either billionths of a processor, or a quota a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CpuRecord {
    /// Billionths of one processor.
    pub nano_cpus: i64,
    /// Microseconds of processor time a period.
    pub quota: i64,
    /// The period in microseconds; 0 is the kernel's own, 100 000.
    pub period: i64,
}

/// Bytes of memory, and of memory and swap together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryRecord {
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of memory and swap together; -1 is no limit.
    pub with_swap: i64,
}

/// The number of processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PidsRecord {
    /// At most so many.
    pub limit: Option<i64>,
}
