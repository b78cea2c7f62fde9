//! `murphy compare OLD NEW`: a gate between two runs. `murphy compare --save FILE RUN…`: what later runs are held against.

use std::io::ErrorKind;
use std::path::Path;

use murphy_core::plural;
use murphy_report::comparison;
use murphy_verdict::{Baseline, compare};
use serde::Serialize;

use super::answer::answer;
use super::experiment::judged;
use super::fail;
use crate::args::{ColourChoice, CompareArgs, InconclusiveChoice};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::style;

/// Compares, or saves.
pub fn run(args: &CompareArgs, colour: ColourChoice) -> Exit {
    match (&args.save, args.runs.as_slice()) {
        (Some(file), runs) => save(file, runs, args.answer.output()),
        (None, [old, new]) => two(old, new, args, colour),
        (None, _) => fail(
            Exit::Usage,
            &"give two: murphy compare OLD NEW; each a run directory, OLD may be a baseline file",
        ),
    }
}

fn two(old: &Path, new: &Path, args: &CompareArgs, colour: ColourChoice) -> Exit {
    let (old, new) = match (baseline(old), judged(new)) {
        (Ok(old), Ok((new, _))) => (old, new),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let compared = match compare(&old, &new, args.slack.as_fraction()) {
        Ok(compared) => compared,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let told = answer(args.answer.output(), &compared, || comparison(&compared, style::report(colour)));
    let exit = match (compared.is_worse(), compared.is_doubtful(), args.inconclusive) {
        (true, ..) => Exit::NotGraceful,
        (false, true, InconclusiveChoice::Fail) => Exit::Inconclusive,
        (false, ..) => Exit::Graceful,
    };
    exit.worst(told)
}

/// A baseline that was kept.
#[derive(Debug, Serialize)]
struct Saved<'a> {
    /// Where.
    file: String,
    /// Whose numbers they are.
    scenario: &'a str,
    /// How many numbers there are,
    measures: usize,
    /// of so many runs.
    runs: u32,
}

impl Saved<'_> {
    fn text(&self) -> String {
        let (numbers, runs) = (plural(self.measures as u64, "number"), plural(self.runs.into(), "run"));
        format!("{}: {numbers} of {runs}\n", self.file)
    }
}

/// Faults as printed.
fn named(faults: &[String]) -> String {
    if faults.is_empty() { "none".to_owned() } else { faults.join("; ") }
}

/// Of a run directory, or read from a file.
fn baseline(path: &Path) -> Result<Baseline, Exit> {
    if path.is_dir() {
        return judged(path).map(|(judgement, _)| Baseline::of(&judgement));
    }
    let failed =
        |error: &dyn std::fmt::Display| fail(Exit::Failed, &format_args!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed(&"there is neither a run directory nor a baseline file here"),
        _ => failed(&error),
    })?;
    serde_json::from_str(&text).map_err(|error| failed(&format_args!("not a baseline: {error}")))
}

fn save(file: &Path, runs: &[std::path::PathBuf], output: OutputChoice) -> Exit {
    let mut all: Option<Baseline> = None;
    for run in runs {
        let one = match baseline(run) {
            Ok(one) => one,
            Err(exit) => return exit,
        };
        if let Err(error) = one.in_known_form() {
            return fail(Exit::Usage, &format_args!("{}: {error}", run.display()));
        }
        match &all {
            Some(first) if first.scenario != one.scenario => {
                let message = format!(
                    "`{}` and `{}` are two scenarios; save one baseline each",
                    first.scenario, one.scenario
                );
                return fail(Exit::Usage, &message);
            }
            // A later run is held against what one and the same fault does.
            Some(first) if first.faults != one.faults => {
                let message = format!(
                    "the runs of `{}` do not have the same faults: {} and {}; save one baseline each",
                    first.scenario,
                    named(&first.faults),
                    named(&one.faults)
                );
                return fail(Exit::Usage, &message);
            }
            _ => {}
        }
        all = Some(match all {
            Some(all) => all.with(&one),
            None => one,
        });
    }
    let Some(all) = all else { return fail(Exit::Usage, &"give the runs whose numbers are to be kept") };
    if all.measures.is_empty() {
        return fail(Exit::Inconclusive, &"these runs tell nothing that later ones could be held against");
    }
    let text = match serde_json::to_string_pretty(&all) {
        Ok(text) => text + "\n",
        Err(error) => return fail(Exit::Failed, &error),
    };
    match std::fs::write(file, text) {
        Ok(()) => {
            let file = file.display().to_string();
            let saved = Saved { scenario: &all.scenario, measures: all.measures.len(), runs: all.runs, file };
            answer(output, &saved, || saved.text())
        }
        Err(error) => fail(Exit::Failed, &format_args!("cannot write {}: {error}", file.display())),
    }
}
