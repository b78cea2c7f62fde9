//! A number of bytes.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, UnitKind, number_and_unit, string_quantity};

/// A number of bytes: `512B`, `64KiB` (1024), `10kB` (1000), up to `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

impl Size {
    /// A size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// A size in units of 1024 bytes.
    pub const fn from_kib(kib: u64) -> Size {
        Size(kib * 1024)
    }

    /// A size in units of 1024 * 1024 bytes.
    pub const fn from_mib(mib: u64) -> Size {
        Size(mib * 1024 * 1024)
    }

    /// The number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

/// Bytes of a unit; SI units are powers of 1000, IEC units powers of 1024.
pub(super) const BYTE_UNITS: [(u64, &str); 7] = [
    (1024 * 1024 * 1024, "GiB"),
    (1_000_000_000, "GB"),
    (1024 * 1024, "MiB"),
    (1_000_000, "MB"),
    (1024, "KiB"),
    (1_000, "kB"),
    (1, "B"),
];

pub(super) fn bytes_of(unit: &str) -> Option<u64> {
    let unit = if unit == "KB" { "kB" } else { unit };
    BYTE_UNITS.iter().find(|(_, name)| *name == unit).map(|(size, _)| *size)
}

/// The shortest exact spelling: the largest unit that divides the number.
pub(super) fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    let (size, unit) =
        BYTE_UNITS.iter().find(|(size, _)| bytes != 0 && bytes.is_multiple_of(*size)).unwrap_or(&(1, "B"));
    write!(f, "{}{unit}", bytes / size)
}

pub(super) fn exact_bytes(text: &str, value: f64, scale: f64, kind: UnitKind) -> Result<u64, UnitError> {
    let bytes = (value * scale).round();
    if bytes > (1u64 << 53) as f64 {
        return Err(UnitError::OutOfRange { text: text.to_owned(), kind, range: "at most 2^53 bytes" });
    }
    Ok(bytes as u64)
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Size, UnitError> {
        let (value, _, unit) = number_and_unit(text, UnitKind::Size)?;
        let scale = bytes_of(unit)
            .ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), kind: UnitKind::Size })?;
        exact_bytes(text, value, scale as f64, UnitKind::Size).map(Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.0)
    }
}

string_quantity!(Size, UnitKind::Size, r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|KB|KiB|MB|MiB|GB|GiB)\s*$");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn si_and_iec_units_differ() {
        assert_eq!("10kB".parse(), Ok(Size(10_000)));
        assert_eq!("10KiB".parse(), Ok(Size(10_240)));
        assert_eq!("1.5MB".parse(), Ok(Size(1_500_000)));
    }

    #[test]
    fn a_bare_number_is_refused_with_a_guess() {
        assert_eq!("64".parse::<Size>().unwrap_err().to_string(), "`64` needs a unit: `64B`?");
    }

    proptest! {
        #[test]
        fn every_size_prints_in_a_form_that_parses_back(bytes in 0u64..(1 << 50)) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }
    }
}
