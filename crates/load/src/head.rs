//! What an answer's head says of the answer: its status, whether it is fresh, how old, and when to come again.
//!
//! Only what the service says is taken; nothing is guessed from the body.

use hyper::header::{AGE, HeaderMap, RETRY_AFTER, WARNING};
use murphy_core::{Served, Span};

/// The part of an answer's head that a sample keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    pub served: Served,
    pub age: Option<Span>,
    pub retry_after: Option<Span>,
}

impl Head {
    pub(crate) fn new(status: u16, headers: &HeaderMap) -> Head {
        let seconds = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            text.trim().parse::<u32>().ok().map(|seconds| Span::from_secs(u64::from(seconds)))
        };
        Head { status, served: served(headers), age: seconds(AGE), retry_after: seconds(RETRY_AFTER) }
    }
}

/// All values of a header, lists taken apart at their commas. (None of the headers read here has a comma in a quoted
/// string but `Warning`, of which only the beginning of an element counts.)
fn elements<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// `X-Served` says it outright and wins; then `Cache-Status` (RFC 9211) and `Warning` (RFC 7234, 5.5).
fn served(headers: &HeaderMap) -> Served {
    for word in elements(headers, "x-served") {
        match word.to_ascii_lowercase().as_str() {
            "stale" => return Served::Stale,
            "default" => return Served::Default,
            "partial" => return Served::Partial,
            _ => {}
        }
    }
    // 110: response is stale. 111: revalidation failed.
    let warned = elements(headers, WARNING.as_str())
        .any(|element| element.starts_with("110") || element.starts_with("111"));
    if warned || elements(headers, "cache-status").any(is_stale_cache) {
        return Served::Stale;
    }
    Served::Fresh
}

/// True for one cache's account of a stale answer: a negative `ttl`, a bare `stale`, or `fwd=stale` (a stale entry
/// was found and the next hop asked) unless `fwd-status` shows that the next hop did answer.
fn is_stale_cache(account: &str) -> bool {
    let parameters = || account.split(';').skip(1).map(str::trim);
    let value = |name: &str| {
        parameters().find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    if value("ttl").is_some_and(|ttl| ttl.starts_with('-'))
        || parameters().any(|parameter| parameter == "stale")
    {
        return true;
    }
    let answered =
        value("fwd-status").is_some_and(|status| status.parse::<u16>().is_ok_and(|status| status < 500));
    value("fwd") == Some("stale") && !answered
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn head(pairs: &[(&'static str, &'static str)]) -> Head {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        Head::new(200, &headers)
    }

    #[test]
    fn a_stale_answer_is_known_by_any_of_its_marks() {
        for (name, value) in [
            ("cache-status", "shop; hit; ttl=-30"),
            ("cache-status", "origin; hit; ttl=5, edge; hit; ttl=-412"),
            ("cache-status", "shop; fwd=stale"),
            ("cache-status", "shop; fwd=stale; fwd-status=503"),
            ("cache-status", "shop; hit; stale"),
            ("warning", "110 - \"Response is Stale\""),
            ("warning", "199 - \"x\", 111 shop \"Revalidation Failed\""),
            ("x-served", "stale"),
        ] {
            assert_eq!(head(&[(name, value)]).served, Served::Stale, "{name}: {value}");
        }
    }

    #[test]
    fn an_ordinary_answer_is_fresh() {
        for (name, value) in [
            ("cache-status", "shop; hit; ttl=30"),
            ("cache-status", "stale; hit; ttl=30"),
            ("cache-status", "shop; fwd=stale; fwd-status=304"),
            ("cache-status", "shop; fwd=uri-miss; stored"),
            ("warning", "214 - \"Transformation Applied\""),
            ("x-served", "fresh"),
            ("content-type", "text/plain"),
        ] {
            assert_eq!(head(&[(name, value)]).served, Served::Fresh, "{name}: {value}");
        }
        assert_eq!(head(&[]), Head { status: 200, served: Served::Fresh, age: None, retry_after: None });
    }

    #[test]
    fn the_services_own_word_wins() {
        let both = head(&[("cache-status", "shop; hit; ttl=-1"), ("x-served", "Default")]);
        assert_eq!(both.served, Served::Default);
        assert_eq!(head(&[("x-served", "partial")]).served, Served::Partial);
    }

    #[test]
    fn seconds_are_read_and_anything_else_is_left_out() {
        let seconds = head(&[("age", "31"), ("retry-after", " 2 ")]);
        assert_eq!((seconds.age, seconds.retry_after), (Some(Span::from_secs(31)), Some(Span::from_secs(2))));
        let other = head(&[("age", "-1"), ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]);
        assert_eq!((other.age, other.retry_after), (None, None));
    }
}
