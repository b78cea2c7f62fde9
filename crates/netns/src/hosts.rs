//! The name files of a container: `/etc/hosts` and `/etc/resolv.conf`, read below its own root.
//!
//! Their content belongs to the container: links in it must never lead out of its root, and nothing in it may block,
//! grow without bound or panic.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;

use murphy_core::ProcessIdentity;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::{NetnsError, namespace};

const MOST: u64 = 1 << 20;

/// A file below the root of a process; empty if there is none.
pub(crate) fn read(process: ProcessIdentity, path: &str) -> Result<String, NetnsError> {
    let act = || format!("read {path} of process {}", process.pid);
    match read_below(process.pid, path) {
        // The look afterwards tells whether it was this process's root.
        Ok(text) if namespace::born(process.pid) == Some(process.born) => Ok(text),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(NetnsError::io(act(), error)),
        _ if namespace::born(process.pid) != Some(process.born) => Err(NetnsError::Gone { process }),
        _ => Ok(String::new()),
    }
}

fn read_below(pid: i32, path: &str) -> io::Result<String> {
    let root = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_DIRECTORY).bits())
        .open(format!("/proc/{pid}/root"))?;
    // Without O_NONBLOCK a named pipe in this place would block.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&root, path, how)?);
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The addresses of a name in the text of a hosts file (hosts(5)), in the file's order.
pub(crate) fn addresses_in(hosts: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// How a container asks for names (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameService {
    pub(crate) servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl NameService {
    /// Reads the text of a `resolv.conf`. Without a server it is the one on loopback, as in the C library.
    pub(crate) fn read(text: &str) -> NameService {
        let mut service = NameService { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A scope (`fe80::1%eth0`) has no meaning for a server that is asked from elsewhere.
                    let address: Option<IpAddr> =
                        words.next().and_then(|word| word.split('%').next()?.parse().ok());
                    service.servers.extend(address);
                }
                Some("search" | "domain") => service.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots =
                        words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    service.ndots = ndots.unwrap_or(service.ndots);
                }
                _ => {}
            }
        }
        if service.servers.is_empty() {
            service.servers.push(IpAddr::from([127, 0, 0, 1]));
        }
        service
    }

    /// Full names to ask for, in order.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.')));
        let mut names: Vec<String> = searched.collect();
        let place = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(place, name.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_answers_by_whole_names_and_aliases() {
        let hosts =
            "127.0.0.1 localhost\n10.0.0.5\tweb web.local # old\nbroken web\n::1 localhost\n10.0.0.5 WEB\n";
        assert_eq!(addresses_in(hosts, "web"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses_in(hosts, "localhost").len(), 2);
        assert!(addresses_in(hosts, "old").is_empty() && addresses_in(hosts, "we").is_empty());
    }

    #[test]
    fn the_file_of_an_engine_is_read() {
        let service = NameService::read(
            "# made by the engine\nnameserver 127.0.0.11\nsearch corp.example\noptions ndots:0 edns0\n",
        );
        assert_eq!(service.servers, ["127.0.0.11".parse::<IpAddr>().unwrap()]);
        assert_eq!(service.candidates("redis"), ["redis", "redis.corp.example"]);
    }

    #[test]
    fn a_short_name_is_searched_first_and_a_full_one_is_not_searched() {
        let service = NameService::read("search a.example b.example.\n");
        assert_eq!(service.servers, [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(service.candidates("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(service.candidates("db.x"), ["db.x", "db.x.a.example", "db.x.b.example"]);
        assert_eq!(service.candidates("db."), ["db"]);
    }

    #[test]
    fn a_file_is_read_below_the_root_of_the_process() {
        let pid = std::process::id() as i32;
        let myself = ProcessIdentity { pid, born: namespace::born(pid).unwrap() };
        assert_eq!(read(myself, "/proc/sys/kernel/ostype").unwrap().trim(), "Linux");
        assert_eq!(read(myself, "/no/such/file").unwrap(), "");
        let later = ProcessIdentity { born: 1, ..myself };
        assert!(matches!(read(later, "/etc/hosts"), Err(NetnsError::Gone { .. })));
    }
}
