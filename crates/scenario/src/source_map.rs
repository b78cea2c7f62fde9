//! The text of a file and where its lines are: bytes → line and column.
//!
//! Nothing here looks at what the text means.

use serde::Serialize;

/// A stretch of a source, in bytes; the end is exclusive. Always on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Where something stands in a file, with the line that it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In characters on its line, at least 1.
    pub length: usize,
    /// The line, or its part around the place if it is long. Control characters are replaced, tabs are blanks.
    pub excerpt: String,
    /// In characters from the excerpt's beginning, from 0.
    pub indent: usize,
}

/// A file in memory.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    /// Byte at which each line begins.
    lines: Vec<usize>,
    /// Byte at which each character begins, one more for the end; empty if all are ASCII.
    chars: Vec<u32>,
}

/// The longest excerpt, in characters.
const WIDTH: usize = 120;

impl Source {
    /// Takes a text of at most 4 GiB.
    pub(crate) fn new(text: String) -> Source {
        let bytes = text.as_bytes();
        let mut lines = vec![0];
        for (index, byte) in bytes.iter().enumerate() {
            let breaks = *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
            if breaks {
                lines.push(index + 1);
            }
        }
        let chars = if text.is_ascii() {
            Vec::new()
        } else {
            let end = std::iter::once(text.len());
            text.char_indices().map(|(byte, _)| byte).chain(end).map(|byte| byte as u32).collect()
        };
        Source { text, lines, chars }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text of a region.
    pub(crate) fn slice(&self, region: Region) -> &str {
        self.text.get(region.start..region.end).unwrap_or("")
    }

    /// The region between two characters, counted from the beginning of the text.
    pub(crate) fn between_chars(&self, start: usize, end: usize) -> Region {
        let start = self.byte_of_char(start);
        Region { start, end: self.byte_of_char(end).max(start) }
    }

    fn byte_of_char(&self, index: usize) -> usize {
        if self.chars.is_empty() {
            index.min(self.text.len())
        } else {
            self.chars.get(index).map_or(self.text.len(), |byte| *byte as usize)
        }
    }

    /// The last character boundary at or before a byte.
    fn boundary(&self, byte: usize) -> usize {
        (0..=byte).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// The number of the line, from 0, on which a byte stands.
    pub(crate) fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// A line without its break.
    pub(crate) fn line_region(&self, line: usize) -> Region {
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let kept = self.text[start..end].trim_end_matches(['\n', '\r']).len();
        Region { start, end: start + kept }
    }

    /// Line, column and excerpt of a region; of a region over several lines, its part on the first.
    pub(crate) fn locate(&self, region: Region) -> Location {
        // The end of a file behind its last line break is shown at the end of its last line.
        let at_end = region.start >= self.text.len() && self.text.ends_with(['\n', '\r']);
        let start = if at_end { self.text.trim_end_matches(['\n', '\r']).len() } else { region.start };
        let line = self.line_of(start);
        let whole = self.line_region(line);
        let start = self.boundary(start.clamp(whole.start, whole.end));
        let end = self.boundary(region.end.clamp(start, whole.end)).max(start);
        let before = self.text[whole.start..start].chars().count();
        let length = self.text[start..end].trim_end().chars().count().max(1);
        let cut = (before + length.min(WIDTH / 2)).saturating_sub(WIDTH * 3 / 4).min(before);
        let mut excerpt: String = if cut > 0 { "…".to_owned() } else { String::new() };
        let mut rest = self.slice(whole).chars().skip(cut);
        excerpt.extend(rest.by_ref().take(WIDTH).map(shown));
        if rest.next().is_some() {
            excerpt.push('…');
        }
        Location {
            line: line + 1,
            column: before + 1,
            length,
            excerpt,
            indent: before - cut + usize::from(cut > 0),
        }
    }
}

/// A character as it is shown: nothing from a file can move the cursor or colour a terminal.
pub(crate) fn shown(c: char) -> char {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match c {
        '\t' => ' ',
        c if c.is_control() || reorders => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, start: usize, end: usize) -> (usize, usize, usize) {
        let location = Source::new(text.to_owned()).locate(Region { start, end });
        (location.line, location.column, location.length)
    }

    #[test]
    fn columns_count_characters_and_lines_end_in_any_of_three_ways() {
        assert_eq!(at("a\nüb: c", 4, 5), (2, 2, 1));
        assert_eq!(at("a\r\nb\rc", 5, 6), (3, 1, 1));
        assert_eq!(at("a\n", 2, 2), (1, 2, 1));
        assert_eq!(at("", 0, 0), (1, 1, 1));
        assert_eq!(at("ab\ncd\n", 0, 5), (1, 1, 2));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "x".repeat(5000), "y".repeat(5000));
        let location = Source::new(text).locate(Region { start: 5000, end: 5004 });
        assert!(location.excerpt.chars().count() <= WIDTH + 2);
        assert_eq!(location.excerpt.chars().skip(location.indent).take(4).collect::<String>(), "HERE");
        assert_eq!(location.column, 5001);
    }

    #[test]
    fn nothing_in_a_file_reaches_the_terminal_as_an_escape() {
        let location = Source::new("a\u{1b}[31m\u{202e}b".to_owned()).locate(Region { start: 0, end: 1 });
        assert_eq!(location.excerpt, "a\u{fffd}[31m\u{fffd}b");
    }
}
