//! A text against a glob: `*`, `?`, `[a-c]`, `[!a]`, `{a,b}` and `**`, matched whole. A glob becomes a regular expression, so that no
//! glob and no text can make a match slow; it must never panic on any text.

use std::collections::BTreeMap;

use regex_lite::Regex;

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

struct Translation<'a> {
    characters: &'a [char],
    /// What comes behind the alternatives that begin at a place.
    behind: BTreeMap<usize, usize>,
    at: usize,
    slashes: Slashes,
    open: Vec<Alternatives>,
    /// The next character is the first of its segment.
    begins: bool,
    /// The alternative that is being read has taken the slash that comes behind all of them.
    has_slash: bool,
    regex: String,
}

/// Alternatives that have begun.
#[derive(Debug, Clone, Copy)]
struct Alternatives {
    column: usize,
    /// Each of them is the beginning of a segment.
    begin: bool,
    /// What comes behind them all.
    behind: Option<usize>,
    /// That is a slash. Each takes it into itself: `**` is one with the slash behind it, wherever that is written.
    slash: bool,
}

impl Translation<'_> {
    fn of(glob: &str, slashes: Slashes) -> Result<String, GlobError> {
        let characters: Vec<char> = glob.chars().collect();
        let mut translation = Translation {
            characters: &characters,
            behind: behind_alternatives(&characters),
            at: 0,
            slashes,
            open: Vec::new(),
            begins: true,
            has_slash: false,
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
                let behind = self.behind.get(&(self.at - 1)).copied();
                let slash = behind.is_some_and(|behind| self.slash_at(behind));
                self.open.push(Alternatives { column: self.at, begin: begins, behind, slash });
                self.begins = begins;
                self.regex.push_str("(?:");
            }
            '}' => {
                self.end_alternative();
                let ended = self.open.pop().ok_or(GlobError::NotOpened { column: self.at })?;
                self.regex.push(')');
                if ended.slash {
                    // Behind the last of several, it is the outer ones' slash that the inner ones took.
                    if self.next_is('/') {
                        self.at += 1;
                    } else {
                        self.has_slash = true;
                    }
                    self.begins = true;
                }
            }
            ',' if !self.open.is_empty() => {
                self.end_alternative();
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

    /// One of several has come to its end: the slash behind them all belongs to it.
    fn end_alternative(&mut self) {
        let has_slash = std::mem::replace(&mut self.has_slash, false);
        if !has_slash && self.open.last().is_some_and(|open| open.slash) {
            self.regex.push('/');
        }
    }

    /// True if a slash comes here, or behind the alternatives of which this is the end of one.
    fn slash_at(&self, at: usize) -> bool {
        match self.characters.get(at) {
            Some('/') => true,
            Some(',' | '}') => self.open.last().is_some_and(|open| open.slash),
            _ => false,
        }
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
            Slashes::Apart if self.slash_at(self.at) => {
                self.has_slash = true;
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
                Some(',') if open > 0 => match self.open[open - 1].behind {
                    Some(behind) => (open, at) = (open - 1, behind),
                    None => return false,
                },
                Some(_) => return false,
            }
        }
    }

    fn class(&mut self) -> Result<(), GlobError> {
        let column = self.at;
        self.regex.push('[');
        let empty = self.regex.len();
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
                    self.members(member, to);
                }
                _ => self.members(member, member),
            }
            member = self.next().ok_or(GlobError::OpenClass { column })?;
            if member == ']' {
                if self.regex.len() == empty {
                    // Of a slash alone, where it takes none: nothing is like it. Not every engine reads `[]`.
                    self.regex.push_str("^\\s\\S");
                }
                self.regex.push(']');
                return Ok(());
            }
        }
    }

    /// A range of a class; less the slash in its midst, where slashes are apart.
    fn members(&mut self, from: char, to: char) {
        if self.slashes == Slashes::Apart && (from..=to).contains(&'/') {
            if from < '/' {
                self.range(from, '.');
            }
            if to > '/' {
                self.range('0', to);
            }
        } else {
            self.range(from, to);
        }
    }

    fn range(&mut self, from: char, to: char) {
        self.literal(from);
        if from < to {
            self.regex.push('-');
            self.literal(to);
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

/// For each beginning of alternatives what comes behind their end.
fn behind_alternatives(characters: &[char]) -> BTreeMap<usize, usize> {
    let (mut behind, mut open, mut at) = (BTreeMap::new(), Vec::new(), 0);
    while let Some(character) = characters.get(at) {
        match character {
            '\\' => at += 1,
            // A `]` that comes first is itself.
            '[' => {
                let first = at + 1 + usize::from(matches!(characters.get(at + 1), Some('!' | '^')));
                // One that does not end is refused when it is read.
                let Some(end) = (first + 1..characters.len()).find(|at| characters[*at] == ']') else {
                    break;
                };
                at = end;
            }
            '{' => open.push(at),
            '}' => behind.extend(open.pop().map(|begun| (begun, at + 1))),
            _ => {}
        }
        at += 1;
    }
    behind
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
        fn alternatives_within_a_path_match_what_one_of_them_matches(
            before in prop::collection::vec(segment(), 0..2),
            groups in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(segment(), 1..3), 1..3), 1..3),
            behind in prop::collection::vec(segment(), 1..3),
            parts in prop::collection::vec("[ab.+]{0,2}", 1..5),
        ) {
            let path: String = parts.iter().map(|part| format!("/{part}")).collect();
            let (before, behind) = (written(&before), written(&behind));
            let ones: Vec<Vec<String>> =
                groups.iter().map(|group| group.iter().map(|one| written(one)[1..].to_owned()).collect()).collect();
            // Alternatives of alternatives are all of them.
            let nested = ones.iter().map(|group| format!("{{{}}}", group.join(","))).collect::<Vec<_>>().join(",");
            let each = ones.iter().flatten().any(|one| apart(&format!("{before}/{one}{behind}"), &path));
            prop_assert_eq!(apart(&format!("{before}/{{{nested}}}{behind}"), &path), each, "{}", nested);
        }

        #[test]
        fn a_class_in_a_path_takes_what_it_names_less_the_slash(
            but in any::<bool>(),
            ranges in prop::collection::vec(("[+-2]", "[+-2]"), 1..4),
            sign in "[+-2]",
        ) {
            let ranges: Vec<(String, String)> =
                ranges.into_iter().map(|(one, other)| if one <= other { (one, other) } else { (other, one) }).collect();
            // A sign of its own meaning stands first or last; a range says both ends.
            let class: String = ranges.iter().map(|(from, to)| format!("{from}-{to}")).collect();
            let within = ranges.iter().any(|(from, to)| (from..=to).contains(&&sign));
            let glob = format!("[{}{class}]", if but { "!" } else { "" });
            prop_assert_eq!(joined(&glob, &sign), within != but, "{}", glob);
            prop_assert_eq!(apart(&glob, &sign), within != but && sign != "/", "{}", glob);
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
