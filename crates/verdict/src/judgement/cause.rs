//! Why a row failed, as far as it can be told from outside. Plain data: what tells one cause from another is in `why`.

use serde::Serialize;

/// Why a row failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The row.
    pub row: String,
    /// Its label, as printed.
    pub label: String,
    /// The kind of cause; `unknown` if none fits what was seen.
    pub cause: Cause,
    /// The mechanism, with its numbers.
    pub mechanism: String,
    /// One concrete change.
    pub change: String,
}

/// The kinds of cause that can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A service's process ended by itself.
    Crash,
    /// A sick instance is called on although others are well.
    NoFailover,
    /// Degraded answers were served that the author does not allow.
    DegradedAnswers,
    /// The caller waits for as long as the dependency takes.
    NoTimeout,
    /// The caller gives up, but later than the bound.
    TimeoutTooLong,
    /// Tries and waits add up.
    Retries,
    /// An error of the dependency is handed on to the user.
    ErrorPassedOn,
    /// The caller gives up in time, but has nothing else to answer with.
    NoFallback,
    /// Requests wait for a place in a full pool.
    Queue,
    /// Nothing limits the calls in flight, or what does allows too many.
    NoLimit,
    /// Too many calls for each user request.
    Amplification,
    /// Writes are acknowledged before they are safe.
    LostWrites,
    /// Messages are given up while what they need is away.
    GivenUp,
    /// What was done is done once more, for the caller did not learn of it and the callee cannot tell a second try.
    DoneTwice,
    /// The caller keeps calling.
    NoBreaker,
    /// Tries follow one another without growing waits, or in step with others.
    NoBackOff,
    /// Everybody connects at once.
    Herd,
    /// Connections stay behind.
    Leak,
    /// The load itself keeps the service down.
    Metastable,
    /// Nobody is refused when there are too many.
    NoShedding,
    /// More users come than can be served.
    TooMany,
    /// A health check says something else than the service does.
    HealthCheck,
    /// A service does not start without a dependency.
    NeededToStart,
    /// The service comes back late.
    SlowRecovery,
    /// Not told by what was seen.
    Unknown,
}
