//! The way back. Each undo first looks whether it is needed, so that a second one changes nothing; a container that is
//! gone is reported and is no failure, because there is nothing left to put right.

use std::pin::Pin;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, NetworkConnectRequest};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use murphy_core::{ContainerIdentity, EndpointRecord, LimitsRecord, NetworkIdentity, Undo};

use super::attachment::{Addresses, identity, moved, on_network, settings};
use super::{ActError, limit};
use crate::engine::Engine;
use crate::error::EngineError;

/// The exit code of who was ended by SIGKILL, as the kernel does for want of memory.
const KILLED: i64 = 137;

/// What an undo found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// It is as before.
    Restored {
        /// What a person should know: what the engine would not give back exactly.
        notes: Vec<String>,
    },
    /// It was as before already.
    AlreadyAsBefore,
    /// The container does not exist any more.
    Gone,
}

/// Why something is not as before.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// The engine did not do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its command did not succeed.
    #[error(transparent)]
    Command(#[from] ActError),
    /// The undo is not about containers.
    #[error("this undo is not about a container")]
    NotAContainer,
    /// The network is gone.
    #[error("{container} cannot go back to the network `{network}`: it does not exist any more")]
    NetworkGone {
        /// Which.
        container: ContainerIdentity,
        /// The network's name.
        network: String,
    },
    /// Another container has taken the name.
    #[error(
        "{container} cannot have its name back: another container has taken it. Remove that one, or keep this one as `{now}`"
    )]
    NameTaken {
        /// Which.
        container: ContainerIdentity,
        /// The name that it has now.
        now: String,
    },
    /// The engine took the request, and the result is another.
    #[error("{container} is not as before: {what}")]
    Differs {
        /// Which.
        container: ContainerIdentity,
        /// What is different.
        what: String,
    },
}

/// Whether a container that was paused goes on, by the engine's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    Yes,
    No,
}

/// A taking back on its way. Boxed, since it is long and is awaited from many places: each would have it whole.
pub type Reverting<'a> = Pin<Box<dyn Future<Output = Result<Reverted, RevertError>> + Send + 'a>>;

impl Engine {
    /// Takes one thing back. Harmless if it was never done or is undone already.
    pub fn revert<'a>(&'a self, undo: &'a Undo) -> Reverting<'a> {
        Box::pin(self.take_back(undo))
    }

    /// As [`Engine::revert`], but for the start of a container that has starved: that takes an address which another may be to have.
    pub(super) fn revert_in_place<'a>(&'a self, undo: &'a Undo) -> Reverting<'a> {
        match undo {
            Undo::RestoreLimits { container, limits } => {
                Box::pin(async move { or_gone(self.restore_limits(container, limits).await) })
            }
            _ => self.revert(undo),
        }
    }

    /// What [`Engine::revert_in_place`] has left of an undo, by what that found.
    pub(super) fn start_starved<'a>(&'a self, undo: &'a Undo, outcome: Reverted) -> Reverting<'a> {
        Box::pin(async move {
            match undo {
                Undo::RestoreLimits { container, limits } if limits.memory.is_some() => {
                    or_gone(self.start_if_starved(container, outcome).await)
                }
                _ => Ok(outcome),
            }
        })
    }

    async fn take_back(&self, undo: &Undo) -> Result<Reverted, RevertError> {
        or_gone(match undo {
            Undo::Unpause { container } => self.unpause(container).await,
            Undo::Start { container, addresses, .. } => self.start_again(container, addresses).await,
            Undo::Rename { container } => self.rename_back(container).await,
            Undo::Reconnect { container, network, endpoint } => {
                self.reconnect(container, network, endpoint).await
            }
            Undo::RestoreLimits { .. } => match self.revert_in_place(undo).await {
                Ok(outcome) => self.start_starved(undo, outcome).await,
                failed => failed,
            },
            Undo::Exec { container, command, within } => match self.exec(container, command, *within).await {
                Ok(_) => Ok(restored()),
                Err(ActError::Engine(error)) => Err(error.into()),
                Err(error) => Err(error.into()),
            },
            Undo::TakeDown { project, keep_volumes } => self.take_down(project, keep_volumes).await,
            // Processes and what else may come: other crates know the way back.
            _ => Err(RevertError::NotAContainer),
        })
    }

    async fn unpause(&self, container: &ContainerIdentity) -> Result<Reverted, RevertError> {
        if !self.is_paused(container).await? {
            return Ok(Reverted::AlreadyAsBefore);
        }
        match self.call("unpause", self.docker().unpause_container(&container.id)).await {
            Ok(()) => match self.until_it_goes_on(container).await? {
                GoesOn::Yes => Ok(restored()),
                GoesOn::No => {
                    let what = "the engine says that it is paused still".to_owned();
                    Err(RevertError::Differs { container: container.clone(), what })
                }
            },
            // Somebody else was quicker.
            Err(EngineError::Conflict { .. }) => Ok(Reverted::AlreadyAsBefore),
            // The engine learns by events, and may say "paused" of one that goes on already: then it cannot be ended.
            Err(error @ EngineError::Failed { .. }) => match self.until_it_goes_on(container).await {
                Ok(GoesOn::Yes) => Ok(Reverted::AlreadyAsBefore),
                Ok(GoesOn::No) | Err(_) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn is_paused(&self, container: &ContainerIdentity) -> Result<bool, RevertError> {
        let state = self.inspect(&container.id).await?.state.unwrap_or_default();
        Ok(state.paused == Some(true))
    }

    /// Looks until the engine, too, says that the container goes on: events of its pause may reach the engine late.
    async fn until_it_goes_on(&self, container: &ContainerIdentity) -> Result<GoesOn, RevertError> {
        const PATIENCE: u32 = 50;
        for _ in 0..PATIENCE {
            if !self.is_paused(container).await? {
                return Ok(GoesOn::Yes);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(GoesOn::No)
    }

    async fn start_again(
        &self,
        container: &ContainerIdentity,
        addresses: &[(NetworkIdentity, EndpointRecord)],
    ) -> Result<Reverted, RevertError> {
        let first = self.inspect(&container.id).await?;
        if runs(&first) {
            return Ok(Reverted::AlreadyAsBefore);
        }
        // In the pause between two restarts of the engine's own, a start does nothing: await the engine's.
        if !is_restarting(&first) {
            self.call("start", self.docker().start_container(&container.id, None)).await?;
        }
        let after = self.until_it_runs(container).await?;
        let notes = addresses
            .iter()
            .filter_map(|(network, was)| {
                let is = on_network(&after, network).unwrap_or_default();
                moved(&network.name, was, &is)
            })
            .collect();
        Ok(Reverted::Restored { notes })
    }

    /// It ran when its memory was squeezed: if the kernel ended it for that, it is started again. The engine says of any process
    /// of it that it was killed for want of memory, until the next start; only with the code of SIGKILL can that have been its end,
    /// and one that its owner stopped stays down.
    async fn start_if_starved(
        &self,
        container: &ContainerIdentity,
        outcome: Reverted,
    ) -> Result<Reverted, RevertError> {
        let state = self.inspect(&container.id).await?.state.unwrap_or_default();
        let has_starved = state.oom_killed == Some(true) && state.exit_code == Some(KILLED);
        if state.running == Some(true) || !has_starved {
            return Ok(outcome);
        }
        // Whoever gave the limits back before may have been cut off before the start: it ran when they were taken.
        let mut notes = match outcome {
            Reverted::Restored { notes } => notes,
            Reverted::AlreadyAsBefore | Reverted::Gone => Vec::new(),
        };
        self.start_again(container, &[]).await?;
        notes.push("it had run out of memory, and was started again".to_owned());
        Ok(Reverted::Restored { notes })
    }

    /// Looks again and again until the container runs. An end right after the start is an error and not waited for.
    async fn until_it_runs(
        &self,
        container: &ContainerIdentity,
    ) -> Result<ContainerInspectResponse, RevertError> {
        const PATIENCE: u32 = 100;
        for _ in 0..PATIENCE {
            let inspected = self.inspect(&container.id).await?;
            if runs(&inspected) {
                return Ok(inspected);
            }
            if !is_restarting(&inspected) {
                let state = inspected.state.unwrap_or_default();
                let what = format!("it ended again at once, with code {}", state.exit_code.unwrap_or(-1));
                return Err(RevertError::Differs { container: container.clone(), what });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let what = "the engine restarts it again and again".to_owned();
        Err(RevertError::Differs { container: container.clone(), what })
    }

    async fn rename_back(&self, container: &ContainerIdentity) -> Result<Reverted, RevertError> {
        let now = identity(&self.inspect(&container.id).await?).name;
        if now == container.name {
            return Ok(Reverted::AlreadyAsBefore);
        }
        let options = RenameContainerOptionsBuilder::new().name(&container.name).build();
        match self.call("rename", self.docker().rename_container(&container.id, options)).await {
            Err(EngineError::Conflict { .. }) => {
                Err(RevertError::NameTaken { container: container.clone(), now })
            }
            answer => Ok(answer.map(|()| restored())?),
        }
    }

    async fn reconnect(
        &self,
        container: &ContainerIdentity,
        network: &NetworkIdentity,
        endpoint: &EndpointRecord,
    ) -> Result<Reverted, RevertError> {
        let before = self.inspect(&container.id).await?;
        if on_network(&before, network).is_some() {
            return Ok(Reverted::AlreadyAsBefore);
        }
        let on = self.connect_again(container, network, endpoint, Addresses::AsAskedByOwner).await?;
        if self.moved_on(container, network, endpoint).await?.is_none() {
            return Ok(restored());
        }
        // Another container has taken the address meanwhile, or one below it is free. Where the network's owner chose
        // its subnet, the engine gives an address that is asked for.
        self.disconnect(container, &on).await?;
        let pinned = self.connect_again(container, network, endpoint, Addresses::AsTheyWere).await.is_ok();
        if !pinned {
            self.connect_again(container, network, endpoint, Addresses::AsAskedByOwner).await?;
        }
        let note = match self.moved_on(container, network, endpoint).await? {
            Some(moved) => Some(moved),
            None => pinned
                .then(|| format!("its address on {} is the same because Murphy asked for it", network.name)),
        };
        Ok(Reverted::Restored { notes: note.into_iter().collect() })
    }

    /// Puts it on the network: by id, or by name if the network was made anew meanwhile. The one that it is on now.
    async fn connect_again(
        &self,
        container: &ContainerIdentity,
        network: &NetworkIdentity,
        endpoint: &EndpointRecord,
        addresses: Addresses,
    ) -> Result<String, RevertError> {
        for reference in [&network.id, &network.name] {
            let request = NetworkConnectRequest {
                container: container.id.clone(),
                endpoint_config: Some(settings(endpoint, addresses)),
            };
            match self.call("connect", self.docker().connect_network(reference, request)).await {
                Err(error) if error.is_not_found() => {}
                answer => return Ok(answer.map(|()| reference.clone())?),
            }
        }
        // Either of the two may be missing; the container was there a moment ago.
        self.inspect(&container.id).await?;
        Err(RevertError::NetworkGone { container: container.clone(), network: network.name.clone() })
    }

    /// A note if a running container has other addresses than before. One that does not run has none yet.
    async fn moved_on(
        &self,
        container: &ContainerIdentity,
        network: &NetworkIdentity,
        was: &EndpointRecord,
    ) -> Result<Option<String>, RevertError> {
        let inspected = self.inspect(&container.id).await?;
        let is = on_network(&inspected, network).unwrap_or_default();
        Ok(if runs(&inspected) { moved(&network.name, was, &is) } else { None })
    }

    async fn restore_limits(
        &self,
        container: &ContainerIdentity,
        limits: &LimitsRecord,
    ) -> Result<Reverted, RevertError> {
        let host = self.inspect(&container.id).await?.host_config.unwrap_or_default();
        if limit::in_force(&host, limits) {
            return Ok(Reverted::AlreadyAsBefore);
        }
        let mut refused = None;
        for body in limit::restore(limits) {
            match self.call("update", self.docker().update_container(&container.id, body)).await {
                Ok(_) => {
                    refused = None;
                    break;
                }
                Err(error) if error.is_not_found() => return Ok(Reverted::Gone),
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
        let host = self.inspect(&container.id).await?.host_config.unwrap_or_default();
        if !limit::in_force(&host, limits) {
            let what = format!("its limits should be {limits:?}");
            return Err(RevertError::Differs { container: container.clone(), what });
        }
        let parts = limit::respelled(&host, limits);
        let note = (!parts.is_empty()).then(|| {
            format!(
                "no limit again, though the engine now shows a number for it where it showed none: {}",
                parts.join(", ")
            )
        });
        Ok(Reverted::Restored { notes: note.into_iter().collect() })
    }
}

/// Of a container that does not exist any more, nothing is left to put right.
fn or_gone(outcome: Result<Reverted, RevertError>) -> Result<Reverted, RevertError> {
    match outcome {
        Err(RevertError::Engine(error)) if error.is_not_found() => Ok(Reverted::Gone),
        other => other,
    }
}

fn restored() -> Reverted {
    Reverted::Restored { notes: Vec::new() }
}

fn runs(inspected: &ContainerInspectResponse) -> bool {
    inspected
        .state
        .as_ref()
        .is_some_and(|state| state.running == Some(true) && state.restarting != Some(true))
}

fn is_restarting(inspected: &ContainerInspectResponse) -> bool {
    inspected.state.as_ref().is_some_and(|state| state.restarting == Some(true))
}
