//! `blackhole`: the connection stays and nothing comes through, as on a partitioned network. What was sent meanwhile
//! arrives when the fault is lifted, as TCP's retransmissions would.

use std::any::Any;
use std::time::Instant;

use murphy_core::{Dice, Size, Span};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Farewell, Outbox, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trigger::Trigger;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Lets nothing through and keeps the connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Blackhole {
    /// How long bytes still pass, counted from the connection's beginning or that of the fault, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How many bytes still pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<Size>,
}

/// Bytes kept for the end of the fault. More than most requests, so that the end of a caller that gives up is read
/// behind its bytes; beyond it the sender is not read any more, and its own buffers fill.
pub(super) const KEPT: usize = 1 << 20;

impl FaultSpec for Blackhole {
    const NAME: &'static str = "blackhole";
    const ABOUT: &'static str = "Connections stay open and nothing comes through; what was sent meanwhile arrives when the fault is lifted.";
    const EXAMPLE: &'static str = "{ blackhole: { after-bytes: 512B } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("after");

    fn text(&self) -> String {
        format!("blackhole{}", Trigger::text(self.after, self.after_bytes))
    }

    fn check(&self, problems: &mut Problems) {
        Trigger::check(self.after, problems);
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Blackhole {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Hole { trigger: Trigger::new(self.after, self.after_bytes) })
    }
}

struct Hole {
    trigger: Trigger,
}

impl StreamEffect for Hole {
    fn on_arm(&mut self, now: Instant) {
        self.trigger.arm(now);
    }

    fn on_chunk(&mut self, mut chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        let passes = self.trigger.admit(chunk.bytes.len(), chunk.due);
        let rest = chunk.bytes.split_off(passes);
        if passes > 0 {
            out.send(chunk);
        }
        if !rest.is_empty() {
            out.acted(rest.len());
            out.send(Chunk { bytes: rest, due: Due::Never });
        }
    }

    fn on_farewell(&mut self, _farewell: Farewell, due: Due, out: &mut Outbox) -> Due {
        if !self.trigger.has_gone_off(due) {
            return due;
        }
        out.acted(0);
        Due::Never
    }

    fn capacity(&self) -> usize {
        KEPT
    }

    fn inherit(&mut self, before: &dyn Any) {
        if let Some(before) = before.downcast_ref::<Hole>() {
            self.trigger.inherit(&before.trigger);
        }
    }
}
