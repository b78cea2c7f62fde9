//! What a probe keeps of its answers, for later questions and requests.

use std::collections::BTreeSet;
use std::fmt;

use murphy_core::JsonPath;
use serde::Serialize;

use super::{HttpRequest, Question};
use crate::captured::references;
use crate::secret;

/// A part of an answer, and the name by which others use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Capture {
    /// `login.token`: the probe's name and its own.
    pub name: String,
    /// Where it is looked for.
    pub from: CaptureFrom,
    /// A pattern (known to compile) of which the first group is taken, or all where it has none.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureFrom {
    /// A place in the JSON of a body.
    Json(JsonPath),
    /// A header, in small letters.
    Header(String),
    /// All of what is said: a body, a command's output, a reply.
    Text,
}

impl Capture {
    /// True if what is captured is nobody else's business.
    pub fn is_secret(&self) -> bool {
        let from = match &self.from {
            CaptureFrom::Json(path) => path.as_str(),
            CaptureFrom::Header(name) => name.as_str(),
            CaptureFrom::Text => "",
        };
        secret::is_telling(&self.name) || secret::is_telling(from)
    }

    /// A value in every form in which it may be written: as it is, in a URL, in JSON and in SQL.
    pub fn written(value: &str) -> [String; 4] {
        [value.to_owned(), in_url(value), in_json(value), in_sql(value)]
    }
}

impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from ", self.name)?;
        match &self.from {
            CaptureFrom::Json(path) => f.write_str(path.as_str())?,
            CaptureFrom::Header(name) => write!(f, "the header {name}")?,
            CaptureFrom::Text => f.write_str("what is said")?,
        }
        match &self.matches {
            Some(pattern) => write!(f, " by /{pattern}/"),
            None => Ok(()),
        }
    }
}

impl HttpRequest {
    /// What must be captured before it can be sent.
    pub fn needs(&self) -> BTreeSet<String> {
        let mut needs =
            needs_of([self.url.as_str()].into_iter().chain(self.headers.values().map(String::as_str)));
        if let Some(body) = self.body.as_deref().and_then(|body| std::str::from_utf8(body).ok()) {
            needs.append(&mut needs_of([body].into_iter()));
        }
        needs
    }

    /// With what was captured, each value written as its place asks for.
    ///
    /// # Errors
    /// The name of what is not captured yet.
    pub fn filled(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<HttpRequest, String> {
        let fill = |text: &str, write: fn(&str) -> String| {
            crate::captured::fill_captured(text, &|name| value(name).map(|text| write(&text)))
        };
        let mut filled = self.clone();
        filled.url = fill(&self.url, in_url)?;
        for text in filled.headers.values_mut() {
            *text = fill(text, str::to_owned)?;
        }
        if let Some(body) = self.body.as_deref().and_then(|body| std::str::from_utf8(body).ok()) {
            let is_json = self.headers.get("content-type").is_some_and(|kind| kind.contains("json"));
            filled.body = Some(fill(body, if is_json { in_json } else { str::to_owned })?.into_bytes());
        }
        Ok(filled)
    }
}

impl Question {
    /// What must be captured before it can be asked.
    pub fn needs(&self) -> BTreeSet<String> {
        match self {
            Question::Http { request, .. } => request.needs(),
            Question::Command { argv: words, .. } | Question::Redis { send: words, .. } => {
                needs_of(words.iter().map(String::as_str))
            }
            Question::Postgres { query, .. } => needs_of([query.as_str()].into_iter()),
            Question::Tcp { .. } | Question::Container(_) => BTreeSet::new(),
        }
    }

    /// With what was captured, each value written as its place asks for.
    ///
    /// # Errors
    /// The name of what is not captured yet.
    pub fn filled(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<Question, String> {
        let mut filled = self.clone();
        match &mut filled {
            Question::Http { request, .. } => *request = request.filled(value)?,
            Question::Command { argv: words, .. } | Question::Redis { send: words, .. } => {
                for word in words {
                    *word = crate::captured::fill_captured(word, value)?;
                }
            }
            Question::Postgres { query, .. } => {
                // A plan has references between plain quotes only.
                let quoted = |name: &str| value(name).map(|text| in_sql(&text));
                *query = crate::captured::fill_captured(query, &quoted)?;
            }
            Question::Tcp { .. } | Question::Container(_) => {}
        }
        Ok(filled)
    }
}

fn needs_of<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut needs = BTreeSet::new();
    for text in texts {
        needs.extend(references(text).map(|(_, name)| name.to_owned()));
    }
    needs
}

/// What cannot stand in a URL is percent-encoded (RFC 3986, 2.1); what parts a path or a query stays.
fn in_url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// As it stands between the quotes of a JSON text.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As it stands between the plain quotes of an SQL text.
fn in_sql(text: &str) -> String {
    text.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_capture_is_secret_by_its_name_its_header_or_its_place() {
        let secret = |name: &str, from| Capture { name: name.to_owned(), from, matches: None }.is_secret();
        let json = |path: &str| CaptureFrom::Json(path.parse().unwrap());
        let header = |name: &str| CaptureFrom::Header(name.to_owned());
        assert!(secret("login.token", CaptureFrom::Text));
        assert!(secret("login.id", json("$.access_token")));
        assert!(secret("login.session", header("set-cookie")));
        assert!(!secret("login.id", json("$.items[0].id")));
        assert!(!secret("login.place", header("location")));
        assert!(!secret("login.id", CaptureFrom::Text));
    }

    fn value(name: &str) -> Option<String> {
        (name == "a.b").then(|| "it's \"x/1\" ü".to_owned())
    }

    #[test]
    fn a_value_is_written_as_its_place_asks_for() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "http://127.0.0.1:1/${a.b}?${PLAIN}".to_owned(),
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: Some(b"{\"it\":\"${a.b}\"}".to_vec()),
        };
        assert_eq!(request.needs(), BTreeSet::from(["a.b".to_owned()]));
        let filled = request.filled(&value).unwrap();
        assert_eq!(filled.url, "http://127.0.0.1:1/it's%20%22x/1%22%20%C3%BC?${PLAIN}");
        let body: serde_json::Value = serde_json::from_slice(&filled.body.unwrap()).unwrap();
        assert_eq!(body["it"], "it's \"x/1\" ü");
        assert_eq!(request.filled(&|_| None).unwrap_err(), "a.b");
    }

    #[test]
    fn a_value_does_not_end_a_text_of_sql() {
        let question = Question::Postgres {
            address: "127.0.0.1:5432".parse().unwrap(),
            login: Default::default(),
            query: "select '${a.b}'".to_owned(),
            reply: None,
            matches: None,
        };
        let Question::Postgres { query, .. } = question.filled(&value).unwrap() else {
            panic!("another question")
        };
        assert_eq!(query, "select 'it''s \"x/1\" ü'");
    }
}
