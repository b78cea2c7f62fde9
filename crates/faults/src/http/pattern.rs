//! What a part of a request has to look like: exactly so, by glob, or by regular expression. Never panics on any text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use murphy_core::{Glob, GlobError, Slashes};
use regex_lite::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a text has to look like: `shop`, `shop-*` or `/shop-[0-9]+/`.
#[derive(Debug, Clone)]
pub struct TextPattern {
    text: String,
    form: Form,
}

/// What a path has to look like: `/items/7`, `/items/*` (one segment), `/items/**` (any) or `/^.items.[0-9]+$/`.
#[derive(Debug, Clone)]
pub struct PathPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Exact,
    Glob(Glob),
    Regex(Regex),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing was written.
    #[error("an empty pattern matches nothing; write `*` for anything")]
    Empty,
    /// Not a path.
    #[error("`{text}` is no path: write `/{text}`")]
    NoPath {
        /// As written.
        text: String,
    },
    /// A path has no query.
    #[error("`{text}` holds a query: write the path alone, and `query:` beside it")]
    Query {
        /// As written.
        text: String,
    },
    /// Not a glob.
    #[error("`{text}` is not a glob: {why}")]
    Glob {
        /// As written.
        text: String,
        /// What is wrong.
        why: GlobError,
    },
    /// Not a regular expression.
    #[error("`{text}` is not a regular expression: {why}")]
    Regex {
        /// As written, without the slashes.
        text: String,
        /// What is wrong.
        why: String,
    },
}

impl Form {
    fn regex(inner: &str) -> Result<Form, PatternError> {
        match Regex::new(inner) {
            Ok(_) if inner.is_empty() => Err(PatternError::Empty),
            Ok(regex) => Ok(Form::Regex(regex)),
            Err(error) => Err(PatternError::Regex { text: inner.to_owned(), why: error.to_string() }),
        }
    }

    fn glob_or_exact(text: &str, slashes: Slashes) -> Result<Form, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Form::Exact);
        }
        match Glob::new(text, slashes) {
            Ok(glob) => Ok(Form::Glob(glob)),
            Err(why) => Err(PatternError::Glob { text: text.to_owned(), why }),
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        match self {
            Form::Exact => pattern == text,
            Form::Glob(glob) => glob.matches(text),
            Form::Regex(regex) => regex.is_match(text),
        }
    }
}

fn between_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'))
}

impl TextPattern {
    /// True if the text is as asked.
    pub fn matches(&self, text: &str) -> bool {
        self.form.matches(&self.text, text)
    }
}

impl FromStr for TextPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<TextPattern, PatternError> {
        let form = match between_slashes(text) {
            Some(inner) => Form::regex(inner)?,
            None => Form::glob_or_exact(text, Slashes::Joined)?,
        };
        Ok(TextPattern { text: text.to_owned(), form })
    }
}

impl PathPattern {
    /// True if the path is as asked.
    pub fn matches(&self, path: &str) -> bool {
        self.form.matches(&self.text, path)
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<PathPattern, PatternError> {
        // `/items/` is a path like any other: only what no path holds makes it a regular expression.
        let regex = between_slashes(text).filter(|inner| inner.contains(['^', '$', '\\', '(', '+', '|']));
        let form = match regex {
            Some(inner) => Form::regex(inner)?,
            None if text.is_empty() => return Err(PatternError::Empty),
            None if !text.starts_with(['/', '*']) => {
                return Err(PatternError::NoPath { text: text.to_owned() });
            }
            None if text.split_once('?').is_some_and(|(_, query)| query.contains('=')) => {
                return Err(PatternError::Query { text: text.to_owned() });
            }
            None => Form::glob_or_exact(text, Slashes::Apart)?,
        };
        Ok(PathPattern { text: text.to_owned(), form })
    }
}

macro_rules! as_text {
    ($type:ident, $about:literal) => {
        impl PartialEq for $type {
            fn eq(&self, other: &$type) -> bool {
                self.text == other.text
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!({ "type": "string", "minLength": 1, "description": $about })
            }
        }
    };
}

as_text!(TextPattern, "exactly this, a glob as `shop-*`, or a regular expression as `/shop-[0-9]+/`");
as_text!(
    PathPattern,
    "a path as `/items/7`, a glob as `/items/*` or `/api/**`, or a regular expression as `/^.items.[0-9]+$/`"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(pattern: &str, path: &str) -> bool {
        pattern.parse::<PathPattern>().unwrap().matches(path)
    }

    #[test]
    fn a_star_in_a_path_is_one_segment_and_two_are_any() {
        assert!(path("/items/*", "/items/7") && !path("/items/*", "/items/7/price"));
        assert!(path("/api/**", "/api/v1/items") && !path("/api/**", "/app"));
        assert!(path("/items/", "/items/") && !path("/items/", "/items/7"));
        assert!(path("/^.items.[0-9]+$/", "/items/7") && !path("/^.items.[0-9]+$/", "/items/a"));
        assert!(path("/charge", "/charge") && !path("/charge", "/charged"));
    }

    #[test]
    fn a_text_is_matched_whole_by_a_glob_and_anywhere_by_a_regular_expression() {
        let matches = |pattern: &str, text| pattern.parse::<TextPattern>().unwrap().matches(text);
        assert!(matches("shop-*", "shop-a/b") && !matches("shop-*", "a shop-b"));
        assert!(matches("/shop-[0-9]/", "a shop-1 b"));
        assert!(matches("{GET,POST}", "POST"));
    }

    #[test]
    fn what_is_no_pattern_says_what_to_write() {
        assert!("".parse::<TextPattern>().is_err());
        let error = "items/7".parse::<PathPattern>().unwrap_err().to_string();
        assert!(error.contains("write `/items/7`"), "{error}");
        assert!("/items?user=7".parse::<PathPattern>().unwrap_err().to_string().contains("`query:`"));
        assert!("/(/".parse::<PathPattern>().is_err());
        assert!("a[".parse::<TextPattern>().is_err());
    }
}
