//! From a file or a text to a plan.

use std::path::Path;

use crate::diagnostic::{Diagnostics, Findings, Severity};
use crate::include::Gathered;
use crate::plan::Plan;
use crate::readable::{self, Unreadable};
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

/// Reads, fills and checks a scenario file. At most 1 MiB is read, with all that it includes. Of a `matrix` the first combination.
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
    let text = readable::read(path).map_err(|why| refusal(&name, why))?;
    load_gathered(&name, &Gathered::file(path, text), settings)
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
    let text = readable::text(text.as_bytes().to_vec()).map_err(|why| refusal(name, why))?;
    load_gathered(name, &Gathered::text(text), settings)
}

fn first(mut all: Vec<Loaded>) -> Loaded {
    all.swap_remove(0)
}

fn refusal(name: &str, why: Unreadable) -> Diagnostics {
    let (message, help) = (why.to_string(), why.help());
    let (text, good) = match why {
        Unreadable::NotUtf8 { lossy, good } => (lossy, Some(good)),
        _ => (String::new(), None),
    };
    let source = Source::new(text);
    let mut findings = Findings::new(&source);
    match good {
        Some(good) => findings.error(Region { start: good, end: good + 1 }, message),
        None => findings.whole(Severity::Error, message),
    }
    .help(help);
    findings.finish(name)
}

fn load_gathered(name: &str, gathered: &Gathered, settings: &Settings) -> Result<Vec<Loaded>, Diagnostics> {
    let mut all = Vec::new();
    for cell in crate::experiment::cells(gathered, settings) {
        let mut loaded = load_one(name, gathered, settings, &cell)?;
        if !cell.is_empty() {
            loaded.plan.name = format!("{} ({})", loaded.plan.name, crate::matrix::label(&cell));
        }
        loaded.cell = cell;
        all.push(loaded);
    }
    Ok(all)
}

fn load_one(
    name: &str,
    gathered: &Gathered,
    settings: &Settings,
    cell: &crate::matrix::Cell,
) -> Result<Loaded, Diagnostics> {
    let mut findings = Findings::new(gathered.source());
    if gathered.source().text().trim().is_empty() {
        crate::experiment::nothing(&mut findings);
        return Err(findings.finish(name));
    }
    let plan = crate::experiment::plan(name, gathered, settings, cell, &mut findings);
    let all = findings.finish(name);
    match plan {
        Some(plan) if !all.has_errors() => Ok(Loaded { plan, warnings: all, cell: Vec::new() }),
        Some(_) | None => Err(all),
    }
}
