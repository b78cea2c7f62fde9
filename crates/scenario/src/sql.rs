//! Where the plain texts (`'…'`) of a query stand: by PostgreSQL's lexical rules, its manual's chapter 4.1.

use std::ops::Range;

/// What stands between plain quotes, in order. Not what a backslash could end (`E'…'`), and nothing in a comment, a quoted
/// name, or between dollars.
pub(crate) fn plain_texts(query: &str) -> Vec<Range<usize>> {
    let bytes = query.as_bytes();
    let (mut texts, mut at) = (Vec::new(), 0);
    // A text that follows another one on a new line goes on with it, and is of its kind: where one that is not plain has ended,
    // and whether it has escapes.
    let mut goes_on: Option<(usize, bool)> = None;
    while let Some(byte) = bytes.get(at).copied() {
        let next = bytes.get(at + 1).copied();
        let is_comment = matches!((byte, next), (b'-', Some(b'-')) | (b'/', Some(b'*')));
        let earlier = if byte.is_ascii_whitespace() || is_comment { goes_on } else { goes_on.take() };
        at = match (byte, next) {
            (b'\'', _) => {
                let before = &bytes[..at];
                let earlier = earlier.filter(|(end, _)| bytes[*end..at].contains(&b'\n'));
                let has_escapes = earlier.map_or_else(|| has_escapes(before), |(_, has_escapes)| has_escapes);
                let end = end_of_text(bytes, at + 1, has_escapes);
                if earlier.is_some() || before.last().is_some_and(|byte| is_of_word(*byte) || *byte == b'&') {
                    goes_on = Some((end, has_escapes));
                } else {
                    texts.push(at + 1..end);
                }
                end + 1
            }
            (b'"', _) => behind(bytes, at + 1, b"\""),
            (b'-', Some(b'-')) => behind(bytes, at, b"\n"),
            (b'/', Some(b'*')) => behind_comment(bytes, at),
            (b'$', _) => behind_dollars(bytes, at),
            _ => at + 1,
        };
    }
    texts
}

/// True for what can stand in a name or number.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// True if a text that begins here is one in which a backslash means something: behind an `E` that is no part of a word.
fn has_escapes(before: &[u8]) -> bool {
    matches!(before, [.., b'e' | b'E']) && !before.iter().rev().nth(1).is_some_and(|byte| is_of_word(*byte))
}

/// Where the quote stands that ends a text; two in a row are one of its letters.
fn end_of_text(bytes: &[u8], mut at: usize, has_escapes: bool) -> usize {
    loop {
        at += match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return bytes.len(),
            (Some(b'\\'), _) if has_escapes => 2,
            (Some(b'\''), Some(b'\'')) => 2,
            (Some(b'\''), _) => return at,
            _ => 1,
        };
    }
}

/// Behind the next place of these bytes.
fn behind(bytes: &[u8], at: usize, what: &[u8]) -> usize {
    let found = bytes.get(at..).and_then(|rest| rest.windows(what.len()).position(|part| part == what));
    found.map_or(bytes.len(), |found| at + found + what.len())
}

/// Behind a comment, in which there may be others.
fn behind_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return bytes.len(),
            (Some(b'/'), Some(b'*')) => (depth, at) = (depth + 1, at + 2),
            (Some(b'*'), Some(b'/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Behind a text between dollars (`$$…$$`, `$tag$…$tag$`); behind the dollar if none begins here.
fn behind_dollars(bytes: &[u8], at: usize) -> usize {
    let is_of_tag = |byte: &u8| is_of_word(*byte) && *byte != b'$';
    let length = bytes[at + 1..].iter().take_while(|byte| is_of_tag(byte)).count();
    let end = at + 1 + length;
    let is_inside_word = bytes[..at].last().is_some_and(|byte| is_of_word(*byte));
    let is_number = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    if bytes.get(end) != Some(&b'$') || is_inside_word || is_number {
        return at + 1;
    }
    behind(bytes, end + 1, &bytes[at..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(query: &str) -> Vec<&str> {
        plain_texts(query).into_iter().map(|text| &query[text]).collect()
    }

    #[test]
    fn only_what_plain_quotes_hold_is_a_plain_text() {
        assert_eq!(texts("select 'a', 'it''s', ''"), ["a", "it''s", ""]);
        assert_eq!(texts("select e'\\'x', 'a' || E'', 'b'"), ["a", "b"]);
        assert_eq!(texts("select U&'a', B'1', date'b\\', date 'c\\'"), ["c\\"]);
        assert_eq!(texts("select \"a'b\", \"c\"\"'\", 'd'"), ["d"]);
        assert_eq!(texts("-- it's\n'a' -'b'"), ["a", "b"]);
        assert_eq!(texts("/* ' /* ' */ ' */ 'a' / 'b'"), ["a", "b"]);
        assert_eq!(texts("$$ ' $q$ ' $$ 'a' $q$ '$$' $q$ 'b' $1 a$b$'c'"), ["a", "b"]);
        assert_eq!(texts("'ü' ü'x' 'é"), ["ü", "é"]);
        assert_eq!(texts("select E'a'\n'b\\'', 'c'"), ["c"]);
        assert_eq!(texts("U&'a' -- on\n 'b' /* and */\n'c' || 'd'"), ["d"]);
        assert_eq!(texts("'a'\n'b'"), ["a", "b"]);
    }

    #[test]
    fn what_is_not_closed_ends_with_the_query() {
        for query in ["", "$", "$$", "$a", "a$", "-", "--", "/", "/*", "/*/", "\"", "e'\\", "$a$ '"] {
            assert!(texts(query).concat().is_empty(), "{query:?}");
        }
        assert_eq!(texts("'a"), ["a"]);
    }
}
