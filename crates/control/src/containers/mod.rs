//! Faults on containers and their networks over the API: each is an act by hand of `murphy-adhoc`, carried out by a task of the
//! daemon, with an undo log and a watchdog of its own.
//!
//! It must never act unless whoever started the daemon switched it on, and never end while something is not taken back.

mod order;
mod progress;
mod set;

pub use murphy_runner::Base;
pub use order::NewContainerFault;
pub use progress::{ContainerFaultDoc, StandsDoc};
pub use set::{ContainerFaults, NotTakenBack};
