//! One file a command: from typed words to an exit code.

pub mod again;
mod answer;
mod asking;
pub mod attach;
pub mod breaking_point;
mod breaking_point_told;
pub mod by_hand;
pub mod by_hand_network;
pub mod ca;
pub mod check;
pub mod compare;
pub mod completions;
pub mod daemon;
pub mod demo;
pub mod demo_service;
pub mod doctor;
pub mod experiment;
pub mod explain;
pub mod explore;
mod explore_alone;
mod explore_control;
mod explore_drawn;
mod explore_edges;
mod explore_fallback;
mod explore_files;
mod explore_pairs;
mod explore_seen;
mod explore_steps;
mod explore_unbroken;
mod explore_why;
pub mod fault;
pub mod init;
pub mod known;
pub mod man;
mod outcomes;
pub mod plan;
pub mod pressure;
pub mod proxies;
pub mod proxy;
pub mod reference;
mod reference_keys;
pub mod report;
pub mod report_files;
pub mod run;
pub mod scenario_files;
pub mod schema;
pub mod serve;
pub mod sitting;
pub mod top;
pub mod toxiproxy;
pub mod undo;
pub mod watchdog;

use std::io::Write;

use murphy_runner::{Base, StateDir};

use crate::exit::Exit;
use crate::runtime::Runtime;

/// Prints a result. A reader that went away (`murphy … | head`) is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes a line to standard error, if there still is one: a terminal that was closed must not end the way back.
pub fn note(message: &dyn std::fmt::Display) {
    murmur(&format_args!("{message}\n"));
}

/// The same, without ending the line.
pub fn murmur(message: &dyn std::fmt::Display) {
    let _ = write!(std::io::stderr().lock(), "{message}");
}

/// Prints an error and gives its exit code.
pub fn fail(exit: Exit, message: &dyn std::fmt::Display) -> Exit {
    note(&format_args!("error: {message}"));
    exit
}

/// Where undo logs are kept, and this binary, which watches over them.
pub fn base() -> Result<Base, Exit> {
    let state = StateDir::from_environment().map_err(|error| fail(Exit::Failed, &error))?;
    let program = std::env::current_exe()
        .map_err(|error| fail(Exit::Failed, &format_args!("cannot find this binary: {error}")))?;
    Ok(Base { state, program })
}

/// A runtime for a command that needs one, and as many descriptors as this user may have: a load whose service hangs
/// needs two for each user that waits.
pub fn runtime() -> Result<Runtime, Exit> {
    if let Err(error) = murphy_host::raise_open_files() {
        note(&format_args!("warning: cannot raise the limit of open files: {error}"));
    }
    Runtime::start().map_err(|error| fail(Exit::Failed, &format_args!("cannot start the runtime: {error}")))
}
