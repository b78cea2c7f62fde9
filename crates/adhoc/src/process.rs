//! Chooses processes: those that match, less the excluded ones, then as many as were asked for, by seeded lots, and never
//! more than the cap. Murphy, its ancestors and pid 1 are never among them; that is the search's own rule.

use std::fmt;

use murphy_core::{Dice, Seed, sort_short};
use murphy_docker::Pick;
use murphy_host::{FindError, Found, Selector, find};

use crate::error::AdhocError;

/// Which processes.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessTarget {
    /// The condition.
    pub condition: Selector,
    /// A process that fulfils one of these is left out.
    pub exclude: Vec<Selector>,
    /// How many.
    pub pick: Pick,
    /// At most so many may be touched; more is an error and not a silent cut.
    pub max: Option<u32>,
}

impl fmt::Display for ProcessTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

/// What was chosen, and of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessChoice {
    /// At least one, by pid.
    pub targets: Vec<Found>,
    /// How many could have been chosen.
    pub of: usize,
}

/// Chooses among the processes that run now. `not` names Murphy's own helpers by a part of their command line.
pub fn choose_processes(
    target: &ProcessTarget,
    seed: Seed,
    not: Option<&str>,
) -> Result<ProcessChoice, AdhocError> {
    let mut free = find(&target.condition)?;
    if let Some(own) = not {
        free.retain(|found| !found.command_line.contains(own));
    }
    for condition in &target.exclude {
        match find(condition) {
            Ok(excluded) => {
                free.retain(|found| !excluded.iter().any(|other| other.identity == found.identity))
            }
            // Nobody to exclude, or only those that are never touched anyway.
            Err(FindError::NoMatch { .. } | FindError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let of = free.len();
    let listed =
        |of: &[Found]| of.iter().map(|p| format!("{} ({})", p.name, p.identity.pid)).collect::<Vec<_>>();
    if free.is_empty() {
        return Err(AdhocError::AllExcluded { target: target.to_string() });
    }
    let count = match target.pick {
        Pick::All => of,
        Pick::Count(wanted) if wanted as usize > of => {
            return Err(AdhocError::TooFew { target: target.to_string(), wanted, found: listed(&free) });
        }
        Pick::Count(wanted) => wanted as usize,
        Pick::Share(share) => ((share.as_fraction() * of as f64).round() as usize).clamp(1, of),
    };
    if count < of {
        // Each draws a lot of its own, so that one that joins or leaves does not change the lots of the others.
        let lot = |found: &Found| {
            (Dice::new(seed.derive(&found.command_line, found.identity.pid as u64)).bits(), found.identity)
        };
        sort_short(&mut free, |a, b| lot(a).cmp(&lot(b)));
        free.truncate(count);
    }
    sort_short(&mut free, |a, b| a.identity.pid.cmp(&b.identity.pid));
    match target.max {
        Some(max) if count > max as usize => {
            let (target, what) = (target.to_string(), "processes");
            Err(AdhocError::OverMax { target, count, what, max, found: listed(&free) })
        }
        _ => Ok(ProcessChoice { targets: free, of }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleepers(Vec<Child>);

    impl Drop for Sleepers {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    fn target(text: &str) -> ProcessTarget {
        ProcessTarget {
            condition: Selector::CommandLine(text.into()),
            exclude: Vec::new(),
            pick: Pick::All,
            max: None,
        }
    }

    #[test]
    fn so_many_are_picked_by_the_seed_and_never_more_than_the_cap() {
        let mark = format!("{}.5517", 600_000 + std::process::id());
        let spawn = || Command::new("sleep").arg(&mark).spawn().unwrap();
        let sleepers = Sleepers((0..6).map(|_| spawn()).collect());
        let all = target(&format!("sleep {mark}"));
        // A child's command line is its parent's until it has become the new program.
        while find(&all.condition).map_or(0, |found| found.len()) < sleepers.0.len() {
            std::thread::yield_now();
        }
        let chosen = |target: &ProcessTarget, seed: u64| choose_processes(target, Seed(seed), None);
        assert_eq!(chosen(&all, 1).unwrap().targets.len(), 6);
        let two = ProcessTarget { pick: Pick::Count(2), ..all.clone() };
        let picked = chosen(&two, 1).unwrap();
        assert_eq!((picked.targets.len(), picked.of), (2, 6));
        assert_eq!(chosen(&two, 1).unwrap(), picked, "the same seed, the same choice");
        assert!((2..40).any(|seed| chosen(&two, seed).unwrap() != picked), "another seed, another choice");
        let half = ProcessTarget { pick: "50%".parse().unwrap(), ..all.clone() };
        assert_eq!(chosen(&half, 1).unwrap().targets.len(), 3);
        let but_one =
            ProcessTarget { exclude: vec![Selector::Pid(sleepers.0[0].id() as i32)], ..all.clone() };
        assert_eq!(chosen(&but_one, 1).unwrap().of, 5);
        let too_many = ProcessTarget { pick: Pick::Count(7), ..all.clone() };
        assert!(matches!(chosen(&too_many, 1), Err(AdhocError::TooFew { wanted: 7, .. })));
        let capped = ProcessTarget { max: Some(5), ..all.clone() };
        let error = chosen(&capped, 1).unwrap_err().to_string();
        assert!(error.contains("6 processes") && error.contains("at most 5"), "{error}");
        let nobody = ProcessTarget { exclude: vec![all.condition.clone()], ..all.clone() };
        assert!(matches!(chosen(&nobody, 1), Err(AdhocError::AllExcluded { .. })));
        assert!(matches!(choose_processes(&all, Seed(1), Some(&mark)), Err(AdhocError::AllExcluded { .. })));
    }
}
