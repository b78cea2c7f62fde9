//! Drives the built binary end to end, as a user would: what the tests in `tests/` share.

mod action;
mod answering;
mod bench;
mod cart_stack;
mod catalogue;
mod composing;
mod daemon;
mod echo;
mod ending;
mod example_stack;
mod foreign;
mod keeping;
mod long;
mod million;
mod sitting;
mod terminal;
mod three;
mod wait;

pub use action::{action, repository};
pub use answering::answering;
pub use bench::{Bench, Finished, expecting, free_ports, murphy, redis_or_skip};
pub use cart_stack::{CartStack, cart, get, lent, redis};
pub use catalogue::catalogue_scenario;
pub use composing::Composing;
pub use daemon::Daemon;
pub use echo::{echo, round_trip};
pub use ending::{finish, kill_with_watchdog, send};
pub use example_stack::{base_image, whole_example};
pub use foreign::{clients, kept, kept_python, run, skip};
pub use keeping::{Keeping, keeping};
pub use long::long_scenario;
pub use million::LongRun;
pub use sitting::Sitting;
pub use terminal::Terminal;
pub use three::Three;
pub use wait::{eventually, processes_with};
