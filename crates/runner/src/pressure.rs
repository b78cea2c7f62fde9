//! Faults that take of what a machine has: a worker process is started under a mark that is in the undo log, and ended.

use std::path::Path;

use murphy_core::{FaultId, Tally, Undo, UndoId};
use murphy_host::{Press, Pressure, PressureEnded, PressureError};
use murphy_scenario::FaultStep;

use crate::RunError;
use crate::lock::{Lockable, Locks};
use crate::undo_log::UndoLog;

/// A pressure in the world.
#[derive(Debug)]
pub(crate) struct Pressed {
    press: Press,
    /// What takes it back.
    pub(crate) undo: (UndoId, Undo),
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Lifted {
    pub(crate) tally: Tally,
    /// Why it was less than was asked for.
    pub(crate) short: Option<String>,
    pub(crate) undo: (UndoId, Undo),
}

fn failed(step: &FaultStep, why: &PressureError) -> RunError {
    RunError::Inject { fault: step.id.clone(), why: why.to_string() }
}

/// Unique to a fault of a run. No name has a plus in it, so it is nobody else's.
fn mark(fault: &FaultId, log: &UndoLog) -> String {
    let run = log.path().file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{run}+{fault}")
}

/// Looks whether this machine has so much to spare now. Touches nothing.
pub(crate) fn look_ahead(step: &FaultStep, pressure: &Pressure, log: &UndoLog) -> Result<(), RunError> {
    pressure.on_this_machine(&mark(&step.id, log)).map(drop).map_err(|error| failed(step, &error))
}

/// Begins it.
pub(crate) async fn begin(
    step: &FaultStep,
    pressure: &Pressure,
    program: &Path,
    log: &UndoLog,
    locks: &Locks,
) -> Result<Pressed, RunError> {
    let marker = mark(&step.id, log);
    locks.take(&Lockable::Machine(pressure.name()))?;
    let load = pressure.on_this_machine(&marker).map_err(|error| failed(step, &error))?;
    let undo = load.undo(&marker, pressure, "this machine");
    let undo = (log.due(Some(&step.id), &undo)?, undo);
    let press = Press::begin(program, &load, &marker).await.map_err(|error| failed(step, &error))?;
    Ok(Pressed { press, undo })
}

impl Pressed {
    /// Ends the worker. The undo is still to be carried out.
    pub(crate) async fn end(self) -> Lifted {
        let short = match self.press.end().await {
            PressureEnded::Full | PressureEnded::OnTheWay => None,
            short => Some(short.to_string()),
        };
        Lifted { tally: Tally { hits: 1, ..Tally::default() }, short, undo: self.undo }
    }
}
