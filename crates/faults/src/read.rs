//! Reading one fault's settings in any of the forms that a person may write: a map, a bare value, or nothing.
//!
//! Errors come from the fault's own fields, so that they name the field and the unit; nothing is guessed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::spec::FaultSpec;

/// Reads the value behind a fault's name.
pub(crate) struct Settings<T>(PhantomData<T>);

impl<T> Settings<T> {
    pub(crate) fn of() -> Settings<T> {
        Settings(PhantomData)
    }
}

impl<'de, T: FaultSpec> DeserializeSeed<'de> for Settings<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What a fault's reader says of JSON that was never a text with lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct JsonError {
    /// In the reader's words.
    why: String,
}

/// Reads JSON that is in memory as a text is read: each kind of reader is another copy of the code that reads every fault, and
/// there are two, this one and the scenario's.
pub(crate) fn from_json<'de, S: DeserializeSeed<'de>>(
    seed: S,
    json: &'de str,
) -> Result<S::Value, JsonError> {
    seed.deserialize(&mut serde_json::Deserializer::from_slice(json.as_bytes())).map_err(|error| {
        let whole = error.to_string();
        // The place in a text that nobody has seen.
        let place = format!(" at line {} column {}", error.line(), error.column());
        JsonError { why: whole.strip_suffix(&place).unwrap_or(&whole).to_owned() }
    })
}

/// A fault given by its name alone.
pub(crate) fn bare<T: FaultSpec, E: Error>() -> Result<T, E> {
    from_json(Settings::<T>::of(), "{}").map_err(E::custom)
}

fn short<T: FaultSpec, E: Error>(value: Value, shown: &str) -> Result<T, E> {
    match T::SHORTHAND {
        Some(field) => {
            let settings = Value::from_iter([(field, value)]).to_string();
            from_json(Settings::<T>::of(), &settings).map_err(E::custom)
        }
        None => Err(E::custom(format!(
            "`{}` has no short form, so `{shown}` says too little: write for example `{}`",
            T::NAME,
            T::EXAMPLE
        ))),
    }
}

impl<'de, T: FaultSpec> Visitor<'de> for Settings<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings of `{}`, for example `{}`", T::NAME, T::EXAMPLE)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        bare()
    }

    fn visit_none<E: Error>(self) -> Result<T, E> {
        bare()
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        short(value.into(), value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        short(value.into(), &value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        short(value.into(), &value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        if !value.is_finite() {
            return Err(E::custom(format!("`{value}` is no number that a fault can have")));
        }
        short(value.into(), &value.to_string())
    }
}
