//! What is expected of a header of an answer, and what is said of one that is otherwise. A value that may be secret is
//! never said.

use regex_lite::Regex;

/// Whether a value may stand in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderValue {
    /// It may.
    Said,
    /// It may be a token or a cookie.
    Hidden,
}

/// What a header of an answer must say.
#[derive(Debug, Clone)]
pub struct HeaderTest {
    /// Its name, in small letters.
    pub name: String,
    /// What its value must match; where it stands several times, one of its values.
    pub matches: Regex,
    /// What is told of a value that does not match.
    pub value: HeaderValue,
}

impl HeaderTest {
    /// In what it is not as expected: that it is missing, or what it says instead.
    pub(crate) fn unlike(&self, headers: &[(String, String)]) -> Option<String> {
        let mut values =
            headers.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value.as_str());
        let Some(first) = values.next() else { return Some(format!("no header `{}`", self.name)) };
        if self.matches.is_match(first) || values.any(|value| self.matches.is_match(value)) {
            return None;
        }
        Some(match self.value {
            HeaderValue::Said => format!("{} `{first}` does not match", self.name),
            HeaderValue::Hidden => format!("{} does not match", self.name),
        })
    }
}
