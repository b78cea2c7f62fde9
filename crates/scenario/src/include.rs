//! `include:`: files with sections of a scenario, put together with the file that names them.
//!
//! Files are read first, all of them; what is wrong with an `include` is told with all else that is wrong. A path is
//! relative to the file that it stands in. A file that is included by two others counts once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diagnostic::Findings;
use crate::merge::{Rank, merge};
use crate::node::{Kind, Meaning, Node, shortened};
use crate::readable::{self, LARGEST};
use crate::source_map::{Region, Source};
use crate::suggest;
use crate::yaml::{self, Budget};

/// More files than this in one scenario are a mistake.
const MOST_FILES: usize = 64;

/// A scenario's file and all that it includes, read but not understood.
#[derive(Debug)]
pub(crate) struct Gathered {
    source: Source,
    /// For each file, those that it includes.
    below: Vec<Vec<usize>>,
    troubles: Vec<Trouble>,
}

/// What is wrong with an `include`.
#[derive(Debug)]
struct Trouble {
    at: Region,
    message: String,
    help: String,
}

impl Gathered {
    /// Only a text, which cannot include files.
    pub(crate) fn text(text: String) -> Gathered {
        Gathered::new(text, None)
    }

    /// A file's text, with the files that it includes.
    pub(crate) fn file(path: &Path, text: String) -> Gathered {
        Gathered::new(text, Some(path))
    }

    fn new(text: String, path: Option<&Path>) -> Gathered {
        let mut gatherer = Gatherer {
            files: Vec::new(),
            below: vec![Vec::new()],
            troubles: Vec::new(),
            seen: BTreeSet::new(),
            end: text.len(),
        };
        let shown = path.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let real = path.and_then(|path| path.canonicalize().ok());
        let place = Place { number: 0, start: 0, shown, folder: PathBuf::new() };
        gatherer.visit(&text, &place, &mut real.into_iter().collect());
        let Gatherer { files, below, troubles, .. } = gatherer;
        Gathered { source: Source::of_files(text, files), below, troubles }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

/// Where a file stands among the others.
struct Place {
    number: usize,
    /// Its first byte in the whole text.
    start: usize,
    /// Its directory as it is shown to people, and opened.
    shown: PathBuf,
    /// Its directory, relative to that of the first file.
    folder: PathBuf,
}

struct Gatherer {
    files: Vec<(String, PathBuf, String)>,
    below: Vec<Vec<usize>>,
    troubles: Vec<Trouble>,
    /// By their real paths.
    seen: BTreeSet<PathBuf>,
    /// The length of the whole text.
    end: usize,
}

impl Gatherer {
    /// Takes up what a file includes. `chain` is the way to it, by real paths; empty for a text that is no file.
    fn visit(&mut self, text: &str, place: &Place, chain: &mut Vec<PathBuf>) {
        if !text.contains("include") {
            return;
        }
        // Mistakes in the text itself are found again, and told, when it is read for a plan.
        let source = Source::new(text.to_owned());
        let mut findings = Findings::new(&source);
        let root = yaml::read(&source, &source.parts()[0], &mut Budget::default(), &mut findings);
        let Some(entry) = root.as_ref().and_then(|root| root.entry("include")) else { return };
        let value = &entry.value;
        let items = match &value.kind {
            Kind::List(items) if !items.is_empty() => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for item in items {
            let region = if item.region.start == item.region.end { entry.key_region } else { item.region };
            let at = Region { start: place.start + region.start, end: place.start + region.end };
            let taken = match item.scalar().map(|scalar| scalar.meaning()) {
                Some(Meaning::Text(path)) if !path.trim().is_empty() => self.take(path, place, chain),
                _ => Err((
                    format!("expected the path of a file, found {}", item.noun()),
                    "write for example `include: parts/shop.yaml`, or a list of paths".to_owned(),
                )),
            };
            if let Err((message, help)) = taken {
                self.troubles.push(Trouble { at, message, help });
            }
        }
    }

    /// Takes one file up, with what it includes itself. An error is what is wrong, and what to do.
    fn take(&mut self, path: &str, place: &Place, chain: &mut Vec<PathBuf>) -> Result<(), (String, String)> {
        let quoted = shortened(path);
        let wrong = |message: String, help: &str| Err((message, help.to_owned()));
        if path.contains("${") {
            let help = "write the path itself: files are put together before variables are filled in";
            return wrong("a variable cannot stand in `include`".to_owned(), help);
        }
        if chain.is_empty() {
            return wrong("only a file can include others".to_owned(), "write the scenario to a file");
        }
        let shown = place.shown.join(path);
        let real = match shown.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                let why = readable::Unreadable::from(error);
                let looked =
                    format!("looked for {}: a path is relative to the file it stands in", shown.display());
                let help = near(&shown).map_or(looked, |near| {
                    let near = Path::new(path).with_file_name(near);
                    format!("did you mean `{}`?", near.display())
                });
                return Err((format!("cannot include `{quoted}`: {why}"), help));
            }
        };
        if let Some(first) = chain.iter().position(|above| *above == real) {
            let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let circle: Vec<String> = chain[first..].iter().chain([&real]).map(name).collect();
            let message = format!("a circle: {}", circle.join(" includes "));
            return wrong(message, "remove one of these `include`s");
        }
        if self.seen.contains(&real) {
            return Ok(());
        }
        if self.files.len() >= MOST_FILES {
            return wrong(format!("more than {MOST_FILES} included files"), "put them into fewer files");
        }
        if !real.is_file() && !real.is_dir() {
            return wrong(format!("cannot include `{quoted}`: it is not a plain file"), "give a YAML file");
        }
        let text = match readable::read(&real) {
            Ok(text) => text,
            Err(why) => return wrong(format!("cannot include `{quoted}`: {why}"), why.help()),
        };
        if (self.end + text.len()) as u64 > LARGEST {
            let message = format!("with `{quoted}`, the scenario is larger than 1 MiB");
            return wrong(message, "no scenario needs this size; is it the right file?");
        }
        self.seen.insert(real.clone());
        let number = self.below.len();
        self.below.push(Vec::new());
        self.below[place.number].push(number);
        let start = self.end + 1;
        self.end = start + text.len();
        let folder_of = |base: &Path| base.join(Path::new(path).parent().unwrap_or(Path::new("")));
        let (shown_folder, folder) = (folder_of(&place.shown), folder_of(&place.folder));
        self.files.push((shown.display().to_string(), folder.clone(), text.clone()));
        chain.push(real);
        self.visit(&text, &Place { number, start, shown: shown_folder, folder }, chain);
        chain.pop();
        Ok(())
    }
}

/// A file beside one that does not exist, whose name is nearly the same.
fn near(missing: &Path) -> Option<std::ffi::OsString> {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let beside: Vec<PathBuf> = std::fs::read_dir(missing.parent()?)
        .ok()?
        .take(1000)
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .collect();
    let stems: Vec<String> = beside.iter().map(|path| stem(path)).collect();
    let nearest = suggest::nearest(&stem(missing), stems.iter().map(String::as_str))?;
    beside.iter().find(|path| stem(path) == nearest)?.file_name().map(ToOwned::to_owned)
}

/// All files as one tree.
pub(crate) struct Together {
    pub(crate) root: Node,
    /// True if nothing of what is included is missing: only then can names be missed.
    pub(crate) is_whole: bool,
}

/// Reads all files as one tree. `None` if the first cannot be read at all; the findings say what is wrong anywhere.
pub(crate) fn read(gathered: &Gathered, findings: &mut Findings<'_>) -> Option<Together> {
    let mut budget = Budget::default();
    let source = &gathered.source;
    let mut roots = Vec::new();
    let mut errors_of_first = 0;
    for (number, part) in source.parts().iter().enumerate() {
        let before = findings.error_count();
        let root = yaml::read(source, part, &mut budget, findings)
            .filter(|root| number == 0 || !root.scalar().is_some_and(|scalar| scalar.is_absent()));
        if number == 0 {
            errors_of_first = findings.error_count();
        } else if root.is_none() && findings.error_count() == before {
            let start = Region { start: part.start(), end: part.start() };
            findings.error(start, "an included file that says nothing").help("remove it from `include`");
        }
        roots.push(root);
    }
    for trouble in &gathered.troubles {
        findings.error(trouble.at, trouble.message.clone()).help(trouble.help.clone());
    }
    let root = together(0, gathered, &mut roots, findings)?;
    Some(Together { root, is_whole: findings.error_count() == errors_of_first })
}

/// A file with all that it includes.
fn together(
    number: usize,
    gathered: &Gathered,
    roots: &mut [Option<Node>],
    findings: &mut Findings<'_>,
) -> Option<Node> {
    let mut included = Vec::new();
    for below in &gathered.below[number] {
        if let Some(Node { kind: Kind::Map(entries), .. }) = together(*below, gathered, roots, findings) {
            included = merge(included, entries, Rank::Beside, findings);
        }
    }
    let mut root = roots[number].take()?;
    match root.kind {
        Kind::Map(own) => {
            let own = own.into_iter().filter(|entry| entry.key != "include").collect();
            root.kind = Kind::Map(merge(included, own, Rank::Above, findings));
        }
        // What the first file is otherwise is told as always.
        _ if number == 0 => {}
        _ => {
            findings
                .error(root.region, format!("an included file is a block of keys, not {}", root.noun()))
                .help("write sections of a scenario, as `load: { … }`");
            return None;
        }
    }
    Some(root)
}
