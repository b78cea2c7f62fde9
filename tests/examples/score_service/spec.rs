//! Which library stands before the callee, and how it is set.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The one library of a service. Times are in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub(crate) enum Spec {
    /// `tower::timeout`.
    Timeout {
        #[serde(deserialize_with = "seconds")]
        after: Duration,
    },
    /// `tower::retry`: so many attempts, one right after the other.
    Retry { attempts: NonZeroUsize, budget: Option<Budget> },
    /// `backon`: waits `base`, then `factor` times as long as before.
    Backon {
        attempts: NonZeroUsize,
        #[serde(deserialize_with = "seconds")]
        base: Duration,
        factor: f32,
        jitter: Jitter,
    },
    /// `recloser` around `tower::timeout`: opens once so many failures came in a row, for so long, and then lets so many calls and
    /// one pass before it decides again.
    Breaker {
        failures: NonZeroUsize,
        #[serde(deserialize_with = "seconds")]
        open: Duration,
        half_open: NonZeroUsize,
        counts: Counts,
        #[serde(deserialize_with = "seconds")]
        timeout: Duration,
    },
    /// `tower::limit`: so many at once.
    ConcurrencyLimit { places: NonZeroUsize, around: Around, beyond: Beyond },
}

/// `tower::retry::budget`: retries are such a share of the calls that went well within the time to live.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Budget {
    pub share: f32,
    #[serde(deserialize_with = "seconds")]
    pub time_to_live: Duration,
}

/// What chance does to a wait.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Jitter {
    None,
    /// Up to as much again is added.
    Added,
}

/// What the breaker takes for a failure.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Counts {
    Failures,
    /// Only what takes too long: it does not see a callee that fails at once.
    Timeouts,
}

/// What the limit stands around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Around {
    Calls,
    /// All that users ask for, whether it needs the callee or not.
    Requests,
}

/// What becomes of those who find no place.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Beyond {
    Queue,
    /// `tower::load_shed`.
    Refuse,
}

impl FromStr for Spec {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Spec, Self::Err> {
        serde_json::from_str(text)
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}
