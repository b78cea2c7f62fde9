//! Quantities that carry their unit. Each is parsed once, at the edge, and printed in the form that parses back.
//!
//! A bare number is never accepted: `delay: 200` is answered with the two spellings it may have meant.

mod amount;
mod chance;
mod cpus;
mod frequency;
mod rate;
mod size;
mod span;

pub use amount::Amount;
pub use chance::Chance;
pub use cpus::{Cpus, CpusError};
pub use frequency::Frequency;
pub use rate::Rate;
pub use size::Size;
pub use span::Span;

use std::fmt;

/// Which quantity a text failed to be; it decides the help that is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// A length of time.
    Span,
    /// A number of bytes.
    Size,
    /// Bytes a second.
    Rate,
    /// Events a second.
    Frequency,
    /// A probability or share.
    Chance,
    /// A number of bytes, or a share of those that are free.
    Amount,
}

impl UnitKind {
    /// What the quantity is called in a message.
    pub fn noun(self) -> &'static str {
        match self {
            UnitKind::Span => "a duration",
            UnitKind::Size => "a size",
            UnitKind::Rate => "a byte rate",
            UnitKind::Frequency => "a frequency",
            UnitKind::Chance => "a percentage",
            UnitKind::Amount => "an amount",
        }
    }

    /// Spellings that are accepted, for the help line.
    pub fn examples(self) -> &'static str {
        match self {
            UnitKind::Span => "200ms, 1.5s, 2m, 1m30s",
            UnitKind::Size => "512B, 64KiB, 10MB",
            UnitKind::Rate => "100kB/s, 1MiB/s, 8Mbit/s",
            UnitKind::Frequency => "30/s, 5/min",
            UnitKind::Chance => "20%, 0.5%",
            UnitKind::Amount => "512MiB, 2GB, 80%",
        }
    }

    /// What a bare number most likely meant.
    fn guess(self, number: &str) -> String {
        match self {
            UnitKind::Span => format!("{number}ms"),
            UnitKind::Size => format!("{number}B"),
            UnitKind::Rate => format!("{number}kB/s"),
            UnitKind::Frequency => format!("{number}/s"),
            UnitKind::Chance => format!("{number}%"),
            UnitKind::Amount => format!("{number}MiB"),
        }
    }
}

/// Why a text is not the quantity that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A number without a unit. `guess` is the nearest accepted spelling.
    #[error("`{number}` needs a unit: `{guess}`?")]
    NoUnit {
        /// The number as written.
        number: String,
        /// A spelling that would be accepted.
        guess: String,
    },
    /// The unit is not one of this quantity's.
    #[error("`{unit}` is not a unit of {}; write for example {}", .kind.noun(), .kind.examples())]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// What was being parsed.
        kind: UnitKind,
    },
    /// Not a number with a unit at all.
    #[error("`{text}` is not {}; write for example {}", .kind.noun(), .kind.examples())]
    Malformed {
        /// The text as written.
        text: String,
        /// What was being parsed.
        kind: UnitKind,
    },
    /// A number outside what the quantity can hold.
    #[error("`{text}` is out of range for {}: {range}", .kind.noun())]
    OutOfRange {
        /// The text as written.
        text: String,
        /// What was being parsed.
        kind: UnitKind,
        /// The range in words.
        range: &'static str,
    },
}

/// Splits `12.5ms` into number and unit text. The number is unsigned decimal with an optional fraction.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let well_formed = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.matches('.').count() <= 1;
    well_formed.then_some((number, rest))
}

/// The number and unit of a whole text, or the error that explains what is missing.
fn number_and_unit(text: &str, kind: UnitKind) -> Result<(f64, &str, &str), UnitError> {
    let text = text.trim();
    let malformed = || UnitError::Malformed { text: text.to_owned(), kind };
    let (number, rest) = split_number(text).ok_or_else(malformed)?;
    let unit = rest.trim();
    if unit.is_empty() {
        return Err(UnitError::NoUnit { number: number.to_owned(), guess: kind.guess(number) });
    }
    let value: f64 = number.parse().map_err(|_| malformed())?;
    Ok((value, number, unit))
}

/// A quantity that is written as one string in YAML and JSON.
trait Quantity: Sized + fmt::Display + std::str::FromStr<Err = UnitError> {
    const KIND: UnitKind;
}

/// Implements serde and schema for a quantity through its `FromStr` and `Display`.
macro_rules! string_quantity {
    ($type:ident, $kind:expr, $pattern:expr) => {
        impl $crate::units::Quantity for $type {
            const KIND: $crate::units::UnitKind = $kind;
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::units::QuantityVisitor(std::marker::PhantomData))
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": format!("{}, with its unit: {}", $kind.noun(), $kind.examples()),
                })
            }
        }
    };
}
use string_quantity;

struct QuantityVisitor<T>(std::marker::PhantomData<T>);

impl<T: Quantity> serde::de::Visitor<'_> for QuantityVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with its unit ({})", T::KIND.noun(), T::KIND.examples())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        let number = number.to_string();
        let guess = T::KIND.guess(&number);
        Err(E::custom(UnitError::NoUnit { number, guess }))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(UnitError::Malformed { text: number.to_string(), kind: T::KIND })),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        let number = number.to_string();
        let guess = T::KIND.guess(&number);
        Err(E::custom(UnitError::NoUnit { number, guess }))
    }
}
