//! What is known of the containers that are watched, and what follows from a new event: an exit, a restart, another
//! container in the place of one that is gone. Pure: a test drives it with made-up events.

use std::collections::BTreeMap;

use murphy_core::{ContainerHealth, ContainerIdentity, Span};

use super::happening::{Happening, What};
use crate::container::{Container, State};

/// Something that changed for a container that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its main process ended.
    Exited {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service.
        service: Option<String>,
        /// The exit code; 128 and more is a signal.
        code: i64,
        /// True if somebody had asked the engine to signal or stop it.
        asked: bool,
    },
    /// The kernel killed a process of it for want of memory.
    OutOfMemory {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service.
        service: Option<String>,
    },
    /// It runs again after an exit: a fault on its processes is gone with them.
    Restarted {
        /// Which.
        container: ContainerIdentity,
        /// Its compose service.
        service: Option<String>,
        /// How long it was down.
        down: Span,
    },
    /// A new container stands in its place: of the same name, or of the same number in the same compose service.
    Replaced {
        /// Which is gone.
        container: ContainerIdentity,
        /// Which stands in for it.
        by: Container,
    },
    /// One more container of the project runs.
    Joined {
        /// Which.
        container: Container,
    },
    /// It was removed, and nothing stands in for it so far.
    Removed {
        /// Which.
        container: ContainerIdentity,
    },
    /// Its health check changed its mind.
    Health {
        /// Which.
        container: ContainerIdentity,
        /// What it says now.
        health: ContainerHealth,
    },
}

/// Which containers are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// All of a compose project, also those to come.
    Project(String),
    /// These, and whatever takes their place.
    These(Vec<Container>),
}

#[derive(Debug, Clone)]
struct Known {
    container: Container,
    /// When it ended, by the engine's clock; `None` while it runs.
    ended: Option<i64>,
    asked: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    watched: Watched,
    known: BTreeMap<String, Known>,
    /// Removed ones whose place nobody has taken yet.
    gone: Vec<Container>,
}

impl Ledger {
    /// A ledger of the containers that are there now.
    pub(super) fn new(watched: Watched, there: &[Container]) -> Ledger {
        let mut ledger = Ledger { watched, known: BTreeMap::new(), gone: Vec::new() };
        for container in there {
            if ledger.concerns(container) {
                // A container that had ended before is known too: when it starts, that is a restart.
                let ended = (!is_up(container.state)).then_some(0);
                let known = Known { container: container.clone(), ended, asked: false };
                ledger.known.insert(container.identity.id.clone(), known);
            }
        }
        ledger
    }

    /// The containers that are watched now and run.
    pub(super) fn running(&self) -> Vec<Container> {
        self.known
            .values()
            .filter(|known| known.ended.is_none())
            .map(|known| known.container.clone())
            .collect()
    }

    fn concerns(&self, container: &Container) -> bool {
        match &self.watched {
            Watched::Project(project) => {
                container.project() == Some(project.as_str()) && !is_one_off(container)
            }
            Watched::These(these) => {
                these.iter().any(|one| one.identity.id == container.identity.id || same_place(one, container))
            }
        }
    }

    /// Takes one event in, and says what follows.
    pub(super) fn take(&mut self, happening: &Happening) -> Option<Change> {
        let id = &happening.container.identity.id;
        if let What::Started = happening.what {
            return self.started(happening);
        }
        let known = self.known.get_mut(id)?;
        let (container, service) =
            (known.container.identity.clone(), known.container.service().map(str::to_owned));
        match happening.what {
            What::Started => None,
            What::Asked => {
                known.asked = true;
                None
            }
            What::Ended(code) => {
                // An event that is told twice is one exit.
                if known.ended.is_some() {
                    return None;
                }
                known.ended = Some(happening.at);
                Some(Change::Exited { container, service, code, asked: known.asked })
            }
            What::OutOfMemory => Some(Change::OutOfMemory { container, service }),
            What::Health(health) => Some(Change::Health { container, health }),
            What::Removed => {
                let place_taken = self.known.values().any(|other| {
                    other.container.identity.id != *id && same_place(&other.container, &happening.container)
                });
                let gone = self.known.remove(id)?;
                (!place_taken).then(|| {
                    self.gone.push(gone.container);
                    Change::Removed { container }
                })
            }
        }
    }

    fn started(&mut self, happening: &Happening) -> Option<Change> {
        let (new, at) = (&happening.container, happening.at);
        if let Some(known) = self.known.get_mut(&new.identity.id) {
            known.asked = false;
            let ended = known.ended.take()?;
            let down = Span::from_micros(u64::try_from((at - ended) / 1_000).unwrap_or(0));
            let service = known.container.service().map(str::to_owned);
            // What had ended before the watch began has no known length of being down.
            let down = if ended == 0 { Span::ZERO } else { down };
            return Some(Change::Restarted { container: known.container.identity.clone(), service, down });
        }
        if !self.concerns(new) {
            return None;
        }
        let before = self
            .known
            .values()
            .find(|known| same_place(&known.container, new))
            .map(|known| known.container.identity.clone());
        let remembered =
            self.gone.iter().position(|gone| same_place(gone, new)).map(|at| self.gone.remove(at).identity);
        let known = Known { container: new.clone(), ended: None, asked: false };
        self.known.insert(new.identity.id.clone(), known);
        match before.or(remembered) {
            Some(container) => Some(Change::Replaced { container, by: new.clone() }),
            None => Some(Change::Joined { container: new.clone() }),
        }
    }

    /// After the event stream broke: what must have happened meanwhile, from a fresh list. Exit codes are read from the
    /// list's own words where they are there.
    pub(super) fn reconcile(&mut self, there: &[Container], at: i64) -> Vec<Change> {
        let happenings: Vec<Happening> = there
            .iter()
            .filter_map(|container| {
                let known = self.known.get(&container.identity.id);
                let what = match (known.map(|known| known.ended.is_none()), is_up(container.state)) {
                    (Some(true), false) => What::Ended(exit_code(&container.status)),
                    (Some(false) | None, true) => What::Started,
                    _ => return None,
                };
                Some(Happening { at, container: container.clone(), what })
            })
            .collect();
        let gone: Vec<Happening> = self
            .known
            .values()
            .filter(|known| !there.iter().any(|one| one.identity.id == known.container.identity.id))
            .map(|known| Happening { at, container: known.container.clone(), what: What::Removed })
            .collect();
        happenings.iter().chain(&gone).filter_map(|happening| self.take(happening)).collect()
    }
}

fn is_up(state: State) -> bool {
    matches!(state, State::Running | State::Paused)
}

fn is_one_off(container: &Container) -> bool {
    container.service().is_none()
}

/// True if both are the same one of a service, or bear the same name.
fn same_place(a: &Container, b: &Container) -> bool {
    let slot = |container: &Container| {
        Some((
            container.project()?.to_owned(),
            container.service()?.to_owned(),
            container.number()?.to_owned(),
        ))
    };
    match (slot(a), slot(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.identity.name == b.identity.name,
    }
}

/// `Exited (137) 3 minutes ago`.
fn exit_code(status: &str) -> i64 {
    status.split(['(', ')']).nth(1).and_then(|code| code.parse().ok()).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Inventory;

    fn happening(container: &Container, at: i64, what: What) -> Happening {
        Happening { at, container: container.clone(), what }
    }

    fn shop() -> (Container, Ledger) {
        let containers = Inventory::new().service("shop", "web", 1).containers();
        (containers[0].clone(), Ledger::new(Watched::Project("shop".into()), &containers))
    }

    fn anew(old: &Container) -> Container {
        let mut new = old.clone();
        new.identity.id = "f".repeat(64);
        new
    }

    #[test]
    fn a_crash_and_its_restart_are_told_with_the_time_between() {
        let (web, mut ledger) = shop();
        let exited = ledger.take(&happening(&web, 1_000_000, What::Ended(139))).unwrap();
        assert!(
            matches!(&exited, Change::Exited { code: 139, asked: false, service: Some(s), .. } if s == "web")
        );
        assert_eq!(ledger.take(&happening(&web, 1_000_000, What::Ended(139))), None, "told twice");
        assert!(ledger.running().is_empty());
        let Some(Change::Restarted { down, .. }) = ledger.take(&happening(&web, 4_000_000, What::Started))
        else {
            panic!("no restart");
        };
        assert_eq!(down, Span::from_millis(3));
    }

    #[test]
    fn an_end_that_somebody_asked_for_is_told_apart() {
        let (web, mut ledger) = shop();
        assert_eq!(ledger.take(&happening(&web, 1, What::Asked)), None);
        assert!(matches!(
            ledger.take(&happening(&web, 2, What::Ended(137))),
            Some(Change::Exited { asked: true, .. })
        ));
        ledger.take(&happening(&web, 3, What::Started));
        assert!(matches!(
            ledger.take(&happening(&web, 4, What::Ended(1))),
            Some(Change::Exited { asked: false, .. })
        ));
    }

    #[test]
    fn a_container_that_compose_makes_anew_is_a_replacement_in_either_order() {
        for removed_first in [true, false] {
            let (web, mut ledger) = shop();
            let new = anew(&web);
            ledger.take(&happening(&web, 1, What::Ended(0)));
            let removed = |ledger: &mut Ledger| ledger.take(&happening(&web, 2, What::Removed));
            if removed_first {
                assert!(matches!(removed(&mut ledger), Some(Change::Removed { .. })));
            }
            let change = ledger.take(&happening(&new, 3, What::Started));
            assert_eq!(change, Some(Change::Replaced { container: web.identity.clone(), by: new.clone() }));
            if !removed_first {
                assert_eq!(removed(&mut ledger), None);
            }
        }
    }

    #[test]
    fn a_single_container_that_is_removed_is_remembered_until_its_place_is_taken() {
        let old = Inventory::new().container("db", "postgres").containers();
        let mut ledger = Ledger::new(Watched::These(old.clone()), &old);
        ledger.take(&happening(&old[0], 1, What::Ended(0)));
        assert!(matches!(ledger.take(&happening(&old[0], 2, What::Removed)), Some(Change::Removed { .. })));
        let new = anew(&old[0]);
        let change = ledger.take(&happening(&new, 3, What::Started));
        assert_eq!(change, Some(Change::Replaced { container: old[0].identity.clone(), by: new }));
    }

    #[test]
    fn a_stranger_is_no_concern() {
        let (_, mut ledger) = shop();
        let other = Inventory::new().service("other", "web", 1).containers();
        for what in [What::Started, What::Ended(1), What::OutOfMemory, What::Removed] {
            assert_eq!(ledger.take(&happening(&other[0], 1, what)), None);
        }
    }

    #[test]
    fn after_a_gap_the_ledger_is_put_right_from_a_list() {
        let (web, mut ledger) = shop();
        let mut ended = web.clone();
        (ended.state, ended.status) = (State::Exited, "Exited (137) 2 seconds ago".into());
        let changes = ledger.reconcile(&[ended], 5);
        assert!(matches!(changes[..], [Change::Exited { code: 137, .. }]), "{changes:?}");
        assert!(ledger.reconcile(&[], 6).iter().any(|change| matches!(change, Change::Removed { .. })));
    }
}
