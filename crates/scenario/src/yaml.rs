//! YAML text → node tree, within limits, with every problem placed.
//!
//! Aliases are followed within a budget of nodes, so that a small file cannot become a large tree. Keys must be
//! texts and unique; one document a file; no tags but `!!str`.

use std::borrow::Cow;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::diagnostic::Findings;
use crate::node::{Entry, Kind, Node, NodeId, Scalar, Style, shortened};
use crate::source_map::{Part, Region, Source};
use crate::syntax;

/// The deepest nesting.
const DEEPEST: usize = 64;
/// The most nodes, with aliases followed.
const MOST_NODES: u32 = 200_000;
/// The most text that aliases may stand for, in bytes.
const MOST_COPIED: usize = 4 << 20;

/// What all files of a source may take together.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Nodes so far: the last identity given.
    nodes: u32,
    /// Bytes of text in copies.
    copied: usize,
}

/// Reads the one document of a file. `None` if it cannot be read at all; the findings say why.
pub(crate) fn read(
    source: &Source,
    part: &Part,
    budget: &mut Budget,
    findings: &mut Findings<'_>,
) -> Option<Node> {
    let mut builder =
        Builder { source, part, findings, budget, open: Vec::new(), anchors: BTreeMap::new(), root: None };
    let mut parser = Parser::new_from_str(source.text_of(part));
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        match next {
            Err(error) => {
                builder.syntax_error(&error);
                return None;
            }
            Ok((Event::DocumentStart(_), span)) => {
                documents += 1;
                if documents > 1 {
                    let region = builder.region(span);
                    builder
                        .findings
                        .error(region, "a second document begins here")
                        .help("write one scenario a file; put the second one into a file of its own");
                    return None;
                }
            }
            Ok((event, span)) => builder.event(event, span)?,
        }
    }
    builder.root
}

/// A list or map whose end has not come yet.
struct Open {
    id: NodeId,
    start: Region,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// `key` waits for its value; `index` knows where each key was first written.
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Region)>,
        index: HashMap<String, Region>,
    },
}

struct Builder<'a, 's, 'f> {
    source: &'s Source,
    part: &'s Part,
    findings: &'a mut Findings<'f>,
    budget: &'a mut Budget,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
}

impl Builder<'_, '_, '_> {
    fn region(&self, span: Span) -> Region {
        self.source.between_chars(self.part, span.start.index(), span.end.index())
    }

    fn new_id(&mut self, region: Region) -> Option<NodeId> {
        self.budget.nodes += 1;
        if self.budget.nodes > MOST_NODES {
            self.findings
                .error(region, format!("more than {MOST_NODES} values, with aliases followed"))
                .help("write fewer; no scenario needs this many");
            return None;
        }
        Some(NodeId(self.budget.nodes))
    }

    /// `None` stops the reading.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let region = self.region(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(text.into_owned(), style, tag, region)?;
                self.place(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.begin(region, anchor, tag, OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let kind = OpenKind::Map { entries: Vec::new(), key: None, index: HashMap::new() };
                self.begin(region, anchor, tag, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(region),
            Event::Alias(anchor) => self.alias(anchor, region),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Some(()),
        }
    }

    fn scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        region: Region,
    ) -> Option<Node> {
        let id = self.new_id(region)?;
        let as_text = self.tagged_text(tag, region);
        let style = if as_text || style != ScalarStyle::Plain { Style::Text } else { Style::Plain };
        // Found again in the source, the text has no escapes and its parts can be pointed at.
        let verbatim = self.source.slice(region).find(text.as_str()).map(|at| region.start + at);
        Some(Node { id, region, kind: Kind::Scalar(Scalar { text, style, verbatim, escaped: Vec::new() }) })
    }

    /// True for `!!str`; reports every other tag.
    fn tagged_text(&mut self, tag: Option<Cow<'_, Tag>>, region: Region) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
            Some(tag) => {
                let message = format!("the tag `{}` is not supported", shortened(&tag.to_string()));
                self.findings.error(region, message).help("leave it out");
                false
            }
        }
    }

    fn begin(
        &mut self,
        start: Region,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        kind: OpenKind,
    ) -> Option<()> {
        if self.open.len() >= DEEPEST {
            self.too_deep(start);
            return None;
        }
        self.tagged_text(tag, start);
        let id = self.new_id(start)?;
        self.open.push(Open { id, start, anchor, kind });
        Some(())
    }

    fn too_deep(&mut self, region: Region) {
        self.findings
            .error(region, format!("nested deeper than {DEEPEST} levels"))
            .help("no scenario needs this depth; is a bracket or an indentation wrong?");
    }

    fn end(&mut self, end: Region) -> Option<()> {
        let open = self.open.pop()?;
        // The end's own mark may reach over a comment behind the bracket.
        let bracket = self.source.text()[end.start..].starts_with([']', '}']);
        let end = if bracket { end.start + 1 } else { end.end };
        let region = Region { start: open.start.start, end: end.max(open.start.end) };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { entries, .. } => Kind::Map(entries),
        };
        self.place(Node { id: open.id, region, kind }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, region: Region) -> Option<()> {
        // Taken out for the time of the copy, which needs the builder.
        let Some(original) = self.anchors.remove(&anchor) else {
            self.findings
                .error(region, "this alias stands inside of what it stands for")
                .help("write the value out");
            return None;
        };
        let mut copy = self.copy(&original, region, self.open.len())?;
        copy.region = region;
        self.anchors.insert(anchor, original);
        self.place(copy, 0)
    }

    /// A copy with identities of its own, within the budget.
    fn copy(&mut self, node: &Node, at: Region, depth: usize) -> Option<Node> {
        if depth > DEEPEST {
            self.too_deep(at);
            return None;
        }
        let id = self.new_id(at)?;
        let kind = match &node.kind {
            Kind::Scalar(scalar) => {
                self.budget.copied += scalar.text.len();
                Kind::Scalar(scalar.clone())
            }
            Kind::List(items) => {
                Kind::List(items.iter().map(|item| self.copy(item, at, depth + 1)).collect::<Option<_>>()?)
            }
            Kind::Map(entries) => {
                let copies = entries.iter().map(|entry| {
                    self.budget.copied += entry.key.len();
                    let value = self.copy(&entry.value, at, depth + 1)?;
                    Some(Entry { key: entry.key.clone(), key_region: entry.key_region, value })
                });
                Kind::Map(copies.collect::<Option<_>>()?)
            }
        };
        if self.budget.copied > MOST_COPIED {
            self.findings
                .error(at, format!("aliases stand for more than {} MiB of text", MOST_COPIED >> 20))
                .help("write fewer; no scenario needs this much");
            return None;
        }
        Some(Node { id, region: node.region, kind })
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Option<()> {
        if anchor != 0 {
            // A copy, so that anchors inside anchors are paid for out of the same budget.
            let copy = self.copy(&node, node.region, 0)?;
            self.anchors.insert(anchor, copy);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, key, index } => match key.take() {
                None => *key = Some(key_of(node, self.findings)?),
                Some((name, region)) => match index.entry(name) {
                    MapEntry::Vacant(free) => {
                        let name = free.key().clone();
                        free.insert(region);
                        if name == "<<" {
                            self.findings
                                .error(region, "merge keys (`<<`) are not supported")
                                .help("write the keys out");
                            return None;
                        }
                        entries.push(Entry { key: name, key_region: region, value: node });
                    }
                    MapEntry::Occupied(first) => {
                        self.findings
                            .error(region, format!("the key `{}` is written twice", shortened(first.key())))
                            .label("again here")
                            .also(*first.get(), "first here")
                            .help("remove one of the two, or give it another name");
                    }
                },
            },
        }
        Some(())
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let info = error.info();
        let at = error.marker().index();
        let region = self.source.between_chars(self.part, at, at + 1);
        let line = self.source.slice(self.source.line_region(self.source.line_of(region.start)));
        let tab_indents = line.trim_start_matches(' ').starts_with('\t');
        let before = &self.source.text()[self.part.start()..region.start];
        let variable = before.ends_with("${") || (before.ends_with('$') && self.source.slice(region) == "{");
        let (message, help) = if variable {
            let help = "write \"${NAME}\" with quotes; without them, the brace begins a map".to_owned();
            ("inside of `{ … }` and `[ … ]`, a variable stands in quotes".to_owned(), help)
        } else if info.contains("tab") || tab_indents {
            (
                "a tab in the indentation".to_owned(),
                "indent with blanks; YAML allows no tabs there".to_owned(),
            )
        } else {
            syntax::explain(info, self.source.slice(region))
        };
        let bracket = self.open.iter().rev().find(|open| matches!(self.source.slice(open.start), "[" | "{"));
        let bracket = bracket.map(|open| open.start).filter(|_| message.contains("closed"));
        let finding = self.findings.error(region, message).help(help);
        if let Some(bracket) = bracket {
            finding.also(bracket, "opened here");
        }
    }
}

fn key_of(node: Node, findings: &mut Findings<'_>) -> Option<(String, Region)> {
    match node.kind {
        Kind::Scalar(scalar) if scalar.is_absent() => {
            findings.error(node.region, "there is no key before the `:`").help("write `key: value`");
            None
        }
        Kind::Scalar(scalar) => Some((scalar.text, node.region)),
        Kind::List(_) | Kind::Map(_) => {
            findings
                .error(node.region, "a list or map cannot be a key")
                .help("write `key: value`; put a text that begins with a bracket in quotes");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Colour;

    fn read_text(text: &str) -> Result<Node, String> {
        let source = Source::new(text.to_owned());
        let mut findings = Findings::new(&source);
        let node = read(&source, &source.parts()[0], &mut Budget::default(), &mut findings);
        let all = findings.finish("x");
        if all.is_empty() { Ok(node.unwrap()) } else { Err(all.render(Colour::Never)) }
    }

    #[test]
    fn every_part_knows_where_it_stands() {
        let text = "ü: 'a b'\nlist: [1, {x: \"q\\n\"}]  # end\n";
        let root = read_text(text).unwrap();
        let place = |node: &Node| &text[node.region.start..node.region.end];
        assert_eq!(place(&root.entries()[0].value), "'a b'");
        assert_eq!(root.entries()[0].value.scalar().unwrap().verbatim, Some(5));
        let list = &root.entry("list").unwrap().value;
        assert_eq!(place(list), "[1, {x: \"q\\n\"}]");
        let inner = &list.items()[1].entry("x").unwrap().value;
        assert_eq!(inner.scalar().unwrap().text, "q\n");
        assert_eq!(inner.scalar().unwrap().verbatim, None);
        assert_eq!(root.path_to(inner.id).as_deref(), Some(".list[1].x"));
    }

    #[test]
    fn aliases_are_followed() {
        let root = read_text("a: &a {x: 1}\nb: [*a, *a]\n").unwrap();
        let items = root.entry("b").unwrap().value.items();
        assert_eq!(items[1].entry("x").unwrap().value.scalar().unwrap().text, "1");
        assert_ne!(items[0].id, items[1].id);
    }

    #[test]
    fn bombs_of_aliases_end_at_the_budget() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let of = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![of; 10].join(", ")));
        }
        assert!(read_text(&bomb).unwrap_err().contains("more than 200000 values"));
        let mut long = format!("a: &a {}\nb:\n", "x".repeat(500_000));
        long.push_str(&"- *a\n".repeat(1000));
        assert!(read_text(&long).unwrap_err().contains("MiB of text"));
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(read_text(&deep).unwrap_err().contains("nested deeper"));
        assert!(read_text("a: &a [*a]\n").unwrap_err().contains("alias"));
    }
}
