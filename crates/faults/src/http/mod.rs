//! Faults of requests and answers: each file holds the data, its check and its steps.
//!
//! Faults are data; the proxy carries their steps out. A fault never sees a request.

mod abort;
mod body;
mod delay;
mod drip;
mod grpc;
mod hang;
mod headers;
mod lose_response;
mod malform;
mod matching;
mod pattern;
mod rate_limit;
mod reply;
mod stale_keep_alive;
mod truncate;
mod which;

pub use abort::{Abort, AbortWith, Moment};
pub use body::Body;
pub use delay::{Before, Delay};
pub use drip::Drip;
pub use grpc::GrpcStatus;
pub use hang::Hang;
pub use headers::{Headers, Of};
pub use lose_response::{Instead, LoseResponse};
pub use malform::{Flaw, Malform};
pub use matching::Match;
pub use pattern::{PathPattern, PatternError, TextPattern};
pub use rate_limit::RateLimit;
pub use stale_keep_alive::StaleKeepAlive;
pub use truncate::Truncate;
pub use which::{Per, PerError, Which};
