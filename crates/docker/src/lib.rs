//! Containers through an engine's API: finds them, acts on them, and says beforehand how to undo each act.
//!
//! This crate knows no fault of the catalogue and no scenario. It never touches a container that its owner protects,
//! never acts before the way back is known as plain data, and never answers for a container by name where an id is known.

mod action;
mod compose;
mod container;
mod endpoint;
mod engine;
mod error;
pub mod memory;
mod project;
mod readiness;
mod select;
mod transport;
mod watch;

pub use action::{
    ActError, Action, Applied, Command, Limits, Networks, Prepared, Removal, RevertError, Reverted, Signal,
    SignalError, restoring_options,
};
pub use compose::{ComposeError, ComposeProgram, ComposeStack, UpTimes};
pub use container::{Container, PROTECT_LABEL, State};
pub use endpoint::{Endpoint, EndpointError, Environment, SshHost};
pub use engine::{ApiVersion, Engine, EngineFacts, EngineKind, FindError, Scope};
pub use error::EngineError;
pub use readiness::{Readiness, ReadyError, readiness};
pub use select::{
    Choice, Pattern, Pick, PickError, SelectError, Selector, SelectorError, Target, TargetError, Wanted,
    choose,
};
pub use watch::{Change, ExitCauses, Mark, Watch, Watched};
