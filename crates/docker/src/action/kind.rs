//! What can be done to a container, as plain data. Each is a mechanism; the catalogue's faults are made of these.

use murphy_core::{Cpus, Size, Span};
use serde::{Deserialize, Serialize};

use super::signal::Signal;

/// One act on one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Send a signal to the main process. The engine takes it as the owner's wish and does not restart the container.
    Kill {
        /// Which signal.
        signal: Signal,
    },
    /// Stop in order: the container's stop signal, then SIGKILL after the grace.
    Stop {
        /// Time between the two.
        grace: Span,
    },
    /// Stop and start again at once.
    Restart {
        /// Time between the stop signal and SIGKILL.
        grace: Span,
    },
    /// Freeze all its processes.
    Pause,
    /// Take it away.
    Remove(Removal),
    /// Take it off one network, or off all.
    Disconnect(Networks),
    /// Give it less.
    Limit(Limits),
    /// Run a command in it.
    Exec(Command),
}

impl Action {
    /// The catalogue's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Kill { .. } => "kill",
            Action::Stop { .. } => "stop",
            Action::Restart { .. } => "restart",
            Action::Pause => "pause",
            Action::Remove(_) => "remove",
            Action::Disconnect(_) => "disconnect",
            Action::Limit(_) => "limit",
            Action::Exec(_) => "exec",
        }
    }

    /// True if a container that is restarted (by the engine or by its owner) is still under this action: limits and
    /// networks belong to the container; what was done to its processes ends with them. A container that is made anew
    /// is under none.
    pub fn survives_restart(&self) -> bool {
        matches!(self, Action::Limit(_) | Action::Disconnect(_))
    }
}

/// How far a removal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// To all others it is gone: killed, its addresses and names free. It is kept under another name, with its files, so
    /// that it can come back as it was.
    #[default]
    SetAside,
    /// Deleted with all files that are not on a volume. There is no way back; the caller must have been told so.
    ForGood,
}

/// Which networks a container is taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Networks {
    /// Every one that it is on.
    All,
    /// This one: its name, or the name that compose's project has for it.
    One(String),
}

/// Less of something. At least one must be given.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Processors, `0.5` is half of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Swap beyond the memory; none if not given, so that the squeeze is felt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Size>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
}

/// A command to run in a container, and the one that takes its effect back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments; no shell is added.
    pub command: Vec<String>,
    /// What takes it back; run also where the command failed or never began. Without it there is nothing to undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<Vec<String>>,
    /// How long each may take.
    #[serde(default = "Command::usual_time")]
    pub within: Span,
}

impl Command {
    /// What a command may take if nothing is said.
    pub fn usual_time() -> Span {
        Span::from_secs(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_survives_its_own_text() {
        for action in [
            Action::Kill { signal: Signal::TERM },
            Action::Pause,
            Action::Limit(Limits { cpus: Some(Cpus::new(0.25).unwrap()), ..Limits::default() }),
            Action::Disconnect(Networks::One("shop_default".into())),
            Action::Remove(Removal::SetAside),
        ] {
            let text = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action, "{text}");
        }
    }
}
