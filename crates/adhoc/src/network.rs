//! Faults on a stretch of network by hand: from what was typed to sides, and how far the fault goes. What it does there
//! is the runner's.

use std::fmt;

use murphy_core::Tally;
use murphy_runner::{Lockable, Party, StretchByHand};
use murphy_scenario::{Caller, Stretch};

use crate::error::AdhocError;
use crate::happening::{Kind, Victim};

/// Which stretch, and how many it may concern.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkTarget {
    /// Between whom.
    pub stretch: Stretch,
    /// The compose project that names of services are meant in.
    pub project: Option<String>,
    /// At most so many containers and processes may be concerned.
    pub max: Option<u32>,
}

impl fmt::Display for NetworkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stretch.fmt(f)
    }
}

/// One side of a stretch: names with commas between them.
pub fn side(text: &str) -> Result<Vec<Caller>, murphy_scenario::CallerError> {
    text.split(',').map(str::parse).collect()
}

/// All that are concerned, within the cap.
pub(crate) async fn parties(
    target: &NetworkTarget,
    by_hand: &StretchByHand,
) -> Result<Vec<Party>, AdhocError> {
    let parties = by_hand.look().await?;
    match target.max {
        Some(max) if parties.len() > max as usize => Err(AdhocError::OverMax {
            target: target.to_string(),
            count: parties.len(),
            what: "networks",
            max,
            found: parties.into_iter().map(|one| one.name).collect(),
        }),
        _ => Ok(parties),
    }
}

pub(crate) fn victim(party: &Party) -> Victim {
    let (kind, id) = match &party.locks[0] {
        Lockable::Container(container) => (Kind::Container, container.id.clone()),
        Lockable::Process(process) => (Kind::Process, process.pid.to_string()),
        // Nobody is found by these.
        other @ (Lockable::Network(_) | Lockable::Project(_) | Lockable::Machine(_)) => {
            (Kind::Process, other.to_string())
        }
    };
    Victim { kind, name: party.name.clone(), id }
}

/// How it ended.
pub(crate) struct NetworkEnd {
    /// What it did, in words.
    pub(crate) told: Option<String>,
    /// What could not be taken back.
    pub(crate) failures: Vec<String>,
}

impl NetworkEnd {
    pub(crate) fn of(by_hand: &StretchByHand, (tally, failures): (Tally, Vec<String>)) -> NetworkEnd {
        NetworkEnd { told: by_hand.told(tally), failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_one_name_or_several() {
        let names =
            |text: &str| side(text).map(|side| side.iter().map(Caller::to_string).collect::<Vec<_>>());
        assert_eq!(names("web"), Ok(vec!["web".to_owned()]));
        assert_eq!(names("web, worker,pid:7"), Ok(["web", "worker", "pid:7"].map(str::to_owned).to_vec()));
        for text in ["", ",", "web,", "web,,db", "service:web"] {
            assert!(names(text).is_err(), "{text}");
        }
    }
}
