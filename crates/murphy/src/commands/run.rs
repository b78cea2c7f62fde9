//! `murphy run FILE…`: carries scenarios out, one after the other or beside each other, and ends with the worst verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use murphy_report::{Came, Outcome, Style};
use murphy_runner::{Claims, StopReason, Turns};
use murphy_scenario::Loaded;
use tokio::task::{Id, JoinSet};

use super::again::again;
use super::answer::answer;
use super::experiment::{Bench, Finished, not_carried_out, settings};
use super::outcomes::Told;
use super::report_files::write_reports;
use super::scenario_files::scenario_files;
use super::{check, fail, note, print, runtime};
use crate::args::{ColourChoice, InconclusiveChoice, RunArgs};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::progress::Show;
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
    let (mut bench, runtime) = match (Bench::new(&args.output), runtime()) {
        (Ok(bench), Ok(runtime)) => (bench, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    if is_beside(args, &loaded) {
        // Bars of several runs would be drawn over each other.
        bench.show = Show::Lines;
    }
    let stop = bench.stop.clone();
    let claims = loaded.iter().map(|(_, scenario)| Claims::of(&scenario.plan));
    let series = Series {
        turns: Turns::new(claims, args.parallel),
        outcomes: loaded.iter().map(|_| None).collect(),
        runs: loaded.iter().map(|_| None).collect(),
        loaded: &loaded,
        args,
        bench: Arc::new(bench),
        began,
        colour,
        exit: Exit::Graceful,
        over: None,
        told: BTreeSet::new(),
        shown: 0,
    };
    runtime.block_on(signals::heeded(&stop, series.run()))
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

/// The scenarios of one call, each when its turn is.
struct Series<'a> {
    loaded: &'a [(&'a Path, Loaded)],
    args: &'a RunArgs,
    bench: Arc<Bench>,
    began: Instant,
    colour: ColourChoice,
    turns: Turns,
    /// What came of each, once it is known.
    outcomes: Vec<Option<Outcome>>,
    /// The directory of each one's run, where there is one.
    runs: Vec<Option<PathBuf>>,
    exit: Exit,
    /// Why no further one is begun.
    over: Option<String>,
    /// Waits that were told of: who, and for whom.
    told: BTreeSet<(usize, usize)>,
    shown: usize,
}

type UnderWay = JoinSet<(usize, Finished)>;

impl Series<'_> {
    async fn run(mut self) -> Exit {
        let mut under_way = UnderWay::new();
        let mut tasks = BTreeMap::new();
        loop {
            self.begin(&mut under_way, &mut tasks);
            let Some(ended) = under_way.join_next().await else { break };
            match ended {
                Ok((who, finished)) => self.take(who, finished),
                Err(panic) => {
                    if let Some(who) = tasks.get(&panic.id()) {
                        let exit = fail(Exit::Failed, &panic);
                        let outcome = not_carried_out(&self.loaded[*who].1.plan, panic.to_string());
                        self.take(*who, Finished { dir: None, outcome, exit });
                    }
                }
            }
        }
        let all = self.outcomes.into_iter().zip(self.runs);
        let all = all.filter_map(|(outcome, run)| Some((outcome?, run)));
        let (outcomes, runs): (Vec<Outcome>, Vec<Option<PathBuf>>) = all.unzip();
        let told: Vec<Told<'_>> =
            outcomes.iter().zip(&runs).map(|(outcome, run)| Told::of(outcome, run.as_deref())).collect();
        let told = answer(self.args.answer.output, &told, || {
            if outcomes.len() > 1 { overview(&outcomes) } else { String::new() }
        });
        self.exit.worst(told).worst(write_reports(&self.args.output.files(), &outcomes))
    }

    /// Begins all whose turn it is.
    fn begin(&mut self, under_way: &mut UnderWay, tasks: &mut BTreeMap<Id, usize>) {
        while let Some(who) = self.turns.begin() {
            let (file, scenario) = &self.loaded[who];
            if let Some(StopReason::Signal { name, number }) = self.bench.stop.reason() {
                self.over.get_or_insert_with(|| {
                    note(&format_args!("{name}: no further scenario is begun"));
                    format!("interrupted by {name}")
                });
                // The run before may have been past all that a signal can end: then this is the first that it ends.
                self.exit = self.exit.worst(Exit::Signal(*number));
            }
            if let Some(why) = self.over.clone().or_else(|| self.out_of_time(scenario)) {
                self.outcomes[who] = Some(not_run(scenario, why));
                self.turns.over(who);
                continue;
            }
            let again = again("run", file, &self.args.scenario, scenario, None);
            let label = if self.is_beside() { scenario.plan.name.clone() } else { String::new() };
            let (bench, plan) = (Arc::clone(&self.bench), scenario.plan.clone());
            if self.is_beside() {
                note(&format_args!("begins: {label}"));
            }
            let run = async move { (who, bench.carry_out(&plan, again, &label).await) };
            let task = under_way.spawn(murphy_core::boxed(run));
            tasks.insert(task.id(), who);
        }
        for wait in self.turns.waits() {
            if self.over.is_none() && self.told.insert((wait.who, wait.for_whom)) {
                let name = |who: usize| &self.loaded[who].1.plan.name;
                let clash = wait.clash.to_string();
                let clash = self.loaded[wait.who].1.plan.secrets.hide(&clash);
                note(&format_args!("waits:  {} (for {}: {clash})", name(wait.who), name(wait.for_whom)));
            }
        }
    }

    /// True if scenarios may run beside each other, so that each line must say whose it is.
    fn is_beside(&self) -> bool {
        is_beside(self.args, self.loaded)
    }

    /// `--within`: why it cannot begin any more.
    fn out_of_time(&mut self, scenario: &Loaded) -> Option<String> {
        let within = self.args.within?;
        // Phases that come only to a service that does not recover are no reason to leave it out.
        let planned = scenario.plan.phases.planned();
        if self.began.elapsed() + planned.as_duration() <= within.as_duration() {
            return None;
        }
        let why = format!("--within {within}: no time is left for its {planned}");
        note(&format_args!("not run: {}: {why}", scenario.plan.name));
        self.exit = self.exit.worst(Exit::Inconclusive);
        Some(why)
    }

    /// One is over: its report is printed whole. A program is told of all together, at the end.
    fn take(&mut self, who: usize, finished: Finished) {
        self.turns.over(who);
        let counted = match (finished.exit, self.args.inconclusive) {
            (Exit::Inconclusive, InconclusiveChoice::Warn) => Exit::Graceful,
            (exit, _) => exit,
        };
        self.exit = self.exit.worst(counted);
        match self.args.answer.output {
            OutputChoice::Text => {
                if self.shown > 0 {
                    print("\n");
                }
                self.shown += 1;
                show(&finished, style::report(self.colour));
            }
            OutputChoice::Json => keep(&finished),
        }
        self.runs[who] = finished.dir.map(|dir| dir.path().to_owned());
        self.outcomes[who] = Some(finished.outcome);
        if self.args.fail_fast && counted != Exit::Graceful {
            let name = &self.loaded[who].1.plan.name;
            self.over.get_or_insert_with(|| format!("--fail-fast: `{name}` came first"));
        }
    }
}

fn is_beside(args: &RunArgs, loaded: &[(&Path, Loaded)]) -> bool {
    args.parallel.get() > 1 && loaded.len() > 1
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
