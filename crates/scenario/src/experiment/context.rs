//! What all checks share: a place in the tree, the declared names, and where findings go.

use std::collections::BTreeMap;
use std::ops::Range;

use murphy_core::{PhaseLengths, Span};

use crate::diagnostic::Findings;
use crate::node::{Gone, Node, shortened};
use crate::problem::{did_you_mean, likely};
use crate::source_map::Region;
use crate::suggest;

/// A place in the tree.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) node: &'a Node,
    key: Option<Region>,
    gone: &'a Gone,
}

impl<'a> Cursor<'a> {
    pub(super) fn root(node: &'a Node, gone: &'a Gone) -> Cursor<'a> {
        Cursor { node, key: None, gone }
    }

    /// The value of a key, also of one that was passed over.
    pub(super) fn child(self, key: &str) -> Option<Cursor<'a>> {
        let entry = self.node.entry(key)?;
        Some(Cursor { node: &entry.value, key: Some(entry.key_region), gone: self.gone })
    }

    /// True if the key is written, be its value good or not.
    pub(super) fn has(self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    /// True if the key is written, or one that was probably meant to be it.
    pub(super) fn meant(self, key: &'static str) -> bool {
        let slip = |entry: &crate::node::Entry| {
            self.gone.contains(&entry.value.id) && likely(&entry.key, std::iter::once(key)).is_some()
        };
        self.has(key) || self.node.entries().iter().any(slip)
    }

    /// True if the key is written and was passed over.
    pub(super) fn is_gone(self, key: &str) -> bool {
        self.node.entry(key).is_some_and(|entry| self.gone.contains(&entry.value.id))
    }

    /// Entries and items that were not passed over, in file order.
    pub(super) fn children(self) -> impl Iterator<Item = Cursor<'a>> {
        let gone = self.gone;
        let entries = self.node.entries().iter().map(|entry| (&entry.value, Some(entry.key_region)));
        let items = self.node.items().iter().map(|item| (item, None));
        let all = entries.chain(items).filter(move |(node, _)| !gone.contains(&node.id));
        all.map(move |(node, key)| Cursor { node, key, gone })
    }

    /// Keys that were not passed over, with their values.
    pub(super) fn fields(self) -> impl Iterator<Item = (&'a str, Cursor<'a>)> {
        let gone = self.gone;
        let left = self.node.entries().iter().filter(move |entry| !gone.contains(&entry.value.id));
        left.map(move |entry| {
            (entry.key.as_str(), Cursor { node: &entry.value, key: Some(entry.key_region), gone })
        })
    }

    /// True if any key or item here was passed over.
    pub(super) fn has_gone(self) -> bool {
        let entries = self.node.entries().iter().map(|entry| entry.value.id);
        entries.chain(self.node.items().iter().map(|item| item.id)).any(|id| self.gone.contains(&id))
    }

    /// What stands for the whole: its key, else itself.
    pub(super) fn own(self) -> Region {
        self.key.unwrap_or(self.node.region)
    }

    /// The value of a key; the whole if the key is not written.
    pub(super) fn value(self, key: &str) -> Region {
        self.node.entry(key).map_or(self.own(), |entry| {
            let region = entry.value.region;
            if region.start == region.end { entry.key_region } else { region }
        })
    }

    /// A key; the whole if it is not written.
    pub(super) fn key(self, key: &str) -> Region {
        self.node.entry(key).map_or(self.own(), |entry| entry.key_region)
    }

    /// A part of this scalar's text; the whole value where the text does not stand letter by letter in the file.
    pub(super) fn part(self, part: Range<usize>) -> Region {
        match self.node.scalar().and_then(|scalar| scalar.verbatim) {
            Some(start) => Region { start: start + part.start, end: start + part.end },
            None => self.node.region,
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Load,
    Probe,
    Edge,
}

impl Kind {
    pub(super) fn with_article(self) -> &'static str {
        match self {
            Kind::Load => "a load",
            Kind::Probe => "a probe",
            Kind::Edge => "an edge",
        }
    }

    fn section(self) -> &'static str {
        match self {
            Kind::Load => "load",
            Kind::Probe => "probes",
            Kind::Edge => "edges",
        }
    }
}

/// Where findings go, and what is declared.
pub(super) struct Check<'f, 's> {
    pub(super) findings: &'f mut Findings<'s>,
    /// How long each phase lasts; `None` if that is not known because of an error in them.
    pub(super) phases: Option<PhaseLengths>,
    names: BTreeMap<String, (Kind, Region)>,
    services: Vec<String>,
}

/// Keys of `expect:` that are no names.
const RESERVED: [&str; 2] = ["recovery", "isolation"];

impl<'f, 's> Check<'f, 's> {
    /// Takes up all declared names, and reports those that are taken.
    pub(super) fn new(
        root: Cursor<'_>,
        phases: Option<PhaseLengths>,
        findings: &'f mut Findings<'s>,
    ) -> Check<'f, 's> {
        let mut names: BTreeMap<String, (Kind, Region)> = BTreeMap::new();
        for kind in [Kind::Edge, Kind::Load, Kind::Probe] {
            let entries =
                root.child(kind.section()).map(|section| section.node.entries()).unwrap_or_default();
            for entry in entries {
                let name = shortened(&entry.key);
                if RESERVED.contains(&entry.key.as_str()) {
                    findings
                        .error(
                            entry.key_region,
                            format!("`{name}` is a key of `expect` and cannot be a name"),
                        )
                        .help("give it another name");
                }
                if let Some((other, first)) = names.get(&entry.key) {
                    let both = format!(
                        "`{name}` is the name of {} and of {}",
                        other.with_article(),
                        kind.with_article()
                    );
                    findings
                        .error(entry.key_region, both)
                        .also(*first, "first here")
                        .help("give one of them another name: `expect` knows them by name alone");
                } else {
                    names.insert(entry.key.clone(), (kind, entry.key_region));
                }
            }
        }
        let services = root.child("services").map(|section| section.node.entries()).unwrap_or_default();
        let services = services.iter().map(|entry| entry.key.clone()).collect();
        Check { findings, phases, names, services }
    }

    /// What a name stands for.
    pub(super) fn kind_of(&self, name: &str) -> Option<Kind> {
        self.names.get(name).map(|(kind, _)| *kind)
    }

    /// All names of a kind; of every kind for `None`.
    pub(super) fn names(&self, kind: Option<Kind>) -> impl Iterator<Item = &str> {
        let all = self.names.iter().filter(move |(_, (of, _))| kind.is_none_or(|kind| kind == *of));
        all.map(|(name, _)| name.as_str())
    }

    /// Reports a name that is no load's.
    pub(super) fn must_be_load(&mut self, name: &str, at: Region) {
        self.must_be(Kind::Load, name, at);
    }

    /// Reports a name that is not one of this kind; true if it is.
    pub(super) fn must_be(&mut self, kind: Kind, name: &str, at: Region) -> bool {
        if self.kind_of(name) == Some(kind) {
            return true;
        }
        let message = format!("`{}` is not the name of {}", shortened(name), kind.with_article());
        let help = self.help_for(name, Some(kind));
        self.findings.error(at, message).help(help);
        false
    }

    /// Reports a name that is no service's; true if it is one.
    pub(super) fn must_be_service(&mut self, name: &str, at: Region) -> bool {
        if self.services.iter().any(|service| service == name) {
            return true;
        }
        let help =
            help_among(name, &self.services.iter().map(String::as_str).collect::<Vec<_>>(), "services");
        let message = format!("`{}` is not a service that Murphy starts", shortened(name));
        self.findings.error(at, message).help(help);
        false
    }

    /// "Did you mean", else the names there are.
    pub(super) fn help_for(&self, name: &str, kind: Option<Kind>) -> String {
        let known: Vec<&str> = self.names(kind).collect();
        help_among(name, &known, kind.map_or("load, probes or edges", Kind::section))
    }

    /// Reports a key that must be written; silent if it is there and was reported as wrong.
    pub(super) fn missing(&mut self, here: Cursor<'_>, owner: &str, key: &'static str, example: &str) {
        if !here.meant(key) {
            self.findings
                .error(here.own(), format!("{owner} needs `{key}`"))
                .label(format!("`{key}` is missing"))
                .help(format!("write for example `{key}: {example}`"));
        }
    }

    /// Reports two keys of which only one can be meant.
    pub(super) fn not_both(&mut self, here: Cursor<'_>, keys: [&str; 2], whose: &str, help: &str) {
        let [first, second] = keys;
        self.findings
            .error(here.key(second), format!("`{first}` and `{second}` {whose}"))
            .also(here.key(first), "the other one")
            .help(help);
    }

    /// Reports a time of zero where some time is needed.
    pub(super) fn some_time(&mut self, here: Cursor<'_>, key: &str, span: Option<Span>) {
        if span.is_some_and(Span::is_zero) {
            self.findings
                .error(here.value(key), format!("`{key}` is no time at all"))
                .help(format!("write for example `{key}: 5s`"));
        }
    }

    /// A name in its own type; reports a bad spelling at the key.
    pub(super) fn name<T, E: std::fmt::Display>(
        &mut self,
        at: Region,
        name: &str,
        make: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match make(name) {
            Ok(good) => Some(good),
            Err(_) => {
                let what =
                    if name.is_empty() { "nothing".to_owned() } else { format!("`{}`", shortened(name)) };
                self.findings
                    .error(at, format!("{what} is not a name"))
                    .help("use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`, beginning with a letter or digit");
                None
            }
        }
    }

    /// Reports what a parser says about a value: its advice becomes the help.
    pub(super) fn refuse(&mut self, at: Region, error: &dyn std::fmt::Display) {
        let (message, help) = split_help(&error.to_string());
        self.findings.error(at, message).maybe_help(help);
    }
}

fn help_among(name: &str, known: &[&str], section: &str) -> String {
    match suggest::nearest(name, known.iter().copied()) {
        Some(near) => did_you_mean(near),
        None if known.is_empty() => format!("none is declared; write it below `{section}:`"),
        None => {
            let shown = known.iter().take(12).copied().map(shortened).collect::<Vec<_>>().join(", ");
            let more = if known.len() > 12 { ", …" } else { "" };
            format!("declared are: {shown}{more}")
        }
    }
}

/// An error's text, parted into what is wrong and what to write.
pub(super) fn split_help(text: &str) -> (String, Option<String>) {
    match text.split_once("; ") {
        Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
        None => (text.to_owned(), None),
    }
}
