//! How much of something that is limited: so many bytes, or a share of what is free of it.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Size, UnitError, UnitKind, number_and_unit, string_quantity};

/// So many bytes, `512MiB`, or a share of what is free, `80%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many bytes.
    Size(Size),
    /// A share of what is free.
    Share(Chance),
}

impl Amount {
    /// In bytes, of so many that are free. A size may be more than that.
    pub fn of(self, free: Size) -> Size {
        match self {
            Amount::Size(size) => size,
            // Exact up to 2^53 bytes, which is more than any machine has.
            Amount::Share(share) => Size::from_bytes((share.as_fraction() * free.as_bytes() as f64) as u64),
        }
    }

    /// True if it is nothing.
    pub fn is_nothing(self) -> bool {
        match self {
            Amount::Size(size) => size.as_bytes() == 0,
            Amount::Share(share) => share.as_fraction() == 0.0,
        }
    }
}

impl FromStr for Amount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Amount, UnitError> {
        let (_, _, unit) = number_and_unit(text, UnitKind::Amount)?;
        if unit == "%" {
            return text.parse().map(Amount::Share);
        }
        text.parse().map(Amount::Size).map_err(|error| match error {
            UnitError::UnknownUnit { unit, .. } => UnitError::UnknownUnit { unit, kind: UnitKind::Amount },
            other => other,
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Size(size) => size.fmt(f),
            Amount::Share(share) => share.fmt(f),
        }
    }
}

string_quantity!(Amount, UnitKind::Amount, r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|KB|KiB|MB|MiB|GB|GiB|%)\s*$");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_and_shares_are_told_apart_by_their_unit() {
        assert_eq!("64MiB".parse(), Ok(Amount::Size(Size::from_mib(64))));
        assert_eq!("80%".parse::<Amount>().unwrap().of(Size::from_bytes(1000)), Size::from_bytes(800));
        let errors =
            ["64", "101%", "64MB/s", "much"].map(|text| text.parse::<Amount>().unwrap_err().to_string());
        assert_eq!(errors[0], "`64` needs a unit: `64MiB`?");
        assert!(errors[1].contains("0% to 100%"), "{}", errors[1]);
        assert!(errors[2].contains("80%") && errors[3].contains("80%"), "{errors:?}");
    }

    proptest! {
        #[test]
        fn a_share_is_never_more_than_the_whole(percent in 0.0f64..=100.0, free in 0u64..(1 << 50)) {
            let share = Amount::Share(Chance::from_fraction(percent / 100.0).unwrap());
            prop_assert!(share.of(Size::from_bytes(free)).as_bytes() <= free);
            prop_assert_eq!(Amount::Size(Size::from_bytes(free)).to_string().parse(), Ok(Amount::Size(Size::from_bytes(free))));
        }
    }
}
