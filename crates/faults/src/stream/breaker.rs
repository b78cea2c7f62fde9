//! The effect behind `drop` and `reset`: passes bytes until its moment has come, then ends the connection.

use std::any::Any;
use std::time::Instant;

use murphy_core::Dice;
use murphy_proxy::{Chunk, Ending, Outbox, StreamEffect};

use super::trigger::Trigger;

pub(super) struct Breaker {
    pub(super) trigger: Trigger,
    pub(super) ending: Ending,
    broken: bool,
}

impl Breaker {
    pub(super) fn new(trigger: Trigger, ending: Ending) -> Breaker {
        Breaker { trigger, ending, broken: false }
    }
}

impl StreamEffect for Breaker {
    fn on_arm(&mut self, now: Instant) {
        self.trigger.arm(now);
    }

    fn on_chunk(&mut self, mut chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        if self.broken {
            return;
        }
        let due = chunk.due;
        let passes = self.trigger.admit(chunk.bytes.len(), due);
        let rest = chunk.bytes.split_off(passes);
        if passes > 0 {
            out.send(chunk);
        }
        if self.trigger.has_gone_off(due) {
            self.broken = true;
            out.acted(rest.len());
            out.end(self.ending);
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        if self.broken { None } else { self.trigger.moment() }
    }

    fn on_wake(&mut self, _now: Instant, out: &mut Outbox) {
        self.broken = true;
        out.acted(0);
        out.end_at_once(self.ending);
    }

    fn inherit(&mut self, before: &dyn Any) {
        if let Some(before) = before.downcast_ref::<Breaker>() {
            self.trigger.inherit(&before.trigger);
            self.broken = before.broken;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use murphy_core::{Seed, Size, Span};
    use murphy_proxy::Due;

    use super::*;

    #[test]
    fn without_a_condition_it_breaks_at_once_even_if_nothing_comes() {
        let mut breaker = Breaker::new(Trigger::new(None, None), Ending::Reset);
        let now = Instant::now();
        breaker.on_arm(now);
        assert_eq!(breaker.next_wake(), Some(now));
    }

    #[test]
    fn an_edit_does_not_start_the_time_again() {
        let mut before = Breaker::new(Trigger::new(Some(Span::from_secs(2)), None), Ending::Reset);
        let armed = Instant::now();
        before.on_arm(armed);
        let mut after = Breaker::new(Trigger::new(Some(Span::from_secs(3)), None), Ending::Reset);
        after.on_arm(armed + Duration::from_secs(1));
        after.inherit(&before);
        assert_eq!(after.next_wake(), Some(armed + Duration::from_secs(3)));
    }

    #[test]
    fn bytes_alone_never_break_an_idle_connection() {
        let mut breaker = Breaker::new(Trigger::new(None, Some(Size::from_bytes(3))), Ending::Close);
        breaker.on_arm(Instant::now());
        assert_eq!(breaker.next_wake(), None);
        let chunk = Chunk { bytes: Bytes::from_static(b"abcde"), due: Due::At(Instant::now()) };
        breaker.on_chunk(chunk, &mut Dice::new(Seed(1)), &mut Outbox::default());
        assert!(breaker.broken);
    }
}
