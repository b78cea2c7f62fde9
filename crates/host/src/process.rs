//! Which process is meant: identities, the search by pid, name or command line, and the list of the untouchable.
//!
//! A search must never hand out Murphy itself, an ancestor of it, or pid 1.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use murphy_core::{Glob, ProcessIdentity, Slashes};

use crate::stat::Stat;

/// The identity of the process that has this pid now; `None` if none has. A zombie has one, too.
pub fn identity_of(pid: i32) -> Option<ProcessIdentity> {
    Stat::of(pid).map(|stat| stat.identity())
}

/// True while exactly this process runs or is stopped; a zombie and a later process with the same pid are not it.
pub fn is_alive(process: &ProcessIdentity) -> bool {
    Stat::of(process.pid).is_some_and(|stat| stat.born == process.born && stat.is_running())
}

/// True while exactly this process is held by a stop signal: evidence that a freeze took effect.
pub fn is_frozen(process: &ProcessIdentity) -> bool {
    Stat::of(process.pid).is_some_and(|stat| stat.born == process.born && stat.is_stopped())
}

/// Why a process is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Protected {
    /// It is Murphy.
    #[error("pid {pid} is murphy itself; name the process that is to be tested")]
    Itself {
        /// Its pid.
        pid: i32,
    },
    /// Murphy runs below it: a shell, a CI agent, a terminal.
    #[error(
        "pid {pid} is an ancestor of murphy, which would die or stand still with it; name another process"
    )]
    Ancestor {
        /// Its pid.
        pid: i32,
    },
    /// The machine's or container's first process.
    #[error(
        "pid 1 is the first process of this machine or container, which would end with it; name another process"
    )]
    First,
}

/// The reason for which a pid must not be touched, if there is one.
pub fn protection_of(pid: i32) -> Option<Protected> {
    let me = std::process::id() as i32;
    if pid == 1 {
        return Some(Protected::First);
    }
    if pid == me {
        return Some(Protected::Itself { pid });
    }
    ancestors_of(me).contains(&pid).then_some(Protected::Ancestor { pid })
}

fn ancestors_of(pid: i32) -> BTreeSet<i32> {
    let mut ancestors = BTreeSet::new();
    let mut next = Stat::of(pid).map(|stat| stat.parent);
    // `insert` is false for a pid seen before: pids that are reused during the walk cannot make it endless.
    while let Some(parent) = next
        && parent > 0
        && ancestors.insert(parent)
    {
        next = Stat::of(parent).map(|stat| stat.parent);
    }
    ancestors
}

/// How a person names processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By number.
    Pid(i32),
    /// By the name of the program: the kernel's name for it (cut to 15 bytes by the kernel), the file name of its
    /// executable, or the file name of its first argument. Matches whole names only.
    Name(String),
    /// By the command line, its arguments joined by spaces. With `*`, `?`, `[` or `{` a glob over the whole line;
    /// otherwise a part of it.
    CommandLine(String),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Pid(pid) => write!(f, "pid {pid}"),
            Selector::Name(name) => write!(f, "process name `{name}`"),
            Selector::CommandLine(pattern) => write!(f, "command line `{pattern}`"),
        }
    }
}

/// A process that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which, for good.
    pub identity: ProcessIdentity,
    /// The kernel's name for it.
    pub name: String,
    /// Its command line, joined by spaces; empty for a kernel thread.
    pub command_line: String,
}

/// Why a search has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No process matches.
    #[error("no running process matches {selector}{}", near(.similar))]
    NoMatch {
        /// What was searched.
        selector: Selector,
        /// Names of running programs that look alike.
        similar: Vec<String>,
    },
    /// All that matches must not be touched.
    #[error("{selector} is refused: {why}")]
    Refused {
        /// What was searched.
        selector: Selector,
        /// Why the (first) match is refused.
        why: Protected,
    },
    /// The glob cannot be read.
    #[error("`{pattern}` is not a pattern: {why}; write for example `*redis-server*`")]
    BadPattern {
        /// The text as written.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

fn near(similar: &[String]) -> String {
    if similar.is_empty() {
        "; `ps -e` lists what runs".to_owned()
    } else {
        format!(
            "; running are {}",
            similar.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        )
    }
}

enum Matcher<'a> {
    Pid(i32),
    Name(&'a str),
    Part(&'a str),
    Glob(Glob),
}

impl Matcher<'_> {
    fn new(selector: &Selector) -> Result<Matcher<'_>, FindError> {
        Ok(match selector {
            Selector::Pid(pid) => Matcher::Pid(*pid),
            Selector::Name(name) => Matcher::Name(name),
            Selector::CommandLine(pattern) if pattern.trim().is_empty() => {
                return Err(FindError::BadPattern {
                    pattern: pattern.clone(),
                    why: "it is empty and would match everything".to_owned(),
                });
            }
            Selector::CommandLine(pattern) if pattern.contains(['*', '?', '[', '{']) => {
                let glob = Glob::new(pattern, Slashes::Joined).map_err(|error| FindError::BadPattern {
                    pattern: pattern.clone(),
                    why: error.to_string(),
                })?;
                Matcher::Glob(glob)
            }
            Selector::CommandLine(pattern) => Matcher::Part(pattern),
        })
    }

    fn matches(&self, stat: &Stat, arguments: &[String], command_line: &str) -> bool {
        match self {
            Matcher::Pid(pid) => stat.pid == *pid,
            Matcher::Name(name) => {
                stat.comm == *name
                    || executable_of(stat.pid).is_some_and(|file| file == *name)
                    || arguments.first().is_some_and(|first| file_name(first) == *name)
            }
            // A kernel thread has no command line, so it cannot be matched by one.
            Matcher::Part(part) => !command_line.is_empty() && command_line.contains(part),
            Matcher::Glob(glob) => !command_line.is_empty() && glob.matches(command_line),
        }
    }
}

/// All running processes that match, by pid. Those that must not be touched are left out; if nothing else matches,
/// that is the error.
pub fn find(selector: &Selector) -> Result<Vec<Found>, FindError> {
    let matcher = Matcher::new(selector)?;
    let (mut found, mut spared) = (Vec::new(), None);
    let running: Vec<Stat> = Stat::all().into_iter().filter(Stat::is_running).collect();
    for stat in &running {
        let arguments = arguments_of(stat.pid);
        let command_line = arguments.join(" ");
        if !matcher.matches(stat, &arguments, &command_line) {
            continue;
        }
        match protection_of(stat.pid) {
            Some(why) => spared = spared.or(Some(why)),
            None => found.push(Found { identity: stat.identity(), name: stat.comm.clone(), command_line }),
        }
    }
    match (found.is_empty(), spared) {
        (false, _) => Ok(found),
        (true, Some(why)) => Err(FindError::Refused { selector: selector.clone(), why }),
        (true, None) => {
            Err(FindError::NoMatch { selector: selector.clone(), similar: similar_names(selector, &running) })
        }
    }
}

fn arguments_of(pid: i32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&line);
    let text = text.trim_end_matches('\0');
    if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() }
}

/// File name of the executable; `None` without the right to read it. The kernel marks a replaced file.
fn executable_of(pid: i32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(name))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// At most three names of running programs that hold, or are held in, what was searched.
fn similar_names(selector: &Selector, running: &[Stat]) -> Vec<String> {
    let wanted = match selector {
        Selector::Pid(_) => return Vec::new(),
        Selector::Name(text) | Selector::CommandLine(text) => text.trim_matches('*').to_lowercase(),
    };
    let alike = |name: &str| {
        let name = name.to_lowercase();
        name.len() >= 3 && wanted.len() >= 3 && (name.contains(&wanted) || wanted.contains(&name))
    };
    let names: BTreeSet<&str> =
        murphy_core::gathered(running.iter().map(|stat| stat.comm.as_str()).filter(|name| alike(name)));
    names.into_iter().take(3).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> i32 {
        std::process::id() as i32
    }

    #[test]
    fn itself_its_ancestors_and_pid_1_are_refused_each_by_its_reason() {
        let parent = nix::unistd::getppid().as_raw();
        assert_eq!(protection_of(me()), Some(Protected::Itself { pid: me() }));
        assert_eq!(protection_of(1), Some(Protected::First));
        if parent > 1 {
            assert_eq!(protection_of(parent), Some(Protected::Ancestor { pid: parent }));
        }
        for pid in [me(), 1] {
            assert!(matches!(find(&Selector::Pid(pid)), Err(FindError::Refused { .. })), "{pid}");
        }
    }

    #[test]
    fn a_search_for_its_own_name_says_that_it_is_refused() {
        let name = executable_of(me()).unwrap();
        let error = find(&Selector::Name(name)).unwrap_err();
        assert!(error.to_string().contains("murphy itself"), "{error}");
    }

    #[test]
    fn a_child_is_found_by_pid_name_part_and_glob_and_by_nothing_else() {
        let mut child = std::process::Command::new("sleep").arg("77.125").spawn().unwrap();
        let pid = child.id() as i32;
        let has = |selector: Selector| {
            find(&selector).is_ok_and(|found| found.iter().any(|found| found.identity.pid == pid))
        };
        // The command line changes only when the child has left the fork for the new program.
        while !has(Selector::Name("sleep".into())) {
            std::thread::yield_now();
        }
        assert!(has(Selector::Pid(pid)));
        assert!(has(Selector::CommandLine("p 77.12".into())));
        assert!(has(Selector::CommandLine("*sleep 77.???".into())));
        assert!(!has(Selector::CommandLine("sleep 77.?".into())), "a glob covers the whole line");
        assert!(!has(Selector::Name("slee".into())), "a name is whole");
        let identity = identity_of(pid).unwrap();
        assert!(is_alive(&identity));
        assert!(!is_alive(&ProcessIdentity { born: identity.born + 1, ..identity }));

        child.kill().unwrap();
        while is_alive(&identity) {
            std::thread::yield_now();
        }
        assert!(identity_of(pid).is_some(), "a zombie still has its pid, but is not alive");
        child.wait().unwrap();
        assert_eq!(identity_of(pid), None);
    }

    #[test]
    fn nothing_found_is_an_error_that_helps() {
        let error = find(&Selector::Name("no-such-program".into())).unwrap_err().to_string();
        assert!(error.contains("no running process matches process name `no-such-program`"), "{error}");
        assert!(matches!(find(&Selector::CommandLine(" ".into())), Err(FindError::BadPattern { .. })));
        assert!(matches!(find(&Selector::CommandLine("a[".into())), Err(FindError::BadPattern { .. })));
    }
}
