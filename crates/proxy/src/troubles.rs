//! Failures to accept for one proxy: told not too often, and with a pause behind each that grows while they go on.

use std::io;
use std::time::{Duration, Instant};

use murphy_core::EventKind;

use crate::shared::Shared;

/// Failures are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Pauses after a failure, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// What is known of failures to accept.
pub(crate) struct Troubles {
    pause: Duration,
    until: Option<Instant>,
    told: Option<Instant>,
}

impl Default for Troubles {
    fn default() -> Troubles {
        Troubles { pause: PAUSES.0, until: None, told: None }
    }
}

impl Troubles {
    /// It failed once more.
    pub(crate) fn failed(&mut self, error: &io::Error, shared: &Shared) {
        let now = Instant::now();
        shared.meter.accept_failed();
        if self.told.is_none_or(|told| now - told >= TELL_EVERY) {
            self.told = Some(now);
            let kind = EventKind::AcceptFailed { edge: shared.edge.clone(), why: error.to_string() };
            shared.recorder.record(kind);
        }
        self.until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    /// It worked.
    pub(crate) fn are_over(&mut self) {
        self.pause = PAUSES.0;
        self.until = None;
    }

    /// Until when nobody is to try again.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}
