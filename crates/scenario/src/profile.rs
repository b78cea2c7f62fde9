//! Ready-made phase lengths.

use std::fmt;
use std::str::FromStr;

use murphy_core::{PhaseLengths, Span};
use serde::{Deserialize, Serialize};

/// A set of phase lengths. Lengths written out in `phases:` win over it, one by one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// To try a scenario out: warm-up 1s, baseline 5s, fault 5s, recovery 5s. Too short for most tail latencies.
    Quick,
    /// For every change: warm-up 5s, baseline 20s, fault 30s, recovery 30s. The default.
    #[default]
    Ci,
    /// Before a release: warm-up 10s, baseline 60s, fault 90s, recovery 120s.
    Release,
}

impl Profile {
    /// All of them, the shortest first.
    pub const ALL: [Profile; 3] = [Profile::Quick, Profile::Ci, Profile::Release];

    /// The name used in YAML and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Quick => "quick",
            Profile::Ci => "ci",
            Profile::Release => "release",
        }
    }

    /// How long each phase lasts.
    pub fn phases(self) -> PhaseLengths {
        let [warm_up, baseline, fault, recovery] = match self {
            Profile::Quick => [1, 5, 5, 5],
            Profile::Ci => [5, 20, 30, 30],
            Profile::Release => [10, 60, 90, 120],
        }
        .map(Span::from_secs);
        PhaseLengths { warm_up, baseline, fault, recovery, quiet: Span::ZERO, again: Span::ZERO }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a profile; write quick, ci or release")]
pub struct ProfileError {
    /// The name as written.
    pub name: String,
}

impl FromStr for Profile {
    type Err = ProfileError;
    fn from_str(name: &str) -> Result<Profile, ProfileError> {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| ProfileError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_profile_is_longer_in_every_phase() {
        for pair in Profile::ALL.windows(2) {
            let (short, long) = (pair[0].phases(), pair[1].phases());
            assert!(short.warm_up < long.warm_up && short.baseline < long.baseline);
            assert!(short.fault < long.fault && short.recovery < long.recovery);
        }
        assert_eq!("ci".parse(), Ok(Profile::Ci));
        assert!("CI".parse::<Profile>().is_err());
    }
}
