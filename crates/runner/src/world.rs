//! Everything that a run puts up: stack, services, edges, load, probes and faults; and the way out, which takes all of it
//! back, whatever part was there when the run ended.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use murphy_core::{EventKind, Recorder, Seed};
use murphy_docker::Engine;
use murphy_load::Flow;
use murphy_proxy::{EdgeHands, EdgeTls, Limits, Proxy, ProxyConfig};
use murphy_scenario::{Address, EdgePlan, FaultTarget, Plan, Question, Route};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::callers::Whose;
use crate::captured::{Captured, renew};
use crate::containers::Containers;
use crate::edge::{Dialled, Interception, begin_to_sit};
use crate::inject::Injector;
use crate::ledger::Ledger;
use crate::network::Networks;
use crate::quiesce::Aftermath;
use crate::site::Site;
use crate::stack::Stack;
use crate::timeline::{Act, end_of_faults, once_armed, timeline};
use crate::trigger::{Met, Waits};
use crate::{RunError, StateDir, setup};

/// Everything that a run has put up.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) recorder: Recorder,
    pub(crate) injector: Injector,
    /// The stack, once it is on its way.
    stack: OnceLock<Stack>,
    /// By which the compose process is found again.
    marker: String,
    pub(crate) site: Arc<Site>,
    /// Where the local authority is kept.
    state: StateDir,
    networks: Networks,
    end_load: CancellationToken,
    close_edges: CancellationToken,
    load: TaskTracker,
    edges: TaskTracker,
    /// Acts on the world: each is carried out whole, whatever ends the run meanwhile.
    acts: TaskTracker,
    /// What faults wait for.
    waits: Waits,
    /// What became of the users after the faults.
    aftermath: Aftermath,
    /// Whether users come.
    flow: watch::Sender<Flow>,
    /// What probes have captured.
    captured: Arc<Captured>,
}

impl World {
    /// Nothing is put up yet.
    pub(crate) fn new(
        plan: Plan,
        recorder: Recorder,
        injector: Injector,
        site: Arc<Site>,
        state: StateDir,
        waits: Waits,
        aftermath: Aftermath,
    ) -> World {
        World {
            captured: Captured::nothing(&plan),
            plan,
            recorder,
            injector,
            networks: Networks::new(Arc::clone(&site)),
            stack: OnceLock::new(),
            marker: format!("{}.compose", site.run),
            site,
            state,
            end_load: CancellationToken::new(),
            close_edges: CancellationToken::new(),
            load: TaskTracker::new(),
            edges: TaskTracker::new(),
            acts: TaskTracker::new(),
            waits,
            aftermath,
            flow: watch::Sender::default(),
        }
    }

    /// Puts everything up and lets the time line pass. May be dropped at any moment; then [`World::take_down`] takes back.
    /// `met` tells what faults have waited for.
    pub(crate) async fn carry_out(self: Arc<Self>, met: UnboundedReceiver<Met>) -> Result<(), RunError> {
        // Everything is made before anything is started, so that a mistake in the last probe costs nothing.
        let loads = self
            .plan
            .loads
            .iter()
            .map(|plan| setup::http_load(plan, &self.plan.phases, self.plan.seed, &self.marker))
            .collect::<Result<Vec<_>, _>>()?;
        let probes = self.plan.probes.iter().map(|plan| setup::probe(plan, &self.captured));
        let probes = probes.collect::<Result<Vec<_>, _>>()?;
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
        let mut ledgers = Vec::new();
        for (mut load, plan) in loads.into_iter().zip(&self.plan.loads) {
            ledgers.extend(Ledger::of(plan, load.writes.as_ref(), &self.recorder)?);
            load.flow = Some(self.flow.subscribe());
            if !plan.needs().is_empty() {
                let (request, renewed) = watch::channel(None);
                load.renewed = Some(renewed);
                let (captured, end) = (Arc::clone(&self.captured), self.end_load.clone());
                let renewing = renew(captured, plan.clone(), load.writes.clone(), request, end);
                self.load.spawn(murphy_core::boxed(renewing));
            }
            let driven = murphy_load::drive(load, self.recorder.clone(), self.end_load.clone());
            self.load.spawn(murphy_core::boxed(driven));
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
            let watching = murphy_load::watch(name, question, every, within, recorder, end);
            self.load.spawn(murphy_core::boxed(watching));
        }
        self.pass_time(begin, met).await?;
        self.aftermath.quiesce(&self.plan.phases, &self.recorder, &self.flow).await;
        if !ledgers.is_empty() {
            // What is read must not grow any more.
            self.end_load.cancel();
            self.load.close();
            self.load.wait().await;
        }
        for ledger in ledgers {
            ledger.read().await;
        }
        Ok(())
    }

    /// The time line, and what begins in the middle of it because something was seen.
    async fn pass_time(
        self: &Arc<Self>,
        begin: Instant,
        mut met: UnboundedReceiver<Met>,
    ) -> Result<(), RunError> {
        let end = end_of_faults(&self.plan.phases);
        let mut acts = VecDeque::from(timeline(&self.plan.phases, &self.plan.faults));
        while let Some((at, act)) = acts.front().copied() {
            tokio::select! {
                () = sleep_until((begin + at.as_duration()).into()) => {}
                Some(Met { fault, by }) = met.recv() => {
                    // Given up, or to be given up now: its time is over.
                    let waits = acts.iter().position(|(_, act)| *act == Act::GiveUp(fault));
                    let Some(waits) = waits.filter(|_| begin.elapsed() < end.as_duration()) else { continue };
                    acts.remove(waits);
                    let step = &self.plan.faults[fault];
                    self.recorder.record(EventKind::FaultTriggered { fault: step.id.clone(), by });
                    self.arm(fault).await?;
                    // Read after the act, so that it is in the world for no less than its time.
                    let armed = begin.elapsed().into();
                    for act in once_armed(fault, step, armed, end) {
                        acts.insert(acts.partition_point(|other| *other < act), act);
                    }
                    continue;
                }
            }
            acts.pop_front();
            match act {
                Act::GiveUp(number) => {
                    if let Some(why) = self.waits.instead(number) {
                        let fault = self.plan.faults[number].id.clone();
                        self.recorder.record(EventKind::FaultNeverArmed { fault, why });
                    }
                }
                Act::Begin(phase) => self.recorder.record(EventKind::PhaseStarted { phase }),
                Act::Arm(number) => self.arm(number).await?,
                Act::Change(number, stage) => {
                    let step = &self.plan.faults[number];
                    self.injector.change(step, &step.ramp.stages[stage].fault)?;
                }
                Act::Lift(number) => self.lift(number).await?,
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

    async fn arm(self: &Arc<Self>, number: usize) -> Result<(), RunError> {
        let world = Arc::clone(self);
        let armed = self.whole(async move {
            let step = &world.plan.faults[number];
            match &step.target {
                FaultTarget::Network { network } => world.networks.arm(step, network).await,
                _ => world.injector.arm(step).await,
            }
        });
        armed.await?
    }

    /// Either knows it, or neither.
    async fn lift(self: &Arc<Self>, number: usize) -> Result<(), RunError> {
        let world = Arc::clone(self);
        let lifted = self.whole(async move {
            let fault = &world.plan.faults[number].id;
            world.networks.lift(fault).await;
            world.injector.end(fault).await;
        });
        lifted.await
    }

    /// Carries an act out to its end also if the run is stopped in the middle of it: an engine goes on with a request whose
    /// caller has left, and what is taken back before that comes again afterwards; and a lift that is cut has its undos in
    /// nobody's hands. The way out waits for it.
    async fn whole<T: Send + 'static>(
        &self,
        act: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, RunError> {
        let failed = |panic: tokio::task::JoinError| RunError::Setup {
            what: "the runner".into(),
            why: panic.to_string(),
        };
        self.acts.spawn(murphy_core::boxed(act)).await.map_err(failed)
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
                    from: Whose::Callers(vec![from.clone()]),
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
            .map_err(|error| RunError::Listen { edge: edge.clone(), why: error.to_string() })?
            .on_each_processor();
        self.recorder.record(EventKind::EdgeListening {
            edge: edge.clone(),
            listen: proxy.local_addr().to_string(),
            upstream: to.to_string(),
        });
        self.injector.add_edge(edge.clone(), EdgeHands::of(proxy.handle()));
        self.edges.spawn(murphy_core::boxed(proxy.serve(self.close_edges.clone().cancelled_owned())));
        Ok(())
    }

    async fn sit_in(&self, what: Interception, hands: EdgeHands) -> Result<(), RunError> {
        let (site, close) = (Arc::clone(&self.site), self.close_edges.clone());
        begin_to_sit(&self.edges, site, what, hands, close).await
    }

    /// Takes everything back, whatever part of it was put up.
    pub(crate) async fn take_down(&self) {
        self.acts.close();
        self.acts.wait().await;
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

/// The folder that the paths of a scenario are seen from; empty for the current one.
pub(crate) fn folder_of(plan: &Plan) -> PathBuf {
    Path::new(&plan.source).parent().unwrap_or(Path::new("")).to_owned()
}
