//! The inside of a container, seen from the machine that it runs on: its main process, the control groups whose limits bind
//! it, and its files. A worker joins the groups, and so needs nothing of the image.
//!
//! It must never follow a symbolic link in a container's files: it would lead into the machine's own.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use murphy_core::{ProcessIdentity, Size};
use serde::{Deserialize, Serialize};

use super::room::{LAST, Room, memory};

/// What version 1 of the control groups has that binds a worker. Not `pids`, whose limit the worker would take from the
/// container, nor `freezer`: what stands still can hear nothing.
const BINDING: [&str; 5] = ["cpu", "cpuacct", "cpuset", "memory", "blkio"];

/// The inside of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its main process: the worker ends with it.
    pub process: ProcessIdentity,
    /// The folders of its control groups.
    pub(super) groups: Vec<PathBuf>,
}

impl Inside {
    /// Of the container with this main process.
    pub fn of(process: ProcessIdentity) -> io::Result<Inside> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid))?;
        let groups = folders(&groups, &fs::read_to_string("/proc/self/mountinfo")?);
        if groups.is_empty() {
            return Err(io::Error::other("no control group of its is mounted here"));
        }
        Ok(Inside { process, groups })
    }

    #[cfg(test)]
    pub(super) fn in_groups(groups: Vec<PathBuf>) -> Inside {
        Inside { process: crate::myself(), groups }
    }

    /// Whether a worker could join its groups and reach its files from here. Nothing is written.
    pub fn is_open(&self) -> io::Result<()> {
        for group in &self.groups {
            let file = group.join("cgroup.procs");
            let opened = OpenOptions::new().write(true).open(&file);
            opened.map_err(|error| at(&file, &error))?;
        }
        // The folder itself and not the link to it.
        let root = Path::new("/proc").join(self.process.pid.to_string()).join("root").join(".");
        fs::metadata(&root).map(drop).map_err(|error| at(&root, &error))
    }

    /// A file of its groups.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.groups.iter().find_map(|group| fs::read_to_string(group.join(name)).ok())
    }

    /// A file of its groups that is one number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.trim().parse().ok())
    }

    /// Bytes of memory in use, without files that the kernel drops as soon as something else needs the room.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        let used = self.number("memory.usage_in_bytes").or_else(|| self.number("memory.current"))?;
        Some(used.saturating_sub(self.text("memory.stat").as_deref().map_or(0, reclaimable)))
    }

    /// The most bytes of memory that it may use. Version 1 has no word for "no limit", only a number beyond any machine.
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.number("memory.limit_in_bytes").or_else(|| self.number("memory.max"))
    }

    /// The memory that it may still use: within its own limit, and of what the machine has.
    pub(super) fn memory(&self) -> io::Result<Room> {
        let machine = memory()?;
        let (Some(used), Some(limit)) = (self.used_bytes(), self.limit_bytes()) else { return Ok(machine) };
        if limit >= machine.total.as_bytes() {
            return Ok(machine);
        }
        let of_machine = machine.free.as_bytes().saturating_sub(LAST.as_bytes());
        Ok(Room {
            total: Size::from_bytes(limit),
            free: Size::from_bytes(limit.saturating_sub(used).min(of_machine)),
            last: Size::default(),
        })
    }

    /// A folder of its files, as seen from here.
    pub(super) fn folder(&self, folder: &Path) -> io::Result<PathBuf> {
        let mut path = PathBuf::from(format!("/proc/{}/root", self.process.pid));
        for part in folder.components() {
            match part {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => path.push(name),
                Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
            }
            if path.components().count() > 4 && fs::symlink_metadata(&path)?.is_symlink() {
                return Err(io::Error::other("a symbolic link is on its way: write where that leads to"));
            }
        }
        Ok(path)
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Bytes of files that the kernel drops as soon as something else needs the room.
fn reclaimable(stat: &str) -> u64 {
    field(stat, "total_inactive_file").or_else(|| field(stat, "inactive_file")).unwrap_or(0)
}

/// A number of a file with one name and one number a line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok())
}

/// The folders of a process's control groups, from its `/proc/PID/cgroup` and the mounts here. Version 1 where it has the
/// memory, else version 2.
fn folders(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let of_version_1 = |(names, path): (&str, &str)| {
        let name = names.split(',').find(|name| BINDING.contains(name))?;
        mounted(mounts, "cgroup", Some(name), path)
    };
    let has_memory = lines().any(|(names, _)| names.split(',').any(|name| name == "memory"));
    if has_memory {
        lines().filter_map(of_version_1).collect()
    } else {
        let of_version_2 = |(names, path): (&str, &str)| {
            if names.is_empty() { mounted(mounts, "cgroup2", None, path) } else { None }
        };
        lines().filter_map(of_version_2).collect()
    }
}

/// Where a group of such a hierarchy is found.
fn mounted(mounts: &str, kind: &str, controller: Option<&str>, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let (mut mount, mut system) = (mount.split(' ').skip(3), system.split(' '));
        let (root, at) = (mount.next()?, mount.next()?);
        let (found, options) = (system.next()?, system.nth(1)?);
        let fits =
            found == kind && controller.is_none_or(|one| options.split(',').any(|option| option == one));
        let within = group.strip_prefix(root.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
        let within = within.filter(|rest| !rest.split('/').any(|part| part == ".."))?;
        fits.then(|| Path::new(at).join(within.trim_start_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_version_1_are_those_that_bind_and_not_those_that_count_or_freeze() {
        let mounts = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let groups = "8:pids:/docker/ab\n4:memory:/docker/ab\n1:cpu,cpuacct:/docker/ab\n0::/docker/ab\n";
        let found = folders(groups, mounts);
        assert_eq!(
            found,
            ["/sys/fs/cgroup/memory/docker/ab", "/sys/fs/cgroup/cpu,cpuacct/docker/ab"].map(PathBuf::from)
        );
    }

    #[test]
    fn the_one_group_of_version_2_is_found_below_the_mount_that_shows_it() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let group = "0::/system.slice/docker-ab.scope\n";
        assert_eq!(folders(group, mounts), [PathBuf::from("/sys/fs/cgroup/system.slice/docker-ab.scope")]);
        let part = mounts.replace("0:26 / ", "0:26 /system.slice ");
        assert_eq!(folders(group, &part), [PathBuf::from("/sys/fs/cgroup/docker-ab.scope")]);
        assert!(folders("0::/../other\n", mounts).is_empty(), "beyond what is seen here");
        assert!(folders(group, "").is_empty());
    }

    #[test]
    fn a_folder_is_never_one_of_the_machine() {
        let inside = Inside::in_groups(Vec::new());
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(inside.folder(dir.path()).is_ok());
        assert!(inside.folder(&link).is_err() && inside.folder(&link.join("tmp")).is_err());
        assert!(inside.folder(Path::new("/tmp/../etc")).is_err());
    }

    #[test]
    fn what_is_closed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let groups = vec![dir.path().to_owned()];
        let inside = Inside::in_groups(groups);
        let error = inside.is_open().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("cgroup.procs: "), "{error}");
        fs::write(dir.path().join("cgroup.procs"), "7").unwrap();
        inside.is_open().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("cgroup.procs")).unwrap(), "7", "nothing is written");
    }

    #[test]
    fn files_that_can_go_are_not_counted() {
        assert_eq!(reclaimable("cache 7\ninactive_file 3\ntotal_inactive_file 5\n"), 5);
        assert_eq!(reclaimable("anon 1\ninactive_file 3\n"), 3);
        assert_eq!(reclaimable(""), 0);
    }
}
