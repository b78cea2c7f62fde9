//! What a person does by hand, now, without a scenario: one act on chosen processes, containers or a stretch of network,
//! once or again and again, and everything taken back at the end of its time, on a signal, and (by the watchdog) on SIGKILL; or one proxy
//! that sits between callers and their dependency, dialled by them or sitting in on them.
//!
//! It must never act before the undo is on disk, and never print: it tells what happens, the caller shows it.

mod attach;
mod calls;
mod carry;
mod desk;
mod error;
mod hands;
mod happening;
mod network;
mod order;
mod patterns;
mod pressure;
mod process;
mod proxy;
mod rounded;
mod saved;
mod schedule;
mod seat;
mod session;
mod sight;
mod sight_text;
mod watcher;
mod whom;
mod words;

pub use attach::{Attach, AttachedSeen, CallerSeen, FromWhom, FromWhomError};
pub use calls::{Calls, CallsSeen};
pub use carry::{Ending, carry_out, dry_run};
pub use error::AdhocError;
pub use happening::{CommandEnd, Happening, Kind, Planned, Victim};
pub use network::{NetworkTarget, side};
pub use order::{Consent, Deed, Holding, Order, OrderError, ProcessDeed};
pub use patterns::{Attempts, Breaker, Patterns, Timeout, expect_block};
pub use process::{ProcessChoice, ProcessTarget, choose_processes};
pub use proxy::{Company, Told, rehearse, sit};
pub use saved::{How, Named, NotSavable, savable, watched};
pub use schedule::{Asked, Schedule, ScheduleError};
pub use seat::{Route, Seat, SeatError, Switch};
pub use sight::{FaultSeen, Sight, Stretch};
pub use whom::{Whom, WhomError, Wish};
pub use words::{WordsError, words};
