//! Which network namespace is meant, and the ways to it: through a process, through any other process that lives in it,
//! or through a file under which it is kept.
//!
//! Looking must never enter or keep a namespace alive longer than the returned file lives.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use murphy_core::{NamespaceIdentity, ProcessIdentity};

use crate::NetnsError;

/// The network namespace in which this process lives. Needs the right to look at the process (root for another user's).
pub fn identify(process: ProcessIdentity) -> Result<NamespaceIdentity, NetnsError> {
    open_of(process).map(|(identity, _)| identity)
}

/// The namespace of exactly this process, opened.
pub(crate) fn open_of(process: ProcessIdentity) -> Result<(NamespaceIdentity, File), NetnsError> {
    let path = format!("/proc/{}/ns/net", process.pid);
    let act = || format!("open the network namespace of process {} ({path})", process.pid);
    let file = File::open(&path).map_err(|error| match error.kind() {
        // A zombie has no namespaces any more; its link cannot be read.
        io::ErrorKind::NotFound => NetnsError::Gone { process },
        // The kernel refuses the link of a process that ends while it is looked up.
        _ if born(process.pid) != Some(process.born) => NetnsError::Gone { process },
        _ => NetnsError::io(act(), error),
    })?;
    // Only a look after the opening tells that the file belongs to this process and not to a later one.
    if born(process.pid) != Some(process.born) {
        return Err(NetnsError::Gone { process });
    }
    let inode = file.metadata().map_err(|error| NetnsError::io(act(), error))?.ino();
    Ok((NamespaceIdentity { inode, process }, file))
}

/// The same, refused where it is the namespace of Murphy itself.
pub(crate) fn open_foreign(process: ProcessIdentity) -> Result<(NamespaceIdentity, File), NetnsError> {
    let (identity, file) = open_of(process)?;
    let own = fs::metadata("/proc/self/ns/net")
        .map_err(|error| NetnsError::io("look at murphy's own network namespace", error))?;
    if own.ino() == identity.inode {
        return Err(NetnsError::Own { process });
    }
    Ok((identity, file))
}

/// Finds a namespace again, from any process and also after the process that named it has ended. `None`: no process
/// lives in it and no file keeps it, so that with it went all that was in it. What only an open file or a socket keeps
/// alive is not found.
pub(crate) fn find(namespace: NamespaceIdentity) -> Result<Option<File>, NetnsError> {
    match open_of(namespace.process) {
        Ok((found, file)) if found.inode == namespace.inode => return Ok(Some(file)),
        Ok(_) | Err(NetnsError::Gone { .. }) => {}
        Err(error) => return Err(error),
    }
    let others = processes().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    Ok(others.chain(mounted()).find_map(|path| open_if(&path, namespace.inode)))
}

fn open_if(path: &Path, inode: u64) -> Option<File> {
    // Looking by name is cheaper than opening, and a process that ends during the walk is no error.
    let is_it = |found: io::Result<fs::Metadata>| found.is_ok_and(|found| found.ino() == inode);
    if !is_it(fs::metadata(path)) {
        return None;
    }
    File::open(path).ok().filter(|file| is_it(file.metadata()))
}

fn processes() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Files on which namespaces are mounted: `ip netns`, engines of containers.
fn mounted() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    namespace_mounts(&table)
}

/// Mount points of network namespaces in the text of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)): field 4 is the
/// root, `net:[inode]`, field 5 the place.
fn namespace_mounts(table: &str) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(3);
            let root = fields.next()?;
            let place = fields.next()?;
            root.starts_with("net:[").then(|| PathBuf::from(place.replace("\\040", " ")))
        })
        .collect()
}

/// The start time of a process in clock ticks since boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5)). The name in
/// field 2 may hold spaces and brackets, so counting starts behind its last bracket.
pub(crate) fn born(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn myself() -> ProcessIdentity {
        let pid = std::process::id() as i32;
        ProcessIdentity { pid, born: born(pid).unwrap() }
    }

    #[test]
    fn a_process_has_the_namespace_that_its_link_shows() {
        let link = fs::read_link("/proc/self/ns/net").unwrap();
        let identity = identify(myself()).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("net:[{}]", identity.inode));
    }

    #[test]
    fn a_recycled_pid_is_not_the_process() {
        let later = ProcessIdentity { born: myself().born + 1, ..myself() };
        assert!(matches!(identify(later), Err(NetnsError::Gone { .. })));
    }

    #[test]
    fn the_own_namespace_is_refused() {
        let error = open_foreign(myself()).unwrap_err();
        assert!(matches!(error, NetnsError::Own { .. }));
        assert!(error.to_string().contains("listen:"), "{error}");
    }

    #[test]
    fn a_namespace_is_found_through_another_process() {
        let gone = NamespaceIdentity {
            process: ProcessIdentity { pid: i32::MAX, born: 1 },
            ..identify(myself()).unwrap()
        };
        assert_eq!(find(gone).unwrap().unwrap().metadata().unwrap().ino(), gone.inode);
    }

    #[test]
    fn a_namespace_that_nobody_lives_in_is_gone() {
        let gone = NamespaceIdentity { inode: 1, process: ProcessIdentity { pid: i32::MAX, born: 1 } };
        assert!(find(gone).unwrap().is_none());
    }

    #[test]
    fn mounted_namespaces_are_read_from_the_mount_table() {
        let table = "24 30 0:22 / /proc rw,nosuid - proc proc rw\n\
                     52 25 0:4 net:[4026532200] /run/netns/a\\040b rw shared:9 - nsfs nsfs rw\n\
                     53 25 0:4 mnt:[4026532201] /run/other rw - nsfs nsfs rw\n";
        assert_eq!(namespace_mounts(table), [PathBuf::from("/run/netns/a b")]);
    }
}
