//! Reading one fault's settings in any of the forms that a person may write: a map, a bare value, or nothing.
//!
//! Errors come from the fault's own fields, so that they name the field and the unit; nothing is guessed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

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

/// A bare value, of whatever type: one type of ours, so that a fault is read from all of them by the same code.
enum Bare<'a, E> {
    Text(&'a str, PhantomData<E>),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl<'de, E: Error> Deserializer<'de> for Bare<'_, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self {
            Bare::Text(text, _) => visitor.visit_str(text),
            Bare::Unsigned(number) => visitor.visit_u64(number),
            Bare::Signed(number) => visitor.visit_i64(number),
            Bare::Float(number) => visitor.visit_f64(number),
        }
    }

    /// It is there, also for a field that may be left out.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        match self {
            Bare::Text(text, _) => text.into_deserializer().deserialize_enum(name, variants, visitor),
            number => number.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, E: Error> IntoDeserializer<'de, E> for Bare<'_, E> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// A fault with one setting, or with none.
fn with<T: FaultSpec, E: Error>(setting: Option<(&'static str, Bare<'_, E>)>) -> Result<T, E> {
    T::deserialize(MapDeserializer::new(setting.into_iter()))
}

/// A fault given by its name alone.
pub(crate) fn bare<T: FaultSpec, E: Error>() -> Result<T, E> {
    with(None)
}

fn short<T: FaultSpec, E: Error>(value: Bare<'_, E>, shown: &str) -> Result<T, E> {
    match T::SHORTHAND {
        Some(field) => with(Some((field, value))),
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
        short(Bare::Text(value, PhantomData), value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        short(Bare::Unsigned(value), &value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        short(Bare::Signed(value), &value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        short(Bare::Float(value), &value.to_string())
    }
}
