//! Chooses targets from a list of containers: what matches, less what is excluded or protected, then as many as were
//! asked for, by seeded dice, and never more than the cap. The same list and seed give the same choice.

use murphy_core::{ContainerIdentity, Dice, Seed, sort_short};

use super::pick::Pick;
use super::selector::Selector;
use super::target::Target;
use super::{Pattern, nearest};
use crate::container::{Container, PROTECT_LABEL, State};

/// In which states a container is a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// At work: what nearly every fault needs.
    #[default]
    Running,
    /// At work or frozen.
    RunningOrPaused,
    /// Whatever it does.
    Any,
}

impl Wanted {
    fn takes(self, state: State) -> bool {
        match self {
            Wanted::Running => state == State::Running,
            Wanted::RunningOrPaused => matches!(state, State::Running | State::Paused),
            Wanted::Any => true,
        }
    }
}

/// What was chosen, and of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The targets, by name; at least one.
    pub targets: Vec<Container>,
    /// How many could have been chosen.
    pub of: usize,
    /// Those that match but are protected by their owner.
    pub protected: Vec<ContainerIdentity>,
}

/// Why there is no choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing matches.
    #[error("no running container matches `{target}`{}; {}", meant(.guess.as_deref()), running_list(.running))]
    Nothing {
        /// As asked.
        target: String,
        /// What runs, for the message.
        running: Vec<String>,
        /// What was probably meant.
        guess: Option<String>,
    },
    /// Something matches, but nothing of it runs.
    #[error("`{target}` matches only containers that do not run: {}", .found.join(", "))]
    NotRunning {
        /// As asked.
        target: String,
        /// Names with their state.
        found: Vec<String>,
    },
    /// Everything that matches is protected or excluded.
    #[error("all that `{target}` matches is protected by the label {PROTECT_LABEL}=true or excluded: {}", .found.join(", "))]
    AllProtected {
        /// As asked.
        target: String,
        /// Names.
        found: Vec<String>,
    },
    /// More were asked for than there are.
    #[error("asked to pick {wanted} of `{target}`, but only {there} can be touched: {}", .found.join(", "))]
    TooFew {
        /// As asked.
        target: String,
        /// How many were asked for.
        wanted: u32,
        /// How many there are.
        there: usize,
        /// Names.
        found: Vec<String>,
    },
    /// More would be touched than the cap allows.
    #[error(
        "`{target}` would touch {count} containers, and at most {max} may be: {}; narrow it, or pick {max}, or raise the maximum",
        .found.join(", ")
    )]
    OverMax {
        /// As asked.
        target: String,
        /// How many would be touched.
        count: usize,
        /// The cap.
        max: u32,
        /// Names.
        found: Vec<String>,
    },
}

fn meant(guess: Option<&str>) -> String {
    guess.map(|guess| format!("; did you mean `{guess}`?")).unwrap_or_default()
}

fn running_list(running: &[String]) -> String {
    const SHOWN: usize = 12;
    match running.len() {
        0 => "no container is running at all".to_owned(),
        count => {
            let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
            format!("running: {}{more}", running[..count.min(SHOWN)].join(", "))
        }
    }
}

/// Chooses the targets among these containers.
pub fn choose(
    containers: &[Container],
    target: &Target,
    seed: Seed,
    wanted: Wanted,
) -> Result<Choice, SelectError> {
    let asked = || target.to_string();
    let matching: Vec<&Container> =
        containers.iter().filter(|c| target.all_of.iter().all(|selector| selector.matches(c))).collect();
    if matching.is_empty() {
        let running: Vec<&Container> = containers.iter().filter(|c| Wanted::Running.takes(c.state)).collect();
        return Err(SelectError::Nothing {
            target: asked(),
            guess: guess(target, &running),
            running: running.into_iter().map(Container::label).collect(),
        });
    }
    let in_state: Vec<&Container> = matching.iter().copied().filter(|c| wanted.takes(c.state)).collect();
    if in_state.is_empty() {
        let found = matching.iter().map(|c| format!("{} ({})", c.name(), c.state)).collect();
        return Err(SelectError::NotRunning { target: asked(), found });
    }
    let protected: Vec<ContainerIdentity> =
        in_state.iter().filter(|c| c.is_protected()).map(|c| c.identity.clone()).collect();
    let mut free: Vec<&Container> = in_state
        .iter()
        .copied()
        .filter(|c| !c.is_protected() && !target.exclude.iter().any(|selector| selector.matches(c)))
        .collect();
    if free.is_empty() {
        let found = in_state.iter().map(|c| c.label()).collect();
        return Err(SelectError::AllProtected { target: asked(), found });
    }
    let of = free.len();
    let count = match target.pick {
        Pick::All => of,
        Pick::Count(wanted) if wanted as usize > of => {
            let found = free.iter().map(|c| c.label()).collect();
            return Err(SelectError::TooFew { target: asked(), wanted, there: of, found });
        }
        Pick::Count(wanted) => wanted as usize,
        Pick::Share(share) => ((share.as_fraction() * of as f64).round() as usize).clamp(1, of),
    };
    if count < of {
        // Each container draws a lot of its own, from the seed and its name. So a container that joins or leaves does
        // not change the lots of the others, and a container that is made anew draws as before.
        let lot = |c: &Container| Dice::new(seed.derive(c.name(), 0)).bits();
        sort_short(&mut free, |a, b| lot(a).cmp(&lot(b)).then_with(|| a.identity.id.cmp(&b.identity.id)));
        free.truncate(count);
    }
    sort_short(&mut free, |a, b| {
        a.identity.name.cmp(&b.identity.name).then_with(|| a.identity.id.cmp(&b.identity.id))
    });
    if let Some(max) = target.max
        && count > max as usize
    {
        let found = free.iter().map(|c| c.label()).collect();
        return Err(SelectError::OverMax { target: asked(), count, max, found });
    }
    Ok(Choice { targets: free.into_iter().cloned().collect(), of, protected })
}

/// What was probably meant: the same word as another kind of selector, or a word that is nearly the same.
fn guess(target: &Target, running: &[&Container]) -> Option<String> {
    let [selector] = target.all_of.as_slice() else { return None };
    let (Selector::Name(Pattern::Exact(word))
    | Selector::Service(Pattern::Exact(word))
    | Selector::Project(Pattern::Exact(word))
    | Selector::Image(Pattern::Exact(word))) = selector
    else {
        return None;
    };
    let services: Vec<&str> = running.iter().filter_map(|c| c.service()).collect();
    let projects: Vec<&str> = running.iter().filter_map(|c| c.project()).collect();
    let names: Vec<&str> = running.iter().map(|c| c.name()).collect();
    let exact = |words: &[&str]| words.contains(&word.as_str());
    let same_word = if exact(&services) {
        Some(format!("service:{word}"))
    } else if exact(&names) {
        Some(word.clone())
    } else if exact(&projects) {
        Some(format!("project:{word}"))
    } else if running.iter().any(|c| Selector::Image(Pattern::Exact(word.clone())).matches(c)) {
        Some(format!("image:{word}"))
    } else {
        None
    };
    same_word
        .or_else(|| nearest(word, services.iter().copied()).map(|service| format!("service:{service}")))
        .or_else(|| nearest(word, names.iter().copied()).map(str::to_owned))
        .or_else(|| nearest(word, projects.iter().copied()).map(|project| format!("project:{project}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Inventory;
    use proptest::prelude::*;

    fn shop() -> Vec<Container> {
        Inventory::new()
            .service("shop", "web", 4)
            .service("shop", "redis", 1)
            .service("other", "web", 1)
            .containers()
    }

    fn target(yaml: &str) -> Target {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn names(choice: &Choice) -> Vec<&str> {
        choice.targets.iter().map(Container::name).collect()
    }

    #[test]
    fn conditions_narrow_and_exceptions_take_away() {
        let choice = choose(
            &shop(),
            &target("{ service: web, project: shop, exclude: '*-2' }"),
            Seed(1),
            Wanted::Running,
        );
        assert_eq!(names(&choice.unwrap()), ["shop-web-1", "shop-web-3", "shop-web-4"]);
    }

    #[test]
    fn nothing_is_an_error_that_lists_what_runs_and_guesses() {
        let error =
            choose(&shop(), &target("service:redsi"), Seed(1), Wanted::Running).unwrap_err().to_string();
        assert!(error.contains("did you mean `service:redis`?") && error.contains("shop-web-1"), "{error}");
        let error = choose(&shop(), &target("redis"), Seed(1), Wanted::Running).unwrap_err().to_string();
        assert!(error.contains("did you mean `service:redis`?"), "{error}");
        let error = choose(&[], &target("web"), Seed(1), Wanted::Running).unwrap_err().to_string();
        assert!(error.contains("no container is running at all"), "{error}");
    }

    #[test]
    fn a_container_that_does_not_run_is_no_target_and_the_error_says_so() {
        let mut containers = shop();
        containers[0].state = State::Exited;
        let name = containers[0].name().to_owned();
        let error = choose(&containers, &target(&name), Seed(1), Wanted::Running).unwrap_err();
        assert_eq!(
            error,
            SelectError::NotRunning { target: name.clone(), found: vec![format!("{name} (exited)")] }
        );
        assert!(choose(&containers, &target(&name), Seed(1), Wanted::Any).is_ok());
    }

    #[test]
    fn more_than_there_are_and_more_than_the_cap_are_errors() {
        let error =
            choose(&shop(), &target("{ service: redis, pick: 2 }"), Seed(1), Wanted::Running).unwrap_err();
        assert!(matches!(error, SelectError::TooFew { wanted: 2, there: 1, .. }), "{error}");
        let error =
            choose(&shop(), &target("{ service: web, max: 2 }"), Seed(1), Wanted::Running).unwrap_err();
        assert!(matches!(error, SelectError::OverMax { count: 5, max: 2, .. }), "{error}");
        assert!(error.to_string().contains("pick 2"), "{error}");
    }

    #[test]
    fn a_share_is_rounded_and_never_nothing() {
        let count = |yaml| choose(&shop(), &target(yaml), Seed(1), Wanted::Running).unwrap().targets.len();
        assert_eq!(count("{ project: shop, service: web, pick: 50% }"), 2);
        assert_eq!(count("{ project: shop, service: web, pick: 1% }"), 1);
        assert_eq!(count("{ project: shop, service: web, pick: 100% }"), 4);
    }

    proptest! {
        #[test]
        fn protected_containers_are_never_chosen(seed: u64, mask in 0u8..64, pick in 1u32..6) {
            let mut containers = shop();
            for (at, container) in containers.iter_mut().enumerate() {
                if mask >> at & 1 == 1 {
                    container.labels.insert(PROTECT_LABEL.into(), "true".into());
                }
            }
            let mut all = target("'*'");
            all.pick = Pick::Count(pick);
            let free = containers.iter().filter(|c| !c.is_protected()).count();
            match choose(&containers, &all, Seed(seed), Wanted::Running) {
                Ok(choice) => {
                    prop_assert_eq!(choice.targets.len(), pick as usize);
                    prop_assert!(choice.targets.iter().all(|c| !c.is_protected()));
                    prop_assert_eq!(choice.of, free);
                }
                Err(_) => prop_assert!(free < pick as usize),
            }
        }

        #[test]
        fn a_container_that_leaves_changes_no_lot_but_its_own(seed: u64, leaves in 0usize..6) {
            let containers = shop();
            let mut two = target("'*'");
            two.pick = Pick::Count(2);
            let before = choose(&containers, &two, Seed(seed), Wanted::Running).unwrap();
            let mut fewer = containers.clone();
            let gone = fewer.remove(leaves);
            let after = choose(&fewer, &two, Seed(seed), Wanted::Running).unwrap();
            for kept in before.targets.iter().filter(|c| **c != gone) {
                prop_assert!(after.targets.contains(kept));
            }
        }
    }

    #[test]
    fn every_container_is_chosen_about_equally_often() {
        let containers = shop();
        let mut one = target("'*'");
        one.pick = Pick::Count(1);
        let mut hits = std::collections::BTreeMap::new();
        for seed in 0..6_000 {
            let choice = choose(&containers, &one, Seed(seed), Wanted::Running).unwrap();
            *hits.entry(choice.targets[0].name().to_owned()).or_insert(0) += 1;
        }
        // Six containers: 1 000 each; five standard deviations of a binomial of 6 000 at 1/6 are about 145.
        assert!(hits.len() == 6 && hits.values().all(|n| (850..=1_150).contains(n)), "{hits:?}");
    }
}
