//! Signals: their names, and sending one to exactly the process that was meant.
//!
//! Sending goes through a pidfd (pidfd_open(2), Linux 5.3): the descriptor is opened first, the start time compared
//! second, the signal sent through the descriptor third. Whatever happens in between, it reaches that process or none.
//! Where the kernel has no pidfd, the start time is compared and the signal sent by number, with a gap of
//! microseconds in which a pid could in theory be reused. Nothing here may signal without that comparison.

use std::fmt;
use std::str::FromStr;

use murphy_core::ProcessIdentity;
use nix::errno::Errno;
use nix::sys::signal as sys;
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::process::{Protected, protection_of};
use crate::stat::Stat;

/// A signal, written `SIGKILL`, `KILL` or `9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(sys::Signal);

impl Signal {
    /// Ends a process at once; cannot be caught.
    pub const KILL: Signal = Signal(sys::Signal::SIGKILL);
    /// Asks a process to end.
    pub const TERM: Signal = Signal(sys::Signal::SIGTERM);
    /// As Ctrl-C does.
    pub const INT: Signal = Signal(sys::Signal::SIGINT);
    /// The terminal is gone; many services read their settings again.
    pub const HUP: Signal = Signal(sys::Signal::SIGHUP);
    /// Freezes a process; cannot be caught.
    pub const STOP: Signal = Signal(sys::Signal::SIGSTOP);
    /// Lets a frozen process go on.
    pub const CONT: Signal = Signal(sys::Signal::SIGCONT);

    /// From its number on this platform.
    pub fn from_number(number: i32) -> Option<Signal> {
        sys::Signal::try_from(number).ok().map(Signal)
    }

    /// Its number on this platform.
    pub fn number(self) -> i32 {
        self.0 as i32
    }

    /// Its full name, `SIGKILL`.
    pub fn name(self) -> &'static str {
        self.0.as_str()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> String {
        signal.name().to_owned()
    }
}

impl TryFrom<String> for Signal {
    type Error = SignalNameError;
    fn try_from(text: String) -> Result<Signal, SignalNameError> {
        text.parse()
    }
}

impl schemars::JsonSchema for Signal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a signal by name, as SIGKILL or KILL",
            "examples": ["SIGKILL", "SIGTERM", "SIGSTOP"],
        })
    }
}

/// A text that names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a signal{}", hint(.nearest))]
pub struct SignalNameError {
    /// The text as written.
    pub text: String,
    /// The name that it most resembles.
    pub nearest: Option<&'static str>,
}

fn hint(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!(": did you mean `{name}`?"),
        None => "; write for example SIGKILL, SIGTERM, SIGSTOP or SIGHUP".to_owned(),
    }
}

impl FromStr for Signal {
    type Err = SignalNameError;

    fn from_str(text: &str) -> Result<Signal, SignalNameError> {
        let upper = text.trim().to_ascii_uppercase();
        let unknown = |nearest| SignalNameError { text: text.to_owned(), nearest };
        if let Ok(number) = upper.parse::<i32>() {
            return Signal::from_number(number).ok_or_else(|| unknown(None));
        }
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(signal) = sys::Signal::iterator().find(|signal| signal.as_str()[3..] == *bare) {
            return Ok(Signal(signal));
        }
        let (distance, nearest) = sys::Signal::iterator()
            .map(|signal| (edit_distance(bare, &signal.as_str()[3..]), signal.as_str()))
            .min()
            .unwrap_or((usize::MAX, ""));
        Err(unknown((distance <= 2 && distance < bare.len()).then_some(nearest)))
    }
}

/// Levenshtein's distance (1966) over bytes: the fewest inserted, deleted or replaced.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Why a signal was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The process has ended; another may have its pid by now and was left alone.
    #[error("the process {} (started at tick {}) is gone; nothing was signalled", .process.pid, .process.born)]
    Gone {
        /// The one that was meant.
        process: ProcessIdentity,
    },
    /// It must not be touched.
    #[error(transparent)]
    Refused(#[from] Protected),
    /// The process belongs to somebody else.
    #[error(
        "not allowed to send {signal} to pid {pid}: it belongs to another user; run murphy as that user or as root"
    )]
    Forbidden {
        /// Its pid.
        pid: i32,
        /// What was to be sent.
        signal: Signal,
    },
    /// The group is Murphy's own.
    #[error("the process group {group} is murphy's own; start the service in a group of its own")]
    OwnGroup {
        /// The group's number.
        group: i32,
    },
    /// The system refused for another reason.
    #[error("sending {signal} to pid {pid} failed: {}", .errno.desc())]
    System {
        /// The pid.
        pid: i32,
        /// What was to be sent.
        signal: Signal,
        /// The system's error.
        errno: Errno,
    },
}

/// Sends a signal to exactly this process. A zombie counts as gone.
pub fn send(process: &ProcessIdentity, signal: Signal) -> Result<(), SendError> {
    if let Some(why) = protection_of(process.pid) {
        return Err(why.into());
    }
    let gone = SendError::Gone { process: *process };
    let failed = |errno: Errno| match errno {
        Errno::ESRCH => gone,
        Errno::EPERM => SendError::Forbidden { pid: process.pid, signal },
        errno => SendError::System { pid: process.pid, signal, errno },
    };
    let pid = rustix::process::Pid::from_raw(process.pid).ok_or(gone)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty());
    // Whoever has the pid now is whom the descriptor means: the pid cannot have changed hands in between if its
    // present owner was born before the descriptor was opened.
    if !Stat::of(process.pid).is_some_and(|stat| stat.born == process.born && stat.is_running()) {
        return Err(gone);
    }
    match (descriptor, rustix::process::Signal::from_named_raw(signal.number())) {
        (Ok(descriptor), Some(named)) => pidfd_send_signal(&descriptor, named)
            .map_err(|error| failed(Errno::from_raw(error.raw_os_error()))),
        (Err(rustix::io::Errno::SRCH), _) => Err(gone),
        // No pidfd here (ENOSYS, or a sandbox's EPERM), or descriptors ran out: by number, checked a moment ago.
        _ => sys::kill(Pid::from_raw(process.pid), signal.0).map_err(failed),
    }
}

/// Freezes a process: SIGSTOP. Its connections stay open and unanswered.
pub fn freeze(process: &ProcessIdentity) -> Result<(), SendError> {
    send(process, Signal::STOP)
}

/// Lets a frozen process go on: SIGCONT. Harmless for one that is not frozen.
pub fn thaw(process: &ProcessIdentity) -> Result<(), SendError> {
    send(process, Signal::CONT)
}

/// Sends a signal to the whole process group of a leader, at once, also to members that are being forked meanwhile.
///
/// The leader must still have its pid (a zombie that is not reaped yet will do): the kernel never gives a group's
/// number to another process while the leader or a member exists. Otherwise it is `Gone`; see [`crate::stop_group`],
/// which also deals with a group that has lost its leader.
pub fn send_group(leader: &ProcessIdentity, signal: Signal) -> Result<(), SendError> {
    if let Some(why) = protection_of(leader.pid) {
        return Err(why.into());
    }
    if nix::unistd::getpgrp().as_raw() == leader.pid {
        return Err(SendError::OwnGroup { group: leader.pid });
    }
    let gone = SendError::Gone { process: *leader };
    if !Stat::of(leader.pid).is_some_and(|stat| stat.born == leader.born && stat.group == leader.pid) {
        return Err(gone);
    }
    sys::killpg(Pid::from_raw(leader.pid), signal.0).map_err(|errno| match errno {
        Errno::ESRCH => gone,
        Errno::EPERM => SendError::Forbidden { pid: leader.pid, signal },
        errno => SendError::System { pid: leader.pid, signal, errno },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::process::identity_of;

    #[test]
    fn every_spelling_of_a_signal_is_read() {
        for text in ["SIGKILL", "KILL", "kill", "sigkill", " 9 "] {
            assert_eq!(text.parse(), Ok(Signal::KILL), "{text}");
        }
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
    }

    #[test]
    fn a_misspelt_signal_is_answered_with_the_nearest() {
        let error = |text: &str| text.parse::<Signal>().unwrap_err().to_string();
        assert_eq!(error("SIGKIL"), "`SIGKIL` is not a signal: did you mean `SIGKILL`?");
        assert_eq!(error("TREM"), "`TREM` is not a signal: did you mean `SIGTERM`?");
        for text in ["", "99", "-9", "bananas", "SIG"] {
            assert!(error(text).contains("write for example SIGKILL"), "{text}: {}", error(text));
        }
    }

    #[test]
    fn a_signal_reaches_the_process_that_was_meant_and_no_later_one() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = identity_of(child.id() as i32).unwrap();
        let recycled = ProcessIdentity { born: identity.born + 1, ..identity };
        assert_eq!(send(&recycled, Signal::KILL), Err(SendError::Gone { process: recycled }));
        assert_eq!(child.try_wait().unwrap(), None, "the present owner of the pid was left alone");
        send(&identity, Signal::KILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(send(&identity, Signal::KILL), Err(SendError::Gone { process: identity }));
    }

    #[test]
    fn a_frozen_process_stands_still_until_it_is_thawed() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = identity_of(child.id() as i32).unwrap();
        let until = |stopped: bool| {
            while crate::is_frozen(&identity) != stopped {
                std::thread::yield_now();
            }
        };
        freeze(&identity).unwrap();
        until(true);
        assert!(crate::is_alive(&identity), "frozen is alive");
        thaw(&identity).unwrap();
        until(false);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn itself_and_its_own_group_are_never_signalled() {
        let me = identity_of(std::process::id() as i32).unwrap();
        assert_eq!(send(&me, Signal::CONT), Err(SendError::Refused(Protected::Itself { pid: me.pid })));
        let first = identity_of(1).unwrap();
        assert_eq!(send(&first, Signal::CONT), Err(SendError::Refused(Protected::First)));
        assert!(matches!(
            send_group(&me, Signal::CONT),
            Err(SendError::Refused(_) | SendError::OwnGroup { .. })
        ));
    }
}
