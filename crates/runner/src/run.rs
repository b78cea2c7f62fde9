//! One run from start to end. Whatever happens in between (an error, a panic, a wish to stop), the way out is the same:
//! faults out, load and probes ended, services stopped, proxies closed, journal closed, undo log removed.

use std::path::PathBuf;
use std::sync::Arc;

use murphy_core::{EventKind, Recorder, RunClock, Timestamp};
use murphy_docker::Environment;
use murphy_host as host;
use murphy_scenario::Plan;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::abort::AbortWatch;
use crate::callers::Callers;
use crate::guarded_log::{GuardedLog, Rest};
use crate::inject::Injector;
use crate::journal::{JournalWriter, Observer};
use crate::lock::Locks;
use crate::quiesce::Aftermath;
use crate::services::Services;
use crate::site::Site;
use crate::steer::Steering;
use crate::undo::take_back_rest;
use crate::undo_log::Owner;
use crate::world::{World, folder_of};
use crate::{RunDir, RunError, RunId, StateDir, Stop, StopReason, preflight, trigger};

/// Events that may wait for the journal: at 5 000 requests a second, about ten seconds of a stalled disk.
const QUEUE: usize = 200_000;

/// Where and how a run is carried out.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where run directories are made.
    pub report_dir: PathBuf,
    /// Where undo logs are kept.
    pub state: StateDir,
    /// This binary: for the watchdog, and for services whose command is `murphy`.
    pub program: PathBuf,
    /// Murphy's version, as written into the journal.
    pub version: String,
    /// The command that repeats the run, as printed in the report.
    pub again: String,
}

/// How a run ended. What it *means* is in the journal, for the judge.
#[derive(Debug)]
pub struct Outcome {
    /// Its directory.
    pub dir: RunDir,
    /// Why it could not be carried out, if so.
    pub error: Option<RunError>,
    /// Why it ended early, if so.
    pub stopped: Option<StopReason>,
    /// What could not be taken back: each with the command that does it by hand.
    pub not_reverted: Vec<String>,
}

/// Carries a plan out. An `Err` means that nothing was begun.
pub async fn run(
    plan: &Plan,
    options: &RunOptions,
    stop: &Stop,
    mut observer: Observer,
) -> Result<Outcome, RunError> {
    options.state.refuse_leftovers()?;
    preflight::check(plan).await?;
    let started = Timestamp::now();
    let dir = RunDir::create(&options.report_dir, &RunId::new(&started, &plan.name, plan.seed))?;
    let write = |path: PathBuf| move |source| RunError::Write { path, source };
    let resolved = plan.to_json().map_err(std::io::Error::from).map_err(write(dir.plan()))?;
    std::fs::write(dir.plan(), resolved).map_err(write(dir.plan()))?;

    let (recorder, recording) = Recorder::new(RunClock::start(), QUEUE);
    let disk_full = CancellationToken::new();
    let alarm = disk_full.clone();
    let mut aborts = AbortWatch::new(&plan.abort_if);
    let (mut triggers, waits, met) = trigger::watch(&plan.faults);
    let aftermath = Aftermath::of(plan);
    let seen = aftermath.clone();
    // This run's own: a stop condition of one scenario must not end the next.
    let aborted = Stop::new();
    let stopper = aborted.clone();
    let observer: Observer = Box::new(move |event| {
        observer(event);
        triggers.on(event);
        seen.on(event);
        if let Some(rule) = aborts.on(event) {
            stopper.stop(StopReason::AbortIf { rule });
        }
    });
    let secrets = plan.secrets.clone();
    let journal = JournalWriter::start(&dir.journal(), recording, secrets, observer, move || alarm.cancel())
        .map_err(write(dir.journal()))?;
    let brief = plan.brief(&options.version, &options.again, started);
    recorder.record(EventKind::RunStarted(Box::new(brief)));

    let owner = Owner {
        process: host::myself(),
        scenario: plan.name.clone(),
        run_dir: std::path::absolute(dir.path()).unwrap_or_else(|_| dir.path().to_owned()),
        engine: Environment::of_process(),
    };
    let guarded = GuardedLog::open(&options.state.log_path(&dir.name()), &owner, &options.program)?;
    let log = Arc::clone(guarded.log());

    let locks = Arc::new(Locks::new(&options.state, &owner.holder()));
    let services = Arc::new(Services::new(
        recorder.clone(),
        Arc::clone(&log),
        dir.clone(),
        options.program.clone(),
        folder_of(plan),
    ));
    let callers = Callers::new(Some(Arc::clone(&services)));
    let site =
        Arc::new(Site::new(recorder.clone(), Arc::clone(&log), callers, Arc::clone(&locks), dir.name()));
    let injector =
        Injector::new(recorder.clone(), Arc::clone(&log), services, locks, options.program.clone());
    let world = Arc::new(World::new(
        plan.clone(),
        recorder.clone(),
        injector,
        site,
        options.state.clone(),
        waits,
        aftermath,
    ));

    let steering = Steering::open(dir.path(), Arc::clone(&world));
    // In a task of its own, so that a panic in it is an error here and not the end of the way out.
    let mut work = JoinSet::new();
    work.spawn(murphy_core::boxed(Arc::clone(&world).carry_out(met)));
    let mut stopped = None;
    let mut error = tokio::select! {
        result = work.join_next() => match result {
            Some(Ok(result)) => result.err(),
            Some(Err(panic)) => Some(RunError::Setup { what: "the runner".into(), why: panic.to_string() }),
            None => None,
        },
        () = stop.stopped() => {
            stopped = stop.reason().cloned();
            None
        }
        () = aborted.stopped() => {
            stopped = aborted.reason().cloned();
            None
        }
        () = disk_full.cancelled() => None,
    };
    match &stopped {
        Some(StopReason::Signal { name, .. }) => {
            recorder.record(EventKind::Interrupted { signal: (*name).to_owned() });
        }
        Some(StopReason::AbortIf { rule }) => recorder.record(EventKind::Aborted { rule: rule.clone() }),
        Some(StopReason::Request) | None => {}
    }
    work.shutdown().await;
    steering.close().await;
    if let Some(error) = &error {
        recorder.record(EventKind::RunFailed { why: error.to_string() });
    }

    world.take_down().await;
    recorder.record(EventKind::RunEnded);
    let journal_path = dir.journal();
    // The thread ends at `RunEnded`; waiting for it may block for as long as the disk does.
    let written = tokio::task::spawn_blocking(move || journal.finish()).await;
    if let Ok(Err(source)) = written {
        error = error.or(Some(RunError::Write { path: journal_path, source }));
    }

    if !plan.secrets.is_empty() {
        let (plan, dir) = (plan.clone(), dir.clone());
        let hide = move || {
            let mut services = plan.services.iter();
            services.try_for_each(|service| dir.hide_in_service_log(&service.name, &plan.secrets))
        };
        if let Ok(Err(not_written)) = tokio::task::spawn_blocking(hide).await {
            error = error.or(Some(not_written));
        }
    }

    let mut not_reverted = world.injector.failures();
    not_reverted.extend(world.site.failures());
    if not_reverted.is_empty() {
        not_reverted = take_back_rest(&log).await;
    }
    guarded.close(if not_reverted.is_empty() { Rest::Nothing } else { Rest::Something }).await;
    Ok(Outcome { dir, error, stopped, not_reverted })
}
