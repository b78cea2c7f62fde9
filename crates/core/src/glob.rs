//! A text against a glob: `*`, `?`, `[a-c]`, `[!a]`, `{a,b}` and `**`, matched whole. A glob becomes a regular expression, so that no
//! glob and no text can make a match slow; it must never panic on any text.

use regex_lite::Regex;

/// Whether a `*` or a `?` stops at a slash, as it does in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// A star is within one segment; `**` between slashes is any number of segments, none too.
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

struct Translation<'a> {
    characters: &'a [char],
    at: usize,
    slashes: Slashes,
    open: Vec<Alternatives>,
    /// The next character is the first of its segment.
    begins: bool,
    regex: String,
}

/// Alternatives that have begun.
#[derive(Debug, Clone, Copy)]
struct Alternatives {
    column: usize,
    /// Each of them is the beginning of a segment.
    begin: bool,
}

impl Translation<'_> {
    fn of(glob: &str, slashes: Slashes) -> Result<String, GlobError> {
        let characters: Vec<char> = glob.chars().collect();
        let mut translation = Translation {
            characters: &characters,
            at: 0,
            slashes,
            open: Vec::new(),
            begins: true,
            regex: "(?s)^".to_owned(),
        };
        while let Some(character) = translation.next() {
            translation.take(character)?;
        }
        if let Some(Alternatives { column, .. }) = translation.open.pop() {
            return Err(GlobError::OpenAlternatives { column });
        }
        translation.regex.push('$');
        Ok(translation.regex)
    }

    fn next(&mut self) -> Option<char> {
        let character = self.characters.get(self.at).copied();
        self.at += usize::from(character.is_some());
        character
    }

    fn next_is(&self, character: char) -> bool {
        self.characters.get(self.at) == Some(&character)
    }

    fn take(&mut self, character: char) -> Result<(), GlobError> {
        let begins = std::mem::replace(&mut self.begins, character == '/');
        match character {
            '*' => self.star(begins),
            '?' => self.regex.push_str(match self.slashes {
                Slashes::Apart => "[^/]",
                Slashes::Joined => ".",
            }),
            '[' => self.class()?,
            '{' => {
                self.open.push(Alternatives { column: self.at, begin: begins });
                self.begins = begins;
                self.regex.push_str("(?:");
            }
            '}' => {
                self.open.pop().ok_or(GlobError::NotOpened { column: self.at })?;
                self.regex.push(')');
            }
            ',' if !self.open.is_empty() => {
                self.begins = self.open.last().is_some_and(|open| open.begin);
                self.regex.push('|');
            }
            '\\' => {
                let escaped = self.next().ok_or(GlobError::Dangling)?;
                self.begins = escaped == '/';
                self.literal(escaped);
            }
            plain => self.literal(plain),
        }
        Ok(())
    }

    fn star(&mut self, begins: bool) {
        let first = self.at - 1;
        while self.next_is('*') {
            self.at += 1;
        }
        let ends = self.ends_segment();
        match self.slashes {
            Slashes::Joined => self.regex.push_str(".*"),
            Slashes::Apart if self.at - first != 2 || !begins || !ends => self.regex.push_str("[^/]*"),
            // `a/**/b` is `a/b` too: the slash behind is one with those that the stars take.
            Slashes::Apart if self.next_is('/') => {
                self.at += 1;
                self.begins = true;
                self.regex.push_str("(?:.*/)?");
            }
            Slashes::Apart => self.regex.push_str(".*"),
        }
    }

    /// True if a slash or the end comes next, or behind the alternatives of which this is the end of one.
    fn ends_segment(&self) -> bool {
        let (mut open, mut at) = (self.open.len(), self.at);
        loop {
            match self.characters.get(at) {
                None | Some('/') => return true,
                Some('}') if open > 0 => (open, at) = (open - 1, at + 1),
                Some(',') if open > 0 => match self.behind_alternatives(at) {
                    Some(behind) => (open, at) = (open - 1, behind),
                    None => return false,
                },
                Some(_) => return false,
            }
        }
    }

    /// What comes behind the alternatives within which this is.
    fn behind_alternatives(&self, mut at: usize) -> Option<usize> {
        let mut within = 1;
        loop {
            match self.characters.get(at)? {
                '\\' => at += 1,
                // A `]` that comes first is itself.
                '[' => {
                    let first = at + 1 + usize::from(matches!(self.characters.get(at + 1), Some('!' | '^')));
                    at = (first + 1..self.characters.len()).find(|at| self.characters[*at] == ']')?;
                }
                '{' => within += 1,
                '}' if within == 1 => return Some(at + 1),
                '}' => within -= 1,
                _ => {}
            }
            at += 1;
        }
    }

    fn class(&mut self) -> Result<(), GlobError> {
        let column = self.at;
        self.regex.push('[');
        if self.next_is('!') || self.next_is('^') {
            self.at += 1;
            self.regex.push('^');
            if self.slashes == Slashes::Apart {
                self.regex.push('/');
            }
        }
        // A `]` that comes first is itself, as in every shell.
        let mut member = self.next().ok_or(GlobError::OpenClass { column })?;
        loop {
            let last = self.characters.get(self.at + 1).copied();
            match last {
                Some(to) if self.next_is('-') && to != ']' => {
                    if to < member {
                        return Err(GlobError::Backward { from: member, to });
                    }
                    self.at += 2;
                    self.literal(member);
                    self.regex.push('-');
                    self.literal(to);
                }
                _ => self.literal(member),
            }
            member = self.next().ok_or(GlobError::OpenClass { column })?;
            if member == ']' {
                self.regex.push(']');
                return Ok(());
            }
        }
    }

    fn literal(&mut self, character: char) {
        // What has a meaning in regular expressions, inside of classes too.
        if "\\.+*?()|[]{}^$#&-~".contains(character) {
            self.regex.push('\\');
        }
        self.regex.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apart(glob: &str, text: &str) -> bool {
        Glob::new(glob, Slashes::Apart).unwrap().matches(text)
    }

    fn joined(glob: &str, text: &str) -> bool {
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

    /// One sign of a segment.
    #[derive(Debug, Clone)]
    enum Sign {
        Itself(char),
        Any,
        Some,
        OneOf { but: bool, these: Vec<char> },
    }

    /// A segment; `None` is two stars.
    type Segment = Option<Vec<Sign>>;

    fn written(segments: &[Segment]) -> String {
        let sign = |sign: &Sign| match sign {
            Sign::Itself(sign) => sign.to_string(),
            Sign::Any => "?".to_owned(),
            Sign::Some => "*".to_owned(),
            Sign::OneOf { but, these } => {
                format!("[{}{}]", if *but { "!" } else { "" }, these.iter().collect::<String>())
            }
        };
        let one = |segment: &Segment| match segment {
            None => "/**".to_owned(),
            Some(signs) => format!("/{}", signs.iter().map(sign).collect::<String>()),
        };
        segments.iter().map(one).collect()
    }

    /// The same as a matcher, as one would write it from the words.
    fn is_like(segments: &[Segment], parts: &[Vec<char>]) -> bool {
        match (segments, parts) {
            ([], rest) => rest.is_empty(),
            ([None], rest) => !rest.is_empty(),
            ([None, others @ ..], rest) => (0..=rest.len()).any(|skipped| is_like(others, &rest[skipped..])),
            ([Some(_), ..], []) => false,
            ([Some(signs), others @ ..], [part, rest @ ..]) => reads(signs, part) && is_like(others, rest),
        }
    }

    fn reads(signs: &[Sign], text: &[char]) -> bool {
        match (signs, text) {
            ([], text) => text.is_empty(),
            ([Sign::Some, others @ ..], text) => {
                (0..=text.len()).any(|skipped| reads(others, &text[skipped..]))
            }
            (_, []) => false,
            ([sign, others @ ..], [first, rest @ ..]) => {
                let fits = match sign {
                    Sign::Itself(sign) => sign == first,
                    Sign::Any | Sign::Some => true,
                    Sign::OneOf { but, these } => these.contains(first) != *but,
                };
                fits && reads(others, rest)
            }
        }
    }

    fn segment() -> impl Strategy<Value = Segment> {
        let sign = prop_oneof![
            4 => prop::sample::select(vec!['a', 'b', '.', '+']).prop_map(Sign::Itself),
            1 => Just(Sign::Any),
            1 => Just(Sign::Some),
            1 => (any::<bool>(), prop::collection::vec(prop::sample::select(vec!['a', 'b', '.']), 1..3))
                .prop_map(|(but, these)| Sign::OneOf { but, these }),
        ];
        let signs = prop::collection::vec(sign, 0..4).prop_map(|mut signs| {
            // Two stars are another thing.
            signs.dedup_by(|one, other| matches!((one, other), (Sign::Some, Sign::Some)));
            Some(signs)
        });
        prop_oneof![1 => Just(None), 3 => signs]
    }

    proptest! {
        #[test]
        fn a_glob_of_segments_matches_as_a_matcher_of_segments(
            segments in prop::collection::vec(segment(), 1..5),
            parts in prop::collection::vec("[ab.+]{0,3}", 1..5),
        ) {
            let path: String = parts.iter().map(|part| format!("/{part}")).collect();
            let parts: Vec<Vec<char>> = parts.iter().map(|part| part.chars().collect()).collect();
            prop_assert_eq!(apart(&written(&segments), &path), is_like(&segments, &parts));
        }

        #[test]
        fn alternatives_match_what_one_of_them_matches(
            before in prop::collection::vec(segment(), 0..2),
            either in prop::collection::vec(prop::collection::vec(segment(), 1..3), 1..4),
            parts in prop::collection::vec("[ab.+]{0,2}", 1..5),
        ) {
            let path: String = parts.iter().map(|part| format!("/{part}")).collect();
            let (before, either) = (written(&before), either.iter().map(|one| written(one)).collect::<Vec<_>>());
            let each = either.iter().any(|one| apart(&format!("{before}{one}"), &path));
            // With the slash before them, and within each of them.
            let shared: Vec<&str> = either.iter().map(|one| &one[1..]).collect();
            prop_assert_eq!(apart(&format!("{before}/{{{}}}", shared.join(",")), &path), each);
            // Before alternatives two stars are one: whether their segment ends there is said by each differently.
            if !before.ends_with("**") {
                prop_assert_eq!(apart(&format!("{before}{{{}}}", either.join(",")), &path), each);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(glob in "\\PC{0,24}", text in "\\PC{0,24}") {
            for slashes in [Slashes::Apart, Slashes::Joined] {
                match Glob::new(&glob, slashes) {
                    Ok(glob) => drop(glob.matches(&text)),
                    // Nothing so short is too much: what is refused has a place.
                    Err(error) => prop_assert_ne!(error, GlobError::TooLarge),
                }
            }
        }

        #[test]
        fn a_text_with_every_sign_escaped_matches_itself_alone(text in "[a-z*?\\[\\]{},\\\\.^$|/!-]{1,12}", other in "[a-z]{1,12}") {
            let escaped: String = text.chars().flat_map(|sign| ['\\', sign]).collect();
            prop_assert!(joined(&escaped, &text));
            prop_assert_eq!(apart(&escaped, &other), text == other);
        }
    }
}
