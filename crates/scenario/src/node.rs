//! A YAML document as a tree in which every part knows where it stands.
//!
//! The tree is data only; it is made by `yaml`, filled by `variables` and read by `deserialize`.

use std::collections::BTreeSet;

use serde::de::Unexpected;

use crate::source_map::Region;

/// The identity of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// Nodes that are wrong, and have been reported: later stages act as if they were not written.
pub(crate) type Gone = BTreeSet<NodeId>;

/// A scalar, list or map.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) region: Region,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_region: Region,
    pub(crate) value: Node,
}

/// A text that may mean a number or a truth value.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
    /// The byte of the source at which the text begins, if it stands there letter by letter.
    pub(crate) verbatim: Option<usize>,
    /// The bytes of the text at which a `${` stands that was written `$${`.
    pub(crate) escaped: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: what it means depends on its letters.
    Plain,
    /// In quotes, a block, or tagged as a string: always a text.
    Text,
}

/// What a scalar means, by the core schema of YAML 1.2 (chapter 10.3): only `true` and `false` are truth values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Meaning<'a> {
    Nothing,
    Truth(bool),
    Whole(u64),
    Negative(i64),
    Real(f64),
    Text(&'a str),
}

impl<'a> Meaning<'a> {
    /// In serde's terms.
    pub(crate) fn unexpected(self) -> Unexpected<'a> {
        match self {
            Meaning::Nothing => Unexpected::Unit,
            Meaning::Truth(truth) => Unexpected::Bool(truth),
            Meaning::Whole(number) => Unexpected::Unsigned(number),
            Meaning::Negative(number) => Unexpected::Signed(number),
            Meaning::Real(number) => Unexpected::Float(number),
            Meaning::Text(text) => Unexpected::Str(text),
        }
    }
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if self.style == Style::Text {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Nothing,
            "true" | "True" | "TRUE" => return Meaning::Truth(true),
            "false" | "False" | "FALSE" => return Meaning::Truth(false),
            ".nan" | ".NaN" | ".NAN" => return Meaning::Real(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" => return Meaning::Real(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Meaning::Real(f64::NEG_INFINITY),
            _ => {}
        }
        let based = |digits: &str, base| u64::from_str_radix(digits, base).ok().map(Meaning::Whole);
        let starts_as_number = |digits: &str| digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !starts_as_number(unsigned) {
            return Meaning::Text(text);
        }
        if let Some(number) =
            text.strip_prefix("0x").filter(|d| !d.starts_with('+')).and_then(|d| based(d, 16))
        {
            return number;
        }
        if let Some(number) =
            text.strip_prefix("0o").filter(|d| !d.starts_with('+')).and_then(|d| based(d, 8))
        {
            return number;
        }
        if let Ok(number) = text.parse() {
            return Meaning::Whole(number);
        }
        if let Ok(number) = text.parse() {
            return Meaning::Negative(number);
        }
        let decimal =
            unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
        match text.parse() {
            Ok(number) if decimal => Meaning::Real(number),
            _ => Meaning::Text(text),
        }
    }

    /// True for `key:` with nothing behind it.
    pub(crate) fn is_absent(&self) -> bool {
        self.style == Style::Plain && self.text.is_empty()
    }
}

impl Node {
    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Scalar(_) | Kind::Map(_) => &[],
        }
    }

    /// The entry of this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// What it is called in a message.
    pub(crate) fn noun(&self) -> String {
        match &self.kind {
            Kind::Map(entries) if entries.is_empty() => "an empty map".to_owned(),
            Kind::Map(_) => "a block of keys".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => "nothing".to_owned(),
                Meaning::Truth(truth) => format!("`{truth}`"),
                Meaning::Whole(_) | Meaning::Negative(_) | Meaning::Real(_) => {
                    format!("the number {}", scalar.text)
                }
                Meaning::Text(text) => format!("the text `{}`", shortened(text)),
            },
        }
    }

    /// The way from here to a node: `.faults[0].inject.latency.delay`.
    pub(crate) fn path_to(&self, id: NodeId) -> Option<String> {
        if self.id == id {
            return Some(String::new());
        }
        let in_entries = self.entries().iter().find_map(|entry| {
            entry.value.path_to(id).map(|rest| format!(".{}{rest}", shortened(&entry.key)))
        });
        in_entries.or_else(|| {
            let in_item =
                |(index, item): (usize, &Node)| item.path_to(id).map(|rest| format!("[{index}]{rest}"));
            self.items().iter().enumerate().find_map(in_item)
        })
    }
}

/// A text as it is quoted in a message: never longer than 60 characters, on one line.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let mut short: String = line.chars().take(60).map(crate::source_map::shown).collect();
    if short.len() < text.trim_end().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Meaning<'_> {
        // Leaked: a test of a few bytes.
        let scalar = Box::leak(Box::new(Scalar {
            text: text.to_owned(),
            style: Style::Plain,
            verbatim: None,
            escaped: Vec::new(),
        }));
        scalar.meaning()
    }

    #[test]
    fn numbers_and_truths_follow_yaml_1_2() {
        assert_eq!(meaning("12"), Meaning::Whole(12));
        assert_eq!(meaning("-3"), Meaning::Negative(-3));
        assert_eq!(meaning("0x1f"), Meaning::Whole(31));
        assert_eq!(meaning("1.5e3"), Meaning::Real(1500.0));
        assert_eq!(meaning("true"), Meaning::Truth(true));
        assert_eq!(meaning("~"), Meaning::Nothing);
        for text in ["yes", "on", "NO", "1s", "2xx", "200ms", "inf", "NaN", "infinity", "-", ".", "1-2", "e5"]
        {
            assert_eq!(meaning(text), Meaning::Text(text));
        }
    }
}
