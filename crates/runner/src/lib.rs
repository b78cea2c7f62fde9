//! Carries a plan out: starts what it names, drives load, breaks and mends on time, and takes everything back on every
//! way out. It decides nothing about what the outcome means; its product is the journal.
//!
//! Rule of the house: nothing is put into the world before its undo is on disk (`undo_log`), and a second process
//! (`watchdog`) carries the undos out if this one dies without doing so.

mod abort;
mod attach;
mod by_hand;
mod callers;
mod captured;
mod claims;
mod container_acts;
mod container_question;
mod containers;
mod doctor;
mod edge;
mod error;
mod ground;
mod guarded_log;
mod inject;
mod journal;
mod ledger;
mod legs;
mod lock;
mod network;
mod peers;
mod preflight;
mod pressure;
mod processes;
mod quiesce;
mod run;
mod run_dir;
mod services;
mod setup;
mod site;
mod stack;
mod state;
mod steer;
mod stop;
mod stretch_by_hand;
mod timeline;
mod trigger;
mod turns;
mod undo;
mod undo_log;
mod watchdog;
mod world;

pub use attach::{AttachError, Attached, Attachment, Base, Looked, Outlook};
pub use by_hand::by_hand;
pub use callers::{CallerError, Whose};
pub use claims::{Claims, Clash};
pub use doctor::{Examined, Need, examine};
pub use edge::SitError;
pub use error::RunError;
pub use guarded_log::{GuardError, GuardedLog, Rest};
pub use journal::{JournalWriter, Observer, read_events};
pub use lock::{LockError, Lockable, Locks};
pub use preflight::Lack;
pub use pressure::{InsideError, inside};
pub use run::{Outcome, RunOptions, run};
pub use run_dir::{RunDir, RunId};
pub use state::{Leftover, StateDir, StateError};
pub use steer::{
    Helm, SteerAnswer, SteerAsk, SteerError, SteeredConnection, SteeredDecision, SteeredEdge, SteeredFault,
    WhoseFault,
};
pub use stop::{Stop, StopReason};
pub use stretch_by_hand::{Party, StretchByHand};
pub use turns::{Turns, Wait};
pub use undo::{RevertError, Reverter, Unsure, revert};
pub use undo_log::{Outstanding, Owner, UndoLog, UndoLogError};
pub use watchdog::watch_and_revert;
