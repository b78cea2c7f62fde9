//! Faults of a byte stream: each file holds the data, its check, its effect and the effect's tests.
//!
//! Effects are pure: no clock, no socket, no log. Moments come in with the chunks and go out with them.

mod bandwidth;
mod blackhole;
mod breaker;
mod connection_limit;
mod corrupt;
mod drop;
mod latency;
mod limit;
mod loss;
mod refuse;
mod reset;
mod slice;
mod slow_close;
mod slow_open;
mod timeout;
mod tls_handshake;
mod trigger;

pub use bandwidth::{Bandwidth, Scope};
pub use blackhole::Blackhole;
pub use connection_limit::{Beyond, ConnectionLimit};
pub use corrupt::Corrupt;
pub use drop::Drop;
pub use latency::{Distribution, Latency};
pub use limit::{Limit, Then};
pub use loss::Loss;
pub use refuse::Refuse;
pub use reset::Reset;
pub use slice::Slice;
pub use slow_close::SlowClose;
pub use slow_open::SlowOpen;
pub use timeout::Timeout;
pub use tls_handshake::{Meets, TlsHandshake};

/// Bytes that may wait behind an effect that itself holds nothing back: enough to keep a fast receiver busy.
const PASSING: usize = 256 * 1024;
