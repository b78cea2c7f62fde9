//! A compose project as the engine knows it, by its labels: its containers, and taking it down. It needs no compose
//! file and no compose program, so that `undo` works after a power cut from any directory.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::{StreamExt, stream};
use murphy_core::Span;

use crate::action::{RevertError, Reverted};
use crate::container::{Container, State};
use crate::engine::{Engine, Scope};
use crate::error::EngineError;

/// The time that a container of a stack has to end in order.
const GRACE: Span = Span::from_secs(10);

/// How often a project is looked at until nothing of it comes back.
const MOST_LOOKS: u32 = 10;
/// The pause between two looks.
const LOOK_AGAIN: Span = Span::from_millis(200);

fn of_project(project: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("com.docker.compose.project={project}")])])
}

impl Engine {
    /// All containers of a project, also ended ones, by name.
    pub async fn project(&self, project: &str) -> Result<Vec<Container>, EngineError> {
        let mut containers = self.containers(Scope::All).await?;
        containers.retain(|container| container.project() == Some(project));
        Ok(containers)
    }

    /// The volumes of a project, by name.
    pub async fn project_volumes(&self, project: &str) -> Result<Vec<String>, EngineError> {
        let options = ListVolumesOptionsBuilder::new().filters(&of_project(project)).build();
        let answer = self.call("list volumes", self.docker().list_volumes(Some(options))).await?;
        let mut names: Vec<String> =
            answer.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect();
        murphy_core::sort_short(&mut names, Ord::cmp);
        Ok(names)
    }

    /// Takes a project down: containers with their anonymous volumes, networks, and volumes but those to keep. Looks again
    /// until nothing is left: a compose program that was killed in mid-work may have a request under way.
    pub(crate) async fn take_down(
        &self,
        project: &str,
        keep_volumes: &[String],
    ) -> Result<Reverted, RevertError> {
        let mut outcome = Reverted::AlreadyAsBefore;
        let mut in_the_way = None;
        for _ in 0..MOST_LOOKS {
            match self.take_down_once(project, keep_volumes).await {
                Ok(Reverted::AlreadyAsBefore) => return Ok(outcome),
                Ok(_) => in_the_way = None,
                // A container that came about after the look at them holds what was to be removed; the next look finds it.
                Err(error) if may_be_in_use(&error) => in_the_way = Some(error),
                Err(error) => return Err(error),
            }
            outcome = Reverted::Restored { notes: Vec::new() };
            tokio::time::sleep(LOOK_AGAIN.as_duration()).await;
        }
        in_the_way.map_or(Ok(outcome), Err)
    }

    async fn take_down_once(&self, project: &str, keep_volumes: &[String]) -> Result<Reverted, RevertError> {
        let containers = self.project(project).await?;
        let mut found = !containers.is_empty();
        let jobs = containers.into_iter().map(|container| {
            let engine = self.clone();
            async move { engine.end_and_remove(&container).await }
        });
        let removed: Vec<Result<(), EngineError>> = stream::iter(jobs).buffer_unordered(16).collect().await;
        removed.into_iter().collect::<Result<(), EngineError>>()?;
        let options = ListNetworksOptionsBuilder::new().filters(&of_project(project)).build();
        for network in self.call("list networks", self.docker().list_networks(Some(options))).await? {
            found = true;
            let id = network.id.or(network.name).unwrap_or_default();
            gone_is_fine(self.call("remove network", self.docker().remove_network(&id)).await)?;
        }
        for volume in self.project_volumes(project).await? {
            if !keep_volumes.contains(&volume) {
                found = true;
                let options = RemoveVolumeOptionsBuilder::new().build();
                gone_is_fine(
                    self.call("remove volume", self.docker().remove_volume(&volume, Some(options))).await,
                )?;
            }
        }
        Ok(if found { Reverted::Restored { notes: Vec::new() } } else { Reverted::AlreadyAsBefore })
    }

    async fn end_and_remove(&self, container: &Container) -> Result<(), EngineError> {
        let id = &container.identity.id;
        if matches!(container.state, State::Running | State::Restarting) {
            let options = StopContainerOptionsBuilder::new().t(GRACE.as_duration().as_secs() as i32).build();
            gone_is_fine(
                self.call_within("stop", GRACE, self.docker().stop_container(id, Some(options))).await,
            )?;
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.call("remove", self.docker().remove_container(id, Some(options))).await {
            // Its removal is under way already.
            Err(EngineError::Conflict { .. }) => Ok(()),
            answer => gone_is_fine(answer),
        }
    }
}

/// True of what engines answer when something is still used: 409, 403 for a network of Docker's, 500 for one of Podman's.
fn may_be_in_use(error: &RevertError) -> bool {
    use EngineError::{Conflict, Failed, Refused};
    matches!(error, RevertError::Engine(Conflict { .. } | Refused { .. } | Failed { .. }))
}

fn gone_is_fine(answer: Result<(), EngineError>) -> Result<(), EngineError> {
    match answer {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
