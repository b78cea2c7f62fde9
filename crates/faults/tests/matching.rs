//! What `match:` makes of requests that nobody thought of: it never panics, chooses what it names and nothing else, and
//! its conditions hold together or not at all.

use std::net::{IpAddr, Ipv4Addr};

use hyper::Request;
use hyper::http::request::Parts;
use murphy_faults::{Match, PathPattern, TextPattern};
use murphy_proxy::http::parameter;
use proptest::prelude::*;

const CALLER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A request as a caller might send it, in few letters, so that two of them are often alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    user: Option<String>,
    host: String,
}

impl Asked {
    fn query(&self) -> String {
        let pairs: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    fn parts(&self) -> Parts {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}?{}", self.path, self.query()))
            .header("host", format!("{}:8080", self.host));
        if let Some(user) = &self.user {
            request = request.header("X-User", user);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The first value of a parameter.
    fn asks(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A match of one condition for each part of this request, as exact as can be written.
    fn conditions(&self) -> Vec<Match> {
        let mut all = vec![
            Match { method: Some(literal(self.method)), ..Match::default() },
            Match { path: Some(escaped(&self.path).parse().unwrap()), ..Match::default() },
            Match { host: Some(literal(&self.host)), ..Match::default() },
            Match { source: Some("127.0.0.0/8".to_owned()), ..Match::default() },
        ];
        if let Some(user) = &self.user {
            let header = [("x-user".to_owned(), literal(user))].into();
            all.push(Match { header, ..Match::default() });
        }
        for (name, _) in &self.query {
            let value = self.asks(name).unwrap();
            let query = [(name.clone(), literal(value))].into();
            all.push(Match { query, ..Match::default() });
        }
        all
    }
}

/// Both conditions.
fn and(one: &Match, other: &Match) -> Match {
    let mut both = one.clone();
    both.method = both.method.or_else(|| other.method.clone());
    both.path = both.path.or_else(|| other.path.clone());
    both.host = both.host.or_else(|| other.host.clone());
    both.source = both.source.or_else(|| other.source.clone());
    both.header.extend(other.header.clone());
    both.query.extend(other.query.clone());
    both
}

fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(
            |sign| if sign.is_ascii_alphanumeric() || sign == '/' { vec![sign] } else { vec!['\\', sign] },
        )
        .chain("{,}".chars()) // with this it is read as a glob, in which `\` takes the next sign
        .collect()
}

/// A pattern that only this text is like.
fn literal(text: &str) -> TextPattern {
    escaped(text).parse().unwrap()
}

fn chooses(filter: &Match, parts: &Parts) -> bool {
    filter.filter().is_none_or(|filter| filter.matches(parts, CALLER))
}

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop::sample::select(vec!["GET", "POST", "DELETE"]);
    let path = "(/[ab.*+$()-]{0,3}){1,3}";
    let query = prop::collection::vec(("[uv]{1,2}", "[78*.%]{0,2}"), 0..4);
    let user = prop::option::of("[78*?/ a-]{0,2}[78]");
    (method, path, query, user, "[ab]{1,2}(\\.[ab])?").prop_map(|(method, path, query, user, host)| Asked {
        method,
        path,
        query,
        user,
        host,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_pattern_or_refused_and_any_request_is_asked_about(
        pattern in "\\PC{0,16}|/\\PC{0,12}/?|/[*?a\\[\\]{},^$|()+\\\\-]{0,12}/?",
        asked in asked(),
        text in "\\PC{0,16}",
        bytes in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut parts = asked.parts();
        if let Ok(value) = hyper::header::HeaderValue::from_bytes(&bytes) {
            parts.headers.append("x-user", value.clone());
            parts.headers.insert("host", value);
        }
        if let Ok(uri) = format!("/{text}?{text}").parse() {
            parts.uri = uri;
        }
        if let Ok(path) = pattern.parse::<PathPattern>() {
            prop_assert_eq!(path.to_string(), pattern.clone());
            path.matches(&text);
            chooses(&Match { path: Some(path), ..Match::default() }, &parts);
        }
        if let Ok(like) = pattern.parse::<TextPattern>() {
            like.matches(&text);
            let header = [("x-user".to_owned(), like.clone())].into();
            let query = [(text, like.clone())].into();
            let one = Match { method: Some(like.clone()), host: Some(like), header, query, ..Match::default() };
            chooses(&one, &parts);
        }
    }

    #[test]
    fn what_names_a_request_chooses_it_and_those_that_are_alike_alone(one in asked(), other in asked()) {
        for condition in one.conditions() {
            prop_assert!(chooses(&condition, &one.parts()), "{condition:?}");
            let is_alike = (condition.method.is_none() || one.method == other.method)
                && (condition.path.is_none() || one.path == other.path)
                && (condition.host.is_none() || one.host == other.host)
                && (condition.header.is_empty() || one.user == other.user)
                && condition.query.keys().all(|name| one.asks(name) == other.asks(name));
            prop_assert_eq!(chooses(&condition, &other.parts()), is_alike, "{:?}", condition);
        }
    }

    #[test]
    fn conditions_hold_together(one in asked(), other in asked(), mask: u16) {
        let some = one.conditions().into_iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
        let some: Vec<Match> = some.map(|(_, condition)| condition).collect();
        let all = some.iter().fold(Match::default(), |all, condition| and(&all, condition));
        let parts = other.parts();
        prop_assert_eq!(chooses(&all, &parts), some.iter().all(|condition| chooses(condition, &parts)));
        prop_assert!(chooses(&all, &one.parts()));
    }

    #[test]
    fn a_regular_expression_between_slashes_means_what_it_means_anywhere(
        inner in "\\^?[ab.+*()|\\[\\]]{0,6}\\$?",
        text in "[ab/]{0,5}",
    ) {
        let written = format!("/{inner}/");
        let regex = regex_lite::Regex::new(&inner);
        match written.parse::<TextPattern>() {
            Ok(pattern) => prop_assert_eq!(pattern.matches(&text), regex.unwrap().is_match(&text)),
            Err(_) => prop_assert!(regex.is_err() || inner.is_empty()),
        }
    }

    #[test]
    fn a_parameter_is_the_first_of_its_whole_name(asked in asked(), name in "[uv]{1,2}") {
        let query = asked.query();
        prop_assert_eq!(parameter(&query, &name), asked.asks(&name));
    }
}
