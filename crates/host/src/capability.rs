//! What this process may do here. It must only look and raise its own soft limit; what it starts gets the limit that the
//! user set, for a service is to be tested as it would run without Murphy.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::process::{Pid, Rlimit, prlimit};

/// The limit of open files that the user set, once it has been raised.
static FOUND: OnceLock<OpenFiles> = OnceLock::new();

/// True for the superuser.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// How many files (sockets included) this process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit before.
    pub before: u64,
    /// The limit now.
    pub now: u64,
}

/// Raises the limit of open files as far as the system lets a user raise it. The usual 1024 is fewer than the sockets
/// of a load whose service hangs. Services started later get the limit from before.
pub fn raise_open_files() -> Result<OpenFiles, nix::errno::Errno> {
    let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if before < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    let files = OpenFiles { before, now: hard.max(before) };
    Ok(*FOUND.get_or_init(|| files))
}

/// Gives a process that was just started the limit that the user set. Some programs close every number up to the limit
/// at their start, or break above 1024; and how a service fares at its limit may be the very question.
pub(crate) fn give_own_limit(pid: i32) {
    let (Some(files), Some(pid)) = (FOUND.get(), Pid::from_raw(pid)) else { return };
    let limit = Rlimit { current: Some(files.before), maximum: Some(files.now) };
    // Fails only for a process that is gone already.
    let _ = prlimit(Some(pid), rustix::process::Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let files = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, files.now);
        assert!(files.now >= files.before);
    }
}
