//! Faults of containers: data only; the engine layer carries the actions out and knows the way back.

mod disconnect;
mod exec;
mod limits;
mod pause;
mod remove;
mod restart;
mod stop;

pub use disconnect::Disconnect;
pub use pause::Pause;
pub use remove::Remove;
pub use restart::Restart;
pub use stop::Stop;

use murphy_core::Span;

/// The time that a container has to end in order, if nothing is said: what engines give.
fn usual_grace() -> Span {
    Span::from_secs(10)
}
