//! Whose calls an edge sits in on, as `from:` names it, and what becomes of connections that are open already.
//!
//! Which container or process that is, is found out by the run; nothing is looked up here.

use std::fmt;
use std::str::FromStr;

use murphy_core::ServiceName;
use serde::{Deserialize, Serialize, Serializer};

/// Whose calls are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// By name: a service that Murphy starts, else a compose service with all its replicas, else a container.
    Named(ServiceName),
    /// By process id.
    Process(i32),
}

/// Why a text names no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// `pid:` without a process id.
    #[error("`{text}` is not a process; write for example pid:4711")]
    Pid {
        /// As written.
        text: String,
    },
    /// Not a name.
    #[error("`{text}` is not a caller; write the name of a service or container, or pid:4711")]
    Name {
        /// As written.
        text: String,
    },
}

impl FromStr for Caller {
    type Err = CallerError;

    fn from_str(text: &str) -> Result<Caller, CallerError> {
        let text = text.trim();
        if let Some(number) = text.strip_prefix("pid:") {
            let pid = number.trim().parse().ok().filter(|pid| *pid > 0);
            return pid.map(Caller::Process).ok_or_else(|| CallerError::Pid { text: text.to_owned() });
        }
        ServiceName::new(text).map(Caller::Named).map_err(|_| CallerError::Name { text: text.to_owned() })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Named(name) => name.fmt(f),
            Caller::Process(pid) => write!(f, "pid:{pid}"),
        }
    }
}

impl Serialize for Caller {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What becomes of a caller's connections that are open when Murphy begins to sit in on its calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpenConnections {
    /// They are reset at both ends; the caller connects again, and then through Murphy.
    #[default]
    Cut,
    /// They go on past Murphy, out of reach of faults; only new ones are taken.
    Leave,
}

impl fmt::Display for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OpenConnections::Cut => "cut",
            OpenConnections::Leave => "leave",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_read_and_printed_back() {
        for text in ["web", "shop_web_1", "pid:4711"] {
            assert_eq!(text.parse::<Caller>().unwrap().to_string(), text);
        }
        assert_eq!("pid:1".parse::<Caller>(), Ok(Caller::Process(1)));
    }

    #[test]
    fn what_names_no_caller_is_refused_with_an_example() {
        for text in ["", "pid:", "pid:0", "pid:-3", "pid:x", "a b", "web:6379", "/re/"] {
            let error = text.parse::<Caller>().unwrap_err().to_string();
            assert!(error.contains("pid:4711"), "{error}");
        }
    }
}
