//! Which of the requests that match a fault is for, by count or by chance (`which:`), and what they are counted by (`per:`). It
//! only says so: the proxy counts.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use hyper::http::HeaderName;
use murphy_core::Chance;
use murphy_proxy::http::{Cycle, RequestKey, Selection};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::check::Problems;

/// What requests are counted by, each value on its own: `header x-user`, `query user`, `path` or `source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Per {
    /// The value of this header.
    Header(HeaderName),
    /// The value of this parameter of the query.
    Query(String),
    /// The path.
    Path,
    /// The caller's address.
    Source,
}

/// Why a text is nothing to count by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PerError {
    /// Not one of the kinds.
    #[error("requests are not counted by `{text}`; write `header x-user`, `query user`, `path` or `source`")]
    Unknown {
        /// As written.
        text: String,
    },
    /// Not a header.
    #[error("`{name}` is not the name of a header; write for example `header x-user`")]
    BadHeader {
        /// As written.
        name: String,
    },
}

impl FromStr for Per {
    type Err = PerError;
    fn from_str(text: &str) -> Result<Per, PerError> {
        let (kind, name) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        match (kind, name.trim()) {
            ("path", "") => Ok(Per::Path),
            ("source", "") => Ok(Per::Source),
            ("query", name) if !name.is_empty() => Ok(Per::Query(name.to_owned())),
            ("header", name) if !name.is_empty() => HeaderName::from_str(name)
                .map(Per::Header)
                .map_err(|_| PerError::BadHeader { name: name.to_owned() }),
            _ => Err(PerError::Unknown { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Per::Header(name) => write!(f, "header {name}"),
            Per::Query(name) => write!(f, "query {name}"),
            Per::Path => f.write_str("path"),
            Per::Source => f.write_str("source"),
        }
    }
}

impl Serialize for Per {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Per, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Per {
    fn schema_name() -> Cow<'static, str> {
        "Per".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(path|source|(header|query) +.+)$" })
    }
}

/// Which of the requests that match are touched. All that is written holds together; counts are by arrival.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "which requests are touched, as `{ first: 3 }` or `{ chance: 20% }`"
)]
pub struct Which {
    /// So many pass untouched first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The nth, the 2nth and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// So many in a row, and then `pass` not, again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<u64>,
    /// So many pass after `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<u64>,
    /// The share, drawn for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// At most so many in all: the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Counts are kept for each value of this: `path`, `source`, `header x-user` or `query user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
}

impl Which {
    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Which::default()
    }

    /// Reports what cannot be meant.
    pub fn check(&self, problems: &mut Problems) {
        let counts = [("first", self.first), ("every", self.every), ("fail", self.fail), ("pass", self.pass)];
        for (field, _) in counts.into_iter().filter(|(_, count)| *count == Some(0)) {
            let help = format!("write at least `{field}: 1`, or remove the key");
            problems.field(field, format!("`{field}: 0` is no number of requests"), help);
        }
        match (self.fail, self.pass) {
            (Some(fail), None) => problems.field(
                "fail",
                "`fail` without `pass` never ends",
                format!("write `pass: 5` beside it, or `first: {fail}` to fail only once"),
            ),
            (None, Some(_)) => {
                problems.field("pass", "`pass` says what comes after `fail`", "write `fail: 3` beside it");
            }
            _ => {}
        }
        if self.every.is_some() && self.fail.is_some() {
            problems.field("every", "`every` and `fail` are two patterns", "keep one of them");
        }
        if self.chance.is_some_and(|chance| chance.as_fraction() == 0.0) {
            problems.field("chance", "a fault that never happens", "write for example `chance: 20%`");
        }
    }

    /// As the proxy counts.
    pub fn selection(&self) -> Selection {
        let number = |count: Option<u64>| count.and_then(NonZeroU64::new);
        let cycle = match (number(self.every), number(self.fail), number(self.pass)) {
            (Some(every), ..) => Some(Cycle::Every(every)),
            (None, Some(fail), Some(pass)) => Some(Cycle::Spell { fail, pass }),
            _ => None,
        };
        Selection {
            after: self.after.unwrap_or(0),
            cycle,
            chance: self.chance.unwrap_or(Chance::ALWAYS),
            first: self.first,
            per: self.per.as_ref().map(|per| match per {
                Per::Header(name) => RequestKey::Header(name.clone()),
                Per::Query(name) => RequestKey::Query(name.clone()),
                Per::Path => RequestKey::Path,
                Per::Source => RequestKey::Source,
            }),
        }
    }

    /// For people: `the first 3`, `20%`.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(after) = self.after {
            parts.push(format!("after {after}"));
        }
        if let Some(every) = self.every {
            parts.push(format!("one in {every}"));
        }
        if let (Some(fail), Some(pass)) = (self.fail, self.pass) {
            parts.push(format!("{fail}, then not {pass}, again and again"));
        }
        if let Some(chance) = self.chance {
            parts.push(chance.to_string());
        }
        if let Some(first) = self.first {
            parts.push(format!("the first {first}"));
        }
        let per = self.per.as_ref().map(|per| match per {
            Per::Header(name) => format!("for each {name}"),
            Per::Query(name) => format!("for each {name}"),
            Per::Path => "for each path".to_owned(),
            Per::Source => "for each caller".to_owned(),
        });
        parts.extend(per);
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_said_with_what_to_write() {
        let which: Which = serde_yaml::from_str("{ first: 0, fail: 3, chance: 0% }").unwrap();
        let mut problems = Problems::new();
        which.check(&mut problems);
        assert_eq!(
            problems.iter().filter_map(|problem| problem.field).collect::<Vec<_>>(),
            ["first", "fail", "chance"]
        );
    }

    #[test]
    fn both_read_back_as_written() {
        let which: Which =
            serde_yaml::from_str("{ after: 2, fail: 3, pass: 5, chance: 20%, per: query user }").unwrap();
        let again: Which = serde_yaml::from_str(&serde_yaml::to_string(&which).unwrap()).unwrap();
        assert_eq!(which, again);
        assert!("header a b".parse::<Per>().is_err() && "cookie x".parse::<Per>().is_err());
        assert_eq!(which.text(), "after 2, 3, then not 5, again and again, 20%, for each user");
    }
}
