//! A length of time, never negative.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, UnitKind, split_number, string_quantity};

/// A length of time: written `200ms`, `1.5s`, `1m30s`. At most about 584 years, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);
    const LONGEST: Duration = Duration::from_nanos(u64::MAX);

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(Duration::from_micros(micros))
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// The same as a standard duration.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// Whole microseconds, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0.as_micros() as u64
    }

    /// Seconds with their fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// True for no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration.min(Span::LONGEST))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

/// Nanoseconds of a unit.
fn nanos_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number times a scale, rounded to a whole. In integers: a float of 53 bits is not exact enough for long
/// spans in small units. `None` if it is beyond any span.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Beyond the eighteenth decimal no digit can change the rounding of a span.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts = 10u128.pow(fraction.len() as u32);
    let digits: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let whole: u64 = whole.parse().ok()?;
    let rounded = (digits * scale + parts / 2) / parts;
    Some(u128::from(whole) * scale + rounded)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Span, UnitError> {
        let whole = text.trim();
        let mut rest = whole;
        let mut nanos: u128 = 0;
        if rest.is_empty() {
            return Err(UnitError::Malformed { text: whole.to_owned(), kind: UnitKind::Span });
        }
        while !rest.is_empty() {
            let (number, tail) = split_number(rest)
                .ok_or_else(|| UnitError::Malformed { text: whole.to_owned(), kind: UnitKind::Span })?;
            let tail = tail.trim_start();
            let end = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
            let (unit, next) = tail.split_at(end);
            if unit.is_empty() {
                return Err(UnitError::NoUnit { number: number.to_owned(), guess: format!("{number}ms") });
            }
            let scale = nanos_of(unit)
                .ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), kind: UnitKind::Span })?;
            let out_of_range = || UnitError::OutOfRange {
                text: whole.to_owned(),
                kind: UnitKind::Span,
                range: "at most 5000000h",
            };
            nanos += scaled(number, scale).ok_or_else(out_of_range)?;
            if nanos >= u128::from(u64::MAX) {
                return Err(out_of_range());
            }
            rest = next.trim_start();
        }
        Ok(Span(Duration::from_nanos(nanos as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        const UNITS: [(u128, &str); 6] = [
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        if nanos == 0 {
            return f.write_str("0s");
        }
        // One unit with up to three decimals where that is exact, else the smaller unit.
        for (size, unit) in UNITS {
            if nanos < size {
                continue;
            }
            if nanos.is_multiple_of(size) {
                return write!(f, "{}{unit}", nanos / size);
            }
            let thousandths_exact =
                (1_000..=1_000_000_000).contains(&size) && nanos.is_multiple_of(size / 1_000);
            if thousandths_exact {
                let text = format!("{}.{:03}", nanos / size, nanos % size / (size / 1_000));
                return write!(f, "{}{unit}", text.trim_end_matches('0'));
            }
        }
        write!(f, "{nanos}ns")
    }
}

string_quantity!(Span, UnitKind::Span, r"^\s*([0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|sec|m|min|h)\s*)+$");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bare_number_is_refused_with_a_guess() {
        let error = "200".parse::<Span>().unwrap_err();
        assert_eq!(error.to_string(), "`200` needs a unit: `200ms`?");
    }

    #[test]
    fn compound_and_fractional_spellings_are_read() {
        assert_eq!("1m30s".parse(), Ok(Span::from_secs(90)));
        assert_eq!("1.5s".parse(), Ok(Span::from_millis(1500)));
        assert_eq!("250us".parse(), Ok(Span::from_micros(250)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "ms", "-1s", "1..2s", "1 parsec", "1s2", "99999999999999h"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn every_span_prints_in_a_form_that_parses_back(nanos in 0u64..(1 << 52)) {
            let span = Span(Duration::from_nanos(nanos));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Span>();
        }
    }
}
