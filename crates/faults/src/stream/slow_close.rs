//! `slow-close`: the end of a stream is passed on late, so that both sides hold the connection longer than they wish.

use std::time::Duration;

use murphy_core::{Dice, Span};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Farewell, Outbox, StreamEffect, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Passes a FIN on late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlowClose {
    /// How late.
    pub delay: Span,
}

impl FaultSpec for SlowClose {
    const NAME: &'static str = "slow-close";
    const ABOUT: &'static str = "The orderly end of a stream is passed on late; bytes are not delayed.";
    const EXAMPLE: &'static str = "{ slow-close: { delay: 5s } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("delay");

    fn text(&self) -> String {
        format!("slow-close {}", self.delay)
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("delay", self.delay);
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for SlowClose {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(LateEnd { delay: self.delay.as_duration() })
    }

    fn is_neutral(&self) -> bool {
        self.delay.is_zero()
    }
}

struct LateEnd {
    delay: Duration,
}

impl StreamEffect for LateEnd {
    fn on_chunk(&mut self, chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        out.send(chunk);
    }

    fn on_farewell(&mut self, farewell: Farewell, due: Due, out: &mut Outbox) -> Due {
        match farewell {
            Farewell::Rst => due,
            Farewell::Fin => {
                out.acted(0);
                due.after(self.delay)
            }
        }
    }

    fn revise(&self, was: Wait) -> Wait {
        was.min(Wait::For(self.delay))
    }

    fn capacity(&self) -> usize {
        super::PASSING
    }
}
