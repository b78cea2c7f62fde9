//! `memory-pressure`: memory that somebody else holds, as beside a leak.

use murphy_core::{Amount, Size, Span};
use murphy_host::Pressure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::not_nothing;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Holds memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemoryPressure {
    /// How much, `2GiB`, or which share of what is free when it begins, `80%`.
    pub amount: Amount,
    /// The time from nothing to all of it, as a leak grows; at once if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Span>,
    /// What stays free of the machine's memory or of the container's limit, or the fault is refused; a twentieth of all, at
    /// most 1GiB, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Size>,
}

impl MemoryPressure {
    fn pressure(&self) -> Pressure {
        Pressure::Memory { amount: self.amount, over: self.over.unwrap_or(Span::ZERO), reserve: self.reserve }
    }
}

impl FaultSpec for MemoryPressure {
    const NAME: &'static str = "memory-pressure";
    const ABOUT: &'static str = "Holds memory, every page of it touched, and gives it back on lift. It is refused where it would take the last.";
    const EXAMPLE: &'static str = "{ memory-pressure: { amount: 50%, over: 10s } }";
    const PLACE: Place = Place::Host;
    const ALSO: &'static [Place] = &[Place::Container];
    const SHORTHAND: Option<&'static str> = Some("amount");

    fn text(&self) -> String {
        self.pressure().to_string()
    }

    fn check(&self, problems: &mut Problems) {
        not_nothing(self.amount, problems);
        problems.not_absurd("over", self.over.unwrap_or(Span::ZERO));
    }

    fn effect(&self) -> Effect {
        Effect::Pressure(self.pressure())
    }
}
