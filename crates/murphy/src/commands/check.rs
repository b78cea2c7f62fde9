//! `murphy check FILE…`: every mistake of every file, with its place and what to type instead.

use std::path::Path;

use murphy_core::plural;
use murphy_scenario::{Colour, Diagnostics, Loaded, Settings};
use serde_json::Value;

use super::experiment::settings;
use super::scenario_files::scenario_files;
use super::{fail, murmur, print};
use crate::args::{CheckArgs, ColourChoice};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::style;

/// Checks them all.
pub fn run(args: &CheckArgs, colour: ColourChoice) -> Exit {
    let (settings, output) = (settings(&args.scenario), args.answer.output());
    let mut exit = Exit::Graceful;
    let mut problems = Vec::new();
    let files = match scenario_files(&args.files) {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    for file in &files {
        if output == OutputChoice::Json {
            match murphy_scenario::load_all(file, &settings) {
                Ok(all) => problems.extend(as_json(&all[0].warnings)),
                Err(diagnostics) => {
                    problems.extend(as_json(&diagnostics));
                    exit = Exit::Usage;
                }
            }
            continue;
        }
        match load(file, &settings, colour) {
            Ok(all) => {
                let plan = &all[0].plan;
                let several =
                    if all.len() > 1 { format!("{} scenarios of ", all.len()) } else { String::new() };
                print(&format!(
                    "{}: ok ({several}{}, {})\n",
                    file.display(),
                    plural(plan.faults.len() as u64, "fault"),
                    plural(plan.expectations.len() as u64, "expectation")
                ));
            }
            Err(worse) => exit = exit.worst(worse),
        }
    }
    if output == OutputChoice::Json {
        print(&(Value::Array(problems).to_string() + "\n"));
    }
    exit
}

/// All of a file, each with the file.
fn as_json(diagnostics: &Diagnostics) -> impl Iterator<Item = Value> {
    diagnostics.list.iter().map(move |diagnostic| {
        let mut told = serde_json::to_value(diagnostic).unwrap_or_default();
        if let Some(fields) = told.as_object_mut() {
            fields.insert("file".to_owned(), diagnostics.file.as_str().into());
        }
        told
    })
}

/// Reads a file that must hold one scenario.
pub fn load_one(file: &Path, settings: &Settings, colour: ColourChoice) -> Result<Loaded, Exit> {
    let mut all = load(file, settings, colour)?;
    if all.len() > 1 {
        let message = format!(
            "its `matrix` makes {} scenarios of {}, and one is meant; choose it with `--set NAME=VALUE`",
            all.len(),
            file.display()
        );
        return Err(fail(Exit::Usage, &message));
    }
    Ok(all.swap_remove(0))
}

/// Reads one file, of which a `matrix` makes several scenarios; problems and warnings are printed, those of several once.
pub fn load(file: &Path, settings: &Settings, colour: ColourChoice) -> Result<Vec<Loaded>, Exit> {
    let colour = if style::stderr(colour) { Colour::Always } else { Colour::Never };
    match murphy_scenario::load_all(file, settings) {
        Ok(all) => {
            if let Some(first) = all.first().filter(|first| !first.warnings.is_empty()) {
                murmur(&first.warnings.render(colour));
            }
            Ok(all)
        }
        Err(diagnostics) => {
            murmur(&diagnostics.render(colour));
            Err(Exit::Usage)
        }
    }
}
