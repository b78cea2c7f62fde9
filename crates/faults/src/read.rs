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

/// A fault given by its name alone.
pub(crate) fn bare<T: FaultSpec, E: Error>() -> Result<T, E> {
    T::deserialize(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
}

/// A value that is there, also for a field that may be left out.
struct Present<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Present<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> IntoDeserializer<'de, D::Error> for Present<D> {
    type Deserializer = Present<D>;
    fn into_deserializer(self) -> Present<D> {
        self
    }
}

fn short<'de, T: FaultSpec, V: IntoDeserializer<'de, E>, E: Error>(value: V, shown: &str) -> Result<T, E> {
    match T::SHORTHAND {
        Some(field) => {
            let value = Present(value.into_deserializer());
            T::deserialize(MapDeserializer::new(std::iter::once((field, value))))
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
        short::<T, &str, E>(value, value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        short::<T, u64, E>(value, &value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        short::<T, i64, E>(value, &value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        short::<T, f64, E>(value, &value.to_string())
    }
}
