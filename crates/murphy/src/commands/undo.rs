//! `murphy undo`: takes back whatever dead runs left behind. Doing it twice is harmless.

use std::path::PathBuf;
use std::time::Instant;

use murphy_core::Undo;
use murphy_runner::{Leftover, StateDir, UndoLog};
use serde::Serialize;

use super::answer::shown;
use super::{fail, print, runtime};
use crate::args::UndoArgs;
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::runtime::Runtime;

/// One thing that is told: with `--output json` an object a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Told {
    /// What a dead run left behind.
    Leftover {
        /// Its undo log.
        log: PathBuf,
        /// What it was doing, if its log tells.
        scenario: Option<String>,
        /// Its process, which is dead.
        pid: Option<i32>,
        /// What is to be taken back, in this order.
        undo: Vec<String>,
    },
    /// One thing is as before.
    TakenBack {
        /// What was due.
        undo: String,
    },
    /// One thing may not be as before.
    NotTakenBack {
        /// What is due.
        undo: String,
        /// Why, with the command that does it by hand.
        why: String,
    },
    /// That was all.
    Ended {
        /// Dead runs that had left something behind.
        leftovers: usize,
        /// Things that may not be as before.
        not_taken_back: usize,
    },
}

/// Tells what happens, and counts what may not be as before.
struct Teller {
    output: OutputChoice,
    not_taken_back: usize,
    exit: Exit,
}

impl Teller {
    /// `text` is the same for a person.
    fn tell(&self, told: &Told, text: impl FnOnce() -> String) {
        print(&shown(self.output, told, text));
    }

    /// These may not be as before. A person reads the reason on standard error.
    fn failed<'a>(&mut self, undos: impl IntoIterator<Item = &'a Undo>, error: &dyn std::fmt::Display) {
        for undo in undos {
            self.not_taken_back += 1;
            self.tell(&Told::NotTakenBack { undo: undo.to_string(), why: error.to_string() }, String::new);
        }
        self.exit = self.exit.worst(fail(Exit::NotReverted, error));
    }
}

/// Takes everything back that is left.
pub fn run(args: &UndoArgs) -> Exit {
    let leftovers = match StateDir::from_environment().and_then(|state| state.leftovers()) {
        Ok(leftovers) => leftovers,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let mut teller = Teller { output: args.output, not_taken_back: 0, exit: Exit::Graceful };
    if !leftovers.is_empty() {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(exit) => return exit,
        };
        leftovers.iter().for_each(|leftover| take_back(leftover, &runtime, &mut teller));
    }
    let ended = Told::Ended { leftovers: leftovers.len(), not_taken_back: teller.not_taken_back };
    teller.tell(&ended, || {
        if leftovers.is_empty() { "nothing to take back\n".to_owned() } else { String::new() }
    });
    teller.exit
}

fn take_back(leftover: &Leftover, runtime: &Runtime, teller: &mut Teller) {
    let owner = leftover.owner.as_ref();
    let told = Told::Leftover {
        log: leftover.log.clone(),
        scenario: owner.map(|owner| owner.scenario.clone()),
        pid: owner.map(|owner| owner.process.pid),
        undo: leftover.due.iter().map(|(_, undo)| undo.to_string()).collect(),
    };
    teller.tell(&told, || format!("{leftover}\n"));
    let log = match UndoLog::reopen(&leftover.log) {
        Ok(log) => log,
        Err(error) => {
            teller.failed(leftover.due.iter().map(|(_, undo)| undo), &error);
            return;
        }
    };
    let reverter = leftover.reverter();
    let mut all_done = true;
    let died = Instant::now();
    let mut reverted = Vec::new();
    for (id, undo) in &leftover.due {
        match runtime.block_on(reverter.revert(undo)) {
            Ok(()) => {
                let told = Told::TakenBack { undo: undo.to_string() };
                teller.tell(&told, || format!("  taken back: {undo}\n"));
                reverted.push((id, undo));
            }
            Err(error) => {
                all_done = false;
                teller.failed([undo], &error);
            }
        }
    }
    // An engine may still have been at it when its caller died.
    for (id, undo) in reverted {
        match runtime.block_on(reverter.revert_once_more(undo, died)) {
            Ok(()) => all_done &= log.done(*id).is_ok(),
            Err(error) => {
                all_done = false;
                teller.failed([undo], &error);
            }
        }
    }
    if all_done {
        leftover.clear();
    }
}
