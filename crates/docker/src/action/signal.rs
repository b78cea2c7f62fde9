//! The signals that can be sent to a container, by name. Linux's names only: the engine and the containers run there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal: its number less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(u8);

/// Why a text is not a signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a signal: write a name like SIGKILL or TERM")]
pub struct SignalError {
    /// As written.
    pub text: String,
}

impl Signal {
    /// Ends a process at once; it cannot be caught.
    pub const KILL: Signal = Signal(8);
    /// Asks a process to end.
    pub const TERM: Signal = Signal(14);

    /// Its full name.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl Default for Signal {
    fn default() -> Signal {
        Signal::KILL
    }
}

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Signal, SignalError> {
        let upper = text.trim().to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES
            .iter()
            .position(|name| &name[3..] == short)
            .map(|at| Signal(at as u8))
            .ok_or_else(|| SignalError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Signal {
    type Error = SignalError;
    fn try_from(text: String) -> Result<Signal, SignalError> {
        text.parse()
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> String {
        signal.name().to_owned()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl schemars::JsonSchema for Signal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ContainerSignal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A signal by name", "examples": ["SIGKILL", "SIGTERM"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_with_and_without_its_prefix() {
        assert_eq!("term".parse(), Ok(Signal::TERM));
        assert_eq!("SIGKILL".parse(), Ok(Signal::KILL));
        assert_eq!((Signal::KILL.name(), Signal::TERM.name()), ("SIGKILL", "SIGTERM"));
        assert!("SIGNAL".parse::<Signal>().unwrap_err().to_string().contains("SIGNAL"));
        assert!("9".parse::<Signal>().is_err());
    }
}
