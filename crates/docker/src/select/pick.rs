//! How many of the containers that match are meant: all, a number or a share. Read from a text or a number; which of them
//! it is to be is never decided here.

use std::fmt;
use std::str::FromStr;

use murphy_core::{Chance, UnitError};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// How many of the containers that match.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pick {
    /// All.
    #[default]
    All,
    /// So many; fewer is an error.
    Count(u32),
    /// A share, rounded to the nearest whole number, at least one.
    Share(Chance),
}

/// Why a text is not a number of containers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// Not a number, a percentage or `all`.
    #[error("`{text}` is not a number of targets: write 1, 50% or all")]
    Malformed {
        /// As written.
        text: String,
    },
    /// Nothing would be picked.
    #[error("picking {text} would touch nothing: write at least 1")]
    Zero {
        /// As written.
        text: String,
    },
    /// Not a percentage.
    #[error(transparent)]
    Share(#[from] UnitError),
}

impl FromStr for Pick {
    type Err = PickError;

    fn from_str(text: &str) -> Result<Pick, PickError> {
        let text = text.trim();
        let zero = || PickError::Zero { text: text.to_owned() };
        if text == "all" {
            return Ok(Pick::All);
        }
        if text.ends_with('%') {
            let share: Chance = text.parse()?;
            return if share.as_fraction() > 0.0 { Ok(Pick::Share(share)) } else { Err(zero()) };
        }
        match text.parse() {
            Ok(0) => Err(zero()),
            Ok(count) => Ok(Pick::Count(count)),
            Err(_) => Err(PickError::Malformed { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pick::All => f.write_str("all"),
            Pick::Count(count) => count.fmt(f),
            Pick::Share(share) => share.fmt(f),
        }
    }
}

/// A number or a text: `pick: 1` and `pick: 50%`.
impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pick, D::Error> {
        struct PickVisitor;
        impl Visitor<'_> for PickVisitor {
            type Value = Pick;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1, 50% or all")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pick, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Pick, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Pick, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(PickVisitor)
    }
}
