//! A number of processors.

use std::fmt;

/// A number of processors, in billionths of one. Written as a plain number, as engines and compose do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, schemars::JsonSchema)]
#[schemars(with = "f64")]
pub struct Cpus(i64);

/// Why a number is not one of processors.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{number} is not a number of processors: write 0.01 or more, like 0.5")]
pub struct CpusError {
    /// As written.
    pub number: f64,
}

impl Cpus {
    /// From a number of processors; at least 0.01, which is the least that the kernel can share out.
    pub fn new(number: f64) -> Result<Cpus, CpusError> {
        if (0.01..=4096.0).contains(&number) {
            Ok(Cpus((number * 1e9).round() as i64))
        } else {
            Err(CpusError { number })
        }
    }

    /// As a plain number: `0.5` is half of one.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Billionths of one processor.
    pub fn as_nanos(self) -> i64 {
        self.0
    }
}

impl TryFrom<f64> for Cpus {
    type Error = CpusError;
    fn try_from(number: f64) -> Result<Cpus, CpusError> {
        Cpus::new(number)
    }
}

impl serde::Serialize for Cpus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e9)
    }
}

impl<'de> serde::Deserialize<'de> for Cpus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Cpus, D::Error> {
        Cpus::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_processor_at_all_is_refused() {
        for number in [0.0, -1.0, f64::NAN, 1e9, 0.001] {
            assert!(Cpus::new(number).is_err(), "{number}");
        }
    }
}
