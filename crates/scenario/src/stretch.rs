//! The stretch of network on which a fault sits: between groups of containers, one way from some to others, or all that
//! leaves some of them.

use std::collections::BTreeSet;
use std::fmt;

use murphy_faults::{Effect, Fault, NetworkAction, Place};
use serde::Serialize;

use crate::caller::{Caller, CallerError};
use crate::fault_document::NetworkDoc;
use crate::names::Names;

/// A stretch of network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stretch {
    /// All packets between members of different groups, both ways; those within a group are not meant.
    Between {
        /// At least two groups, none of them empty.
        groups: Vec<Vec<Caller>>,
    },
    /// Packets that go from some to others, not those that come back.
    OneWay {
        /// Those that send; at least one.
        from: Vec<Caller>,
        /// Those that do not get it; at least one.
        to: Vec<Caller>,
    },
    /// All packets that leave these, whoever they are for.
    Of {
        /// At least one.
        callers: Vec<Caller>,
    },
}

/// Why callers make no stretch, or a fault cannot sit on one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StretchError {
    /// No form of a stretch, or two of them.
    #[error("a network is named in one of three ways")]
    Form,
    /// A name is none.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// Less than two groups.
    #[error("between what and what?")]
    OneSide,
    /// It cannot be cut off from itself.
    #[error("`{caller}` stands on both sides")]
    BothSides {
        /// Who.
        caller: Caller,
    },
    /// Two sides for a fault that knows none.
    #[error("`{fault}` on a network limits all that leaves an interface")]
    KnowsNoSides {
        /// Its name.
        fault: &'static str,
    },
    /// No sides for a fault that is about them.
    #[error("`{fault}` needs two sides")]
    NeedsSides {
        /// Its name.
        fault: &'static str,
    },
    /// Not a fault of a network.
    #[error("`{fault}` does not act on a network")]
    Elsewhere {
        /// Its name.
        fault: &'static str,
    },
}

impl NetworkDoc {
    /// The stretch that it names.
    pub fn stretch(&self) -> Result<Stretch, StretchError> {
        let callers = |names: &Names| names.0.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>();
        match (&self.between, &self.from, &self.to, &self.of) {
            (Some(groups), None, None, None) => {
                Stretch::between(groups.iter().map(callers).collect::<Result<_, _>>()?)
            }
            (None, Some(from), Some(to), None) => Stretch::one_way(callers(from)?, callers(to)?),
            (None, None, None, Some(of)) => Ok(Stretch::Of { callers: callers(of)? }),
            _ => Err(StretchError::Form),
        }
    }
}

impl Stretch {
    /// Between groups, none of them empty: at least two, and nobody in two of them.
    pub fn between(groups: Vec<Vec<Caller>>) -> Result<Stretch, StretchError> {
        if groups.len() < 2 {
            return Err(StretchError::OneSide);
        }
        let mut seen = BTreeSet::new();
        match groups.iter().flatten().find(|caller| !seen.insert(*caller)) {
            Some(caller) => Err(StretchError::BothSides { caller: caller.clone() }),
            None => Ok(Stretch::Between { groups }),
        }
    }

    /// From some to others, both not empty, and nobody in both.
    pub fn one_way(from: Vec<Caller>, to: Vec<Caller>) -> Result<Stretch, StretchError> {
        match from.iter().find(|caller| to.contains(caller)) {
            Some(caller) => Err(StretchError::BothSides { caller: caller.clone() }),
            None => Ok(Stretch::OneWay { from, to }),
        }
    }

    /// Whether a fault can sit on a stretch of this kind.
    pub fn takes(&self, fault: &Fault) -> Result<(), StretchError> {
        let whole = matches!(self, Stretch::Of { .. });
        let name = fault.name();
        match fault.effect_on(Place::Network) {
            Some(Effect::Network(NetworkAction::Bandwidth { .. })) if !whole => {
                Err(StretchError::KnowsNoSides { fault: name })
            }
            Some(Effect::Network(NetworkAction::Bandwidth { .. })) => Ok(()),
            Some(_) if whole => Err(StretchError::NeedsSides { fault: name }),
            Some(_) => Ok(()),
            None => Err(StretchError::Elsewhere { fault: name }),
        }
    }

    /// All that are named.
    pub fn callers(&self) -> impl Iterator<Item = &Caller> {
        let groups: Vec<&Vec<Caller>> = match self {
            Stretch::Between { groups } => groups.iter().collect(),
            Stretch::OneWay { from, to } => vec![from, to],
            Stretch::Of { callers } => vec![callers],
        };
        groups.into_iter().flatten()
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |group: &[Caller]| group.iter().map(Caller::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Stretch::Between { groups } => {
                f.write_str(&groups.iter().map(|group| list(group)).collect::<Vec<_>>().join(" | "))
            }
            Stretch::OneWay { from, to } => write!(f, "{} → {}", list(from), list(to)),
            Stretch::Of { callers } => write!(f, "network of {}", list(callers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_reads_like_a_drawing() {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Caller>>();
        let between = Stretch::Between { groups: vec![names(&["web", "worker"]), names(&["db"])] };
        assert_eq!(between.to_string(), "web, worker | db");
        assert_eq!(between.callers().count(), 3);
        let one_way = Stretch::OneWay { from: names(&["web"]), to: names(&["db"]) };
        assert_eq!(one_way.to_string(), "web → db");
        assert_eq!(Stretch::Of { callers: names(&["web"]) }.to_string(), "network of web");
    }
}
