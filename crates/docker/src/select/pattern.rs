//! One text against another: exactly, by glob, or by regular expression. Parsed once; never panics on any text.

use std::fmt;

use murphy_core::{Glob, Slashes};
use regex_lite::Regex;

use super::SelectorError;

/// What a name, a label's value, an image or a service has to look like.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Exactly this.
    Exact(String),
    /// `web-*`: `*`, `?`, `[a-c]`, `{a,b}`.
    Glob(String, Glob),
    /// `/web-[0-9]+/`: found anywhere unless anchored.
    Regex(String, Regex),
}

impl Pattern {
    /// Reads a pattern; the text's own form says which kind it is.
    pub fn parse(text: &str) -> Result<Pattern, SelectorError> {
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        if let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return match Regex::new(inner) {
                Ok(regex) if !inner.is_empty() => Ok(Pattern::Regex(inner.to_owned(), regex)),
                Ok(_) => Err(SelectorError::Empty),
                Err(error) => Err(SelectorError::BadRegex { text: inner.to_owned(), why: error.to_string() }),
            };
        }
        if text.contains(['*', '?', '[', '{']) {
            return match Glob::new(text, Slashes::Joined) {
                Ok(glob) => Ok(Pattern::Glob(text.to_owned(), glob)),
                Err(why) => Err(SelectorError::BadGlob { text: text.to_owned(), why }),
            };
        }
        Ok(Pattern::Exact(text.to_owned()))
    }

    /// True if the text is as asked.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(exact) => exact == text,
            Pattern::Glob(_, glob) => glob.matches(text),
            Pattern::Regex(_, regex) => regex.is_match(text),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(text) | Pattern::Glob(text, _) => f.write_str(text),
            Pattern::Regex(text, _) => write!(f, "/{text}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_kinds_match_as_they_read() {
        let matches = |pattern: &str, text| Pattern::parse(pattern).unwrap().matches(text);
        assert!(matches("web", "web") && !matches("web", "web-1"));
        assert!(matches("web-*", "web-1") && !matches("web-*", "the-web-1"));
        assert!(matches("/web-[0-9]$/", "the-web-1") && !matches("/^web/", "the-web-1"));
        assert!(matches("library/*", "library/redis"));
    }

    #[test]
    fn a_broken_pattern_says_what_is_wrong() {
        let error = Pattern::parse("/web(/").unwrap_err().to_string();
        assert!(error.contains("web(") && error.contains("open group"), "{error}");
        assert!(Pattern::parse("web-[").unwrap_err().to_string().contains("web-["));
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("//").is_err());
    }

    proptest! {
        #[test]
        fn a_pattern_prints_in_a_form_that_parses_back(text in "\\PC{0,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(&Pattern::parse(&pattern.to_string()).unwrap(), &pattern);
            }
        }
    }
}
