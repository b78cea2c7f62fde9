//! `kill`: ends a process or a container, and starts it again when the fault is lifted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProcessAction, SignalName};
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Ends the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kill {
    /// The signal that ends it.
    #[serde(default = "at_once")]
    pub signal: SignalName,
}

fn at_once() -> SignalName {
    SignalName::Kill
}

impl FaultSpec for Kill {
    const NAME: &'static str = "kill";
    const ABOUT: &'static str =
        "Ends the process or container; the service is started again when the fault is lifted.";
    const EXAMPLE: &'static str = "{ kill: { signal: SIGKILL } }";
    const PLACE: Place = Place::Process;
    const ALSO: &'static [Place] = &[Place::Container];
    const SHORTHAND: Option<&'static str> = Some("signal");

    fn text(&self) -> String {
        format!("kill {}", self.signal)
    }

    fn check(&self, problems: &mut Problems) {
        if matches!(self.signal, SignalName::Hup | SignalName::User1 | SignalName::User2) {
            problems.field(
                "signal",
                format!("{} does not mean the end to every process", self.signal),
                "write SIGKILL or SIGTERM here, or use `signal` to send it without ending the process",
            );
        }
    }

    fn effect(&self) -> Effect {
        Effect::Process(ProcessAction::Kill(self.signal))
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
    fn a_kill_without_a_signal_is_sigkill() {
        let kill: Kill = serde_yaml::from_str("{}").unwrap();
        assert!(matches!(kill.effect(), Effect::Process(ProcessAction::Kill(SignalName::Kill))));
    }
}
