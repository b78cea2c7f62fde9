//! First scenarios for people who have none: from the embedded example, or from a compose file. Text in, texts out; nothing
//! in here reads a file, asks an engine or starts anything.
//!
//! What is proposed is a guess, says so, and says what it was guessed from.

mod compose;
mod dependency;
mod first;
mod write;

pub use compose::{Compose, ComposeError, Service};
pub use dependency::{Dependency, Technology, dependencies};
pub use first::first;
pub use write::{Proposal, scenarios};
