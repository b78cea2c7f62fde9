//! Processes of this machine: finding them, signalling them by identity, starting and stopping groups of them, and those
//! that put pressure on it.
//!
//! This crate knows no fault and no scenario. It must never act on a pid alone: a pid is reused, so every action takes
//! a `ProcessIdentity` (pid with start time) and checks it again right before acting. It must never touch Murphy
//! itself, an ancestor of it, or pid 1. Linux only: it reads `/proc`.

mod capability;
mod child;
mod group;
mod keyboard;
mod marked;
mod output;
mod pressure;
mod process;
mod signal;
mod stat;
mod terminal;

pub use capability::{OpenFiles, is_root, raise_open_files};
pub use child::{Child, Command, SpawnError};
pub use group::{StopError, members, stop_group};
pub use keyboard::Keyboard;
pub use marked::{MARK_VARIABLE, marked, myself, stop_marked};
pub use output::tail;
pub use pressure::{
    Ended as PressureEnded, Felt, Inside, Load, Press, Pressure, PressureError, Spare,
    WORKER as PRESSURE_WORKER, WorkError, work,
};
pub use process::{
    FindError, Found, Protected, Selector, find, identity_of, is_alive, is_frozen, protection_of,
};
pub use signal::{SendError, Signal, SignalNameError, freeze, send, send_group, thaw};
pub use terminal::{from_the_background, terminal_is_raw};
