//! serde over a node tree: any type that derives `Deserialize` can be read, and its errors know their node.
//!
//! Nodes that are `gone` are passed over as if they were not written. Nothing is reported here; see `problem`.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::node::{Entry, Gone, Kind, Meaning, Node, NodeId};
use crate::source_map::Region;

/// What is wrong, in serde's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A type's own words.
    Custom(String),
    /// The wrong kind of value.
    Type { expected: String },
    /// A value of the right kind that is not allowed.
    Value { expected: String },
    /// A key that does not belong here.
    Field { found: String, known: &'static [&'static str] },
    /// A word that is none of the choices.
    Variant { found: String, known: &'static [&'static str] },
    /// A key that must be written.
    Missing { field: &'static str },
    /// `key:` with nothing behind it.
    Absent,
}

/// Where it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// The node to pass over from now on.
    pub(crate) node: NodeId,
    /// The map that a wrong key stands in; the node itself in all other cases.
    pub(crate) within: NodeId,
    /// What to point at.
    pub(crate) region: Region,
    /// The key in front of the node.
    pub(crate) key: Option<Region>,
}

/// An error that knows its node, as soon as it has passed one on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeError {
    pub(crate) wrong: Wrong,
    pub(crate) at: Option<At>,
}

impl NodeError {
    fn new(wrong: Wrong) -> Box<NodeError> {
        Box::new(NodeError { wrong, at: None })
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.wrong)
    }
}

impl std::error::Error for NodeError {}

/// On the heap: an error is handed on by the code that reads each field, which would have it whole.
impl de::Error for Box<NodeError> {
    fn custom<T: fmt::Display>(message: T) -> Box<NodeError> {
        NodeError::new(Wrong::Custom(message.to_string()))
    }
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Box<NodeError> {
        NodeError::new(Wrong::Type { expected: expected.to_string() })
    }
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Box<NodeError> {
        NodeError::new(Wrong::Value { expected: expected.to_string() })
    }
    fn invalid_length(length: usize, expected: &dyn Expected) -> Box<NodeError> {
        de::Error::custom(format!("{length} values, but {expected} was expected"))
    }
    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Box<NodeError> {
        NodeError::new(Wrong::Variant { found: found.to_owned(), known })
    }
    fn unknown_field(found: &str, known: &'static [&'static str]) -> Box<NodeError> {
        NodeError::new(Wrong::Field { found: found.to_owned(), known })
    }
    fn missing_field(field: &'static str) -> Box<NodeError> {
        NodeError::new(Wrong::Missing { field })
    }
    fn duplicate_field(field: &'static str) -> Box<NodeError> {
        de::Error::custom(format!("the key `{field}` is written twice"))
    }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key: Option<Region>,
    pub(crate) gone: &'a Gone,
}

impl<'a> Reader<'a> {
    pub(crate) fn root(node: &'a Node, gone: &'a Gone) -> Reader<'a> {
        Reader { node, key: None, gone }
    }

    /// Gives an error its place, unless it comes from further inside and has one.
    fn placed<T>(self, result: Result<T, Box<NodeError>>) -> Result<T, Box<NodeError>> {
        result.map_err(|error| self.place(error))
    }

    #[cold]
    fn place(self, mut error: Box<NodeError>) -> Box<NodeError> {
        if error.at.is_none() {
            error.at = Some(match &error.wrong {
                // A key that a type reports when it looks at the whole map: a fault's name, a condition on containers.
                Wrong::Variant { found, .. } | Wrong::Field { found, .. }
                    if let Some(entry) = self.node.entry(found) =>
                {
                    At {
                        node: entry.value.id,
                        within: self.node.id,
                        region: entry.key_region,
                        key: Some(entry.key_region),
                    }
                }
                _ => At { node: self.node.id, within: self.node.id, region: self.node.region, key: self.key },
            });
        }
        error
    }

    fn entries(self, entries: &'a [Entry]) -> Entries<'a> {
        Entries { rest: entries.iter(), value: None, within: self.node.id, gone: self.gone }
    }

    fn is_absent(self) -> bool {
        self.node.scalar().is_some_and(|scalar| scalar.is_absent())
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Box<NodeError>;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<NodeError>> {
        self.placed(match &self.node.kind {
            Kind::List(items) => visitor.visit_seq(Items { rest: items.iter(), gone: self.gone }),
            Kind::Map(entries) => visitor.visit_map(self.entries(entries)),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Truth(truth) => visitor.visit_bool(truth),
                Meaning::Whole(number) => visitor.visit_u64(number),
                Meaning::Negative(number) => visitor.visit_i64(number),
                Meaning::Real(number) => visitor.visit_f64(number),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
            },
        })
    }

    /// Where a text is wanted, letters are taken as they stand: a port in `env`, a word `no`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<NodeError>> {
        match self.node.scalar() {
            Some(_) if self.is_absent() => self.placed(Err(NodeError::new(Wrong::Absent))),
            Some(scalar) => self.placed(visitor.visit_borrowed_str(&scalar.text)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<NodeError>> {
        self.deserialize_str(visitor)
    }

    /// A key without a value is not the same as no key: it is an error.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<NodeError>> {
        if self.is_absent() {
            return self.placed(Err(NodeError::new(Wrong::Absent)));
        }
        self.placed(visitor.visit_some(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Box<NodeError>> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Box<NodeError>> {
        match &self.node.kind {
            Kind::Scalar(scalar) if !scalar.is_absent() => {
                let word: BorrowedStrDeserializer<'_, Box<NodeError>> =
                    BorrowedStrDeserializer::new(&scalar.text);
                self.placed(word.deserialize_enum(name, variants, visitor))
            }
            Kind::Scalar(_) => self.placed(Err(NodeError::new(Wrong::Absent))),
            Kind::List(_) | Kind::Map(_) => self.placed(Err(no_word(variants))),
        }
    }

    /// serde's derive would also read a struct from a list, by position: no person means that. Nor is the code for it wanted, for
    /// which it is enough that a list could be handed over.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Box<NodeError>> {
        self.placed(match &self.node.kind {
            Kind::Map(entries) => visitor.visit_map(self.entries(entries)),
            Kind::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            Kind::Scalar(scalar) => Err(de::Error::invalid_type(scalar.meaning().unexpected(), &visitor)),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<NodeError>> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

impl<'a> IntoDeserializer<'a, Box<NodeError>> for Reader<'a> {
    type Deserializer = Reader<'a>;
    fn into_deserializer(self) -> Reader<'a> {
        self
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    gone: &'a Gone,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Box<NodeError>;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Box<NodeError>> {
        let gone = self.gone;
        let next = self.rest.find(|item| !gone.contains(&item.id));
        next.map(|node| seed.deserialize(Reader { node, key: None, gone })).transpose()
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
    within: NodeId,
    gone: &'a Gone,
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Box<NodeError>;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Box<NodeError>> {
        let gone = self.gone;
        let next = self.rest.find(|entry| !gone.contains(&entry.value.id));
        self.value = next;
        let Some(entry) = next else { return Ok(None) };
        let word: BorrowedStrDeserializer<'_, Box<NodeError>> = BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(word).map(Some).map_err(|error| wrong_key(error, entry, self.within))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Box<NodeError>> {
        match self.value.take() {
            Some(entry) => {
                let key = Some(entry.key_region);
                seed.deserialize(Reader { node: &entry.value, key, gone: self.gone })
            }
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// A list or a map where one of some words is wanted.
#[cold]
fn no_word(known: &[&str]) -> Box<NodeError> {
    NodeError::new(Wrong::Type { expected: format!("one of {}", known.join(", ")) })
}

/// Gives an error of a key its place.
#[cold]
fn wrong_key(mut error: Box<NodeError>, entry: &Entry, within: NodeId) -> Box<NodeError> {
    let region = entry.key_region;
    error.at.get_or_insert(At { node: entry.value.id, within, region, key: Some(region) });
    error
}
