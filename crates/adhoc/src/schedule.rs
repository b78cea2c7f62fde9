//! When it is done, and for how long: once, or again and again with jitter. All times are checked against each other here;
//! who carries it out decides nothing.

use murphy_core::{Dice, Seed, Span};

use crate::order::Holding;

/// How long something stays broken if nothing is said. Every fault has a longest time.
const USUAL: Span = Span::from_secs(30);

/// The times as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// `--for`: how long each time.
    pub hold: Option<Span>,
    /// `--every`: from one beginning to the next.
    pub every: Option<Span>,
    /// `--jitter`: at most so much earlier or later.
    pub jitter: Option<Span>,
    /// `--times`: how often; without end if not given.
    pub times: Option<u32>,
}

/// When something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How long it stays so each time; `None` if it is over as soon as it is done.
    pub hold: Option<Span>,
    again: Option<Again>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again {
    every: Span,
    jitter: Span,
    times: Option<u32>,
}

/// Why the times cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing stays so that could be taken back.
    #[error(
        "{deed} is over as soon as it is done and has no way back, so `--for {hold}` means nothing: leave it out"
    )]
    NothingToHold {
        /// What is done.
        deed: String,
        /// As asked.
        hold: Span,
    },
    /// No time at all.
    #[error("`{flag} 0s` is no time: write for example `{flag} 30s`")]
    Zero {
        /// Which.
        flag: &'static str,
    },
    /// Not a single round.
    #[error("`--times 0` would do nothing: write at least 1, or leave it out to go on until Ctrl-C")]
    NoRound,
    /// Something that belongs to repetition, without it.
    #[error("`{flag}` needs `--every`: write for example `--every 30s {flag} {example}`")]
    NeedsEvery {
        /// Which.
        flag: &'static str,
        /// A value for it.
        example: &'static str,
    },
    /// No time between two rounds.
    #[error(
        "`--for {hold}` does not fit between two rounds, which may be as near as {nearest}: \
         raise `--every`, or lower `--for` or `--jitter`"
    )]
    TooLong {
        /// How long each.
        hold: Span,
        /// The least time between two beginnings.
        nearest: Span,
    },
    /// Jitter that could turn time back.
    #[error("`--jitter {jitter}` must be less than `--every {every}`")]
    JitterTooLarge {
        /// As asked.
        jitter: Span,
        /// As asked.
        every: Span,
    },
}

impl Asked {
    /// Checks the times against each other and against what is done. `deed` is for messages.
    pub fn check(self, holding: Holding, deed: &str) -> Result<Schedule, ScheduleError> {
        for (flag, span) in [("--for", self.hold), ("--every", self.every)] {
            if span.is_some_and(Span::is_zero) {
                return Err(ScheduleError::Zero { flag });
            }
        }
        if self.times == Some(0) {
            return Err(ScheduleError::NoRound);
        }
        let again = match self.every {
            None if self.jitter.is_some() => {
                return Err(ScheduleError::NeedsEvery { flag: "--jitter", example: "10s" });
            }
            None if self.times.is_some() => {
                return Err(ScheduleError::NeedsEvery { flag: "--times", example: "3" });
            }
            None => None,
            Some(every) => {
                Some(Again { every, jitter: self.jitter.unwrap_or(Span::ZERO), times: self.times })
            }
        };
        if let Some(Again { every, jitter, .. }) = again
            && jitter >= every
        {
            return Err(ScheduleError::JitterTooLarge { jitter, every });
        }
        let hold = match (holding, self.hold) {
            (Holding::AtOnce, Some(hold)) => {
                return Err(ScheduleError::NothingToHold { deed: deed.to_owned(), hold });
            }
            (Holding::AtOnce, None) => None,
            (Holding::UntilTakenBack, Some(hold)) => match again {
                Some(again) if hold >= again.nearest() => {
                    return Err(ScheduleError::TooLong { hold, nearest: again.nearest() });
                }
                _ => Some(hold),
            },
            (Holding::UntilTakenBack, None) => Some(match again {
                Some(again) => USUAL.min(Span::from(again.nearest().as_duration() / 2)),
                None => USUAL,
            }),
        };
        Ok(Schedule { hold, again })
    }
}

impl Again {
    /// The least time between two beginnings.
    fn nearest(self) -> Span {
        Span::from(self.every.as_duration().saturating_sub(self.jitter.as_duration()))
    }
}

impl Schedule {
    /// When each round begins, counted from the first: by the seed, the same each time.
    pub fn beginnings(&self, seed: Seed) -> impl Iterator<Item = Span> + use<> {
        let again = self.again;
        let mut dice = Dice::new(seed.derive("every", 0));
        let mut at = Span::ZERO;
        let mut round = 0u32;
        std::iter::from_fn(move || {
            let rounds = match again {
                None => Some(1),
                Some(again) => again.times,
            };
            if rounds.is_some_and(|rounds| round >= rounds) {
                return None;
            }
            let now = at;
            round = round.saturating_add(1);
            if let Some(Again { every, jitter, .. }) = again {
                let next = at.as_secs_f64() + every.as_secs_f64() + jitter.as_secs_f64() * dice.signed_unit();
                at = Span::from(
                    std::time::Duration::try_from_secs_f64(next).unwrap_or(std::time::Duration::MAX),
                );
            }
            Some(now)
        })
    }

    /// True if it may be done more than once.
    pub fn repeats(&self) -> bool {
        self.again.is_some()
    }

    /// In words: `for 10s, every 30s +-5s, 3 times`.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.hold.map(|hold| format!("for {hold}")));
        if let Some(Again { every, jitter, times }) = self.again {
            let jitter = if jitter.is_zero() { String::new() } else { format!(" +-{jitter}") };
            parts.push(format!("every {every}{jitter}"));
            parts.push(match times {
                Some(1) => "once".to_owned(),
                Some(times) => format!("{times} times"),
                None => "until it is interrupted".to_owned(),
            });
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(secs: u64) -> Option<Span> {
        Some(Span::from_secs(secs))
    }

    fn held(asked: Asked) -> Result<Schedule, ScheduleError> {
        asked.check(Holding::UntilTakenBack, "pause")
    }

    #[test]
    fn once_is_once_and_never_without_an_end() {
        let once = held(Asked::default()).unwrap();
        assert_eq!(once.hold, Some(USUAL));
        assert_eq!(once.beginnings(Seed(1)).collect::<Vec<_>>(), [Span::ZERO]);
        assert_eq!(once.text(), "for 30s");
    }

    #[test]
    fn again_and_again_is_jittered_within_bounds_and_by_the_seed() {
        let asked = Asked { every: secs(10), jitter: secs(3), times: Some(200), ..Asked::default() };
        let schedule = held(asked).unwrap();
        let at: Vec<Span> = schedule.beginnings(Seed(1)).collect();
        assert_eq!(at.len(), 200);
        let gaps: Vec<f64> =
            at.windows(2).map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64()).collect();
        assert!(gaps.iter().all(|gap| (6.99..=13.01).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap < 8.0) && gaps.iter().any(|gap| *gap > 12.0));
        assert_eq!(schedule.beginnings(Seed(1)).collect::<Vec<_>>(), at);
        assert_ne!(schedule.beginnings(Seed(2)).collect::<Vec<_>>(), at);
        assert_eq!(schedule.hold, Some(Span::from_millis(3_500)), "half of the least gap");
        assert_eq!(schedule.text(), "for 3.5s, every 10s +-3s, 200 times");
        let endless = held(Asked { every: secs(1), ..Asked::default() }).unwrap();
        assert_eq!(endless.beginnings(Seed(1)).nth(1_000), secs(1_000));
    }

    #[test]
    fn times_that_cannot_be_meant_are_refused_with_what_to_type() {
        let refused = |asked: Asked| held(asked).unwrap_err().to_string();
        let text = refused(Asked { jitter: secs(1), ..Asked::default() });
        assert!(text.contains("--every 30s --jitter 10s"), "{text}");
        assert!(refused(Asked { times: Some(2), ..Asked::default() }).contains("--every"));
        assert!(refused(Asked { hold: secs(0), ..Asked::default() }).contains("--for 0s"));
        let text = refused(Asked { every: secs(2), times: Some(0), ..Asked::default() });
        assert!(text.contains("`--times 0` would do nothing"), "{text}");
        assert!(refused(Asked { every: secs(2), jitter: secs(2), ..Asked::default() }).contains("less than"));
        let text = refused(Asked { every: secs(10), jitter: secs(4), hold: secs(6), ..Asked::default() });
        assert!(text.contains("as near as 6s"), "{text}");
        let at_once = Asked { hold: secs(3), ..Asked::default() }.check(Holding::AtOnce, "kill of a process");
        assert!(at_once.unwrap_err().to_string().contains("leave it out"));
        assert_eq!(Asked::default().check(Holding::AtOnce, "kill").unwrap().hold, None);
    }

    proptest! {
        /// What a monkey does is spread over its time: no round is drawn towards another, early is as likely as late, and a
        /// seed says all of it.
        #[test]
        fn jitter_spreads_rounds_evenly_around_their_time(
            seed in any::<u64>(),
            every in 100u64..100_000,
            share in 0.05f64..0.95,
        ) {
            const ROUNDS: u32 = 1_000;
            let jitter = ((every as f64 * share) as u64).max(1);
            let asked = Asked {
                every: Some(Span::from_millis(every)),
                jitter: Some(Span::from_millis(jitter)),
                times: Some(ROUNDS),
                ..Asked::default()
            };
            let schedule = held(asked).unwrap();
            let at: Vec<Span> = schedule.beginnings(Seed(seed)).collect();
            prop_assert_eq!(&at, &schedule.beginnings(Seed(seed)).collect::<Vec<_>>());
            // Where each gap lies between the earliest and the latest that it may be, from -1 to 1.
            let offsets: Vec<f64> = at
                .windows(2)
                .map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64())
                .map(|gap| (gap * 1000.0 - every as f64) / jitter as f64)
                .collect();
            prop_assert!(offsets.iter().all(|offset| offset.abs() <= 1.01), "{offsets:?}");
            // Six standard deviations of what even draws give; they are the same in every run of a seed.
            let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
            prop_assert!(mean.abs() < 0.11, "{mean}");
            for tenth in 0..10 {
                let from = -1.0 + f64::from(tenth) / 5.0;
                let here = offsets.iter().filter(|offset| (from..from + 0.2).contains(*offset)).count();
                prop_assert!((43..=157).contains(&here), "{here} of {ROUNDS} in the part from {from}");
            }
        }
    }
}
