//! One run from start to end. Whatever happens in between (an error, a panic, a wish to stop), the way out is the same:
//! faults out, load and probes ended, services stopped, proxies closed, journal closed, undo log removed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use murphy_core::{EventKind, FaultId, Recorder, RunClock, Seed, Timestamp};
use murphy_docker::{Engine, Environment};
use murphy_host as host;
use murphy_proxy::{EdgeTls, Limits, Proxy, ProxyConfig};
use murphy_scenario::{Address, EdgePlan, FaultStep, FaultTarget, Plan, Question, Route};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::abort::AbortWatch;
use crate::callers::Callers;
use crate::containers::Containers;
use crate::edge::{Dialled, Interception, sit_in};
use crate::hands::EdgeHands;
use crate::inject::Injector;
use crate::journal::{JournalWriter, Observer};
use crate::lock::Locks;
use crate::network::Networks;
use crate::services::Services;
use crate::site::Site;
use crate::stack::Stack;
use crate::timeline::{Act, timeline};
use crate::undo_log::{Owner, UndoLog};
use crate::{RunDir, RunError, RunId, StateDir, Stop, StopReason, Watchdog, preflight, setup};

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
    // This run's own: a stop condition of one scenario must not end the next.
    let aborted = Stop::new();
    let stopper = aborted.clone();
    let observer: Observer = Box::new(move |event| {
        observer(event);
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
    let log = Arc::new(UndoLog::create(&options.state.log_path(&dir.name()), &owner)?);
    let all_well = CancellationToken::new();
    let mut guards = JoinSet::new();
    let watchdog =
        Watchdog::start(&options.program, log.path()).map_err(|source| RunError::Watchdog { source })?;
    guards.spawn(watchdog.keep(all_well.clone()));

    let locks = Arc::new(Locks::new(&options.state, &owner.holder()));
    let services = Arc::new(Services::new(
        recorder.clone(),
        Arc::clone(&log),
        dir.clone(),
        options.program.clone(),
        folder_of(plan),
    ));
    let callers = Callers::new(Arc::clone(&services));
    let site =
        Arc::new(Site::new(recorder.clone(), Arc::clone(&log), callers, Arc::clone(&locks), dir.name()));
    let world = Arc::new(World {
        plan: plan.clone(),
        recorder: recorder.clone(),
        injector: Injector::new(recorder.clone(), Arc::clone(&log), services, locks),
        networks: Networks::new(Arc::clone(&site)),
        stack: OnceLock::new(),
        marker: format!("{}.compose", dir.name()),
        site,
        state: options.state.clone(),
        end_load: CancellationToken::new(),
        close_edges: CancellationToken::new(),
        load: TaskTracker::new(),
        edges: TaskTracker::new(),
    });

    // In a task of its own, so that a panic in it is an error here and not the end of the way out.
    let mut work = JoinSet::new();
    work.spawn(Arc::clone(&world).carry_out());
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
        None => {}
    }
    work.shutdown().await;
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
    all_well.cancel();
    guards.join_all().await;
    if not_reverted.is_empty() {
        let _ = std::fs::remove_file(log.path());
    }
    Ok(Outcome { dir, error, stopped, not_reverted })
}

/// The folder that the paths of a scenario are seen from; empty for the current one.
fn folder_of(plan: &Plan) -> PathBuf {
    Path::new(&plan.source).parent().unwrap_or(Path::new("")).to_owned()
}

/// Everything that a run has put up.
struct World {
    plan: Plan,
    recorder: Recorder,
    injector: Injector,
    /// The stack, once it is on its way.
    stack: OnceLock<Stack>,
    /// By which the compose process is found again.
    marker: String,
    site: Arc<Site>,
    /// Where the local authority is kept.
    state: StateDir,
    networks: Networks,
    end_load: CancellationToken,
    close_edges: CancellationToken,
    load: TaskTracker,
    edges: TaskTracker,
}

impl World {
    async fn carry_out(self: Arc<Self>) -> Result<(), RunError> {
        // Everything is made before anything is started, so that a mistake in the last probe costs nothing.
        let loads = self
            .plan
            .loads
            .iter()
            .map(|plan| setup::http_load(plan, self.plan.seed))
            .collect::<Result<Vec<_>, _>>()?;
        let probes = self.plan.probes.iter().map(setup::probe).collect::<Result<Vec<_>, _>>()?;
        // Services may dial `listen:` edges from their first moment on; those that are sat in on must be there first.
        let (listening, sat_in): (Vec<_>, Vec<_>) =
            self.plan.edges.iter().partition(|edge| matches!(edge.route, Route::Listen { .. }));
        for edge in listening {
            self.open_edge(edge).await?;
        }
        self.reach_containers().await?;
        for service in &self.plan.services {
            self.injector.services.start(service).await?;
        }
        for edge in sat_in {
            self.open_edge(edge).await?;
        }
        self.injector.look_ahead(&self.plan.faults).await?;
        self.networks.look_ahead(&self.plan.faults).await?;
        for step in &self.plan.faults {
            let seed = self.plan.seed.derive(step.id.as_str(), 0);
            for (what, hands) in self.networks.interceptions(step, seed) {
                self.sit_in(what, hands).await?;
            }
        }
        let begin = Instant::now();
        for load in loads {
            let driven = murphy_load::drive(load, self.recorder.clone(), self.end_load.clone());
            self.load.spawn(driven);
        }
        for probe in probes {
            let setup::Probe { name, question, every, within } = probe;
            let question = match question {
                setup::Asked::Load(question) => question,
                setup::Asked::Containers(question) => {
                    let containers = self.injector.containers.get().map(Arc::clone);
                    let containers = containers.ok_or_else(|| RunError::Setup {
                        what: format!("probe {name}"),
                        why: "there is no container engine".to_owned(),
                    })?;
                    murphy_load::Question::Other(Arc::new(question.of(containers)))
                }
            };
            let (recorder, end) = (self.recorder.clone(), self.end_load.clone());
            self.load.spawn(murphy_load::watch(name, question, every, within, recorder, end));
        }
        for (at, act) in timeline(&self.plan.phases, &self.plan.faults) {
            sleep_until((begin + at.as_duration()).into()).await;
            match act {
                Act::Begin(phase) => self.recorder.record(EventKind::PhaseStarted { phase }),
                Act::Arm(number) => self.arm(&self.plan.faults[number]).await?,
                Act::Change(number, stage) => {
                    let step = &self.plan.faults[number];
                    self.injector.change(step, &step.ramp.stages[stage].fault)?;
                }
                Act::Lift(number) => self.lift(&self.plan.faults[number].id).await,
                Act::End => {}
            }
        }
        Ok(())
    }

    /// Connects to the engine if the plan needs it, and has the stack up and healthy.
    async fn reach_containers(&self) -> Result<(), RunError> {
        let of_containers =
            self.plan.faults.iter().any(|step| matches!(step.target, FaultTarget::Container { .. }));
        let looked_at = self.plan.probes.iter().any(|probe| matches!(probe.question, Question::Container(_)));
        if self.plan.stack.is_none() && !of_containers && !looked_at {
            return Ok(());
        }
        let engine = Engine::connect().await?;
        let containers = Arc::new(Containers::new(
            engine.clone(),
            self.recorder.clone(),
            Arc::clone(&self.injector.log),
            Arc::clone(&self.injector.locks),
            self.plan.seed,
        ));
        let containers = Arc::clone(self.injector.containers.get_or_init(|| containers));
        if let Some(plan) = &self.plan.stack {
            let base = folder_of(&self.plan);
            let stack = self.stack.get_or_init(|| Stack::new(engine));
            let project =
                stack.ready(plan, &base, &self.marker, &self.injector.log, &self.injector.locks).await?;
            self.site.callers.in_project(&project);
            containers.use_project(&project).await?;
        }
        Ok(())
    }

    async fn arm(&self, step: &FaultStep) -> Result<(), RunError> {
        match &step.target {
            FaultTarget::Network { network } => self.networks.arm(step, network).await,
            _ => self.injector.arm(step).await,
        }
    }

    /// Either knows it, or neither.
    async fn lift(&self, fault: &FaultId) {
        self.networks.lift(fault).await;
        self.injector.lift(fault).await;
    }

    async fn open_edge(&self, edge: &EdgePlan) -> Result<(), RunError> {
        let seed = self.plan.seed.derive(edge.name.as_str(), 0);
        match &edge.route {
            Route::Listen { listen, to } => self.listen(edge, listen, to, seed).await,
            Route::Intercept { from, to, open_connections } => {
                let what = Interception {
                    edge: edge.name.clone(),
                    protocol: edge.protocol,
                    tls: self.tls(edge)?,
                    from: vec![from.clone()],
                    to: Dialled::Address(to.clone()),
                    open: *open_connections,
                    seed,
                    calls: self.recorder.clone(),
                };
                let hands = EdgeHands::default();
                self.sit_in(what, hands.clone()).await?;
                self.injector.add_edge(edge.name.clone(), hands);
                Ok(())
            }
        }
    }

    fn tls(&self, edge: &EdgePlan) -> Result<EdgeTls, RunError> {
        let Some(settings) = &edge.tls else { return Ok(EdgeTls::default()) };
        let base = folder_of(&self.plan);
        let settings = settings.clone().with_paths(|path| base.join(path));
        EdgeTls::open(&settings, self.state.path(), &edge.route.to().to_string())
            .map_err(|error| RunError::Tls { edge: edge.name.clone(), why: error.to_string() })
    }

    async fn listen(
        &self,
        plan: &EdgePlan,
        listen: &Address,
        to: &Address,
        seed: Seed,
    ) -> Result<(), RunError> {
        let edge = &plan.name;
        let config = ProxyConfig {
            name: edge.clone(),
            protocol: plan.protocol,
            listen: listen.to_string(),
            upstream: to.to_string(),
            tls: self.tls(plan)?,
            seed,
            recorder: self.recorder.clone(),
            limits: Limits::default(),
        };
        let proxy = Proxy::bind(config)
            .await
            .map_err(|error| RunError::Listen { edge: edge.clone(), why: error.to_string() })?;
        self.recorder.record(EventKind::EdgeListening {
            edge: edge.clone(),
            listen: proxy.local_addr().to_string(),
            upstream: to.to_string(),
        });
        self.injector.add_edge(edge.clone(), EdgeHands::of(proxy.handle()));
        self.edges.spawn(proxy.serve(self.close_edges.clone().cancelled_owned()));
        Ok(())
    }

    /// The task that takes it back is there before anything is done, so that whatever ends this one leaves nothing.
    async fn sit_in(&self, what: Interception, hands: EdgeHands) -> Result<(), RunError> {
        let edge = what.edge.clone();
        let failed = |why: String| RunError::SitIn { edge: edge.clone(), why };
        let (ready, is_ready) = oneshot::channel();
        let (site, close) = (Arc::clone(&self.site), self.close_edges.clone());
        self.edges.spawn(sit_in(site, what, hands, close, ready));
        match is_ready.await {
            Ok(begun) => begun.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed("its task has ended".into())),
        }
        Ok(())
    }

    async fn take_down(&self) {
        self.networks.lift_all().await;
        self.injector.lift_all().await;
        self.end_load.cancel();
        self.load.close();
        self.load.wait().await;
        self.injector.stop_services().await;
        self.close_edges.cancel();
        self.edges.close();
        self.edges.wait().await;
        if let Some(containers) = self.injector.containers.get() {
            containers.stop_watching().await;
        }
        if let Some(stack) = self.stack.get() {
            self.injector.take_down(stack.drain()).await;
        }
    }
}
