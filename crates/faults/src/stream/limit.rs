//! `limit`: exactly so many bytes pass, then the connection closes, breaks or stalls.

use std::any::Any;

use murphy_core::{Dice, Size};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Ending, Farewell, Outbox, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blackhole::KEPT;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// What happens after the last byte that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// FIN to both sides.
    #[default]
    Close,
    /// RST to both sides.
    Reset,
    /// Nothing: the connection stays, and no byte follows until the fault is lifted.
    Stall,
}

impl Then {
    fn word(self) -> &'static str {
        match self {
            Then::Close => "close",
            Then::Reset => "reset",
            Then::Stall => "stall",
        }
    }
}

/// Lets exactly so many bytes through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limit {
    /// The number of bytes, for each connection and direction, counted from the beginning of the fault.
    pub bytes: Size,
    /// What happens after them.
    #[serde(default)]
    pub then: Then,
}

impl FaultSpec for Limit {
    const NAME: &'static str = "limit";
    const ABOUT: &'static str = "Exactly so many bytes pass, then the connection closes, breaks or stalls.";
    const EXAMPLE: &'static str = "{ limit: { bytes: 100kB, then: reset } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("bytes");

    fn text(&self) -> String {
        format!("limit {}, then {}", self.bytes, self.then.word())
    }

    fn check(&self, problems: &mut Problems) {
        if self.bytes == Size::from_bytes(0) && self.then == Then::Stall {
            problems.whole(
                "a limit of no bytes that stalls lets nothing through at all",
                "write `blackhole`, which says so",
            );
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Limit {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Counter { limit: self.bytes.as_bytes(), passed: 0, then: self.then })
    }
}

struct Counter {
    limit: u64,
    passed: u64,
    then: Then,
}

impl Counter {
    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.passed)
    }
}

impl StreamEffect for Counter {
    fn on_chunk(&mut self, mut chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        let passes = usize::try_from(self.left()).unwrap_or(usize::MAX).min(chunk.bytes.len());
        self.passed += passes as u64;
        let rest = chunk.bytes.split_off(passes);
        if passes > 0 {
            out.send(chunk);
        }
        match self.then {
            Then::Stall if rest.is_empty() => {}
            Then::Stall => {
                out.acted(rest.len());
                out.send(Chunk { bytes: rest, due: Due::Never });
            }
            Then::Close | Then::Reset if self.left() == 0 => {
                out.acted(rest.len());
                out.end(if self.then == Then::Close { Ending::Close } else { Ending::Reset });
            }
            Then::Close | Then::Reset => {}
        }
    }

    fn on_farewell(&mut self, _farewell: Farewell, due: Due, _out: &mut Outbox) -> Due {
        due
    }

    fn capacity(&self) -> usize {
        if self.then == Then::Stall && self.left() == 0 { KEPT } else { usize::MAX }
    }

    fn inherit(&mut self, before: &dyn Any) {
        if let Some(before) = before.downcast_ref::<Counter>() {
            self.passed = before.passed;
        }
    }
}
