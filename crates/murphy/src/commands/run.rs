//! `murphy run FILE…`: carries scenarios out, one after the other, and ends with the worst verdict.

use std::path::Path;
use std::time::Instant;

use murphy_report::{Came, Outcome, Style};
use murphy_runner::StopReason;
use murphy_scenario::Loaded;

use super::again::again;
use super::experiment::{Bench, Finished, not_carried_out, settings};
use super::report_files::write_reports;
use super::scenario_files::scenario_files;
use super::{check, fail, note, print, runtime};
use crate::args::{ColourChoice, InconclusiveChoice, RunArgs};
use crate::exit::Exit;
use crate::{signals, style};

/// Runs them all.
pub fn run(args: &RunArgs, colour: ColourChoice) -> Exit {
    let began = Instant::now();
    let files = match scenario_files(&args.files) {
        Ok(files) => files,
        Err(exit) => return exit,
    };
    // All files are read before anything is started: a mistake in the last one costs nothing.
    let settings = settings(&args.scenario);
    let mut loaded = Vec::new();
    let mut exit = Exit::Graceful;
    for file in &files {
        match check::load(file, &settings, colour) {
            Ok(all) => loaded.extend(all.into_iter().map(|scenario| (file.as_path(), scenario))),
            Err(worse) => exit = exit.worst(worse),
        }
    }
    if exit != Exit::Graceful {
        return exit;
    }
    if let Err(exit) = keep_only(&args.only, &mut loaded) {
        return exit;
    }
    let (bench, runtime) = match (Bench::new(&args.output), runtime()) {
        (Ok(bench), Ok(runtime)) => (bench, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    runtime.block_on(signals::heeded(&bench.stop, run_all(&loaded, args, &bench, began, colour)))
}

/// `--only`: by a part of the name or of the file. Nothing left is a mistake, never a pass.
fn keep_only(only: &[String], loaded: &mut Vec<(&Path, Loaded)>) -> Result<(), Exit> {
    if only.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = loaded.iter().map(|(_, scenario)| scenario.plan.name.clone()).collect();
    loaded.retain(|(file, scenario)| {
        let file = file.display().to_string();
        only.iter().any(|text| scenario.plan.name.contains(text.as_str()) || file.contains(text.as_str()))
    });
    if loaded.is_empty() {
        let message = format!("--only leaves no scenario; there are:\n  {}", names.join("\n  "));
        return Err(fail(Exit::Usage, &message));
    }
    Ok(())
}

async fn run_all(
    loaded: &[(&Path, Loaded)],
    args: &RunArgs,
    bench: &Bench,
    began: Instant,
    colour: ColourChoice,
) -> Exit {
    let mut exit = Exit::Graceful;
    let mut outcomes = Vec::new();
    let mut over: Option<String> = None;
    for (number, (file, scenario)) in loaded.iter().enumerate() {
        let needs = scenario.plan.phases.total().as_duration();
        let late = args.within.filter(|within| began.elapsed() + needs > within.as_duration());
        if let (Some(within), None) = (late, &over) {
            let why = format!("--within {within}: no time is left for its {}", scenario.plan.phases.total());
            note(&format_args!("not run: {}: {why}", scenario.plan.name));
            exit = exit.worst(Exit::Inconclusive);
            outcomes.push(not_run(scenario, why));
            continue;
        }
        if let Some(why) = &over {
            outcomes.push(not_run(scenario, why.clone()));
            continue;
        }
        if number > 0 {
            print("\n");
        }
        let again = again("run", file, &args.scenario, scenario, None);
        let finished = bench.carry_out(&scenario.plan, again, "").await;
        let counted = match (finished.exit, args.inconclusive) {
            (Exit::Inconclusive, InconclusiveChoice::Warn) => Exit::Graceful,
            (exit, _) => exit,
        };
        exit = exit.worst(counted);
        show(&finished, style::report(colour));
        outcomes.push(finished.outcome);
        if let Some(StopReason::Signal { name, .. }) = bench.stop.reason() {
            over = Some(format!("interrupted by {name}"));
        } else if args.fail_fast && counted != Exit::Graceful {
            over = Some(format!("--fail-fast: `{}` came first", scenario.plan.name));
        }
    }
    if outcomes.len() > 1 {
        print(&overview(&outcomes));
    }
    exit.worst(write_reports(&args.output.files(), &outcomes))
}

fn not_run(scenario: &Loaded, why: String) -> Outcome {
    Outcome { came: Came::NotRun { why }, ..not_carried_out(&scenario.plan, String::new()) }
}

/// One line for each scenario, after all of them.
fn overview(outcomes: &[Outcome]) -> String {
    let mut text = format!("\n{} scenarios\n", outcomes.len());
    for outcome in outcomes {
        let word = match &outcome.came {
            Came::Judged { judgement, .. } => judgement.verdict.to_string(),
            Came::NotCarriedOut { .. } => "NOT CARRIED OUT".to_owned(),
            Came::NotRun { .. } => "NOT RUN".to_owned(),
        };
        text += &format!("  {word:<16}{}\n", outcome.scenario);
    }
    text
}

/// Prints the report and keeps it beside the journal.
pub fn show(finished: &Finished, style: Style) {
    let (Came::Judged { judgement, .. }, Some(dir)) = (&finished.outcome.came, &finished.dir) else { return };
    print(&murphy_report::terminal(judgement, style));
    print(&format!("run directory: {}\n", dir.path().display()));
    keep(finished);
}

/// Keeps the report beside the journal.
pub fn keep(finished: &Finished) {
    let (Came::Judged { judgement, .. }, Some(dir)) = (&finished.outcome.came, &finished.dir) else { return };
    let plain = murphy_report::terminal(judgement, Style::default());
    let json = murphy_report::json(judgement).map_err(std::io::Error::other);
    let kept = std::fs::write(dir.report("report.txt"), plain)
        .and_then(|()| std::fs::write(dir.report("report.json"), json?));
    if let Err(error) = kept {
        note(&format_args!("warning: cannot keep the report in {}: {error}", dir.path().display()));
    }
}
