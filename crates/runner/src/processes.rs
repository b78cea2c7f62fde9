//! Faults on processes that this run did not start: found by pid, name or command line, locked, and touched by identity.
//! Only a freeze has a way back.

use murphy_core::{FaultId, ProcessIdentity, Undo, UndoId};
use murphy_faults::ProcessAction;
use murphy_host::{self as host, Found, SendError, Signal};
use murphy_scenario::{FaultStep, ProcessSelector};

use crate::RunError;
use crate::inject::signal;
use crate::lock::{Lockable, Locks};
use crate::undo_log::UndoLog;

/// What was done to processes.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// How many were touched.
    pub(crate) processes: u64,
    /// What takes it back, in the order of doing.
    pub(crate) undos: Vec<(UndoId, Undo)>,
}

/// The processes that are meant now. The run's own helpers and services are never among them.
fn find(fault: &FaultId, selector: &ProcessSelector, own: &str) -> Result<Vec<Found>, RunError> {
    let failed = |why: String| RunError::Inject { fault: fault.clone(), why };
    let selector = match selector.clone() {
        ProcessSelector::Pid(pid) => host::Selector::Pid(pid),
        ProcessSelector::Name(name) => host::Selector::Name(name),
        ProcessSelector::Command(command) => host::Selector::CommandLine(command),
    };
    let mut found = host::find(&selector).map_err(|error| failed(error.to_string()))?;
    found.retain(|one| !one.command_line.contains(own));
    if found.is_empty() {
        Err(failed(format!("{selector} matches only Murphy's own watchdog")))
    } else {
        Ok(found)
    }
}

/// Looks whether a fault would find its processes.
pub(crate) fn look_ahead(step: &FaultStep, selector: &ProcessSelector, own: &str) -> Result<(), RunError> {
    find(&step.id, selector, own).map(drop)
}

/// Does it to all of them. `own` is a text that only the command lines of the run's own helpers have.
pub(crate) fn act(
    step: &FaultStep,
    selector: &ProcessSelector,
    action: ProcessAction,
    own: &str,
    log: &UndoLog,
    locks: &Locks,
) -> Result<Done, RunError> {
    let failed = |why: String| RunError::Inject { fault: step.id.clone(), why };
    let found = find(&step.id, selector, own)?;
    for one in &found {
        locks.take(&Lockable::Process(one.identity))?;
    }
    let mut undos = Vec::new();
    let (sent, signal) = match action {
        ProcessAction::Kill(name) | ProcessAction::Signal(name) => (found, signal(name).map_err(failed)?),
        ProcessAction::Freeze => {
            for one in &found {
                let undo = Undo::Continue { process: one.identity, name: one.name.clone() };
                undos.push((log.due(Some(&step.id), &undo)?, undo));
            }
            (found, Signal::STOP)
        }
    };
    let mut processes = 0;
    for one in sent {
        processes += send(&one.identity, signal).map_err(failed)?;
    }
    match processes {
        0 => Err(failed("every process had ended before it could be touched".to_owned())),
        processes => Ok(Done { processes, undos }),
    }
}

fn send(process: &ProcessIdentity, signal: Signal) -> Result<u64, String> {
    match host::send(process, signal) {
        Ok(()) => Ok(1),
        Err(SendError::Gone { .. }) => Ok(0),
        Err(error) => Err(error.to_string()),
    }
}
