//! What users do to a service, and questions about its health.
//!
//! Load is open loop: the times of all requests are fixed in advance by a seed, and no request waits for the answer to
//! an earlier one. A slow service therefore cannot slow down the measurement of itself (coordinated omission). This
//! crate must never skip a planned request in silence, and never repeat one behind the caller's back.

mod ask_postgres;
mod ask_redis;
mod command;
mod connection;
mod drive;
mod head;
mod header_test;
mod probe;
mod ready;
mod request;
mod schedule;
mod server;
mod status;
mod ticket;
mod watch;

pub use ask_postgres::PostgresQuestion;
pub use ask_redis::RedisQuestion;
pub use drive::{BodyRule, Flow, HttpLoad, LoadSummary, Renewed, Writes, drive};
pub use header_test::{HeaderTest, HeaderValue};
pub use probe::{Asker, CommandQuestion, Question, Reply, Said, ask, ask_for_all};
pub use ready::{NotReady, wait_ready};
pub use request::{HttpRequest, RequestError};
pub use schedule::{Arrival, Arrivals, ArrivalsError, Schedule};
pub use server::{Expected, Server};
pub use status::{StatusError, StatusSet};
pub use watch::watch;
