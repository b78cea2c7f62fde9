//! `bandwidth`: bytes pass at a rate, exactly. A virtual clock says when each quantum may leave, so that an error of
//! the timer never adds up; a sender is read no faster than the rate, so that it feels the back-pressure.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use murphy_core::{Dice, Rate, Size};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Outbox, StreamEffect, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blackhole::KEPT;
use crate::check::Problems;
use crate::network::NetworkAction;
use crate::spec::{Effect, FaultSpec, Place};

/// Who shares the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each direction of each connection has the rate to itself.
    #[default]
    Connection,
    /// All connections of the edge share it, in both directions.
    Proxy,
}

/// Bytes pass at a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bandwidth {
    /// Bytes a second; `0B/s` lets nothing through.
    pub rate: Rate,
    /// Bytes that may pass at once after a pause; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Size>,
    /// Who shares the rate.
    #[serde(default)]
    pub scope: Scope,
}

impl FaultSpec for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const ABOUT: &'static str = "Bytes pass at a rate, within 1 % of it, and the sender feels it.";
    const EXAMPLE: &'static str = "{ bandwidth: { rate: 1MB/s } }";
    const PLACE: Place = Place::Edge;
    const ALSO: &'static [Place] = &[Place::Network];
    const SHORTHAND: Option<&'static str> = Some("rate");

    fn text(&self) -> String {
        let scope = if self.scope == Scope::Proxy { " in all" } else { "" };
        match self.burst {
            Some(burst) => format!("bandwidth {}{scope}, burst {burst}", self.rate),
            None => format!("bandwidth {}{scope}", self.rate),
        }
    }

    fn check(&self, problems: &mut Problems) {
        const MOST: Rate = Rate::from_bytes_per_sec(100_000_000_000);
        if self.rate > MOST {
            problems.field(
                "rate",
                format!("{} is beyond any link", self.rate),
                format!("write at most {MOST}"),
            );
        }
        if self.rate.as_bytes_per_sec() == 0 && self.burst.is_some() {
            problems.field("burst", "a rate of 0 never fills a burst", "leave `burst` out");
        }
    }

    fn check_on(&self, place: Place, problems: &mut Problems) {
        if place != Place::Network {
            return;
        }
        if self.rate.as_bytes_per_sec() == 0 {
            problems.field("rate", "on a network a rate of 0 is a partition", "write `inject: partition`");
        }
        if self.burst.is_some() {
            problems.field("burst", "on a network the kernel needs a burst of its own choice", "remove it");
        }
        if self.scope != Scope::Connection {
            problems.field(
                "scope",
                "on a network all that leaves the interface shares the rate",
                "remove it",
            );
        }
    }

    fn effect(&self) -> Effect {
        let own = VirtualClock::new();
        Effect::Edge(EdgeEffect::stream(Shaper { spec: self.clone(), shared: Arc::new(own) }))
    }

    fn effect_on(&self, place: Place) -> Option<Effect> {
        match place {
            Place::Edge => Some(self.effect()),
            Place::Network => Some(Effect::Network(NetworkAction::Bandwidth { rate: self.rate })),
            Place::Process | Place::Container | Place::Host => None,
        }
    }
}

/// How late a sender that is never idle may be served and still catch up; beyond it the time is lost.
const CATCH_UP: Duration = Duration::from_millis(20);
const QUANTUM: Duration = Duration::from_millis(5);

/// The time up to which the line is taken, in nanoseconds from an origin; 0 before the first byte. Moved forward by
/// compare-and-swap, so that connections can share it without a lock.
struct VirtualClock {
    origin: Instant,
    taken: AtomicU64,
}

impl VirtualClock {
    fn new() -> VirtualClock {
        VirtualClock { origin: Instant::now(), taken: AtomicU64::new(0) }
    }

    fn instant(&self, nanos: u64) -> Instant {
        // A century is later than any run and within what an instant can hold.
        self.origin + Duration::from_nanos(nanos.min(100 * 365 * 24 * 3600 * 1_000_000_000))
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes the line for so long, from its end or from `at`, whichever is later; a line that has been free for up to
    /// `credit` is taken from where it ended. Answers when that time is over.
    fn take(&self, at: Instant, credit: Duration, time: u64) -> Instant {
        let at = self.nanos(at);
        let credit = u64::try_from(credit.as_nanos()).unwrap_or(u64::MAX);
        let end = |taken: u64| {
            let from = if taken == 0 { at } else { taken.max(at.saturating_sub(credit)) };
            from.saturating_add(time).max(1)
        };
        let before = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(end(taken)));
        self.instant(end(before.unwrap_or_default()))
    }

    fn end(&self) -> Instant {
        self.instant(self.taken.load(Ordering::Relaxed))
    }
}

struct Shaper {
    spec: Bandwidth,
    shared: Arc<VirtualClock>,
}

impl EffectFactory for Shaper {
    fn make(&self) -> Box<dyn StreamEffect> {
        let clock = match self.spec.scope {
            Scope::Proxy => Arc::clone(&self.shared),
            Scope::Connection => Arc::new(VirtualClock::new()),
        };
        Box::new(Pace::new(&self.spec, clock))
    }
}

struct Pace {
    rate: u64,
    burst: Option<Duration>,
    quantum: usize,
    clock: Arc<VirtualClock>,
    /// The last read took all that was asked for: the sender had more.
    pressed: bool,
}

impl Pace {
    fn new(spec: &Bandwidth, clock: Arc<VirtualClock>) -> Pace {
        let rate = spec.rate.as_bytes_per_sec();
        let worth = u128::from(rate) * QUANTUM.as_nanos() / 1_000_000_000;
        let burst = spec
            .burst
            .filter(|_| rate > 0)
            .map(|burst| Duration::from_nanos(time_of(burst.as_bytes(), rate)));
        Pace {
            rate,
            burst,
            quantum: usize::try_from(worth).unwrap_or(usize::MAX).clamp(256, 64 * 1024),
            clock,
            pressed: false,
        }
    }

    /// How long before its turn bytes are read: two quanta keep the line busy while one is being written.
    fn ahead(&self) -> Duration {
        Duration::from_nanos(time_of(self.quantum as u64, self.rate)).max(QUANTUM)
    }
}

/// Nanoseconds that so many bytes take. A rate of 0 is for the caller to exclude.
fn time_of(bytes: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1))).unwrap_or(u64::MAX)
}

impl StreamEffect for Pace {
    fn on_chunk(&mut self, chunk: Chunk, _dice: &mut Dice, out: &mut Outbox) {
        let Due::At(at) = chunk.due else { return out.send(chunk) };
        out.acted(chunk.bytes.len());
        if self.rate == 0 {
            return out.send(Chunk { due: Due::Never, ..chunk });
        }
        let mut bytes = chunk.bytes;
        let credit = match self.burst {
            Some(burst) => burst.max(CATCH_UP),
            None if self.pressed => CATCH_UP,
            None => Duration::ZERO,
        };
        self.pressed = bytes.len() >= self.quantum;
        while !bytes.is_empty() {
            let piece = bytes.split_to(self.quantum.min(bytes.len()));
            let end = self.clock.take(at, credit, time_of(piece.len() as u64, self.rate));
            out.send(Chunk { bytes: piece, due: Due::At(end.max(at)) });
        }
    }

    fn appetite(&self) -> usize {
        self.quantum
    }

    fn not_before(&self) -> Option<Instant> {
        self.clock.end().checked_sub(self.ahead())
    }

    fn capacity(&self) -> usize {
        if self.rate == 0 { KEPT } else { usize::MAX }
    }

    fn inherit(&mut self, before: &dyn Any) {
        if let Some(before) = before.downcast_ref::<Pace>() {
            self.pressed = before.pressed;
        }
    }

    /// At most a quantum or two wait here: they go at once, and the new rate begins with the next byte.
    fn revise(&self, was: Wait) -> Wait {
        if self.rate == 0 { was } else { Wait::NONE }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use murphy_core::Seed;
    use proptest::prelude::*;

    use super::*;

    fn pace(rate: u64) -> Pace {
        let spec = Bandwidth { rate: Rate::from_bytes_per_sec(rate), burst: None, scope: Scope::Connection };
        Pace::new(&spec, Arc::new(VirtualClock::new()))
    }

    /// Serves a sender that always has more, with a timer that is late by up to `late`; the time that `total` took.
    fn serve(rate: u64, total: u64, late: Duration) -> f64 {
        let mut pace = pace(rate);
        let mut dice = Dice::new(Seed(3));
        let start = Instant::now() + Duration::from_millis(1);
        let (mut now, mut sent, mut last) = (start, 0, start);
        while sent < total {
            if let Some(at) = pace.not_before().filter(|at| *at > now) {
                now = at + late.mul_f64(dice.unit());
            }
            let take = (total - sent).min(pace.appetite() as u64) as usize;
            let mut out = Outbox::default();
            pace.on_chunk(
                Chunk { bytes: Bytes::from(vec![0; take]), due: Due::At(now) },
                &mut dice,
                &mut out,
            );
            last = pace.clock.end();
            sent += take as u64;
        }
        (last - start).as_secs_f64()
    }

    #[test]
    fn the_rate_is_exact_even_with_a_late_timer() {
        for rate in [100_000, 1_000_000, 10_000_000, 100_000_000] {
            let took = serve(rate, rate * 2, Duration::from_millis(3));
            assert!((took - 2.0).abs() < 0.01, "{rate}: {took}");
        }
    }

    #[test]
    fn a_pause_gives_no_credit_without_a_burst() {
        let mut pace = pace(1_000_000);
        let mut dice = Dice::new(Seed(3));
        let start = Instant::now() + Duration::from_millis(1);
        for at in [start, start + Duration::from_secs(10)] {
            let mut out = Outbox::default();
            pace.on_chunk(Chunk { bytes: Bytes::from(vec![0; 1000]), due: Due::At(at) }, &mut dice, &mut out);
            let end = pace.clock.end();
            assert_eq!((end - at).as_micros(), 1000);
        }
    }

    proptest! {
        #[test]
        fn no_setting_panics(rate: u64, burst: Option<u64>, len in 0usize..5000) {
            let spec = Bandwidth {
                rate: Rate::from_bytes_per_sec(rate),
                burst: burst.map(Size::from_bytes),
                scope: Scope::Proxy,
            };
            spec.check(&mut Problems::new());
            let mut pace = Pace::new(&spec, Arc::new(VirtualClock::new()));
            let chunk = Chunk { bytes: Bytes::from(vec![0; len]), due: Due::At(Instant::now()) };
            pace.on_chunk(chunk, &mut Dice::new(Seed(1)), &mut Outbox::default());
            let _ = (pace.not_before(), pace.appetite(), pace.capacity());
        }
    }
}
