//! A glob is read sign by sign and written down as a regular expression. It must never let a sign of the text mean anything that a
//! glob does not say; whether the expression is too large is not for it to tell.

use std::collections::BTreeMap;

use super::{GlobError, Slashes};

/// A glob that is being read, and the expression so far.
pub(super) struct Translation<'a> {
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
    pub(super) fn of(glob: &str, slashes: Slashes) -> Result<String, GlobError> {
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
