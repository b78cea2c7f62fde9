//! Which requests a fault is for, by what they say (`match:`). All of it is read from the head of a request and from the
//! address of its caller; none may wait for its body.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hyper::http::HeaderName;
use hyper::http::request::Parts;
use murphy_proxy::http::{RequestMatch, parameter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
        let filter: Match = serde_yaml::from_str("{ source: 10.0.0.0/64, header: { 'a b': x } }").unwrap();
        let mut problems = Problems::new();
        filter.check(&mut problems);
        assert_eq!(problems.iter().count(), 2);
    }
}
