//! Faults of processes that Murphy started: data only; the runner carries the actions out by the process's identity.

mod freeze;
mod kill;
mod signal;

pub use freeze::Freeze;
pub use kill::Kill;
pub use signal::{SendSignal, SignalName};

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessAction {
    /// The signal is sent to end it; on lift the service is started again.
    Kill(SignalName),
    /// SIGSTOP; on lift SIGCONT.
    Freeze,
    /// The signal is sent once; nothing is taken back.
    Signal(SignalName),
}
