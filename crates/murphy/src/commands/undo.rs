//! `murphy undo`: takes back whatever dead runs left behind. Doing it twice is harmless.

use std::time::Instant;

use murphy_runner::{StateDir, UndoLog};

use super::{fail, print, runtime};
use crate::exit::Exit;

/// Takes everything back that is left.
pub fn run() -> Exit {
    let leftovers = match StateDir::from_environment().and_then(|state| state.leftovers()) {
        Ok(leftovers) => leftovers,
        Err(error) => return fail(Exit::Failed, &error),
    };
    if leftovers.is_empty() {
        print("nothing to take back\n");
        return Exit::Graceful;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Graceful;
    for leftover in leftovers {
        print(&format!("{leftover}\n"));
        let log = match UndoLog::reopen(&leftover.log) {
            Ok(log) => log,
            Err(error) => {
                exit = exit.worst(fail(Exit::NotReverted, &error));
                continue;
            }
        };
        let reverter = leftover.reverter();
        let mut all_done = true;
        let died = Instant::now();
        let mut reverted = Vec::new();
        for (id, undo) in &leftover.due {
            match runtime.block_on(reverter.revert(undo)) {
                Ok(()) => {
                    print(&format!("  taken back: {undo}\n"));
                    reverted.push((id, undo));
                }
                Err(error) => {
                    all_done = false;
                    exit = exit.worst(fail(Exit::NotReverted, &error));
                }
            }
        }
        // An engine may still have been at it when its caller died.
        for (id, undo) in reverted {
            match runtime.block_on(reverter.revert_once_more(undo, died)) {
                Ok(()) => all_done &= log.done(*id).is_ok(),
                Err(error) => {
                    all_done = false;
                    exit = exit.worst(fail(Exit::NotReverted, &error));
                }
            }
        }
        if all_done {
            leftover.clear();
        }
    }
    exit
}
