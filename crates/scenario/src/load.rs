//! From a file or a text to a plan.

use std::path::Path;

use crate::diagnostic::{Diagnostics, Findings, Severity};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::source_map::{Region, Source};

/// A scenario that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What a run does.
    pub plan: Plan,
    /// What is probably not meant, without errors; often empty.
    pub warnings: Diagnostics,
    /// Which combination of a `matrix` it is: variables with their values; empty without one.
    pub cell: Vec<(String, String)>,
}

/// The largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads, fills and checks a scenario file. At most 1 MiB of it is read. Of a `matrix` the first combination.
///
/// # Errors
/// All problems of the file, each with its place.
pub fn load(path: &Path, settings: &Settings) -> Result<Loaded, Diagnostics> {
    load_all(path, settings).map(first)
}

/// Reads, fills and checks a scenario file: one scenario, or one for each combination of its `matrix`, in order; never none.
///
/// # Errors
/// All problems of the file, each with its place; of a `matrix` those of the first combination that has any.
pub fn load_all(path: &Path, settings: &Settings) -> Result<Vec<Loaded>, Diagnostics> {
    let name = path.display().to_string();
    let bytes = read_file(path).map_err(|error| {
        let (message, help) = match error.kind() {
            std::io::ErrorKind::NotFound => {
                ("there is no such file", "check the path; `murphy init` writes a first one")
            }
            std::io::ErrorKind::IsADirectory => ("this is a directory", "give the file in it"),
            std::io::ErrorKind::PermissionDenied => ("this file may not be read", "check its permissions"),
            _ => ("this file cannot be read", "check that it is a plain file"),
        };
        let full = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => message.to_owned(),
            _ => format!("{message}: {error}"),
        };
        refusal(&name, full, help)
    })?;
    load_bytes(&name, bytes, settings)
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fills and checks a scenario text. `name` stands for the file in messages and in the plan.
///
/// # Errors
/// All problems of the text, each with its place.
pub fn load_text(name: &str, text: &str, settings: &Settings) -> Result<Loaded, Diagnostics> {
    load_all_text(name, text, settings).map(first)
}

/// Fills and checks a scenario text, as [`load_all`] does with a file.
///
/// # Errors
/// All problems of the text, each with its place.
pub fn load_all_text(name: &str, text: &str, settings: &Settings) -> Result<Vec<Loaded>, Diagnostics> {
    load_bytes(name, text.as_bytes().to_vec(), settings)
}

fn first(mut all: Vec<Loaded>) -> Loaded {
    all.swap_remove(0)
}

fn refusal(name: &str, message: impl Into<String>, help: impl Into<String>) -> Diagnostics {
    let source = Source::new(String::new());
    let mut findings = Findings::new(&source);
    findings.whole(Severity::Error, message).help(help);
    findings.finish(name)
}

/// The text of a file, or why it is none.
fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    if bytes.len() as u64 > LARGEST {
        return Err(refusal(name, "larger than 1 MiB", "no scenario needs this size; is it the right file?"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refusal(name, "written in UTF-16", "save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err(refusal(name, "a binary file, not text", "give a YAML file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let source = Source::new(String::from_utf8_lossy(error.as_bytes()).into_owned());
        let mut findings = Findings::new(&source);
        findings
            .error(Region { start: good, end: good + 1 }, "not UTF-8 from here on")
            .help("save it as UTF-8");
        findings.finish(name)
    })
}

fn load_bytes(name: &str, bytes: Vec<u8>, settings: &Settings) -> Result<Vec<Loaded>, Diagnostics> {
    let source = Source::new(text_of(name, bytes)?);
    let mut all = Vec::new();
    for cell in crate::experiment::cells(&source, settings) {
        let mut loaded = load_source(name, &source, settings, &cell)?;
        if !cell.is_empty() {
            loaded.plan.name = format!("{} ({})", loaded.plan.name, crate::matrix::label(&cell));
        }
        loaded.cell = cell;
        all.push(loaded);
    }
    Ok(all)
}

fn load_source(
    name: &str,
    source: &Source,
    settings: &Settings,
    cell: &crate::matrix::Cell,
) -> Result<Loaded, Diagnostics> {
    let mut findings = Findings::new(source);
    if source.text().trim().is_empty() {
        crate::experiment::nothing(&mut findings);
        return Err(findings.finish(name));
    }
    let plan = crate::experiment::plan(name, source, settings, cell, &mut findings);
    let all = findings.finish(name);
    match plan {
        Some(plan) if !all.has_errors() => Ok(Loaded { plan, warnings: all, cell: Vec::new() }),
        Some(_) | None => Err(all),
    }
}
