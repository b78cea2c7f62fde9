//! A server with a language of its own that a probe asks, and what is expected of its reply.

use std::fmt;

use murphy_core::JsonTest;
use regex_lite::Regex;

/// Where a server is, and who asks it.
#[derive(Clone, Default)]
pub struct Server {
    /// A name, or an address without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
    /// The user's name.
    pub user: Option<String>,
    /// The user's password; never shown.
    pub password: Option<String>,
    /// The database.
    pub database: Option<String>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a reply must be; anything, if nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Just this, or compared.
    pub reply: Option<JsonTest>,
    /// What it must match.
    pub matches: Option<Regex>,
}

impl Expected {
    /// Whether a reply is good, and what to say of it.
    pub(crate) fn judge(&self, text: String) -> (bool, String) {
        let value = serde_json::Value::String(text);
        let unlike = self.reply.as_ref().filter(|test| !test.holds(&value)).map(|test| format!("not {test}"));
        let serde_json::Value::String(text) = value else { return (false, String::new()) };
        let no_match = self.matches.as_ref().filter(|regex| !regex.is_match(&text));
        match unlike.or_else(|| no_match.map(|_| "does not match".to_owned())) {
            Some(why) => (false, format!("{text}, {why}")),
            None => (true, text),
        }
    }
}
