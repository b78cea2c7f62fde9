//! A probability or a share of a whole.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, UnitKind, number_and_unit, string_quantity};

/// A probability, written `20%`: 0 to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    /// Never.
    pub const NEVER: Chance = Chance(0.0);
    /// Always.
    pub const ALWAYS: Chance = Chance(1.0);

    /// From a number between 0 and 1; `None` outside or for NaN.
    pub fn from_fraction(fraction: f64) -> Option<Chance> {
        (0.0..=1.0).contains(&fraction).then_some(Chance(fraction))
    }

    /// A number between 0 and 1.
    pub fn as_fraction(self) -> f64 {
        self.0
    }
}

impl Default for Chance {
    fn default() -> Chance {
        Chance::ALWAYS
    }
}

impl FromStr for Chance {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Chance, UnitError> {
        let (value, _, unit) = number_and_unit(text, UnitKind::Chance)?;
        if unit != "%" {
            return Err(UnitError::UnknownUnit { unit: unit.to_owned(), kind: UnitKind::Chance });
        }
        Chance::from_fraction(value / 100.0).ok_or_else(|| UnitError::OutOfRange {
            text: text.trim().to_owned(),
            kind: UnitKind::Chance,
            range: "0% to 100%",
        })
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to a millionth of a percent, so that 0.07 * 100 does not print as 7.000000000000001%.
        let percent = (self.0 * 1e8).round() / 1e6;
        write!(f, "{percent}%")
    }
}

string_quantity!(Chance, UnitKind::Chance, r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_print_as_they_were_written() {
        for text in ["20%", "0.5%", "100%", "0%", "7%", "99.9%"] {
            assert_eq!(text.parse::<Chance>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn more_than_everything_is_refused() {
        assert!("101%".parse::<Chance>().unwrap_err().to_string().contains("0% to 100%"));
        assert!(Chance::from_fraction(f64::NAN).is_none());
    }
}
