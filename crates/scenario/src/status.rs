//! HTTP statuses that count as expected: `200`, `[200, 201]`, `2xx`, `200-299`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of HTTP statuses, as ranges in the order in which they were written. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet {
    ranges: Vec<(u16, u16)>,
}

/// Why a text is no set of statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an HTTP status; write for example 200, 2xx, 200-204 or [200, 404]")]
pub struct StatusError {
    /// The text as written.
    pub text: String,
}

impl StatusSet {
    /// All answers that mean success: 200 to 299.
    pub fn success() -> StatusSet {
        StatusSet { ranges: vec![(200, 299)] }
    }

    /// True if this status is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// The ranges, each inclusive at both ends.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges
    }

    fn one(text: &str) -> Option<(u16, u16)> {
        let text = text.trim();
        let (low, high) = if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok()?;
            (class.checked_mul(100)?, class.checked_mul(100)?.checked_add(99)?)
        } else if let Some((low, high)) = text.split_once('-') {
            (low.trim().parse().ok()?, high.trim().parse().ok()?)
        } else {
            let status = text.parse().ok()?;
            (status, status)
        };
        (low <= high && low >= 100 && high <= 599).then_some((low, high))
    }
}

impl FromStr for StatusSet {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<StatusSet, StatusError> {
        let ranges = text
            .split(',')
            .map(|part| StatusSet::one(part).ok_or_else(|| StatusError { text: part.trim().to_owned() }))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(StatusSet { ranges })
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match (low, high) {
                (low, high) if low == high => write!(f, "{low}")?,
                (low, high) if low.is_multiple_of(100) && *high == low + 99 => write!(f, "{}xx", low / 100)?,
                (low, high) => write!(f, "{low}-{high}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusSet, D::Error> {
        deserializer.deserialize_any(SetVisitor)
    }
}

struct SetVisitor;

impl<'de> de::Visitor<'de> for SetVisitor {
    type Value = StatusSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status (200, 2xx, 200-204 or [200, 404])")
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<StatusSet, E> {
        self.visit_str(&status.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusSet, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<StatusSet, A::Error> {
        let mut ranges = Vec::new();
        while let Some(set) = items.next_element::<StatusSet>()? {
            ranges.extend(set.ranges);
        }
        if ranges.is_empty() {
            return Err(de::Error::custom("no status at all; write for example 2xx"));
        }
        Ok(StatusSet { ranges })
    }
}

impl schemars::JsonSchema for StatusSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusSet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = serde_json::json!([
            { "type": "integer", "minimum": 100, "maximum": 599 },
            { "type": "string", "pattern": r"^\s*([1-5]xx|[1-5]\d\d(\s*-\s*[1-5]\d\d)?)\s*$" },
        ]);
        schemars::json_schema!({
            "description": "HTTP statuses: 200, 2xx, 200-204 or a list of these",
            "anyOf": [one[0], one[1], { "type": "array", "minItems": 1, "items": { "anyOf": one } }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ranges_and_single_statuses_are_read_and_printed_back() {
        for text in ["200", "2xx", "200-204", "200, 404, 5xx"] {
            assert_eq!(text.parse::<StatusSet>().unwrap().to_string(), text);
        }
        let set: StatusSet = "200, 4xx".parse().unwrap();
        assert!(set.contains(200) && set.contains(404) && !set.contains(201) && !set.contains(500));
    }

    #[test]
    fn numbers_that_are_no_status_are_refused() {
        for text in ["", "20", "99", "600", "6xx", "xx", "299-200", "ok", "65536", "700xx"] {
            assert!(text.parse::<StatusSet>().is_err(), "{text:?} was accepted");
        }
    }
}
