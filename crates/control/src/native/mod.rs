//! The native API below `/v1`: every stream fault with all its fields, sets of rules, leases, live connections, events.
//!
//! One table of operations makes the router and the OpenAPI document, so that neither can know what the other does not.

mod api;
mod guard;
mod openapi;
mod operations;
mod orders;
mod problem;
mod request;
mod types;

pub use api::{Answer, MOST_CONNECTIONS, NativeApi};
pub use guard::{Guard, Reach, Token};
pub use openapi::{OPENAPI, document as openapi};
pub use orders::{FaultOrder, NewFault, NewProxy, ProxyPatch};
pub(crate) use problem::{Finding, Problem};
pub(crate) use types::in_millis;
pub use types::{ConnectionDoc, DecisionDoc, FaultDoc, ProxyDoc, StageDoc, ToxicDoc, TrafficDoc};
