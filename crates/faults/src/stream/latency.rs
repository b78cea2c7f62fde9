//! `latency`: bytes arrive later. A delay line, not a throttle: throughput and order stay as they were.

use std::time::Duration;

use murphy_core::{Dice, Size, Span};
use murphy_proxy::{Chunk, Due, EdgeEffect, EffectFactory, Farewell, Outbox, StreamEffect, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::network::NetworkAction;
use crate::spec::{Effect, FaultSpec, Place};

/// How the jitter is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Evenly over delay ± jitter.
    #[default]
    Uniform,
    /// Around the delay, with the jitter as standard deviation.
    Normal,
    /// Mostly below the delay with a long tail above; mean `delay`, standard deviation `jitter` (Pareto, shape 3).
    Pareto,
}

/// Bytes arrive later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Latency {
    /// The time by which every byte is later, counted from the moment at which it came.
    pub delay: Span,
    /// How far the delay varies; none if left out. Bytes never overtake each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// How the jitter is spread.
    #[serde(default, skip_serializing_if = "is_uniform")]
    pub distribution: Distribution,
    /// The most bytes on their way in one direction of a connection; 4MiB if left out. Throughput is at most this
    /// divided by the delay, as with a TCP window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Size>,
}

const QUEUE: Size = Size::from_mib(4);

fn is_uniform(distribution: &Distribution) -> bool {
    *distribution == Distribution::Uniform
}

impl Latency {
    /// A constant delay.
    pub fn of(delay: Span) -> Latency {
        Latency { delay, jitter: None, distribution: Distribution::Uniform, queue: None }
    }

    fn jitter(&self) -> Span {
        self.jitter.unwrap_or(Span::ZERO)
    }
}

impl FaultSpec for Latency {
    const NAME: &'static str = "latency";
    const ABOUT: &'static str = "Every byte arrives later; throughput and order stay as they were.";
    const EXAMPLE: &'static str = "{ latency: { delay: 800ms, jitter: 100ms, distribution: normal } }";
    const PLACE: Place = Place::Edge;
    const ALSO: &'static [Place] = &[Place::Network];
    const SHORTHAND: Option<&'static str> = Some("delay");

    fn text(&self) -> String {
        match (self.jitter(), self.distribution) {
            (jitter, _) if jitter.is_zero() => format!("latency {}", self.delay),
            (jitter, Distribution::Uniform) => format!("latency {} ± {jitter}", self.delay),
            (jitter, Distribution::Normal) => format!("latency {} ± {jitter} normal", self.delay),
            (jitter, Distribution::Pareto) => format!("latency {} ± {jitter} pareto", self.delay),
        }
    }

    fn check(&self, problems: &mut Problems) {
        problems.not_absurd("delay", self.delay);
        if self.jitter() > self.delay {
            problems.field(
                "jitter",
                format!("a jitter of {} would make a delay of {} negative", self.jitter(), self.delay),
                format!("write a jitter of at most {}", self.delay),
            );
        }
        if self.distribution != Distribution::Uniform && self.jitter().is_zero() {
            problems.field(
                "distribution",
                "a distribution without a jitter has nothing to spread",
                "add `jitter`, or leave `distribution` out",
            );
        }
        if self.queue.is_some_and(|queue| queue < Size::from_kib(1)) {
            problems.field(
                "queue",
                "a queue below 1KiB is a throttle",
                "write a size of at least 1KiB, or use `bandwidth`",
            );
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }

    fn effect_on(&self, place: Place) -> Option<Effect> {
        match place {
            Place::Edge => Some(self.effect()),
            Place::Network => {
                Some(Effect::Network(NetworkAction::Latency { effect: EdgeEffect::stream(self.clone()) }))
            }
            Place::Process | Place::Container | Place::Host => None,
        }
    }
}

impl EffectFactory for Latency {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(DelayLine {
            delay: self.delay.as_duration(),
            jitter: self.jitter().as_duration(),
            distribution: self.distribution,
            queue: usize::try_from(self.queue.unwrap_or(QUEUE).as_bytes()).unwrap_or(usize::MAX),
        })
    }

    fn is_neutral(&self) -> bool {
        self.delay.is_zero() && self.jitter().is_zero()
    }
}

struct DelayLine {
    delay: Duration,
    jitter: Duration,
    distribution: Distribution,
    queue: usize,
}

impl DelayLine {
    fn draw(&self, dice: &mut Dice) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        let spread = match self.distribution {
            Distribution::Uniform => dice.signed_unit(),
            Distribution::Normal => dice.normal(),
            // A Pareto variable of shape 3 and scale 1 has mean 3/2 and variance 3/4.
            Distribution::Pareto => ((1.0 - dice.unit()).powf(-1.0 / 3.0) - 1.5) / 0.75_f64.sqrt(),
        };
        let seconds = self.delay.as_secs_f64() + spread * self.jitter.as_secs_f64();
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }
}

impl StreamEffect for DelayLine {
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox) {
        let wait = self.draw(dice);
        out.acted(chunk.bytes.len());
        out.send(Chunk { due: chunk.due.after(wait), bytes: chunk.bytes });
    }

    fn on_farewell(&mut self, _farewell: Farewell, due: Due, _out: &mut Outbox) -> Due {
        due.after(self.delay)
    }

    fn capacity(&self) -> usize {
        self.queue
    }

    /// Bytes in flight never wait longer than they would have to if they came now; a longer new delay is for new bytes.
    fn revise(&self, was: Wait) -> Wait {
        was.min(Wait::For(self.delay.saturating_add(self.jitter)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use murphy_core::Seed;
    use proptest::prelude::*;

    use super::*;

    fn draws(latency: &Latency, n: usize, seed: u64) -> Vec<f64> {
        let line = DelayLine {
            delay: latency.delay.as_duration(),
            jitter: latency.jitter().as_duration(),
            distribution: latency.distribution,
            queue: 0,
        };
        let mut dice = Dice::new(Seed(seed));
        (0..n).map(|_| line.draw(&mut dice).as_secs_f64() * 1e3).collect()
    }

    #[test]
    fn every_distribution_has_the_mean_and_spread_that_it_promises() {
        // Of 40,000 draws the deviation has a standard error of 0.2 % (uniform) and 0.4 % (normal). That of a Pareto sample of
        // shape 3 converges slowly: its fourth moment is infinite.
        for (distribution, deviation, within) in [
            (Distribution::Uniform, 10.0 / 3f64.sqrt(), 0.08),
            (Distribution::Normal, 10.0, 0.08),
            (Distribution::Pareto, 10.0, 0.25),
        ] {
            let latency = Latency {
                distribution,
                jitter: Some(Span::from_millis(10)),
                ..Latency::of(Span::from_millis(100))
            };
            let n = 40_000;
            let values = draws(&latency, n, 5);
            let mean = values.iter().sum::<f64>() / n as f64;
            let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
            assert!((mean - 100.0).abs() < 0.5, "{distribution:?} mean {mean}");
            assert!((sd / deviation - 1.0).abs() < within, "{distribution:?} sd {sd}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let latency = Latency { jitter: Some(Span::from_millis(50)), ..Latency::of(Span::from_millis(100)) };
        assert_eq!(draws(&latency, 50, 9), draws(&latency, 50, 9));
        assert_ne!(draws(&latency, 50, 9), draws(&latency, 50, 10));
    }

    #[test]
    fn a_jitter_above_the_delay_is_reported_with_the_limit() {
        let latency = Latency { jitter: Some(Span::from_millis(200)), ..Latency::of(Span::from_millis(100)) };
        let mut problems = Problems::new();
        latency.check(&mut problems);
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.field, Some("jitter"));
        assert!(problem.help.contains("100ms"));
    }

    #[test]
    fn zero_is_neutral() {
        assert!(Latency::of(Span::ZERO).is_neutral());
        assert!(!Latency::of(Span::from_millis(1)).is_neutral());
    }

    proptest! {
        #[test]
        fn no_setting_panics(delay: u64, jitter: u64, kind in 0..3, queue: u64, seed: u64) {
            let distribution = [Distribution::Uniform, Distribution::Normal, Distribution::Pareto][kind as usize];
            let latency = Latency {
                delay: Duration::from_nanos(delay).into(),
                jitter: Some(Duration::from_nanos(jitter).into()),
                distribution,
                queue: Some(Size::from_bytes(queue)),
            };
            latency.check(&mut Problems::new());
            let _ = latency.text();
            let mut effect = latency.make();
            let mut out = Outbox::default();
            let chunk = Chunk { bytes: Bytes::from_static(b"x"), due: Due::At(Instant::now()) };
            effect.on_chunk(chunk, &mut Dice::new(Seed(seed)), &mut out);
            let _ = effect.on_farewell(Farewell::Fin, Due::At(Instant::now()), &mut out);
        }
    }
}
