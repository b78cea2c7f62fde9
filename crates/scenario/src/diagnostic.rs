//! Findings about a scenario: what, where, and what to type instead; as text with carets and as data.

use std::fmt::{self, Write};

use murphy_core::Secrets;
use serde::Serialize;

use crate::source_map::{Location, Region, Source, shown};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The scenario cannot be run.
    Error,
    /// It can, but probably does not do what is meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; absent if the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// A word or two beside the caret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// A second place that has to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<Also>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A second place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Also {
    /// Where.
    pub location: Location,
    /// What it has to do with the finding.
    pub label: String,
}

/// Whether a text for people has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text, as for a log.
    Never,
    /// ANSI colours, as for a terminal.
    Always,
}

/// All findings about one file, in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Diagnostics {
    /// The file, as given.
    pub file: String,
    /// The findings; those about the file as a whole come first.
    pub list: Vec<Diagnostic>,
    /// How many further ones were left out.
    pub more: usize,
}

/// At most so many findings of a file are listed.
const MOST: usize = 50;

impl Diagnostics {
    /// True if the scenario cannot be run.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|one| one.severity == Severity::Error)
    }

    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All findings as text, each with its line and a caret, blank lines between.
    pub fn render(&self, colour: Colour) -> String {
        let mut out = String::new();
        for (index, one) in self.list.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            render_one(&mut out, &self.file, one, &Paint { colour });
        }
        if self.more > 0 {
            let _ = writeln!(out, "\n… and {} more; mend these first", self.more);
        }
        out
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Colour::Never).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

struct Paint {
    colour: Colour,
}

impl Paint {
    fn in_code(&self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::Never => text.to_owned(),
            Colour::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
    fn frame(&self, text: &str) -> String {
        self.in_code("34", text)
    }
}

/// Puts one finding into text, in the form that rustc has made familiar.
fn render_one(out: &mut String, file: &str, one: &Diagnostic, paint: &Paint) {
    let (word, code) = match one.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let file_of = |at: Option<&Location>| -> String {
        at.and_then(|at| at.file.as_deref()).unwrap_or(file).chars().map(shown).collect()
    };
    let message: String = one.message.chars().map(shown).collect();
    let _ = writeln!(out, "{}: {}", paint.in_code(code, word), paint.in_code("1", &message));
    let lines = one.location.iter().chain(one.also.iter().map(|also| &also.location)).map(|at| at.line);
    let width = lines.max().unwrap_or(1).to_string().len();
    let gap = " ".repeat(width);
    match &one.location {
        None => {
            let _ = writeln!(out, "{gap}{} {}", paint.frame("-->"), file_of(None));
        }
        Some(at) => {
            let _ =
                writeln!(out, "{gap}{} {}:{}:{}", paint.frame("-->"), file_of(Some(at)), at.line, at.column);
            render_line(out, width, at, &paint.in_code(code, &marks('^', at, &one.label)), paint);
        }
    }
    if let Some(also) = &one.also {
        let _ = writeln!(
            out,
            "{gap}{} {}:{}:{}",
            paint.frame(":::"),
            file_of(Some(&also.location)),
            also.location.line,
            also.location.column
        );
        let marks = marks('-', &also.location, &also.label);
        render_line(out, width, &also.location, &paint.frame(&marks), paint);
    }
    if let Some(help) = &one.help {
        let help: String = help.chars().map(shown).collect();
        let _ = writeln!(out, "{gap} {} {}: {help}", paint.frame("="), paint.in_code("1", "help"));
    }
}

fn marks(mark: char, at: &Location, label: &str) -> String {
    let room = at.excerpt.chars().count().saturating_sub(at.indent).max(1);
    let marks: String = std::iter::repeat_n(mark, at.length.min(room)).collect();
    let label: String = label.chars().map(shown).collect();
    if label.is_empty() { marks } else { format!("{marks} {label}") }
}

fn render_line(out: &mut String, width: usize, at: &Location, marks: &str, paint: &Paint) {
    let gap = " ".repeat(width);
    let bar = paint.frame("|");
    let _ = writeln!(out, "{gap} {bar}");
    let number = paint.frame(&format!("{:>width$}", at.line));
    let _ = writeln!(out, "{number} {bar} {}", at.excerpt.trim_end());
    let _ = writeln!(out, "{gap} {bar} {}{marks}", " ".repeat(at.indent));
}

/// Takes findings in any order and hands them out in file order.
pub(crate) struct Findings<'s> {
    source: &'s Source,
    list: Vec<(usize, Diagnostic)>,
    more: usize,
    secrets: Secrets,
}

/// A finding that is being put together.
pub(crate) struct Finding<'f> {
    diagnostic: &'f mut Diagnostic,
    source: &'f Source,
}

impl Finding<'_> {
    /// What to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// What to do about it, if that is known.
    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        self.diagnostic.help = help;
        self
    }

    /// A word or two beside the caret.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        self.diagnostic.label = label.into();
        self
    }

    /// A second place.
    pub(crate) fn also(self, region: Region, label: impl Into<String>) -> Self {
        self.diagnostic.also = Some(Also { location: self.source.locate(region), label: label.into() });
        self
    }
}

impl<'s> Findings<'s> {
    pub(crate) fn new(source: &'s Source) -> Findings<'s> {
        Findings { source, list: Vec::new(), more: 0, secrets: Secrets::default() }
    }

    /// What the findings are about.
    pub(crate) fn source(&self) -> &Source {
        self.source
    }

    /// No finding shall say any of these.
    pub(crate) fn keep_secret(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// Reports something that keeps the scenario from being run.
    pub(crate) fn error(&mut self, region: Region, message: impl Into<String>) -> Finding<'_> {
        self.add(Severity::Error, Some(region), message.into())
    }

    /// Reports something that is probably not meant.
    pub(crate) fn warning(&mut self, region: Region, message: impl Into<String>) -> Finding<'_> {
        self.add(Severity::Warning, Some(region), message.into())
    }

    /// Reports something about the file as a whole.
    pub(crate) fn whole(&mut self, severity: Severity, message: impl Into<String>) -> Finding<'_> {
        self.add(severity, None, message.into())
    }

    fn add(&mut self, severity: Severity, region: Option<Region>, message: String) -> Finding<'_> {
        // Warnings never push errors out of the list.
        if self.list.len() > 2 * MOST {
            self.more += 1;
            self.list.pop();
        }
        let location = region.map(|region| self.source.locate(region));
        let diagnostic =
            Diagnostic { severity, message, location, label: String::new(), also: None, help: None };
        self.list.push((region.map_or(0, |region| region.start + 1), diagnostic));
        let (_, diagnostic) = self.list.last_mut().expect("one was pushed just now");
        Finding { diagnostic, source: self.source }
    }

    pub(crate) fn error_count(&self) -> usize {
        self.list.iter().filter(|(_, one)| one.severity == Severity::Error).count()
    }

    /// True if there are so many errors that looking for more is of no use.
    pub(crate) fn is_full(&self) -> bool {
        self.error_count() >= MOST
    }

    /// The findings in file order.
    pub(crate) fn finish(mut self, file: &str) -> Diagnostics {
        murphy_core::sort_short(&mut self.list, |a, b| a.0.cmp(&b.0));
        self.list.dedup();
        let mut list: Vec<Diagnostic> = self.list.into_iter().map(|(_, one)| one).collect();
        let more = self.more + list.len().saturating_sub(MOST);
        list.truncate(MOST);
        for one in &mut list {
            let hide = |text: &str| self.secrets.hide(text).into_owned();
            one.message = hide(&one.message);
            one.label = hide(&one.label);
            one.help = one.help.as_deref().map(hide);
        }
        Diagnostics { file: file.to_owned(), list, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Diagnostics {
        let source = Source::new("load:\n  a: 1\n  b: 2\n".to_owned());
        let mut findings = Findings::new(&source);
        findings
            .error(Region { start: 15, end: 16 }, "`b` is wrong")
            .label("here")
            .also(Region { start: 8, end: 9 }, "because of this")
            .help("write c");
        findings.warning(Region { start: 0, end: 4 }, "so so");
        findings.finish("x.yaml")
    }

    #[test]
    fn findings_come_in_file_order_with_line_caret_and_help() {
        let expected = "\
warning: so so
 --> x.yaml:1:1
  |
1 | load:
  | ^^^^

error: `b` is wrong
 --> x.yaml:3:3
  |
3 |   b: 2
  |   ^ here
 ::: x.yaml:2:3
  |
2 |   a: 1
  |   - because of this
  = help: write c
";
        assert_eq!(two().render(Colour::Never), expected);
        assert!(two().has_errors());
    }

    #[test]
    fn colour_adds_codes_and_nothing_else() {
        let coloured = two().render(Colour::Always);
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        assert_eq!(plain, two().render(Colour::Never));
        assert_ne!(coloured, plain);
    }

    #[test]
    fn very_many_findings_are_cut_and_counted() {
        let source = Source::new("x".repeat(500));
        let mut findings = Findings::new(&source);
        for start in 0..300 {
            findings.error(Region { start, end: start + 1 }, format!("{start}"));
        }
        let all = findings.finish("x");
        assert_eq!((all.list.len(), all.list.len() + all.more), (MOST, 300));
    }
}
