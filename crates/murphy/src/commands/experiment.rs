//! One scenario, carried out and judged: what `run` and `demo` share.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use murphy_report::{Came, Drawing, Outcome, Timeline};
use murphy_runner::{Observer, RunDir, RunOptions, StateDir, Stop, StopReason, read_events};
use murphy_scenario::{Plan, Settings};
use murphy_verdict::{Hearing, Judgement};

use super::fail;
use super::note;
use crate::args::{ProfileChoice, ScenarioArgs};
use crate::exit::Exit;
use crate::output_args::OutputArgs;
use crate::progress::{Progress, Show};

/// How scenarios are read, from what was typed.
pub fn settings(args: &ScenarioArgs) -> Settings {
    Settings {
        profile: args.profile.map(|profile| match profile {
            ProfileChoice::Quick => murphy_scenario::Profile::Quick,
            ProfileChoice::Ci => murphy_scenario::Profile::Ci,
            ProfileChoice::Release => murphy_scenario::Profile::Release,
        }),
        seed: args.seed,
        set: args.set.iter().cloned().collect(),
        ..Settings::default()
    }
}

/// What came of one scenario.
pub struct Finished {
    /// The run's directory, if there is one.
    pub dir: Option<RunDir>,
    /// What reports tell of it.
    pub outcome: Outcome,
    /// How the program would end if this were all.
    pub exit: Exit,
}

/// What all scenarios of one invocation share.
pub struct Bench {
    /// Where run directories are made.
    pub report_dir: PathBuf,
    /// Where undo logs are kept.
    pub state: StateDir,
    /// This binary.
    pub program: PathBuf,
    /// The wish to end early.
    pub stop: Stop,
    /// How progress is shown.
    pub show: Show,
}

impl Bench {
    /// Ready to carry scenarios out.
    pub fn new(output: &OutputArgs) -> Result<Bench, Exit> {
        let state = StateDir::from_environment().map_err(|error| fail(Exit::Failed, &error))?;
        let program = std::env::current_exe()
            .map_err(|error| fail(Exit::Failed, &format_args!("cannot find this binary: {error}")))?;
        let show = if std::io::stderr().is_terminal() { Show::Live } else { Show::Lines };
        Ok(Bench { report_dir: output.report_dir.clone(), state, program, stop: Stop::new(), show })
    }

    /// Carries one plan out and judges it. Errors are printed; they and progress begin with `label`, if there is one.
    pub async fn carry_out(&self, plan: &Plan, again: String, label: &str) -> Finished {
        let options = RunOptions {
            report_dir: self.report_dir.clone(),
            state: self.state.clone(),
            program: self.program.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            again,
        };
        let progress = Arc::new(Mutex::new(Progress::new(self.show, label)));
        let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
        let observer: Observer =
            Box::new(move |event| progress.lock().unwrap_or_else(PoisonError::into_inner).on(event));
        let outcome = match murphy_runner::run(plan, &options, &self.stop, observer).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let why = plan.secrets.hide(&error.to_string()).into_owned();
                let exit = fail(Exit::Failed, &format_args!("{label}{why}"));
                return Finished { dir: None, outcome: not_carried_out(plan, why), exit };
            }
        };
        let dir = outcome.dir.clone();
        // Not on a thread of the runtime: other runs may be under way, with requests to be sent on time.
        let judged = tokio::task::spawn_blocking(move || judged(dir.path())).await;
        let judged = judged.unwrap_or_else(|panic| Err(fail(Exit::Failed, &format_args!("{label}{panic}"))));
        let (told, mut exit) = match judged {
            Ok((judgement, timeline)) => {
                let exit = Exit::of(judgement.verdict);
                let (judgement, timeline) = (Box::new(judgement), Box::new(timeline));
                let came = Came::Judged { judgement, timeline };
                (Outcome { came, ..not_carried_out(plan, String::new()) }, exit)
            }
            Err(exit) => (not_carried_out(plan, "the journal cannot be read".to_owned()), exit),
        };
        if let Some(error) = &outcome.error {
            let why = error.to_string();
            exit = fail(Exit::Failed, &format_args!("{label}{}", plan.secrets.hide(&why)));
        }
        if let Some(StopReason::Signal { number, .. }) = outcome.stopped {
            exit = Exit::Signal(number);
        }
        if !outcome.not_reverted.is_empty() {
            for what in &outcome.not_reverted {
                note(&format_args!("error: {label}not taken back: {}", plan.secrets.hide(what)));
            }
            note(&"error: take it back with: murphy undo");
            exit = Exit::NotReverted;
        }
        Finished { dir: Some(outcome.dir), outcome: told, exit }
    }
}

/// A scenario of which there is nothing to judge.
pub fn not_carried_out(plan: &Plan, why: String) -> Outcome {
    Outcome { scenario: plan.name.clone(), source: plan.source.clone(), came: Came::NotCarriedOut { why } }
}

/// Judges the run in a directory, and keeps of its events what can be drawn. Errors are printed.
pub fn judged(dir: &Path) -> Result<(Judgement, Timeline), Exit> {
    let journal = RunDir::open(dir).journal();
    let (mut hearing, mut drawing) = (Hearing::default(), Drawing::default());
    read_events(&journal, &mut |event| {
        hearing.take(&event);
        drawing.take(event);
    })
    .map_err(|error| fail(Exit::Failed, &format_args!("{}: {error}", journal.display())))?;
    // What is only drawn is gone before judging takes its room.
    let timeline = drawing.timeline();
    Ok((hearing.judge(), timeline))
}
