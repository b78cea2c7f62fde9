//! Acts on many containers at once, so that fifty fall together and not one after the other. At most a few calls are
//! under way at a time: an engine that is flooded answers all of them late.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use murphy_core::{ContainerIdentity, Undo};

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
    /// order of undoing, each with its undo. Undos that hand out addresses run one after the other, the others together.
    pub async fn revert_all(&self, undos: &[Undo]) -> Vec<(Undo, Result<Reverted, RevertError>)> {
        let mut answers = Vec::new();
        let mut together: Vec<Undo> = Vec::new();
        for undo in undos.iter().rev() {
            if independent(undo) && !touched(&together).contains(&target(undo)) {
                together.push(undo.clone());
                continue;
            }
            answers.append(&mut self.revert_together(std::mem::take(&mut together)).await);
            if independent(undo) {
                together.push(undo.clone());
            } else {
                answers.push((undo.clone(), self.revert(undo).await));
            }
        }
        answers.append(&mut self.revert_together(together).await);
        answers
    }

    async fn revert_together(&self, undos: Vec<Undo>) -> Vec<(Undo, Result<Reverted, RevertError>)> {
        let jobs = undos.into_iter().map(|undo| {
            let engine = self.clone();
            async move {
                let answer = engine.revert(&undo).await;
                (undo, answer)
            }
        });
        stream::iter(jobs).buffered(AT_A_TIME).collect().await
    }
}

fn independent(undo: &Undo) -> bool {
    matches!(undo, Undo::Unpause { .. } | Undo::RestoreLimits { .. })
}

fn touched(undos: &[Undo]) -> BTreeSet<Option<&str>> {
    murphy_core::gathered(undos.iter().map(target))
}

fn target(undo: &Undo) -> Option<&str> {
    match undo {
        Undo::Unpause { container } | Undo::RestoreLimits { container, .. } => Some(&container.id),
        _ => None,
    }
}
