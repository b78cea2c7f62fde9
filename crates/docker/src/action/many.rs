//! Acts on many containers at once, so that fifty fall together and not one after the other. At most a few calls are
//! under way at a time: an engine that is flooded answers all of them late.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use murphy_core::{ContainerIdentity, NetworkIdentity, Undo};

use super::kind::Action;
use super::{ActError, Applied, RevertError, Reverted};
use crate::container::Container;
use crate::engine::Engine;

/// Calls under way at a time.
const AT_A_TIME: usize = 16;

/// A container with its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Which.
    pub container: ContainerIdentity,
    /// How to undo the action, in the order of doing.
    pub undos: Vec<Undo>,
}

impl Engine {
    /// Prepares an action on each of them. The first error ends it: nothing was touched yet.
    ///
    /// The containers with the highest addresses come first. An engine gives the lowest free address to whom it starts,
    /// so undoing from the last to the first gives each its own back.
    pub async fn prepare_all(
        &self,
        targets: &[Container],
        action: &Action,
    ) -> Result<Vec<Prepared>, ActError> {
        let mut targets = targets.to_vec();
        murphy_core::sort_short(&mut targets, |a, b| b.address().cmp(&a.address()));
        let jobs = targets.into_iter().map(|container| {
            let (engine, container, action) = (self.clone(), container.identity, action.clone());
            async move {
                let undos = engine.prepare(&container, &action).await?;
                Ok(Prepared { container, undos })
            }
        });
        let answers: Vec<Result<Prepared, ActError>> = stream::iter(jobs).buffered(AT_A_TIME).collect().await;
        answers.into_iter().collect()
    }

    /// Applies an action to each of them at once. All are attempted; each has its own answer, in the same order.
    pub async fn apply_all(&self, prepared: &[Prepared], action: &Action) -> Vec<Result<Applied, ActError>> {
        // Owned: a stream over borrows cannot be sent to another thread in mid-way.
        let prepared = prepared.to_vec();
        let jobs = prepared.into_iter().map(|one| {
            let (engine, action) = (self.clone(), action.clone());
            async move { engine.apply(&one.container, &action, &one.undos).await }
        });
        stream::iter(jobs).buffered(AT_A_TIME).collect().await
    }

    /// Takes all back, given in the order of doing: from the last to the first. All are attempted; answers are in the
    /// order of undoing, each with its undo. What shares a container or hands out addresses of one network goes one after the
    /// other, the rest together. Memory is given back to all at once as well; whoever starved for want of it is started after that,
    /// one after the other.
    pub async fn revert_all(&self, undos: &[Undo]) -> Vec<(Undo, Result<Reverted, RevertError>)> {
        let mut answers = Vec::new();
        for Group { kind, lines } in groups(undos.iter().rev()) {
            let jobs = lines.into_iter().map(|Line { undos, .. }| {
                let engine = self.clone();
                async move {
                    let mut answers = Vec::new();
                    for (place, undo) in undos {
                        let answer = engine.revert_in_place(&undo).await;
                        answers.push((place, (undo, answer)));
                    }
                    answers
                }
            });
            let done: Vec<Vec<_>> = stream::iter(jobs).buffered(AT_A_TIME).collect().await;
            let mut done: Vec<_> = done.into_iter().flatten().collect();
            murphy_core::sort_short(&mut done, |(a, _), (b, _)| a.cmp(b));
            for (place, (undo, answer)) in done {
                let answer = match answer {
                    Ok(outcome) if kind == Kind::Memory => self.start_starved(&undo, outcome).await,
                    answer => answer,
                };
                answers.push((place, (undo, answer)));
            }
        }
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// What undos have to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Containers and networks that they name.
    Named,
    /// Their container; but it may have starved, and its start takes an address of any network.
    Memory,
    /// Nothing: it may mean anything to anybody.
    Nothing,
}

/// Lines of one kind that have nothing in common. Group follows on group.
#[derive(Debug)]
struct Group {
    kind: Kind,
    lines: Vec<Line>,
}

/// Undos that must go one after the other, each with its place among all.
#[derive(Debug, Default)]
struct Line {
    undos: Vec<(usize, Undo)>,
    /// Containers and networks of all of them.
    touched: BTreeSet<String>,
}

/// Undos in groups, given in the order of undoing. The order of two groups is that of their undos.
fn groups<'a>(undos: impl Iterator<Item = &'a Undo>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, undo) in undos.enumerate() {
        let (kind, touched) = touched(undo);
        let mut line = Line { undos: vec![(place, undo.clone())], touched };
        let group = match groups.last_mut() {
            Some(group) if group.kind == kind && kind != Kind::Nothing => &mut group.lines,
            _ => {
                groups.push(Group { kind, lines: vec![line] });
                continue;
            }
        };
        let (met, apart): (Vec<Line>, Vec<Line>) =
            std::mem::take(group).into_iter().partition(|one| !one.touched.is_disjoint(&line.touched));
        for one in met {
            line.undos.extend(one.undos);
            line.touched.extend(one.touched);
        }
        murphy_core::sort_short(&mut line.undos, |(a, _), (b, _)| a.cmp(b));
        *group = apart;
        group.push(line);
    }
    groups
}

/// What an undo has to itself: its container, and the networks on which it has the engine choose an address. Nothing for one that
/// may mean anything to anybody, as a command does, or a start of a container in the network of another, or on networks that the
/// undo does not name.
fn touched(undo: &Undo) -> (Kind, BTreeSet<String>) {
    let (container, networks): (_, Vec<&NetworkIdentity>) = match undo {
        Undo::RestoreLimits { container, limits } if limits.memory.is_some() => {
            return (Kind::Memory, [container.id.clone()].into());
        }
        Undo::Unpause { container } | Undo::RestoreLimits { container, .. } | Undo::Rename { container } => {
            (container, Vec::new())
        }
        Undo::Start { container, addresses, .. } if !addresses.is_empty() => {
            (container, addresses.iter().map(|(network, _)| network).collect())
        }
        Undo::Reconnect { container, network, .. } => (container, vec![network]),
        _ => return (Kind::Nothing, BTreeSet::new()),
    };
    let ids = networks.into_iter().map(|network| &network.id).chain([&container.id]);
    (Kind::Named, murphy_core::gathered(ids.cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{EndpointRecord, LimitsRecord, MemoryRecord, Span};

    fn container(id: &str) -> ContainerIdentity {
        ContainerIdentity { id: id.to_owned(), name: id.to_owned() }
    }

    fn start(id: &str, networks: &[&str]) -> Undo {
        let on = |name: &&str| {
            let network = NetworkIdentity { id: (*name).to_owned(), name: (*name).to_owned() };
            (network, EndpointRecord::default())
        };
        Undo::Start {
            container: container(id),
            addresses: networks.iter().map(on).collect(),
            grace: Span::ZERO,
        }
    }

    fn places(undos: &[Undo]) -> Vec<Vec<Vec<usize>>> {
        let of = |line: Line| line.undos.into_iter().map(|(place, _)| place).collect();
        let mut groups: Vec<Vec<Vec<usize>>> =
            groups(undos.iter()).into_iter().map(|group| group.lines.into_iter().map(of).collect()).collect();
        groups.iter_mut().for_each(|group| group.sort());
        groups
    }

    fn limits(id: &str, memory: Option<MemoryRecord>) -> Undo {
        let limits = LimitsRecord { memory, ..LimitsRecord::default() };
        Undo::RestoreLimits { container: container(id), limits }
    }

    #[test]
    fn those_that_share_a_network_come_back_in_order_and_others_beside_them() {
        let undos = [start("a", &["n"]), start("b", &["m"]), start("c", &["n"]), start("d", &["k"])];
        assert_eq!(places(&undos), [[vec![0, 2], vec![1], vec![3]]]);
        // One that is on two networks joins them, and its place is kept.
        let undos = [start("a", &["n"]), start("b", &["m"]), start("c", &["m", "n"]), start("d", &["m"])];
        assert_eq!(places(&undos), [[vec![0, 1, 2, 3]]]);
    }

    #[test]
    fn what_is_done_to_one_container_is_undone_in_order() {
        let rename = Undo::Rename { container: container("a") };
        let pause = Undo::Unpause { container: container("b") };
        assert_eq!(places(&[rename, start("a", &["n"]), pause]), [[vec![0, 1], vec![2]]]);
    }

    #[test]
    fn what_may_mean_anything_waits_for_all_before_it_and_all_wait_for_it() {
        let pause = || Undo::Unpause { container: container("b") };
        assert_eq!(
            places(&[pause(), start("a", &[]), pause(), start("c", &["n"])]),
            [vec![vec![0]], vec![vec![1]], vec![vec![2], vec![3]]]
        );
    }

    #[test]
    fn a_container_that_may_be_started_with_its_memory_takes_no_address_that_another_is_to_have() {
        let memory = limits("a", Some(MemoryRecord::default()));
        assert_eq!(
            places(&[start("b", &["n"]), memory, start("c", &["n"])]),
            [vec![vec![0]], vec![vec![1]], vec![vec![2]]]
        );
        assert_eq!(places(&[start("b", &["n"]), limits("a", None)]), [[vec![0], vec![1]]]);
    }

    #[test]
    fn memory_goes_back_to_many_beside_each_other_and_to_one_container_in_order() {
        let memory = |id| limits(id, Some(MemoryRecord::default()));
        assert_eq!(places(&[memory("a"), memory("b"), memory("a")]), [[vec![0, 2], vec![1]]]);
    }
}
