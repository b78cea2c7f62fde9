//! What the tests of more than one crate need: an HTTP server that behaves as told, ports, golden journals, how far a long test
//! may go, turns for those that measure, a PostgreSQL, and the question whether there is a container engine. A dev-dependency only; nothing here may end up in the binary.

mod bounds;
mod engine;
mod engine_call;
pub mod golden;
mod http_server;
mod port;
mod postgres;
mod sandbox;
mod skip;
mod turn;
mod victim;

pub use bounds::{most_memory_kib, number};
pub use engine::{Engine, engine_or_skip};
pub use engine_call::{EngineAnswer, EngineCallError};
pub use http_server::{Answer, Asked, Counts, HttpServer};
pub use port::free_port;
pub use postgres::{Postgres, postgres_or_skip, program_or_skip};
pub use sandbox::{Member, Sandbox};
pub use skip::{skip, skipped};
pub use turn::{Turn, turn};
pub use victim::victim_image;
