//! The live view with hands: edges with their figures, faults put on, tuned and taken off by key while traffic flows.
//!
//! It must never leave a fault behind, nor a terminal in a state in which nobody can type.

mod app;
mod figures;
mod order;
mod panes;
mod record;
mod screen;
mod source;
mod typed;
mod world;

pub use app::{App, Mode, Reaction, Row, Standing};
pub use figures::{CallEnd, Figures};
pub use order::{Hands, Order};
pub use panes::draw;
pub use record::{Record, SaveError};
pub use screen::{Shared, show};
pub use source::follow::{Follow, FollowError};
pub use source::own::{EdgeSpec, Own, SavedCaller, Via};
pub use typed::{Turn, TypedError};
pub use world::{ContainerState, Door, Edge, Happening, Loudness, StandingFault, World};
