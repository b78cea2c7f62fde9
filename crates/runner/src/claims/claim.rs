//! One thing that a plan takes, and when two of them may be the same thing. Whatever cannot be told apart is the same.

use std::fmt;
use std::path::Path;

use murphy_scenario::{Address, ProcessSelector};

/// One thing that is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// The machine: whatever runs beside it is slowed down.
    Machine,
    /// Containers, with their networks.
    Containers(Whose),
    /// Processes that run already.
    Processes(Which),
    /// Processes that Murphy starts, which a selector of processes may match.
    Started,
    /// An address on which Murphy or a service listens, or which one of them dials.
    Address(Address),
    /// A host that is dialled on a port that does not stand there.
    Host(String),
    /// A socket in the file system, or the directory in which it is.
    Socket(String),
}

/// Whose containers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Those of one compose project.
    Project(String),
    /// Any on this machine.
    Anybody,
}

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Pid(i32),
    Program(String),
    Command(String),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Pid(pid) => ProcessSelector::Pid(*pid).fmt(f),
            Which::Program(name) => ProcessSelector::Name(name.clone()).fmt(f),
            Which::Command(command) => ProcessSelector::Command(command.clone()).fmt(f),
        }
    }
}

impl Claim {
    /// What both take, for people; `None` if they cannot be the same.
    pub(super) fn clash(&self, other: &Claim) -> Option<String> {
        match (self, other) {
            (Claim::Address(one), Claim::Address(two)) if meet(one, two) => Some(format!("address {one}")),
            (Claim::Host(host), Claim::Address(address)) | (Claim::Address(address), Claim::Host(host))
                if at_port(host, address.port()).is_some_and(|one| meet(&one, address)) =>
            {
                Some(format!("address {address}"))
            }
            (Claim::Host(one), Claim::Host(two)) if same_host(one, two) => Some(format!("host {one}")),
            (Claim::Socket(one), Claim::Socket(two)) if same_socket(Path::new(one), Path::new(two)) => {
                Some(format!("socket {one}"))
            }
            (Claim::Containers(one), Claim::Containers(two)) => match (one, two) {
                (Whose::Project(one), Whose::Project(two)) if one != two => None,
                (Whose::Project(project), Whose::Project(_)) => Some(format!("compose project {project}")),
                _ => Some("containers, not told apart by a compose project".to_owned()),
            },
            (Claim::Processes(one), Claim::Processes(two)) => match (one, two) {
                (Which::Pid(one), Which::Pid(two)) if one != two => None,
                (Which::Program(one), Which::Program(two)) if one != two => None,
                (one, two) if one == two => Some(one.to_string()),
                (one, two) => Some(format!("processes: {one} may be {two}")),
            },
            // A process chosen by its number is there already, and so none that is still to be started.
            (Claim::Processes(Which::Pid(_)), Claim::Started)
            | (Claim::Started, Claim::Processes(Which::Pid(_))) => None,
            (Claim::Processes(which), Claim::Started) | (Claim::Started, Claim::Processes(which)) => {
                Some(format!("processes: {which} may be a service, or a command that is run"))
            }
            (Claim::Processes(which), Claim::Containers(_))
            | (Claim::Containers(_), Claim::Processes(which)) => {
                Some(format!("processes: {which} may be in a container"))
            }
            _ => None,
        }
    }
}

/// True if what listens at one of them may take calls to the other. Which hosts are this machine stands in no plan, so all
/// interfaces may be any of them.
fn meet(one: &Address, two: &Address) -> bool {
    one.overlaps(two) || (one.port() == two.port() && (one.is_wildcard() || two.is_wildcard()))
}

/// Whatever the port is, it may be the same.
fn same_host(one: &str, two: &str) -> bool {
    matches!((at_port(one, 1), at_port(two, 1)), (Some(one), Some(two)) if meet(&one, &two))
}

/// From where a path is seen that does not begin at the root stands in no plan: then its last part alone tells.
fn same_socket(one: &Path, two: &Path) -> bool {
    match one.is_absolute() && two.is_absolute() {
        true => one.starts_with(two) || two.starts_with(one),
        false => one.file_name() == two.file_name(),
    }
}

pub(super) fn at_port(host: &str, port: u16) -> Option<Address> {
    format!("{host}:{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_the_same_in_every_spelling() {
        let host = |name: &str| Claim::Host(name.to_owned());
        for (one, two) in
            [("localhost", "127.0.0.1"), ("Db", "dB"), ("0.0.0.0", "db"), ("[::1]", "localhost")]
        {
            assert!(host(one).clash(&host(two)).is_some(), "{one} {two}");
        }
        assert_eq!(host("db").clash(&host("cache")), None);
    }

    #[test]
    fn sockets_are_the_same_if_they_may_be() {
        let socket = |path: &str| Claim::Socket(path.to_owned());
        for (one, two) in
            [("/run/a.sock", "/run/a.sock"), ("/run/pg", "/run/pg/.s.PGSQL.5432"), ("a.sock", "/run/a.sock")]
        {
            assert!(socket(one).clash(&socket(two)).is_some(), "{one} {two}");
            assert!(socket(two).clash(&socket(one)).is_some(), "{two} {one}");
        }
        assert_eq!(socket("/run/a.sock").clash(&socket("/run/b.sock")), None);
        assert_eq!(socket("/run/pg").clash(&socket("/run/pgbouncer/a.sock")), None);
    }
}
