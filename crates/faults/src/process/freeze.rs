//! `freeze`: a process that neither works nor ends, as in a long collection pause or a stuck disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProcessAction;
use crate::spec::{Effect, FaultSpec, Place};

/// Stops the process without ending it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {}

impl FaultSpec for Freeze {
    const NAME: &'static str = "freeze";
    const ABOUT: &'static str =
        "Stops the process by SIGSTOP: its sockets stay open and nothing answers; SIGCONT on lift.";
    const EXAMPLE: &'static str = "freeze";
    const PLACE: Place = Place::Process;

    fn text(&self) -> String {
        "freeze".to_owned()
    }

    fn effect(&self) -> Effect {
        Effect::Process(ProcessAction::Freeze)
    }
}
