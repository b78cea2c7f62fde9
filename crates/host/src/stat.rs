//! The one reader of `/proc/PID/stat`. It must never guess: a line that is not of the documented form gives nothing.

use std::fs;

use murphy_core::ProcessIdentity;

/// What is read of a process's status line (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Pid (field 1).
    pub pid: i32,
    /// The kernel's name for it (field 2), at most 15 bytes.
    pub comm: String,
    /// State letter (field 3).
    pub state: char,
    /// Parent's pid (field 4); 0 for pid 1.
    pub parent: i32,
    /// Process group (field 5).
    pub group: i32,
    /// Start time in clock ticks since boot (field 22).
    pub born: u64,
}

impl Stat {
    /// Reads the line of a process; `None` if there is no such process.
    pub(crate) fn of(pid: i32) -> Option<Stat> {
        if pid <= 0 {
            return None;
        }
        let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Stat::parse(&String::from_utf8_lossy(&line))
    }

    /// All processes that can be seen, by pid. One that ends in the meantime is left out.
    pub(crate) fn all() -> Vec<Stat> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let mut all: Vec<Stat> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Stat::of)
            .collect();
        murphy_core::sort_short(&mut all, |a, b| a.pid.cmp(&b.pid));
        all
    }

    /// The name stands in parentheses and may hold spaces, parentheses and line ends of its own, so it reaches from
    /// the first `(` to the last `)`.
    fn parse(line: &str) -> Option<Stat> {
        let (open, close) = (line.find('(')?, line.rfind(')')?);
        let pid = line[..open].trim().parse().ok()?;
        let comm = line.get(open + 1..close)?.to_owned();
        let rest: Vec<&str> = line[close + 1..].split_ascii_whitespace().collect();
        // `rest` begins with field 3.
        let field = |number: usize| rest.get(number - 3).copied();
        Some(Stat {
            pid,
            comm,
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            born: field(22)?.parse().ok()?,
        })
    }

    pub(crate) fn identity(&self) -> ProcessIdentity {
        ProcessIdentity { pid: self.pid, born: self.born }
    }

    /// False for one that has ended and only waits to be reaped.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// True while a stop signal holds it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == 'T'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) S 1 (b\n) R 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 10 20 30";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.comm, "a) S 1 (b\n");
        assert_eq!((stat.pid, stat.state, stat.parent, stat.group, stat.born), (42, 'R', 7, 42, 987_654));
    }

    #[test]
    fn a_line_that_is_cut_gives_nothing() {
        for line in ["", "42", "42 (a", "42 (a)", "42 (a) S 1 2 3", ") 42 ("] {
            assert_eq!(Stat::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn this_process_is_seen_with_its_parent() {
        let me = Stat::of(std::process::id() as i32).unwrap();
        assert_eq!(me.parent, nix::unistd::getppid().as_raw());
        assert_eq!(me.group, nix::unistd::getpgrp().as_raw());
        assert!(me.is_running() && me.born > 0);
        assert!(Stat::all().contains(&Stat { state: Stat::of(me.pid).unwrap().state, ..me }));
    }
}
