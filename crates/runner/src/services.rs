//! The services that a run starts: each with a supervisor task that owns its process, says when it ends and why, and
//! starts it again when a fault that killed it is lifted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use murphy_core::{
    EventKind, ExitCause, ProcessIdentity, ProcessStatus, Recorder, ServiceName, Span, Undo, UndoId,
};
use murphy_host::{self as host, Child, Signal};
use murphy_load::{self as load, NotReady};
use murphy_scenario::ServicePlan;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::undo::revert;
use crate::undo_log::UndoLog;
use crate::{RunDir, RunError};

/// How long a service has to end after SIGTERM.
const GRACE: Span = Span::from_secs(3);
/// Lines of output that are kept of a service that died.
const LAST_LINES: usize = 10;
/// The environment variable by which everything that a run started can be found again.
const MARKER: &str = host::MARK_VARIABLE;

/// All services of a run.
#[derive(Debug)]
pub(crate) struct Services {
    recorder: Recorder,
    log: Arc<UndoLog>,
    dir: RunDir,
    program: PathBuf,
    /// The scenario file's folder, which every `dir:` is seen from; empty for the current one.
    base: PathBuf,
    supervisors: TaskTracker,
    /// In the order of their start.
    running: Mutex<Vec<(ServiceName, Arc<Service>)>>,
}

#[derive(Debug)]
struct Service {
    plan: ServicePlan,
    marker: String,
    /// By the mark, written before the first start; by the group, written after each: a program that sets its own
    /// title (Redis, PostgreSQL) writes over its environment, and the mark in it is gone.
    undos: Mutex<Vec<(UndoId, Undo)>>,
    /// What the next end of the process is to be blamed on.
    blame: Mutex<ExitCause>,
    /// The process while it lives, its end after that.
    state: watch::Sender<State>,
    /// No more ready checks and no revival from here on.
    stop: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Alive(ProcessIdentity),
    Ended(ProcessStatus),
}

impl Service {
    /// Its processes, by group and by mark.
    fn processes(&self) -> Vec<ProcessIdentity> {
        let mut all = match *self.state.borrow() {
            State::Alive(leader) => host::members(&leader),
            State::Ended(_) => Vec::new(),
        };
        for process in host::marked(&self.marker) {
            if !all.contains(&process) {
                all.push(process);
            }
        }
        all
    }
}

impl Services {
    pub(crate) fn new(
        recorder: Recorder,
        log: Arc<UndoLog>,
        dir: RunDir,
        program: PathBuf,
        base: PathBuf,
    ) -> Services {
        Services {
            recorder,
            log,
            dir,
            program,
            base,
            supervisors: TaskTracker::new(),
            running: Mutex::default(),
        }
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(&self, plan: &ServicePlan) -> Result<(), RunError> {
        let marker = format!("{}.{}", self.dir.name(), plan.name);
        let undo = Undo::StopMarked { marker: marker.clone(), service: plan.name.clone() };
        let undo = (self.log.due(None, &undo)?, undo);
        let child = self.spawn(plan, &marker)?;
        let group = self.note_group(plan, &child)?;
        let service = Arc::new(Service {
            plan: plan.clone(),
            marker,
            undos: Mutex::new(vec![undo, group]),
            blame: Mutex::new(ExitCause::Itself),
            state: watch::Sender::new(State::Alive(child.identity())),
            stop: CancellationToken::new(),
        });
        self.lock().push((plan.name.clone(), Arc::clone(&service)));
        self.supervise(&service, child);
        self.wait_ready(&service).await
    }

    /// Sends a signal to a service's process as a fault. Returns how many processes got it.
    pub(crate) fn signal(&self, name: &ServiceName, signal: Signal) -> Result<u64, String> {
        let service = self.find(name)?;
        let State::Alive(_) = *service.state.borrow() else {
            return Err(format!("service {name} is not running"));
        };
        *service.blame.lock().unwrap_or_else(PoisonError::into_inner) = ExitCause::Fault;
        let mut sent = 0;
        let mut last_error = None;
        for process in service.processes() {
            match host::send(&process, signal) {
                Ok(()) => sent += 1,
                Err(error) => last_error = Some(error.to_string()),
            }
        }
        match (sent, last_error) {
            (0, Some(error)) => Err(error),
            (0, None) => Err(format!("service {name} has no process")),
            (sent, _) => Ok(sent),
        }
    }

    /// The processes of a service, for the undo log.
    pub(crate) fn processes(&self, name: &ServiceName) -> Result<Vec<ProcessIdentity>, String> {
        Ok(self.find(name)?.processes())
    }

    /// Takes the effect of a killing fault back: starts the service again if it is not running.
    pub(crate) async fn revive(self: &Arc<Self>, name: &ServiceName) -> Result<(), String> {
        let service = self.find(name)?;
        // A process that was asked to end may still be on its way; give it the grace, then take it down for good.
        let mut state = service.state.subscribe();
        // Only whether it ended is kept: what `wait_for` returns holds the state's lock, and it is written to below.
        let ended = tokio::time::timeout(
            GRACE.as_duration(),
            state.wait_for(|state| matches!(state, State::Ended(_))),
        )
        .await
        .is_ok();
        if !ended {
            *service.blame.lock().unwrap_or_else(PoisonError::into_inner) = ExitCause::Itself;
            return Ok(());
        }
        *service.blame.lock().unwrap_or_else(PoisonError::into_inner) = ExitCause::Itself;
        if service.stop.is_cancelled() {
            return Ok(());
        }
        let child = self.spawn(&service.plan, &service.marker).map_err(|error| error.to_string())?;
        let group = self.note_group(&service.plan, &child).map_err(|error| error.to_string())?;
        service.undos.lock().unwrap_or_else(PoisonError::into_inner).push(group);
        service.state.send_replace(State::Alive(child.identity()));
        self.supervise(&service, child);
        let this = Arc::clone(self);
        self.supervisors.spawn(murphy_core::boxed(async move {
            // A service that does not come back is for the judge to see, in what users saw.
            let _ = this.wait_ready(&service).await;
        }));
        Ok(())
    }

    /// Stops everything, the last started first, and waits until all is gone. Returns what could not be stopped.
    pub(crate) async fn stop_all(&self) -> Vec<String> {
        let all: Vec<_> = self.lock().drain(..).rev().collect();
        let mut failures = Vec::new();
        for (_, service) in &all {
            *service.blame.lock().unwrap_or_else(PoisonError::into_inner) = ExitCause::Stopped;
            service.stop.cancel();
            let undos: Vec<_> = {
                let mut undos = service.undos.lock().unwrap_or_else(PoisonError::into_inner);
                undos.drain(..).rev().collect()
            };
            for (id, undo) in undos {
                match revert(&undo).await {
                    // If this cannot be noted, doing it once more later is harmless.
                    Ok(()) => drop(self.log.done(id)),
                    Err(error) => {
                        let why = error.to_string();
                        failures.push(why.clone());
                        self.recorder.record(EventKind::UndoFailed { undo, why });
                    }
                }
            }
        }
        if failures.is_empty() {
            self.supervisors.close();
            self.supervisors.wait().await;
        }
        failures
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(ServiceName, Arc<Service>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &ServiceName) -> Result<Arc<Service>, String> {
        self.lock()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, service)| Arc::clone(service))
            .ok_or_else(|| format!("service {name} was not started by this run"))
    }

    fn note_group(&self, plan: &ServicePlan, child: &Child) -> Result<(UndoId, Undo), RunError> {
        let undo = Undo::StopGroup { leader: child.identity(), service: plan.name.clone() };
        Ok((self.log.due(None, &undo)?, undo))
    }

    /// Where a service and its ready check run; `None` for Murphy's own directory.
    fn folder(&self, plan: &ServicePlan) -> Option<PathBuf> {
        let folder = self.base.join(plan.dir.as_deref().unwrap_or(Path::new("")));
        Some(folder).filter(|folder| !folder.as_os_str().is_empty())
    }

    fn spawn(&self, plan: &ServicePlan, marker: &str) -> Result<Child, RunError> {
        let mut environment: BTreeMap<String, String> = plan.env.clone();
        environment.insert(MARKER.to_owned(), marker.to_owned());
        let mut argv = plan.run.clone();
        if argv.first().is_some_and(|program| program == "murphy") {
            argv[0] = self.program.display().to_string();
        }
        let command = host::Command {
            argv,
            env: environment,
            dir: self.folder(plan),
            log: self.dir.service_log(&plan.name),
        };
        let child = command
            .start()
            .map_err(|error| RunError::Spawn { service: plan.name.clone(), why: error.to_string() })?;
        self.recorder
            .record(EventKind::ServiceStarted { service: plan.name.clone(), pid: child.identity().pid });
        Ok(child)
    }

    fn supervise(&self, service: &Arc<Service>, mut child: Child) {
        let service = Arc::clone(service);
        let recorder = self.recorder.clone();
        let output = self.dir.service_log(&service.plan.name);
        self.supervisors.spawn(murphy_core::boxed(async move {
            let status = child.wait().await;
            let cause = *service.blame.lock().unwrap_or_else(PoisonError::into_inner);
            recorder.record(EventKind::ServiceExited {
                service: service.plan.name.clone(),
                status,
                cause,
                last_output: host::tail(&output, LAST_LINES),
            });
            service.state.send_replace(State::Ended(status));
        }));
    }

    async fn wait_ready(&self, service: &Service) -> Result<(), RunError> {
        let name = service.plan.name.clone();
        let last_output = || host::tail(&self.dir.service_log(&name), LAST_LINES);
        let Some(question) = &service.plan.ready else {
            self.recorder.record(EventKind::ServiceReady { service: name, took: Span::ZERO });
            return Ok(());
        };
        let question = crate::setup::question(question, self.folder(&service.plan).as_deref())
            .map_err(|why| RunError::Setup { what: format!("ready check of service {name}"), why })?;
        let mut state = service.state.subscribe();
        let died = async {
            match state.wait_for(|state| matches!(state, State::Ended(_))).await.map(|state| *state) {
                Ok(State::Ended(status)) => status,
                // The sender lives in `service`; this arm cannot be reached while it is borrowed.
                _ => std::future::pending().await,
            }
        };
        match load::wait_ready(&question, service.plan.within, died).await {
            Ok(took) => {
                self.recorder.record(EventKind::ServiceReady { service: name, took });
                Ok(())
            }
            Err(NotReady::Late { within, last }) => Err(RunError::NotReady {
                service: name.clone(),
                within,
                saw: last.saw,
                last_output: last_output(),
            }),
            Err(NotReady::Ended { why, .. }) => Err(RunError::DiedEarly {
                service: name.clone(),
                status: match why {
                    ProcessStatus::Code(code) => format!("exit code {code}"),
                    ProcessStatus::Signal(number) => format!("signal {number}"),
                },
                last_output: last_output(),
            }),
        }
    }
}
