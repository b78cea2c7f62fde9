//! `timeout`: nothing comes through, and the connection closes after a while, as behind a gateway that gives up.
//!
//! Bytes are thrown away, so the stream cannot be taken up again: when the fault is lifted the connection closes.

use std::time::{Duration, Instant};

use murphy_core::{Dice, Span};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Ending, Farewell, Outbox, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trigger::Trigger;
use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Throws all bytes away, then closes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Timeout {
    /// How long until the connection closes, counted from its beginning or from the last edit of the fault, whichever
    /// is later; only when the fault is lifted if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
}

impl FaultSpec for Timeout {
    const NAME: &'static str = "timeout";
    const ABOUT: &'static str = "Nothing comes through, and the connection closes after a while.";
    const EXAMPLE: &'static str = "{ timeout: { after: 3s } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("after");

    fn text(&self) -> String {
        format!("timeout{}", Trigger::text(self.after, None))
    }

    fn check(&self, problems: &mut Problems) {
        Trigger::check(self.after, problems);
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Timeout {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Waste { after: self.after.map(Span::as_duration), closes: None })
    }
}

struct Waste {
    after: Option<Duration>,
    closes: Option<Instant>,
}

impl StreamEffect for Waste {
    fn on_arm(&mut self, now: Instant) {
        self.closes = self.after.and_then(|after| now.checked_add(after));
    }

    fn on_chunk(&mut self, chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        out.acted(chunk.bytes.len());
    }

    fn on_farewell(&mut self, _farewell: Farewell, _due: Due, out: &mut Outbox) -> Due {
        out.acted(0);
        Due::Never
    }

    fn next_wake(&self) -> Option<Instant> {
        self.closes
    }

    fn on_wake(&mut self, _now: Instant, out: &mut Outbox) {
        self.closes = None;
        out.acted(0);
        out.end_at_once(Ending::Close);
    }

    fn on_lift(&mut self, out: &mut Outbox) {
        out.end_at_once(Ending::Close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_at_its_time_and_an_edit_starts_the_time_again() {
        let begun = Instant::now();
        let mut waste = Waste { after: Some(Duration::from_secs(3)), closes: None };
        waste.on_arm(begun);
        assert_eq!(waste.next_wake(), Some(begun + Duration::from_secs(3)));
        waste.on_arm(begun + Duration::from_secs(1));
        assert_eq!(waste.next_wake(), Some(begun + Duration::from_secs(4)));
        waste.on_wake(begun + Duration::from_secs(4), &mut Outbox::default());
        assert_eq!(waste.next_wake(), None);
    }

    #[test]
    fn without_a_time_it_never_closes_by_itself() {
        let mut waste = Waste { after: None, closes: None };
        waste.on_arm(Instant::now());
        assert_eq!(waste.next_wake(), None);
    }
}
