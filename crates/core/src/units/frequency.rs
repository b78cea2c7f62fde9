//! Events a second, as of requests.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, UnitKind, number_and_unit, string_quantity};

/// How often something happens: `30/s`, `5/min`. Above zero, at most a million a second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Frequency(f64);

impl Frequency {
    const RANGE: &'static str = "above 0, at most 1000000/s";

    /// So many events a second; `None` outside (0, 1 000 000].
    pub fn per_second(events: f64) -> Option<Frequency> {
        (events > 0.0 && events <= 1e6).then_some(Frequency(events))
    }

    /// Events a second.
    pub fn as_per_second(self) -> f64 {
        self.0
    }

    /// The mean time between two events.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

impl FromStr for Frequency {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Frequency, UnitError> {
        let (value, _, unit) = number_and_unit(text, UnitKind::Frequency)?;
        let seconds = match unit {
            "/s" | "/sec" | "rps" => 1.0,
            "/m" | "/min" => 60.0,
            "/h" => 3600.0,
            _ => return Err(UnitError::UnknownUnit { unit: unit.to_owned(), kind: UnitKind::Frequency }),
        };
        Frequency::per_second(value / seconds).ok_or_else(|| UnitError::OutOfRange {
            text: text.trim().to_owned(),
            kind: UnitKind::Frequency,
            range: Frequency::RANGE,
        })
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The unit in which the number is whole or longest; f64 prints shortest that reads back.
        for (scale, unit) in [(1.0, "/s"), (60.0, "/min"), (3600.0, "/h")] {
            let number = self.0 * scale;
            if number.fract() == 0.0 && number / scale == self.0 {
                return write!(f, "{number}{unit}");
            }
        }
        write!(f, "{}/s", self.0)
    }
}

string_quantity!(Frequency, UnitKind::Frequency, r"^\s*[0-9]+(\.[0-9]+)?\s*(/s|/sec|rps|/m|/min|/h)\s*$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_seconds_are_read_and_printed_back() {
        for text in ["30/s", "5/min", "0.25/s"] {
            let frequency: Frequency = text.parse().unwrap();
            assert_eq!(frequency.to_string().parse::<Frequency>(), Ok(frequency), "{text}");
        }
        assert_eq!("5/min".parse::<Frequency>().unwrap().to_string(), "5/min");
    }

    #[test]
    fn never_and_absurdly_often_are_refused() {
        assert!("0/s".parse::<Frequency>().is_err());
        assert!("2000000/s".parse::<Frequency>().is_err());
        assert_eq!("30".parse::<Frequency>().unwrap_err().to_string(), "`30` needs a unit: `30/s`?");
    }
}
