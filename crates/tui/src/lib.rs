//! The live view with hands: edges with their figures, faults put on, tuned and taken off by key while traffic flows.
//!
//! It must never leave a fault behind, nor a terminal in a state in which nobody can type.

mod app;
mod connections;
mod connections_keys;
mod connections_pane;
mod figures;
mod order;
mod paint;
mod panes;
mod panics;
mod record;
mod screen;
mod source;
mod stack;
mod stack_keys;
mod stack_pane;
mod typed;
mod words;
mod world;

pub use app::{App, Mode, Reaction, Row, Standing};
pub use connections::{Behind, Listed, OpenConnection, Page, Window};
pub use figures::{CallEnd, Figures};
pub use order::{Hands, Heard, Order};
pub use paint::Paint;
pub use panes::draw;
pub use record::{At, Record, Recorded, SaveError};
pub use screen::{Shared, ShowError, show};
pub use source::daemon::{Daemon, DaemonError};
pub use source::follow::{Follow, FollowError};
pub use source::own::{EdgeSpec, Own, SavedCaller, Via};
pub use source::stack::{Stack, StackConfig, StackOf};
pub use stack::{Blow, ContainerState, Load, Proposal, Said, StackOrder, Struck, Touch};
pub use stack_keys::Focus;
pub use typed::{Turn, TypedError};
pub use world::{Door, Edge, Happening, Loudness, StandingFault, Teller, Whose, World};
