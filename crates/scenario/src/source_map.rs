//! The text of a file, with those that it includes, and where its lines are: bytes → file, line and column.
//!
//! The texts stand one after the other in one, so that a region alone says which file it is in. Nothing here looks at
//! what the text means.

use std::path::{Path, PathBuf};

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
    /// The included file; absent for the file that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
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

/// One file of a source.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// As it is shown; `None` for the file that was given.
    pub(crate) name: Option<String>,
    /// Its directory, relative to that of the file that was given; empty if it is the same.
    pub(crate) folder: PathBuf,
    /// Its bytes in the whole text.
    region: Region,
    /// Its first line and its first character in the whole text, from 0.
    first_line: usize,
    first_char: usize,
}

impl Part {
    /// The byte of the whole text at which it begins.
    pub(crate) fn start(&self) -> usize {
        self.region.start
    }
}

/// A file in memory, with those that it includes.
#[derive(Debug)]
pub(crate) struct Source {
    /// All files, with a line break between them.
    text: String,
    /// Never empty; in the order of the text.
    parts: Vec<Part>,
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
        Source::of_files(text, Vec::new())
    }

    /// A file and those that it includes: their names, their folders relative to its own, and their texts.
    pub(crate) fn of_files(mut text: String, included: Vec<(String, PathBuf, String)>) -> Source {
        let end = text.len();
        let mut files = vec![(None, PathBuf::new(), Region { start: 0, end })];
        for (name, folder, own) in included {
            text.push('\n');
            let start = text.len();
            text.push_str(&own);
            files.push((Some(name), folder, Region { start, end: text.len() }));
        }
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
        let mut source = Source { text, parts: Vec::new(), lines, chars };
        for (name, folder, region) in files {
            let first_line = source.line_of(region.start);
            let first_char = source.char_of_byte(region.start);
            source.parts.push(Part { name, folder, region, first_line, first_char });
        }
        source
    }

    /// The files, the one that was given first.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The file that a byte is in.
    pub(crate) fn part_of(&self, byte: usize) -> &Part {
        let after = self.parts.partition_point(|part| part.region.start <= byte);
        &self.parts[after.saturating_sub(1)]
    }

    /// A path as it is written in one of the files, made relative to the file that was given.
    pub(crate) fn relative(&self, written: &str, at: Region) -> PathBuf {
        let folder = &self.part_of(at.start).folder;
        if folder == Path::new("") { written.into() } else { folder.join(written) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text of one of the files.
    pub(crate) fn text_of(&self, part: &Part) -> &str {
        self.slice(part.region)
    }

    /// The text of a region.
    pub(crate) fn slice(&self, region: Region) -> &str {
        self.text.get(region.start..region.end).unwrap_or("")
    }

    /// The region between two characters, counted from the beginning of a file.
    pub(crate) fn between_chars(&self, part: &Part, start: usize, end: usize) -> Region {
        let byte = |index: usize| self.byte_of_char(part.first_char + index).min(part.region.end);
        let start = byte(start);
        Region { start, end: byte(end).max(start) }
    }

    fn char_of_byte(&self, byte: usize) -> usize {
        if self.chars.is_empty() { byte } else { self.chars.partition_point(|at| (*at as usize) < byte) }
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
        let part = self.part_of(region.start);
        let own = self.slice(part.region);
        let at_end = region.start >= part.region.end && own.ends_with(['\n', '\r']);
        let kept = part.region.start + own.trim_end_matches(['\n', '\r']).len();
        let start = if at_end { kept } else { region.start };
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
            file: part.name.clone(),
            line: line - part.first_line + 1,
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
    fn a_place_in_an_included_file_is_counted_in_that_file() {
        let included = vec![
            ("sub/b.yaml".to_owned(), PathBuf::from("sub"), "x: 1\nü: zwei\n".to_owned()),
            ("c.yaml".to_owned(), PathBuf::new(), "end".to_owned()),
        ];
        let source = Source::of_files("ä: 1\n".to_owned(), included);
        let word = source.text().find("zwei").unwrap();
        let part = &source.parts()[1];
        assert_eq!(source.between_chars(part, 8, 12), Region { start: word, end: word + 4 });
        let location = source.locate(Region { start: word, end: word + 4 });
        assert_eq!((location.file.as_deref(), location.line, location.column), (Some("sub/b.yaml"), 2, 4));
        assert_eq!(source.locate(Region { start: 0, end: 1 }).file, None);
        let end = part.region.end;
        assert_eq!(source.locate(Region { start: end, end }).line, 2, "its end is not the next file");
        assert_eq!(source.relative("x", Region { start: word, end: word }), Path::new("sub/x"));
        assert_eq!(source.relative("x", Region { start: 0, end: 0 }), Path::new("x"));
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
