//! Faults that take of what a machine or a container has: worker processes are started under marks that are in the undo log,
//! and ended. A container is entered from the machine that it runs on; its image needs nothing.

use std::path::Path;

use murphy_core::{ContainerIdentity, FaultId, Tally, Undo, UndoId};
use murphy_docker::{Container, Endpoint, Engine, EngineError};
use murphy_host::{Inside, Press, Pressure, PressureEnded, PressureError};
use murphy_scenario::FaultStep;

use crate::RunError;
use crate::callers::main_process;
use crate::lock::{Lockable, Locks};
use crate::undo_log::UndoLog;

/// Why the inside of a container cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum InsideError {
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its containers are on another kernel.
    #[error(
        "the engine at {endpoint} is on another machine, and a worker cannot join its containers from here; run murphy on that machine"
    )]
    Remote {
        /// Where it is.
        endpoint: Endpoint,
    },
    /// It has no process.
    #[error("{container} does not run")]
    NotRunning {
        /// Which.
        container: ContainerIdentity,
    },
    /// The pid that the engine gives is not that container's from here.
    #[error(
        "process {pid}, which the engine names for {container}, is not that container's as seen from here: the engine runs in \
         a virtual machine (Docker Desktop), or murphy in a container without the host's processes; start murphy's \
         container with `--privileged --pid=host`"
    )]
    OtherPids {
        /// Which.
        container: ContainerIdentity,
        /// The pid.
        pid: i64,
    },
    /// Its control groups cannot be seen.
    #[error("the control groups of {container} cannot be seen: {source}")]
    Groups {
        /// Which.
        container: ContainerIdentity,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The inside of a container, as it runs now.
pub async fn inside(engine: &Engine, container: &Container) -> Result<Inside, InsideError> {
    if !engine.endpoint().is_local() {
        return Err(InsideError::Remote { endpoint: engine.endpoint().clone() });
    }
    let which = || container.identity.clone();
    let pid = engine.main_pid(&container.identity).await?;
    let pid = pid.ok_or_else(|| InsideError::NotRunning { container: which() })?;
    let process =
        main_process(container, pid).map_err(|_| InsideError::OtherPids { container: which(), pid })?;
    Inside::of(process).map_err(|source| InsideError::Groups { container: which(), source })
}

/// What a fault presses on.
pub(crate) enum Place {
    /// This machine.
    Machine,
    /// A container.
    Container(ContainerIdentity, Inside),
}

impl Place {
    fn load(&self, pressure: &Pressure, mark: &str) -> Result<murphy_host::Load, PressureError> {
        match self {
            Place::Machine => pressure.on_this_machine(mark),
            Place::Container(_, inside) => pressure.in_container(inside, mark),
        }
    }

    /// Unique to a place of a fault of a run. No name has a plus in it, so it is nobody else's.
    fn mark(&self, fault: &FaultId, log: &UndoLog) -> String {
        let run = log.path().file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match self {
            Place::Machine => format!("{run}+{fault}"),
            Place::Container(container, _) => {
                format!("{run}+{fault}+{}", container.id.get(..12).unwrap_or(&container.id))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Place::Machine => "this machine".to_owned(),
            Place::Container(container, _) => container.to_string(),
        }
    }
}

/// A pressure in the world, on all its places.
#[derive(Debug, Default)]
pub(crate) struct Pressed {
    presses: Vec<Press>,
    /// What takes it back, also where its begin failed.
    undos: Vec<(UndoId, Undo)>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Lifted {
    pub(crate) tally: Tally,
    /// Where and why it was less than was asked for.
    pub(crate) short: Vec<String>,
    pub(crate) undos: Vec<(UndoId, Undo)>,
}

fn failed(step: &FaultStep, place: &Place, why: &PressureError) -> RunError {
    let why = match place {
        Place::Machine => why.to_string(),
        Place::Container(container, _) => format!("{container}: {why}"),
    };
    RunError::Inject { fault: step.id.clone(), why }
}

/// Looks whether there is so much to spare now. Touches nothing.
pub(crate) fn look_ahead(step: &FaultStep, pressure: &Pressure, place: &Place) -> Result<(), RunError> {
    place.load(pressure, "later").map(drop).map_err(|error| failed(step, place, &error))
}

impl Pressed {
    /// Begins it on one more place. Whatever comes of it, [`Pressed::end`] ends it.
    pub(crate) async fn begin(
        &mut self,
        step: &FaultStep,
        pressure: &Pressure,
        place: &Place,
        program: &Path,
        log: &UndoLog,
        locks: &Locks,
    ) -> Result<(), RunError> {
        let not_begun = |error: PressureError| failed(step, place, &error);
        let mark = place.mark(&step.id, log);
        let within = match place {
            Place::Machine => {
                locks.take(&Lockable::Machine(pressure.name()))?;
                None
            }
            // Locked when it was chosen.
            Place::Container(_, inside) => Some(inside),
        };
        let load = place.load(pressure, &mark).map_err(not_begun)?;
        let undo = load.undo(&mark, pressure, &place.name());
        self.undos.push((log.due(Some(&step.id), &undo)?, undo));
        self.presses.push(Press::begin(program, &load, within, &mark).await.map_err(not_begun)?);
        Ok(())
    }

    /// Ends the workers. The undos are still to be carried out.
    pub(crate) async fn end(self) -> Lifted {
        let tally = Tally { hits: self.presses.len() as u64, ..Tally::default() };
        let mut short = Vec::new();
        for press in self.presses {
            match press.end().await {
                PressureEnded::Full | PressureEnded::OnTheWay => {}
                ended => short.push(ended.to_string()),
            }
        }
        Lifted { tally, short, undos: self.undos }
    }
}
