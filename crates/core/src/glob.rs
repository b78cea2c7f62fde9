//! A text against a glob: `*`, `?`, `[a-c]`, `[!a]`, `{a,b}` and `**`, matched whole. A glob becomes a regular expression, so that no
//! glob and no text can make a match slow; it must never panic on any text.

mod translation;

use regex_lite::Regex;

use self::translation::Translation;

/// Whether a `*` or a `?` stops at a slash, as it does in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// A star is within one segment; `**` between slashes is any number of segments, none too. No class takes a slash.
    Apart,
    /// A slash is a character like any other.
    Joined,
}

/// A glob, ready to match.
#[derive(Debug, Clone)]
pub struct Glob {
    /// What every text that is like it begins with. Most texts are told by this alone, at a fraction of the cost.
    begins: String,
    regex: Regex,
}

/// Why a text is no glob. Columns count characters from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A class that nothing ends.
    #[error("the `[` in column {column} has no `]` (the sign itself is `[[]`)")]
    OpenClass {
        /// Where it begins.
        column: usize,
    },
    /// Alternatives that nothing ends.
    #[error("the `{{` in column {column} has no `}}` (the sign itself is `[{{]`)")]
    OpenAlternatives {
        /// Where they begin.
        column: usize,
    },
    /// An end of alternatives that did not begin.
    #[error("the `}}` in column {column} has no `{{` (the sign itself is `[}}]`)")]
    NotOpened {
        /// Where it stands.
        column: usize,
    },
    /// A range that runs downward.
    #[error("the range `{from}-{to}` is empty: write `{to}-{from}`")]
    Backward {
        /// Its first character.
        from: char,
        /// Its last.
        to: char,
    },
    /// A backslash with nothing behind it.
    #[error("a `\\` at the end takes no character (the sign itself is `\\\\`)")]
    Dangling,
    /// More than a matcher may hold.
    #[error("it is too long or too deep: write a shorter one, or a regular expression between slashes")]
    TooLarge,
}

impl Glob {
    /// Reads a glob.
    pub fn new(glob: &str, slashes: Slashes) -> Result<Glob, GlobError> {
        let text = Translation::of(glob, slashes)?;
        let regex = Regex::new(&text).map_err(|_| GlobError::TooLarge)?;
        let begins = glob.chars().take_while(|sign| !"*?[]{},\\".contains(*sign)).collect();
        Ok(Glob { begins, regex })
    }

    /// True if the whole text is as asked.
    pub fn matches(&self, text: &str) -> bool {
        text.starts_with(&self.begins) && self.regex.is_match(text)
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn apart(glob: &str, text: &str) -> bool {
        Glob::new(glob, Slashes::Apart).unwrap().matches(text)
    }

    pub(super) fn joined(glob: &str, text: &str) -> bool {
        Glob::new(glob, Slashes::Joined).unwrap().matches(text)
    }

    #[test]
    fn a_star_stops_at_a_slash_only_where_slashes_are_apart() {
        assert!(apart("/items/*", "/items/7") && !apart("/items/*", "/items/7/price"));
        assert!(joined("library/*", "library/a/b") && joined("*redis*", "/usr/bin/redis-server"));
        assert!(apart("/a?c", "/abc") && !apart("/a?c", "/a/c") && joined("/a?c", "/a/c"));
        assert!(joined("web-*", "web-1") && !joined("web-*", "the-web-1") && joined("web*", "web\n"));
    }

    #[test]
    fn two_stars_are_any_number_of_segments() {
        assert!(apart("/api/**", "/api/v1/items") && !apart("/api/**", "/api") && !apart("/api/**", "/app"));
        assert!(apart("/a/**/b", "/a/b") && apart("/a/**/b", "/a/x/y/b") && !apart("/a/**/b", "/a/xb"));
        assert!(apart("**/b", "b") && apart("**/b", "x/y/b") && apart("**", "x/y"));
        assert!(apart("/a**b", "/axb") && !apart("/a**b", "/a/b"));
    }

    #[test]
    fn two_stars_within_alternatives_are_any_number_of_segments_too() {
        let either = "/{api/**,admin/{a,**}}";
        assert!(apart(either, "/api/v1/items") && apart(either, "/admin/x/y") && apart(either, "/admin/a"));
        assert!(!apart(either, "/api") && !apart(either, "/x/api/y"));
        assert!(apart("{**,[a,}]}/b", "x/y/b") && apart("/{**/a,b}", "/x/y/a") && apart("/{a,b/}**", "/ax"));
        assert!(!apart("/a{**,b}", "/a/x") && !apart("/{**,b}c", "/x/c") && !apart("/{a,b/}**", "/b/x/y"));
    }

    #[test]
    fn two_stars_are_one_with_the_slash_behind_their_alternatives() {
        for glob in ["{**,v1}/items", "/{**,v1}/items", "/{v1,**}/items", "/{a,{b,**}}/items"] {
            assert!(apart(glob, "/items") && apart(glob, "/a/b/items"), "{glob}");
            assert!(!apart(glob, "/xitems") && !apart(glob, "/items/x"), "{glob}");
        }
        assert!(apart("{**,v1}/items", "items") && apart("{**,v1}/items", "v1/items"));
        assert!(apart("/{a/**,b}/{**,c}", "/a/x/y") && apart("/{a/**,b}/{**,c}", "/b/c"));
        assert!(apart("/{{a,b},c}/d", "/b/d") && apart("/{a,b/}/d", "/b//d") && !apart("/{a,b}/d", "/ad"));
    }

    #[test]
    fn no_class_takes_a_slash_where_slashes_are_apart() {
        assert!(apart("/a[.-9]b", "/a.b") && apart("/a[.-9]b", "/a0b") && !apart("/a[.-9]b", "/a/b"));
        for class in ["[/]", "[/-/]", "[+-/]", "[/-9]", "[a/]", "[!a]", "[!/]", "[!.-9]"] {
            assert!(!apart(&format!("/a{class}b"), "/a/b"), "{class}");
        }
        assert!(apart("[!/]", "a") && apart("/a[!/]", "/a+"));
        assert!(apart("[+-/]", ".") && apart("[/-9]", "0") && apart("[a/]", "a") && !apart("[!.-9]", "5"));
        assert!(joined("a[.-9]b", "a/b") && joined("[/]", "/") && !joined("[!/]", "/"));
    }

    #[test]
    fn classes_and_alternatives_read_as_in_a_shell() {
        assert!(joined("web-[1-3]", "web-2") && !joined("web-[1-3]", "web-4"));
        assert!(joined("web-[!1]", "web-2") && !joined("web-[!1]", "web-1") && joined("[^a]", "b"));
        assert!(
            joined("[]a]", "]") && joined("[a-]", "-") && joined("a[.]b", "a.b") && !joined("a[.]b", "axb")
        );
        assert!(apart("[!a]", "b") && !apart("[!a]", "/"));
        assert!(joined("{GET,POST}", "POST") && !joined("{GET,POST}", "PUT") && joined("a{,b}", "a"));
        assert!(joined("{a,b{c,d}}e", "bde") && joined("a,b*", "a,bc") && joined("a\\*b", "a*b"));
        assert!(!joined("a.c", "abc") && !joined("a+", "aa"));
    }

    #[test]
    fn what_is_no_glob_says_where() {
        let error = |glob| Glob::new(glob, Slashes::Apart).unwrap_err();
        assert_eq!(error("web-["), GlobError::OpenClass { column: 5 });
        assert_eq!(error("[]"), GlobError::OpenClass { column: 1 });
        assert_eq!(error("a{b,c"), GlobError::OpenAlternatives { column: 2 });
        assert_eq!(error("a}"), GlobError::NotOpened { column: 2 });
        assert_eq!(error("[z-a]"), GlobError::Backward { from: 'z', to: 'a' });
        assert_eq!(error("a\\"), GlobError::Dangling);
        let deep = ["{".repeat(400), "}".repeat(400)].concat();
        assert_eq!(error(&deep), GlobError::TooLarge);
    }

    #[test]
    fn the_signs_are_written_as_their_errors_say() {
        for (asked, sign) in [("web-[", "["), ("a{b", "{"), ("a}*", "}")] {
            let error = Glob::new(asked, Slashes::Joined).unwrap_err().to_string();
            let written = error.split("itself is `").nth(1).unwrap().trim_end_matches("`)");
            assert!(joined(written, sign), "{error}");
        }
    }
}
