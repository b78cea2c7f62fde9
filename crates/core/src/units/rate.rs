//! Bytes a second.

use std::fmt;
use std::str::FromStr;

use super::size::{bytes_of, exact_bytes, write_bytes};
use super::{UnitError, UnitKind, number_and_unit, string_quantity};

/// Bytes a second: `100kB/s`, `1MiB/s`, `8Mbit/s`. Zero is a rate: nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(u64);

impl Rate {
    /// A rate of so many bytes a second.
    pub const fn from_bytes_per_sec(bytes: u64) -> Rate {
        Rate(bytes)
    }

    /// Bytes a second.
    pub const fn as_bytes_per_sec(self) -> u64 {
        self.0
    }
}

/// Bytes of one bit unit: network rates are powers of 1000 bits.
fn bits_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "bit" => 1.0 / 8.0,
        "kbit" => 1e3 / 8.0,
        "Mbit" => 1e6 / 8.0,
        "Gbit" => 1e9 / 8.0,
        _ => return None,
    })
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let (value, _, unit) = number_and_unit(text, UnitKind::Rate)?;
        let unknown = || UnitError::UnknownUnit { unit: unit.to_owned(), kind: UnitKind::Rate };
        let per_second = unit.strip_suffix("/s").ok_or_else(unknown)?.trim_end();
        let scale =
            bytes_of(per_second).map(|b| b as f64).or_else(|| bits_of(per_second)).ok_or_else(unknown)?;
        exact_bytes(text, value, scale, UnitKind::Rate).map(Rate)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.0)?;
        f.write_str("/s")
    }
}

string_quantity!(
    Rate,
    UnitKind::Rate,
    r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|KB|KiB|MB|MiB|GB|GiB|bit|kbit|Mbit|Gbit)/s\s*$"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_and_bytes_are_told_apart() {
        assert_eq!("8Mbit/s".parse(), Ok(Rate(1_000_000)));
        assert_eq!("8MB/s".parse(), Ok(Rate(8_000_000)));
        assert_eq!("0B/s".parse(), Ok(Rate(0)));
    }

    #[test]
    fn a_size_is_not_a_rate() {
        assert!("8MB".parse::<Rate>().unwrap_err().to_string().contains("MiB/s"));
    }

    proptest! {
        #[test]
        fn every_rate_prints_in_a_form_that_parses_back(bytes in 0u64..(1 << 50)) {
            prop_assert_eq!(Rate(bytes).to_string().parse::<Rate>(), Ok(Rate(bytes)));
        }
    }
}
