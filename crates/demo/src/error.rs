//! Why a service could not be run.

use std::io;

use thiserror::Error;

use crate::Address;

/// Why a service could not be run.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The address to listen on is taken, or is not this machine's.
    #[error(
        "the {service} service cannot listen on {listen}: {source}; choose another with --listen HOST:PORT"
    )]
    Bind {
        /// Which service.
        service: &'static str,
        /// Where it was to listen.
        listen: Address,
        /// The system's error.
        source: io::Error,
    },
    /// The careless cart needs Redis to start.
    #[error(
        "the careless cart service does not start without Redis at {redis}: {source}; start Redis, or run it --careful"
    )]
    Redis {
        /// Where Redis should be.
        redis: Address,
        /// The library's error.
        source: redis::RedisError,
    },
}
