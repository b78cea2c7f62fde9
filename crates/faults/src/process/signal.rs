//! `signal`: sends a process one signal, as an operator or an orchestrator would.

use std::fmt;

use murphy_docker::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProcessAction;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// A signal by its name. SIGSTOP and SIGCONT are left out: `freeze` sends both, and so can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SignalName {
    /// Hang-up; many services read their configuration again.
    #[serde(rename = "SIGHUP")]
    Hup,
    /// Interrupt, as Ctrl-C sends it.
    #[serde(rename = "SIGINT")]
    Int,
    /// Quit, with a core dump by default.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// Abort.
    #[serde(rename = "SIGABRT")]
    Abort,
    /// Ends the process at once; it cannot be caught.
    #[serde(rename = "SIGKILL")]
    Kill,
    /// First signal of the user.
    #[serde(rename = "SIGUSR1")]
    User1,
    /// Second signal of the user.
    #[serde(rename = "SIGUSR2")]
    User2,
    /// The polite request to end.
    #[serde(rename = "SIGTERM")]
    Term,
}

impl SignalName {
    /// The same for a container's main process.
    pub(super) fn to_container(self) -> Option<Effect> {
        let signal = self.as_str().parse().ok()?;
        Some(Effect::Container(Action::Kill { signal }))
    }

    /// The name as the system spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            SignalName::Hup => "SIGHUP",
            SignalName::Int => "SIGINT",
            SignalName::Quit => "SIGQUIT",
            SignalName::Abort => "SIGABRT",
            SignalName::Kill => "SIGKILL",
            SignalName::User1 => "SIGUSR1",
            SignalName::User2 => "SIGUSR2",
            SignalName::Term => "SIGTERM",
        }
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Sends one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SendSignal {
    /// The signal.
    pub signal: SignalName,
}

impl FaultSpec for SendSignal {
    const NAME: &'static str = "signal";
    const ABOUT: &'static str = "Sends the process, or a container's main process, one signal; what it does with it is its own matter.";
    const EXAMPLE: &'static str = "{ signal: { signal: SIGHUP } }";
    const PLACE: Place = Place::Process;
    const ALSO: &'static [Place] = &[Place::Container];
    const SHORTHAND: Option<&'static str> = Some("signal");

    fn text(&self) -> String {
        format!("signal {}", self.signal)
    }

    fn check(&self, problems: &mut Problems) {
        if self.signal == SignalName::Kill {
            problems.field(
                "signal",
                "SIGKILL always ends the process, and `signal` does not start it again",
                "write `{ kill: SIGKILL }`, which starts the service again at the end of the fault",
            );
        }
    }

    fn effect(&self) -> Effect {
        Effect::Process(ProcessAction::Signal(self.signal))
    }

    fn effect_on(&self, place: Place) -> Option<Effect> {
        match place {
            Place::Process => Some(self.effect()),
            Place::Container => self.signal.to_container(),
            Place::Edge | Place::Network | Place::Host => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_read_is_the_name_printed() {
        for signal in [SignalName::Hup, SignalName::Int, SignalName::Quit, SignalName::Abort] {
            assert_eq!(serde_json::to_value(signal).unwrap(), signal.as_str());
        }
        for signal in [SignalName::Kill, SignalName::User1, SignalName::User2, SignalName::Term] {
            assert_eq!(serde_json::to_value(signal).unwrap(), signal.as_str());
        }
    }

    #[test]
    fn every_signal_can_be_sent_to_a_container_too() {
        for signal in [SignalName::Hup, SignalName::Int, SignalName::Quit, SignalName::Abort] {
            assert!(signal.to_container().is_some(), "{signal}");
        }
        for signal in [SignalName::Kill, SignalName::User1, SignalName::User2, SignalName::Term] {
            assert!(signal.to_container().is_some(), "{signal}");
        }
    }

    #[test]
    fn a_signal_that_always_kills_is_pointed_to_kill() {
        let mut problems = Problems::new();
        SendSignal { signal: SignalName::Kill }.check(&mut problems);
        assert!(problems.iter().next().unwrap().help.contains("kill"));
    }
}
