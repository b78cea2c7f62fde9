//! A measured value with its unit and its interval, as every table and every fact gives it. Its numbers are never rounded: only its
//! text is.

use serde::{Deserialize, Serialize};

/// The unit of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A share of a whole, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// A ratio, 1 is unchanged.
    Ratio,
    /// A number of things.
    Count,
    /// Events a second.
    PerSecond,
}

/// A measured value with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// As printed: `1.32s [1.29, 1.39]`.
    pub text: String,
    /// Unit of the numbers.
    pub unit: Unit,
    /// The value, if there is one.
    pub value: Option<f64>,
    /// Lower end of the interval; `None` if the data give none.
    pub low: Option<f64>,
    /// Upper end of the interval; `None` if the data give none.
    pub high: Option<f64>,
    /// Of how many observations.
    pub n: u64,
    /// How many of them count as good, for a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<u64>,
}
