//! Names and numbers by which things are known, each its own type so that two cannot be swapped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit")]
pub struct NameError {
    /// The text as written.
    pub name: String,
}

fn checked(name: &str) -> Result<String, NameError> {
    let good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if good { Ok(name.to_owned()) } else { Err(NameError { name: name.to_owned() }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks the spelling.
            pub fn new(name: &str) -> Result<$type, NameError> {
                checked(name).map($type)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<$type, NameError> {
                $type::new(&name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<$type, NameError> {
                $type::new(name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// The calls between one service and one dependency, on which faults can sit.
    EdgeName
}
name! {
    /// One stream of user requests.
    LoadName
}
name! {
    /// A question asked of the system now and then.
    ProbeName
}
name! {
    /// A service, started by Murphy or of the stack.
    ServiceName
}
name! {
    /// One fault of a run, unique in it: `latency-1`, or the name given.
    FaultId
}
name! {
    /// Somebody's claim on faults of a daemon: they end with it.
    LeaseName
}
name! {
    /// Faults of a daemon that are put on, changed and taken off together.
    RuleSetName
}

impl EdgeName {
    /// This name, or else the first one of it with a number behind it that is not taken.
    pub fn free(&self, taken: impl Fn(&EdgeName) -> bool) -> EdgeName {
        let (mut name, mut number) = (self.clone(), 1_u64);
        while taken(&name) {
            number += 1;
            // Short enough for any number: what is cut stays a name, for all of its signs are ASCII.
            name = EdgeName(format!("{:.40}-{number}", self.0));
        }
        name
    }
}

/// The ordinal of a connection on its edge, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The way that bytes travel through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the caller to the dependency: requests.
    ToUpstream,
    /// From the dependency to the caller: answers.
    ToClient,
}

/// Which ways a fault sits on.
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
pub enum Directions {
    /// Requests only.
    ToUpstream,
    /// Answers only; the default, so that a delay is felt once a round trip.
    #[default]
    ToClient,
    /// Both ways.
    Both,
}

impl Directions {
    /// True if the fault sits on this way.
    pub fn covers(self, direction: Direction) -> bool {
        match self {
            Directions::Both => true,
            Directions::ToUpstream => direction == Direction::ToUpstream,
            Directions::ToClient => direction == Direction::ToClient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_path_or_a_report_are_refused() {
        for name in ["", "-a", "a b", "a/b", "ä", "..", &"x".repeat(65)] {
            assert!(EdgeName::new(name).is_err(), "{name:?} was accepted");
        }
        assert_eq!(EdgeName::new("cart-cache").unwrap().as_str(), "cart-cache");
    }

    #[test]
    fn a_name_that_is_taken_gets_the_first_free_number_however_long_it_is() {
        let named = |name: &str| EdgeName::new(name).unwrap();
        let free = |name: &str, taken: &[EdgeName]| named(name).free(|one| taken.contains(one));
        assert_eq!(free("db", &[named("cache"), named("db-2")]), named("db"));
        assert_eq!(free("db", &[named("db")]), named("db-2"));
        assert_eq!(free("db", &["db", "db-2", "db-4"].map(named)), named("db-3"));
        for length in [40, 41, 62, 63, 64] {
            let long = "x".repeat(length);
            let mut taken = Vec::new();
            for number in 1..=12 {
                let name = free(&long, &taken);
                let expected = if number == 1 { long.clone() } else { format!("{}-{number}", &long[..40]) };
                assert_eq!(name, named(&expected), "of {length} characters");
                taken.push(name);
            }
        }
        assert!(EdgeName::new(free(&"x".repeat(64), &[named(&"x".repeat(64))]).as_str()).is_ok());
    }
}
