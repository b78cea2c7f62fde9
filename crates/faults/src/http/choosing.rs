//! Which requests a fault is for: by what they say (`match:`), and of these by count or by chance (`which:`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use hyper::http::HeaderName;
use hyper::http::request::Parts;
use murphy_core::Chance;
use murphy_proxy::http::{Cycle, RequestKey, RequestMatch, Selection, parameter};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::pattern::{PathPattern, TextPattern};
use crate::check::Problems;

/// Requests that are meant: all that is written must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "what requests are meant, as `{ method: POST, path: /charge }`"
)]
pub struct Match {
    /// The method: `POST`, or several as `{GET,HEAD}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<TextPattern>,
    /// The path, without its query: `/items/7`, `/items/*` (one segment), `/items/**` (any).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathPattern>,
    /// Headers by name; each must be there with a value like this.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, TextPattern>,
    /// Parameters of the query by name; each must be there with a value like this, as it stands in the address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, TextPattern>,
    /// The host that the caller asks for, without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<TextPattern>,
    /// The caller's address: `10.0.0.7`, or a network as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Match {
    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Match::default()
    }

    /// Reports what cannot be meant.
    pub fn check(&self, problems: &mut Problems) {
        for name in self.header.keys().filter(|name| HeaderName::from_str(name).is_err()) {
            problems.field(
                "header",
                format!("`{name}` is not the name of a header"),
                "write for example `x-user`",
            );
        }
        if let Some(source) = &self.source
            && network(source).is_none()
        {
            problems.field(
                "source",
                format!("`{source}` is neither an address nor a network"),
                "write `127.0.0.1` or `10.0.0.0/8`",
            );
        }
    }

    /// What chooses; `None` if all are meant.
    pub fn filter(&self) -> Option<Arc<dyn RequestMatch>> {
        if self.is_empty() {
            return None;
        }
        let header = |(name, pattern): (&String, &TextPattern)| {
            Some((HeaderName::from_str(name).ok()?, pattern.clone()))
        };
        Some(Arc::new(Filter {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.header.iter().filter_map(header).collect(),
            query: self.query.clone().into_iter().collect(),
            host: self.host.clone(),
            source: self.source.as_deref().and_then(network),
        }))
    }

    /// For people: `POST /charge`, ` with x-user: 7`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let method = self.method.as_ref().map(ToString::to_string);
        let path = self.path.as_ref().map(ToString::to_string);
        text.push_str(&[method, path].into_iter().flatten().collect::<Vec<_>>().join(" "));
        for (name, pattern) in self.header.iter().chain(&self.query) {
            let _ = write!(text, " with {name}: {pattern}");
        }
        if let Some(host) = &self.host {
            let _ = write!(text, " to {host}");
        }
        if let Some(source) = &self.source {
            let _ = write!(text, " from {source}");
        }
        text.trim().to_owned()
    }
}

/// An address and how many of its bits count.
#[derive(Debug, Clone, Copy)]
struct Network {
    address: u128,
    mask: u128,
}

/// As one number, so that an address of version 4 and its form in version 6 are the same.
fn as_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    if bits > width {
        return None;
    }
    let mask = u128::MAX.checked_shl(width - bits).unwrap_or(0);
    Some(Network { address: as_number(address) & mask, mask })
}

struct Filter {
    method: Option<TextPattern>,
    path: Option<PathPattern>,
    headers: Vec<(HeaderName, TextPattern)>,
    query: Vec<(String, TextPattern)>,
    host: Option<TextPattern>,
    source: Option<Network>,
}

impl RequestMatch for Filter {
    fn matches(&self, request: &Parts, source: IpAddr) -> bool {
        let text =
            |name: &HeaderName, pattern: &TextPattern| {
                request.headers.get_all(name).iter().any(|value| {
                    std::str::from_utf8(value.as_bytes()).is_ok_and(|value| pattern.matches(value))
                })
            };
        let query = request.uri.query().unwrap_or_default();
        self.may_match(request.method.as_str(), request.uri.path(), source)
            && self.headers.iter().all(|(name, pattern)| text(name, pattern))
            && self
                .query
                .iter()
                .all(|(name, pattern)| parameter(query, name).is_some_and(|value| pattern.matches(value)))
            && self.host.as_ref().is_none_or(|host| host.matches(host_of(request)))
    }

    fn may_match(&self, method: &str, path: &str, source: IpAddr) -> bool {
        self.method.as_ref().is_none_or(|pattern| pattern.matches(method))
            && self.path.as_ref().is_none_or(|pattern| pattern.matches(path))
            && self.source.is_none_or(|network| as_number(source) & network.mask == network.address)
    }
}

/// The host of the address if that is absolute, else of the header; without its port.
fn host_of(request: &Parts) -> &str {
    let header = || request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = request.uri.authority().map_or_else(header, |authority| authority.as_str());
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

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
    use hyper::Request;

    fn matches(filter: &str, request: Request<()>, source: &str) -> bool {
        let filter: Match = serde_yaml::from_str(filter).unwrap();
        let mut problems = Problems::new();
        filter.check(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        filter.filter().unwrap().matches(&request.into_parts().0, source.parse().unwrap())
    }

    fn request() -> Request<()> {
        Request::post("/charge?user=7&dry")
            .header("host", "shop:80")
            .header("x-user", "7")
            .header("x-user", "8")
            .body(())
            .unwrap()
    }

    #[test]
    fn all_that_is_written_must_hold() {
        let home = "127.0.0.1";
        assert!(matches("{ method: POST, path: /charge }", request(), home));
        assert!(!matches("{ method: GET, path: /charge }", request(), home));
        assert!(matches(
            "{ header: { X-User: 8 }, host: shop }".replace(": 8", ": '8'").as_str(),
            request(),
            home
        ));
        assert!(!matches("{ header: { x-user: '9' } }", request(), home));
        assert!(matches("{ query: { user: '7', dry: '/^$/' } }", request(), home));
        assert!(!matches("{ query: { other: '*' } }", request(), home));
        assert!(matches("{ source: 127.0.0.0/8 }", request(), home));
        assert!(matches("{ source: 10.1.2.3 }", request(), "::ffff:10.1.2.3"));
        assert!(!matches("{ source: 10.0.0.0/8 }", request(), home));
        assert!(matches("{ source: 0.0.0.0/0 }", request(), home));
        assert!(matches("{ source: '::/0' }", request(), home));
    }

    #[test]
    fn only_what_method_path_or_source_rule_out_is_ruled_out_without_the_headers() {
        let may = |filter: &str| {
            let filter: Match = serde_yaml::from_str(filter).unwrap();
            filter.filter().unwrap().may_match("POST", "/charge", "127.0.0.1".parse().unwrap())
        };
        for open in [
            "{ path: /charge }",
            "{ header: { x-user: '9' } }",
            "{ host: other }",
            "{ query: { other: '*' } }",
        ] {
            assert!(may(open), "{open}");
        }
        for out in ["{ method: GET, host: shop }", "{ path: /orders/* }", "{ source: 10.0.0.0/8 }"] {
            assert!(!may(out), "{out}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_what_to_write() {
        let which: Which = serde_yaml::from_str("{ first: 0, fail: 3, chance: 0% }").unwrap();
        let mut problems = Problems::new();
        which.check(&mut problems);
        assert_eq!(
            problems.iter().filter_map(|problem| problem.field).collect::<Vec<_>>(),
            ["first", "fail", "chance"]
        );
        let filter: Match = serde_yaml::from_str("{ source: 10.0.0.0/64, header: { 'a b': x } }").unwrap();
        let mut problems = Problems::new();
        filter.check(&mut problems);
        assert_eq!(problems.iter().count(), 2);
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
