//! `murphy compare OLD NEW`: a gate between two runs. `murphy compare --save FILE RUN…`: what later runs are held against.

use std::path::Path;

use murphy_report::comparison;
use murphy_verdict::{Baseline, compare};

use super::experiment::judged;
use super::{fail, print};
use crate::args::{ColourChoice, CompareArgs, InconclusiveChoice};
use crate::exit::Exit;
use crate::style;

/// Compares, or saves.
pub fn run(args: &CompareArgs, colour: ColourChoice) -> Exit {
    match (&args.save, args.runs.as_slice()) {
        (Some(file), runs) => save(file, runs),
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
    if args.json {
        match serde_json::to_string_pretty(&compared) {
            Ok(text) => print(&(text + "\n")),
            Err(error) => return fail(Exit::Failed, &error),
        }
    } else {
        print(&comparison(&compared, style::report(colour)));
    }
    match (compared.is_worse(), compared.is_doubtful(), args.inconclusive) {
        (true, ..) => Exit::NotGraceful,
        (false, true, InconclusiveChoice::Fail) => Exit::Inconclusive,
        (false, ..) => Exit::Graceful,
    }
}

/// Of a run directory, or read from a file.
fn baseline(path: &Path) -> Result<Baseline, Exit> {
    if path.is_dir() {
        return judged(path).map(|(judgement, _)| Baseline::of(&judgement));
    }
    let failed =
        |error: &dyn std::fmt::Display| fail(Exit::Failed, &format_args!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&format_args!("not a baseline: {error}")))
}

fn save(file: &Path, runs: &[std::path::PathBuf]) -> Exit {
    let mut all: Option<Baseline> = None;
    for run in runs {
        let one = match baseline(run) {
            Ok(one) => one,
            Err(exit) => return exit,
        };
        match &all {
            Some(first) if first.scenario != one.scenario => {
                let message = format!(
                    "`{}` and `{}` are two scenarios; save one baseline each",
                    first.scenario, one.scenario
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
            print(&format!("{}: {} numbers of {} runs\n", file.display(), all.measures.len(), all.runs));
            Exit::Graceful
        }
        Err(error) => fail(Exit::Failed, &format_args!("cannot write {}: {error}", file.display())),
    }
}
