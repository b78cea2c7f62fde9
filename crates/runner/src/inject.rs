//! Puts faults into the world and takes them out: one armed fault, one entry here, whatever it acts on.

mod by_hand;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use murphy_core::{EdgeName, EventKind, FaultId, Recorder, ServiceName, Tally, Undo, UndoId};
use murphy_faults::{Effect, Fault, ProcessAction, SignalName};
use murphy_host::Signal;
use murphy_proxy::{Armed, EdgeHands};
use murphy_scenario::{FaultStep, FaultTarget};

pub(crate) use self::by_hand::GivenBack;
use crate::RunError;
use crate::containers::Containers;
use crate::lock::Locks;
use crate::pressure::{self, Pressed};
use crate::processes;
use crate::services::Services;
use crate::stack::{Coming, Remains};
use crate::undo::{Unsure, revert};
use crate::undo_log::UndoLog;

/// What a run can break, and what is broken at present.
pub(crate) struct Injector {
    pub(crate) recorder: Recorder,
    pub(crate) log: Arc<UndoLog>,
    pub(crate) services: Arc<Services>,
    pub(crate) locks: Arc<Locks>,
    /// Once the engine is needed, and there.
    pub(crate) containers: OnceLock<Arc<Containers>>,
    /// This binary, whose workers press.
    program: PathBuf,
    edges: Mutex<BTreeMap<EdgeName, EdgeHands>>,
    /// In the order of arming. What of it stands on an edge is changed and taken off while this is held: a hand and the time line may
    /// want the same one at once.
    armed: Mutex<Vec<(FaultId, InWorld)>>,
    /// The faults on edges whose time in the plan it is, each as the plan has it by now, whatever a hand has made of it. Nothing
    /// would take any other one off any more. Locked before `armed`.
    due: Mutex<BTreeMap<FaultId, Fault>>,
    failures: Mutex<Vec<String>>,
}

/// A fault that is in the world, with what is needed to take it out.
#[derive(Debug)]
enum InWorld {
    Edge {
        edge: EdgeName,
        /// As it is now: a ramp or a hand may have changed it.
        fault: Box<Fault>,
    },
    Killed {
        service: ServiceName,
        processes: u64,
    },
    Signalled {
        processes: u64,
    },
    Frozen {
        processes: u64,
        undos: Vec<(UndoId, Undo)>,
    },
    Containers,
    Pressed(Box<Pressed>),
}

impl Injector {
    pub(crate) fn new(
        recorder: Recorder,
        log: Arc<UndoLog>,
        services: Arc<Services>,
        locks: Arc<Locks>,
        program: PathBuf,
    ) -> Injector {
        Injector {
            recorder,
            log,
            services,
            locks,
            containers: OnceLock::new(),
            program,
            edges: Mutex::default(),
            armed: Mutex::default(),
            due: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Makes an edge known, so that faults can sit on it.
    pub(crate) fn add_edge(&self, edge: EdgeName, handle: EdgeHands) {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner).insert(edge, handle);
    }

    /// A text that only the command lines of this run's own helpers have.
    fn own(&self) -> String {
        self.log.path().display().to_string()
    }

    /// Looks whether each fault will find its targets. Touches nothing.
    pub(crate) async fn look_ahead(&self, steps: &[FaultStep]) -> Result<(), RunError> {
        for step in steps {
            if let FaultTarget::Process { process } = &step.target {
                processes::look_ahead(step, process, &self.own())?;
            }
            if let Some(Effect::Pressure(pressure)) = effect_of(step, &step.fault) {
                for place in self.pressed(step).await? {
                    pressure::look_ahead(step, &pressure, &place)?;
                }
            }
        }
        match self.containers.get() {
            Some(containers) => containers.look_ahead(steps).await,
            None => Ok(()),
        }
    }

    /// The plan has a fault on an edge with other settings from now on. One that is off stays so, and comes back with these.
    pub(crate) fn change(&self, step: &FaultStep, fault: &Fault) -> Result<(), RunError> {
        // Held until it has them: so a hand gives it back before all of this, or behind it and with these.
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(planned) = due.get_mut(&step.id) {
            *planned = fault.clone();
        }
        self.tune(step, fault)
    }

    /// Gives a fault on an edge other settings. What it has drawn and counted stays. One that is not there is left alone.
    pub(crate) fn tune(&self, step: &FaultStep, fault: &Fault) -> Result<(), RunError> {
        let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
        let (FaultTarget::Edge { edge, directions, chance, .. }, Some(Effect::Edge(effect))) =
            (&step.target, effect_of(step, fault))
        else {
            return Err(failed(format!("{} does not change while it lasts", fault.name())));
        };
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = armed.iter_mut().find(|(id, _)| *id == step.id);
        let Some((_, InWorld::Edge { fault: current, .. })) = known else { return Ok(()) };
        let hands = self.edge(edge).ok_or_else(|| failed(format!("there is no edge {edge}")))?;
        hands.arm(Armed { id: step.id.clone(), effect, directions: *directions, chance: *chance });
        **current = fault.clone();
        self.recorder.record(EventKind::FaultChanged { fault: step.id.clone(), text: fault.text() });
        Ok(())
    }

    /// Puts a fault into the world.
    pub(crate) async fn arm(&self, step: &FaultStep) -> Result<(), RunError> {
        let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
        let armed = |in_world: InWorld| {
            self.armed.lock().unwrap_or_else(PoisonError::into_inner).push((step.id.clone(), in_world));
        };
        let effect = effect_of(step, &step.fault);
        // Read before the act: whatever meets the fault ends after this.
        let felt = Instant::now();
        match (&step.target, effect) {
            (FaultTarget::Edge { edge, directions, chance, .. }, Some(Effect::Edge(effect))) => {
                let handle = self.edge(edge).ok_or_else(|| failed(format!("there is no edge {edge}")))?;
                let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
                due.insert(step.id.clone(), step.fault.clone());
                drop(due);
                handle.arm(Armed { id: step.id.clone(), effect, directions: *directions, chance: *chance });
                armed(InWorld::Edge { edge: edge.clone(), fault: Box::new(step.fault.clone()) });
            }
            (FaultTarget::Service { service }, Some(Effect::Process(action))) => {
                armed(self.act_on_service(step, service, action)?);
            }
            (FaultTarget::Process { process }, Some(Effect::Process(action))) => {
                let done = processes::act(step, process, action, &self.own(), &self.log, &self.locks)?;
                armed(match action {
                    ProcessAction::Freeze => InWorld::Frozen { processes: done.processes, undos: done.undos },
                    ProcessAction::Kill(_) | ProcessAction::Signal(_) => {
                        InWorld::Signalled { processes: done.processes }
                    }
                });
            }
            (FaultTarget::Host | FaultTarget::Container { .. }, Some(Effect::Pressure(pressure))) => {
                let mut begun = Pressed::default();
                let mut all = Ok(());
                for place in self.pressed(step).await? {
                    all = begun.begin(step, &pressure, &place, &self.program, &self.log, &self.locks).await;
                    if all.is_err() {
                        break;
                    }
                }
                // Whatever came of it, it is to be lifted.
                armed(InWorld::Pressed(Box::new(begun)));
                all?;
            }
            (FaultTarget::Container { .. }, Some(Effect::Container(_))) => {
                let containers =
                    self.containers.get().ok_or_else(|| failed("there is no container engine".into()))?;
                // Whatever comes of it, its undos may be on disk from here on.
                armed(InWorld::Containers);
                // The fault says itself when it is armed: its effect is felt before the engine's answer is here.
                return containers.arm(step).await;
            }
            (_, _) => {
                return Err(failed(format!("{} does not act on this kind of target", step.fault.name())));
            }
        }
        self.recorder.record_at_instant(felt, EventKind::FaultArmed { fault: step.id.clone() });
        Ok(())
    }

    /// What a pressure presses on, each locked where it is a container.
    async fn pressed(&self, step: &FaultStep) -> Result<Vec<pressure::Place>, RunError> {
        let failed = |why: &str| RunError::Inject { fault: step.id.clone(), why: why.to_owned() };
        match &step.target {
            FaultTarget::Host => Ok(vec![pressure::Place::Machine]),
            FaultTarget::Container { container } => {
                let containers =
                    self.containers.get().ok_or_else(|| failed("there is no container engine"))?;
                containers.pressed(step, container).await
            }
            _ => Err(failed("it presses on a machine or on containers")),
        }
    }

    fn act_on_service(
        &self,
        step: &FaultStep,
        service: &ServiceName,
        action: ProcessAction,
    ) -> Result<InWorld, RunError> {
        let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
        Ok(match action {
            // No undo of its own: whatever happens, the run's end stops the service by its marker.
            ProcessAction::Kill(name) => {
                let processes =
                    self.services.signal(service, signal(name).map_err(failed)?).map_err(failed)?;
                InWorld::Killed { service: service.clone(), processes }
            }
            ProcessAction::Signal(name) => {
                let processes = self.services.signal(service, signal(name).map_err(failed)?);
                InWorld::Signalled { processes: processes.map_err(failed)? }
            }
            ProcessAction::Freeze => {
                let mut undos = Vec::new();
                for process in self.services.processes(service).map_err(failed)? {
                    let undo = Undo::Continue { process, name: service.to_string() };
                    undos.push((self.log.due(Some(&step.id), &undo)?, undo));
                }
                self.services.signal(service, Signal::STOP).map_err(failed)?;
                InWorld::Frozen { processes: undos.len() as u64, undos }
            }
        })
    }

    /// Takes a fault out of the world whose time is over: no hand puts it back from here on.
    pub(crate) async fn end(&self, fault: &FaultId) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).remove(fault);
        self.lift(fault).await;
    }

    /// Takes a fault out of the world; one that is not in it is no error.
    pub(crate) async fn lift(&self, fault: &FaultId) {
        let (in_world, on_edge) = {
            let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(at) = armed.iter().position(|(id, _)| id == fault) else { return };
            let (_, in_world) = armed.remove(at);
            let on_edge = match &in_world {
                InWorld::Edge { edge, .. } => self.edge(edge).and_then(|hands| hands.lift(fault)),
                _ => None,
            };
            (in_world, on_edge)
        };
        let (tally, problems) = match in_world {
            InWorld::Edge { .. } => (on_edge.unwrap_or_default(), Vec::new()),
            InWorld::Killed { service, processes } => {
                (processes_only(processes), self.services.revive(&service).await.err().into_iter().collect())
            }
            InWorld::Signalled { processes } => (processes_only(processes), Vec::new()),
            InWorld::Frozen { processes, undos } => {
                (processes_only(processes), self.take_back(undos).await.err().into_iter().collect())
            }
            InWorld::Pressed(pressed) => {
                let lifted = pressed.end().await;
                for why in lifted.short {
                    self.recorder.record(EventKind::FaultFailed { fault: fault.clone(), why });
                }
                (lifted.tally, self.take_back(lifted.undos).await.err().into_iter().collect())
            }
            InWorld::Containers => {
                let lifted = match self.containers.get() {
                    Some(containers) => containers.lift(fault).await,
                    None => None,
                };
                // A fault that found no target was never in the world.
                let Some(lifted) = lifted else { return };
                lifted
            }
        };
        for why in problems {
            self.failed(format!("{fault}: {why}"));
            self.recorder.record(EventKind::FaultFailed { fault: fault.clone(), why });
        }
        self.recorder.record(EventKind::FaultLifted { fault: fault.clone(), tally });
    }

    async fn take_back(&self, undos: Vec<(UndoId, Undo)>) -> Result<(), String> {
        let mut first_problem = Ok(());
        for (id, undo) in undos {
            match revert(&undo).await {
                Ok(()) => {
                    // What cannot be noted is taken back once more later, which is harmless.
                    drop(self.log.done(id));
                    self.recorder.record(EventKind::Undone { undo });
                }
                Err(error) => {
                    let why = error.to_string();
                    self.recorder.record(EventKind::UndoFailed { undo, why: why.clone() });
                    first_problem = first_problem.and(Err(why));
                }
            }
        }
        first_problem
    }

    /// Takes every fault out of the world, the last one first.
    pub(crate) async fn lift_all(&self) {
        let armed: Vec<FaultId> = {
            let armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
            armed.iter().rev().map(|(id, _)| id.clone()).collect()
        };
        for fault in armed {
            self.lift(&fault).await;
        }
    }

    /// Stops all services for good.
    pub(crate) async fn stop_services(&self) {
        let failures = self.services.stop_all().await;
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failures);
    }

    /// Takes a stack down, the newest undo first.
    pub(crate) async fn take_down(&self, remains: Remains) {
        let (of_processes, of_engine): (Vec<_>, Vec<_>) =
            remains.undos.into_iter().partition(|(_, undo)| matches!(undo, Undo::StopMarked { .. }));
        if let Err(why) = self.take_back(of_processes).await {
            self.failed(why);
        }
        let Some(containers) = self.containers.get() else { return };
        let unsure = match remains.coming {
            Coming::Perhaps => Unsure::since(Instant::now(), of_engine.iter().map(|(_, undo)| undo)),
            Coming::No => Unsure::No,
        };
        let (_, failures) = containers.take_back(of_engine, unsure).await;
        failures.into_iter().for_each(|why| self.failed(why));
    }

    fn failed(&self, why: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// What could not be taken back so far.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The hands on an edge, once it is open.
    pub(crate) fn edge(&self, edge: &EdgeName) -> Option<EdgeHands> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner).get(edge).cloned()
    }
}

/// What a fault does where its step puts it.
fn effect_of(step: &FaultStep, fault: &Fault) -> Option<Effect> {
    let chosen = match &step.target {
        FaultTarget::Edge { matching, which, .. } => fault.on_requests(matching, which),
        _ => None,
    };
    chosen.or_else(|| fault.effect_on(step.target.place()))
}

fn processes_only(processes: u64) -> Tally {
    Tally { hits: processes, ..Tally::default() }
}

/// The system's signal of the catalogue's name.
pub(crate) fn signal(name: SignalName) -> Result<Signal, String> {
    name.to_string().parse().map_err(|error: murphy_host::SignalNameError| error.to_string())
}
