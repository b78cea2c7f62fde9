//! Which containers a fault is meant for: conditions that must all hold, exceptions, how many of them, and a cap. Read
//! from one text (`service:web,project:shop`) or from a map (`{ service: web, pick: 1 }`); never looks at an engine.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::pick::Pick;
use super::selector::{Selector, SelectorError};
use crate::container::Container;

/// Which containers.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Conditions that must all hold; never empty.
    pub all_of: Vec<Selector>,
    /// A container that fulfils one of these is left out.
    pub exclude: Vec<Selector>,
    /// How many.
    pub pick: Pick,
    /// At most so many may be touched; more is an error and not a silent cut.
    pub max: Option<u32>,
}

/// Why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// One of its conditions is wrong.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// There is no condition at all.
    #[error("no container is named; write `name`, `service`, `project`, `label`, `image` or `id`")]
    NoSelector,
}

impl Target {
    /// All containers that fulfil these conditions.
    pub fn new(all_of: Vec<Selector>) -> Result<Target, TargetError> {
        if all_of.is_empty() {
            return Err(TargetError::NoSelector);
        }
        Ok(Target { all_of, exclude: Vec::new(), pick: Pick::All, max: None })
    }

    /// True if the container fulfils all conditions and is not excluded, be it protected or not: who only looks may.
    pub fn matches(&self, container: &Container) -> bool {
        self.all_of.iter().all(|selector| selector.matches(container))
            && !self.exclude.iter().any(|selector| selector.matches(container))
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// Conditions with commas between them, which must all hold. A comma within `/…/` or `{…}` belongs to the pattern.
    fn from_str(text: &str) -> Result<Target, TargetError> {
        let conditions = parts(text).into_iter().map(str::parse).collect::<Result<Vec<Selector>, _>>()?;
        Target::new(conditions)
    }
}

/// Splits at commas that are not within a regular expression or a glob's braces.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut regex, mut previous) = (Vec::new(), 0, 0usize, false, ',');
    for (at, c) in text.char_indices() {
        match c {
            // A regular expression begins where a value begins and ends at a slash before a comma or the end.
            '/' if !regex => regex = matches!(previous, ',' | ':' | '='),
            '/' => regex = !(at + 1 == text.len() || text[at + 1..].trim_start().starts_with(',')),
            '{' if !regex => depth += 1,
            '}' if !regex => depth = depth.saturating_sub(1),
            ',' if !regex && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if !c.is_whitespace() {
            previous = c;
        }
    }
    parts.push(&text[start..]);
    parts
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, selector) in self.all_of.iter().enumerate() {
            write!(f, "{}{selector}", if at == 0 { "" } else { "," })?;
        }
        if self.pick != Pick::All {
            write!(f, " (pick {})", self.pick)?;
        }
        Ok(())
    }
}

const FIELDS: &[&str] = &["name", "id", "label", "image", "service", "project", "pick", "exclude", "max"];

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let text = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect::<Vec<_>>();
        for kind in &FIELDS[..6] {
            let values: Vec<String> =
                self.all_of.iter().filter_map(|selector| value_of(selector, kind)).collect();
            match values.as_slice() {
                [] => {}
                [one] => map.serialize_entry(kind, one)?,
                more => map.serialize_entry(kind, more)?,
            }
        }
        if self.pick != Pick::All {
            map.serialize_entry("pick", &self.pick.to_string())?;
        }
        if !self.exclude.is_empty() {
            map.serialize_entry("exclude", &text(&self.exclude))?;
        }
        if let Some(max) = self.max {
            map.serialize_entry("max", &max)?;
        }
        map.end()
    }
}

/// The text after the colon, if the condition is of this kind.
fn value_of(selector: &Selector, kind: &str) -> Option<String> {
    let text = match selector {
        Selector::Name(pattern) => format!("name:{pattern}"),
        other => other.to_string(),
    };
    text.strip_prefix(kind)?.strip_prefix(':').map(str::to_owned)
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("containers: `service:web`, or { service: web, pick: 1 }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Target, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Target, A::Error> {
        let (mut all_of, mut exclude, mut pick, mut max) = (Vec::new(), Vec::new(), Pick::All, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "pick" => pick = map.next_value()?,
                "max" => max = Some(map.next_value::<Cap>()?.0),
                "exclude" => exclude.append(&mut map.next_value_seed(Selectors(None))?),
                kind if FIELDS.contains(&kind) => {
                    all_of.append(&mut map.next_value_seed(Selectors(Some(kind)))?);
                }
                other => return Err(A::Error::unknown_field(other, FIELDS)),
            }
        }
        let target = Target::new(all_of).map_err(A::Error::custom)?;
        Ok(Target { exclude, pick, max, ..target })
    }
}

/// One text or several, each a condition: of this kind, or of the kind that it names itself. Read where they stand, so
/// that an error knows its place.
#[derive(Clone, Copy)]
struct Selectors<'k>(Option<&'k str>);

impl Selectors<'_> {
    fn one<E: serde::de::Error>(self, text: &str) -> Result<Selector, E> {
        match self.0 {
            Some(kind) => Selector::of_kind(kind, text),
            None => text.parse(),
        }
        .map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Selectors<'_> {
    type Value = Vec<Selector>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Selector>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Selectors<'_> {
    type Value = Vec<Selector>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<Selector>, E> {
        Ok(vec![self.one(text)?])
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Selector>, A::Error> {
        let mut selectors = Vec::new();
        while let Some(one) = seq.next_element_seed(OneSelector(self))? {
            selectors.push(one);
        }
        if selectors.is_empty() {
            return Err(A::Error::custom("an empty list names nothing; write a text, or remove the key"));
        }
        Ok(selectors)
    }
}

struct OneSelector<'k>(Selectors<'k>);

impl<'de> DeserializeSeed<'de> for OneSelector<'_> {
    type Value = Selector;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Selector, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for OneSelector<'_> {
    type Value = Selector;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Selector, E> {
        self.0.one(text)
    }
}

/// A cap of at least one.
struct Cap(u32);

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cap, D::Error> {
        struct CapVisitor;
        impl Visitor<'_> for CapVisitor {
            type Value = Cap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, not negative")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Cap, E> {
                match u32::try_from(number) {
                    Ok(0) => Err(E::custom("a maximum of 0 forbids everything; write at least 1")),
                    Ok(max) => Ok(Cap(max)),
                    Err(_) => Ok(Cap(u32::MAX)),
                }
            }
        }
        deserializer.deserialize_u64(CapVisitor)
    }
}

impl schemars::JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "ContainerTarget".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let texts = |about: &str| {
            serde_json::json!({ "description": about, "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ] })
        };
        schemars::json_schema!({
            "description": "Which containers: a selector (`service:web`, `web-*`, `/regex/`), or conditions that must all hold",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "properties": {
                        "name": texts("The container's name"),
                        "id": texts("The beginning of its id, four digits or more"),
                        "label": texts("A label that it has: `tier`, or with its value `tier=back`"),
                        "image": texts("The image that it was made of: `redis`, `redis:7`"),
                        "service": texts("The compose service whose replica it is"),
                        "project": texts("The compose project that it belongs to"),
                        "exclude": texts("Those that match this are left out: a selector as `web-1` or `service:db`; of several, any"),
                        "pick": {
                            "description": "How many of those that match: 1, 50% or all",
                            "anyOf": [
                                { "type": "integer", "minimum": 1 },
                                { "type": "string", "pattern": r"^\s*(all|[0-9]+|[0-9]+(\.[0-9]+)?\s*%)\s*$" },
                            ],
                        },
                        "max": {
                            "description": "At most so many may be touched; more is an error",
                            "type": "integer",
                            "minimum": 1,
                        },
                    },
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_and_the_map_mean_the_same() {
        let text: Target = "service:web,project:shop".parse().unwrap();
        let map: Target = serde_yaml::from_str("{ service: web, project: shop }").unwrap();
        assert_eq!(text, map);
        let quoted: Target = serde_yaml::from_str("service:web,project:shop").unwrap();
        assert_eq!(text, quoted);
    }

    #[test]
    fn all_keys_of_the_map_are_read_and_written_back() {
        let yaml =
            "{ name: [web-*, /1$/], label: tier=front, pick: 50%, exclude: [web-9, 'service:db'], max: 3 }";
        let target: Target = serde_yaml::from_str(yaml).unwrap();
        assert_eq!((target.all_of.len(), target.exclude.len(), target.max), (3, 2, Some(3)));
        let again: Target = serde_json::from_str(&serde_json::to_string(&target).unwrap()).unwrap();
        assert_eq!(target, again);
        let one: Target = serde_yaml::from_str("{ service: web, pick: 1 }").unwrap();
        assert_eq!(one.pick, Pick::Count(1));
    }

    #[test]
    fn a_comma_within_a_pattern_does_not_split_it() {
        let target: Target = "/web-[0-9]{1,2}/, label:tier={a,b},service:/x,y/".parse().unwrap();
        let texts: Vec<String> = target.all_of.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["/web-[0-9]{1,2}/", "label:tier={a,b}", "service:/x,y/"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |yaml| serde_yaml::from_str::<Target>(yaml).unwrap_err().to_string();
        assert!(error("{ servce: web }").contains("servce"));
        assert!(error("{ pick: 1 }").contains("no container is named"));
        assert!(error("{ service: web, pick: 0 }").contains("at least 1"));
        assert!(error("{ service: web, pick: half }").contains("half"));
        assert!(error("{ service: web, pick: -1 }").contains("-1"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Target>();
        }
    }
}
