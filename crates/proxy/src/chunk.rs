//! The unit of work of a stream: some bytes and the moment at which they may leave.
//!
//! Pure data. A chunk knows nothing of sockets, and its moment is only ever compared, never waited for, here.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// When something may leave. `Never` means: not before a fault is taken away. It sorts after every instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// At this instant or later.
    At(Instant),
    /// Withheld.
    Never,
}

impl Due {
    /// The same moment and a wait more. A wait beyond what the clock can hold is `Never`.
    pub fn after(self, wait: Duration) -> Due {
        match self {
            Due::At(at) => at.checked_add(wait).map_or(Due::Never, Due::At),
            Due::Never => Due::Never,
        }
    }

    /// The instant, if there is one.
    pub fn instant(self) -> Option<Instant> {
        match self {
            Due::At(at) => Some(at),
            Due::Never => None,
        }
    }

    /// True if it may leave now.
    pub fn has_come(self, now: Instant) -> bool {
        matches!(self, Due::At(at) if at <= now)
    }
}

/// Bytes on their way in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What was read, or a part of it.
    pub bytes: Bytes,
    /// When it may leave. A stage may move it to later, never to earlier.
    pub due: Due,
}

/// A wait that one stage put upon one chunk; kept apart, so that taking the fault away takes away its wait only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until the fault is gone.
    Held,
}

impl Wait {
    /// No wait.
    pub const NONE: Wait = Wait::For(Duration::ZERO);

    /// What a stage added between the moment it was given and the moment it answered.
    pub(crate) fn between(given: Due, answered: Due) -> Wait {
        match (given, answered) {
            (Due::At(given), Due::At(answered)) => Wait::For(answered.saturating_duration_since(given)),
            (Due::At(_), Due::Never) => Wait::Held,
            (Due::Never, _) => Wait::NONE,
        }
    }

    pub(crate) fn apply(self, due: Due) -> Due {
        match self {
            Wait::For(wait) => due.after(wait),
            Wait::Held => Due::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_later_than_any_instant_and_stays_never() {
        let far = Due::At(Instant::now() + Duration::from_secs(1 << 30));
        assert!(Due::Never > far);
        assert_eq!(Due::Never.after(Duration::ZERO), Due::Never);
        assert_eq!(far.after(Duration::MAX), Due::Never);
    }
}
