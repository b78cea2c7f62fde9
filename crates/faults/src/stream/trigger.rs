//! The moment at which a fault begins to act on an open direction: after a time, after bytes, or at once.

use std::time::{Duration, Instant};

use murphy_core::{Size, Span};
use murphy_proxy::Due;

use crate::check::Problems;

/// Counts towards that moment. With both a time and bytes, whichever comes first.
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    after: Option<Duration>,
    after_bytes: Option<u64>,
    armed: Option<Instant>,
    passed: u64,
}

impl Trigger {
    pub(super) fn new(after: Option<Span>, after_bytes: Option<Size>) -> Trigger {
        Trigger {
            after: after.map(Span::as_duration),
            after_bytes: after_bytes.map(Size::as_bytes),
            armed: None,
            passed: 0,
        }
    }

    pub(super) fn arm(&mut self, now: Instant) {
        self.armed = Some(now);
    }

    /// Goes on counting where the settings before an edit had come to.
    pub(super) fn inherit(&mut self, before: &Trigger) {
        self.armed = before.armed;
        self.passed = before.passed;
    }

    /// When it goes off by itself; `None` if only bytes or nothing can set it off.
    pub(super) fn moment(&self) -> Option<Instant> {
        let wait = match (self.after, self.after_bytes) {
            (Some(after), _) => after,
            (None, Some(_)) => return None,
            (None, None) => Duration::ZERO,
        };
        self.armed?.checked_add(wait)
    }

    pub(super) fn has_gone_off(&self, due: Due) -> bool {
        self.after_bytes.is_some_and(|limit| self.passed >= limit)
            || self.moment().is_some_and(|moment| due >= Due::At(moment))
    }

    /// How many of so many bytes still pass.
    pub(super) fn admit(&mut self, len: usize, due: Due) -> usize {
        if self.has_gone_off(due) {
            return 0;
        }
        let left = self.after_bytes.map_or(u64::MAX, |limit| limit - self.passed);
        let admitted = usize::try_from(left).unwrap_or(usize::MAX).min(len);
        self.passed += admitted as u64;
        admitted
    }

    /// `after 2s`, ` after 1MiB`, or nothing.
    pub(super) fn text(after: Option<Span>, after_bytes: Option<Size>) -> String {
        match (after, after_bytes) {
            (None, None) => String::new(),
            (Some(after), None) => format!(" after {after}"),
            (None, Some(bytes)) => format!(" after {bytes}"),
            (Some(after), Some(bytes)) => format!(" after {after} or {bytes}"),
        }
    }

    pub(super) fn check(after: Option<Span>, problems: &mut Problems) {
        if let Some(after) = after {
            problems.not_absurd("after", after);
        }
    }
}
