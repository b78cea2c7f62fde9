//! Time of a run: one monotonic origin, offsets from it, and the only place that reads the wall clock.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::Span;

/// Microseconds since the run began. Ordered; differences are spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(u64);

impl Offset {
    /// The beginning of the run.
    pub const ZERO: Offset = Offset(0);

    /// So many microseconds after the beginning.
    pub const fn from_micros(micros: u64) -> Offset {
        Offset(micros)
    }

    /// Microseconds since the beginning.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Seconds since the beginning.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Time since an earlier offset; zero if that is in fact later.
    pub fn since(self, earlier: Offset) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// So long before this; the beginning of the run at the earliest.
    pub fn before(self, span: Span) -> Offset {
        Offset(self.0.saturating_sub(span.as_micros()))
    }
}

impl std::ops::Add<Span> for Offset {
    type Output = Offset;
    fn add(self, span: Span) -> Offset {
        Offset(self.0.saturating_add(span.as_micros()))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

/// A wall-clock instant as UTC text, `2026-11-24T18:52:55Z`; for people, never for arithmetic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// The present.
    pub fn now() -> Timestamp {
        Timestamp::from_unix(Timestamp::since_epoch().as_secs())
    }

    /// The present as time since 1970, for an engine that is asked for its events since then.
    #[allow(clippy::disallowed_methods)] // the one place that may read the wall clock
    pub fn since_epoch() -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
    }

    /// From seconds since 1970, by the civil-from-days algorithm of H. Hinnant's date paper.
    pub fn from_unix(seconds: u64) -> Timestamp {
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        Timestamp(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without separators, `20261124-185255`: sorts by time and is safe in a file name.
    pub fn compact(&self) -> String {
        self.0
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == 'T')
            .map(|c| if c == 'T' { '-' } else { c })
            .collect()
    }
}

/// The clock of one run: turns instants into offsets. Cheap to copy; all parts of a run share the origin.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    origin: Instant,
}

impl RunClock {
    /// A clock whose origin is now.
    pub fn start() -> RunClock {
        RunClock { origin: Instant::now() }
    }

    /// A clock with the given origin.
    pub fn from_origin(origin: Instant) -> RunClock {
        RunClock { origin }
    }

    /// The instant of offset zero.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// The offset of the present.
    pub fn now(&self) -> Offset {
        self.offset(Instant::now())
    }

    /// The offset of an instant; zero for one before the origin.
    pub fn offset(&self, instant: Instant) -> Offset {
        Offset(instant.saturating_duration_since(self.origin).as_micros() as u64)
    }

    /// The instant of an offset.
    pub fn instant(&self, offset: Offset) -> Instant {
        self.origin + Duration::from_micros(offset.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_known_ones() {
        assert_eq!(Timestamp::from_unix(0).as_str(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix(951_827_696).as_str(), "2000-02-29T12:34:56Z");
        assert_eq!(Timestamp::from_unix(4_102_444_799).as_str(), "2099-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix(0).compact(), "19700101-000000");
    }

    #[test]
    fn an_offset_and_its_instant_are_the_same_moment() {
        let clock = RunClock::start();
        let offset = Offset::from_micros(1_234_567);
        assert_eq!(clock.offset(clock.instant(offset)), offset);
    }
}
