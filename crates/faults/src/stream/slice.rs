//! `slice`: bytes arrive in small pieces with gaps, which finds readers that take one read for one message.

use std::time::{Duration, Instant};

use murphy_core::{Dice, Size, Span};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Outbox, StreamEffect, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Bytes arrive in small pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Slice {
    /// Bytes in a piece; each is written by itself.
    pub size: Size,
    /// How far the size varies, evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<Size>,
    /// The time between two pieces; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
}

impl FaultSpec for Slice {
    const NAME: &'static str = "slice";
    const ABOUT: &'static str = "Bytes arrive in small pieces with gaps between them.";
    const EXAMPLE: &'static str = "{ slice: { size: 64B, variation: 32B, gap: 10ms } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("size");

    fn text(&self) -> String {
        let variation = self.variation.map(|variation| format!(" ± {variation}")).unwrap_or_default();
        let gap = self.gap.map(|gap| format!(", gap {gap}")).unwrap_or_default();
        format!("slice {}{variation}{gap}", self.size)
    }

    fn check(&self, problems: &mut Problems) {
        if self.size == Size::from_bytes(0) {
            problems.field("size", "a piece of no bytes never ends", "write a size of at least 1B");
        }
        if self.variation.is_some_and(|variation| variation >= self.size) {
            problems.field(
                "variation",
                format!(
                    "a variation of {} leaves nothing of a size of {}",
                    self.variation.unwrap_or_default(),
                    self.size
                ),
                format!("write a variation below {}", self.size),
            );
        }
        if let Some(gap) = self.gap {
            problems.not_absurd("gap", gap);
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Slice {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Knife {
            size: self.size.as_bytes(),
            variation: self.variation.unwrap_or_default().as_bytes(),
            gap: self.gap.unwrap_or_default().as_duration(),
            next: None,
        })
    }
}

struct Knife {
    size: u64,
    variation: u64,
    gap: Duration,
    /// The earliest moment of the next piece.
    next: Option<Instant>,
}

impl Knife {
    /// At least one byte, whatever the settings.
    fn draw(&self, dice: &mut Dice) -> usize {
        let spread = dice.below(self.variation.saturating_mul(2).saturating_add(1));
        let size = self.size.saturating_add(spread).saturating_sub(self.variation);
        usize::try_from(size).unwrap_or(usize::MAX).max(1)
    }
}

impl StreamEffect for Knife {
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox) {
        let mut bytes = chunk.bytes;
        let mut due = chunk.due;
        while !bytes.is_empty() {
            let piece = bytes.split_to(self.draw(dice).min(bytes.len()));
            if let Some(next) = self.next {
                due = due.max(Due::At(next));
            }
            out.acted(piece.len());
            out.send(Chunk { bytes: piece, due });
            self.next = due.after(self.gap).instant();
        }
    }

    /// A few pieces at a time: a thousand one-byte pieces with gaps are not read ahead of their time.
    fn appetite(&self) -> usize {
        usize::try_from(self.size.saturating_mul(64)).unwrap_or(usize::MAX).clamp(64, 64 * 1024)
    }

    fn not_before(&self) -> Option<Instant> {
        if self.gap.is_zero() { None } else { self.next }
    }

    fn capacity(&self) -> usize {
        super::PASSING
    }

    fn revise(&self, was: Wait) -> Wait {
        was.min(Wait::For(self.gap))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use murphy_core::Seed;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_variation_as_large_as_the_size_is_reported() {
        let slice = Slice { size: Size::from_bytes(8), variation: Some(Size::from_bytes(8)), gap: None };
        let mut problems = Problems::new();
        slice.check(&mut problems);
        assert_eq!(problems.iter().next().unwrap().field, Some("variation"));
    }

    proptest! {
        #[test]
        fn no_setting_panics(size: u64, variation: u64, gap: u64, len in 0usize..300, seed: u64) {
            let slice = Slice {
                size: Size::from_bytes(size),
                variation: Some(Size::from_bytes(variation)),
                gap: Some(Duration::from_nanos(gap).into()),
            };
            slice.check(&mut Problems::new());
            let mut knife = slice.make();
            let chunk = Chunk { bytes: Bytes::from(vec![1; len]), due: Due::At(Instant::now()) };
            knife.on_chunk(chunk, &mut Dice::new(Seed(seed)), &mut Outbox::default());
            let _ = (knife.appetite(), knife.not_before());
        }
    }
}
