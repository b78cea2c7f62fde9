//! A small client of both control APIs, for the command line.

mod connection;
mod native;
mod toxiproxy;

pub use connection::{Client, ClientError, Heard, Listening};
pub use toxiproxy::{ProxyView, ToxicOrder, ToxicSettings, ToxicView};
