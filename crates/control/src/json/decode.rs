//! A tree to fields of a type, as Go fills a struct: keys in any case, unknown ones ignored, null leaves what was there,
//! and a value of the wrong kind is an error that names the field.

use super::read::{Json, SyntaxError};

/// What a field holds, with its name in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// An integer of 64 bits that Go calls `int64`.
    Integer,
    /// An integer of 64 bits that Go calls `int`.
    Int,
    /// A float of 32 bits.
    Single,
    /// A float of 64 bits.
    Double,
    /// A structure, with its name in Go.
    Struct(&'static str),
    /// A list of structures, with the name of its type in Go.
    List(&'static str),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Bool => "bool",
            Kind::Integer => "int64",
            Kind::Int => "int",
            Kind::Single => "float32",
            Kind::Double => "float64",
            Kind::Struct(name) | Kind::List(name) => name,
        }
    }
}

/// Why a body cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A value of the wrong kind.
    #[error("json: cannot unmarshal {found} into Go {} of type {}", place(.path), .kind.name())]
    Mismatch {
        /// What stands there: `string`, `number 1.5`.
        found: String,
        /// The struct and the field, `Proxy.listen`; empty for the body itself.
        path: String,
        /// What should stand there.
        kind: Kind,
    },
}

fn place(path: &str) -> String {
    if path.is_empty() { "value".to_owned() } else { format!("struct field {path}") }
}

fn describe(value: &Json) -> String {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::Text(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
    .to_owned()
}

/// A body that must be a list; `null` is an empty one.
pub fn list_of(value: &Json, kind: Kind) -> Result<&[Json], DecodeError> {
    match value {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(&[]),
        other => Err(DecodeError::Mismatch { found: describe(other), path: String::new(), kind }),
    }
}

/// An object that is being read as a struct. The first error wins, as in Go.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    fields: &'a [(String, Json)],
    path: &'static str,
}

/// One field of an object: absent, null (which is the same) or a value.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    value: Option<&'a Json>,
    path: String,
}

impl<'a> Object<'a> {
    /// A body that must be an object; `null` is one without fields. `path` is the struct's name in messages.
    pub fn of(value: &'a Json, path: &'static str, kind: Kind) -> Result<Object<'a>, DecodeError> {
        match value {
            Json::Object(fields) => Ok(Object { fields, path }),
            Json::Null => Ok(Object { fields: &[], path }),
            other => Err(DecodeError::Mismatch { found: describe(other), path: String::new(), kind }),
        }
    }

    /// The field of that name in any case; the last one wins, but null never does.
    pub fn field(&self, name: &str) -> Field<'a> {
        let value = self
            .fields
            .iter()
            .rev()
            .find(|(key, value)| key.eq_ignore_ascii_case(name) && *value != Json::Null)
            .map(|(_, value)| value);
        Field { value, path: format!("{}.{name}", self.path) }
    }

    /// The keys as they were written.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(|(key, _)| key.as_str())
    }
}

impl<'a> Field<'a> {
    fn mismatch(&self, value: &Json, kind: Kind) -> DecodeError {
        DecodeError::Mismatch { found: describe(value), path: self.path.clone(), kind }
    }

    /// A number that does not fit is quoted.
    fn misfit(&self, number: &str, kind: Kind) -> DecodeError {
        DecodeError::Mismatch { found: format!("number {number}"), path: self.path.clone(), kind }
    }

    /// The value, if there is one.
    pub fn json(&self) -> Option<&'a Json> {
        self.value
    }

    /// A string, if there is a value.
    pub fn text(&self) -> Result<Option<&'a str>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.mismatch(other, Kind::Text)),
        }
    }

    /// A boolean, if there is a value.
    pub fn boolean(&self) -> Result<Option<bool>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.mismatch(other, Kind::Bool)),
        }
    }

    /// An integer, if there is a value. `1.5` and `1e3` are not integers in Go.
    pub fn integer(&self) -> Result<Option<i64>, DecodeError> {
        self.integer_as(Kind::Integer)
    }

    /// The same, with the name that its type has in Go.
    pub fn integer_as(&self, kind: Kind) -> Result<Option<i64>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Number(text)) => text.parse().map(Some).map_err(|_| self.misfit(text, kind)),
            Some(other) => Err(self.mismatch(other, kind)),
        }
    }

    /// A float of 32 bits, if there is a value.
    pub fn single(&self) -> Result<Option<f32>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Number(text)) => match text.parse::<f32>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.misfit(text, Kind::Single)),
            },
            Some(other) => Err(self.mismatch(other, Kind::Single)),
        }
    }

    /// A float of 64 bits, if there is a value.
    pub fn double(&self) -> Result<Option<f64>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Number(text)) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.misfit(text, Kind::Double)),
            },
            Some(other) => Err(self.mismatch(other, Kind::Double)),
        }
    }

    /// An object, if there is a value. `path` is what its fields are called in messages.
    pub fn object(&self, path: &'static str, kind: Kind) -> Result<Option<Object<'a>>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Object(fields)) => Ok(Some(Object { fields, path })),
            Some(other) => Err(self.mismatch(other, kind)),
        }
    }

    /// A list, if there is a value.
    pub fn list(&self, kind: Kind) -> Result<Option<&'a [Json]>, DecodeError> {
        match self.value {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.mismatch(other, kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::first_value;

    const PROXY: Kind = Kind::Struct("toxiproxy.Proxy");

    #[test]
    fn keys_match_in_any_case_and_null_leaves_what_was_there() {
        let json = first_value(br#"{"NAME":"a","name":"b","name":null,"Other":1}"#).unwrap();
        let object = Object::of(&json, "Proxy", PROXY).unwrap();
        assert_eq!(object.field("name").text(), Ok(Some("b")));
        assert_eq!(object.field("other").integer(), Ok(Some(1)));
        assert_eq!(object.field("listen").text(), Ok(None));
    }

    #[test]
    fn a_wrong_kind_names_the_field_as_go_does() {
        let json = first_value(
            br#"{"latency":1.5,"jitter":"1","loss_rate":"x","toxicity":1e99,"big":9223372036854775808}"#,
        )
        .unwrap();
        let object = Object::of(&json, "LatencyToxic.attributes", PROXY).unwrap();
        let text = |error: DecodeError| error.to_string();
        assert_eq!(
            object.field("latency").integer().map_err(text),
            Err("json: cannot unmarshal number 1.5 into Go struct field LatencyToxic.attributes.latency of type int64".into())
        );
        assert_eq!(
            object.field("jitter").integer().map_err(text),
            Err("json: cannot unmarshal string into Go struct field LatencyToxic.attributes.jitter of type int64".into())
        );
        assert!(object.field("toxicity").single().is_err());
        assert!(object.field("loss_rate").double().is_err());
        assert!(object.field("big").integer().is_err());
        assert_eq!(
            Object::of(&Json::Array(vec![]), "Proxy", PROXY).unwrap_err().to_string(),
            "json: cannot unmarshal array into Go value of type toxiproxy.Proxy"
        );
        assert!(Object::of(&Json::Null, "Proxy", PROXY).is_ok());
    }
}
