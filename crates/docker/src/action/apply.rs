//! The act itself. It does what its undos can take back and no more: which networks, which limits, is read from them.

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    RestartContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use murphy_core::{ContainerIdentity, LimitsRecord, Span, Undo};

use super::kind::{Action, Limits, Removal};
use super::signal::Signal;
use super::{ActError, limit};
use crate::engine::Engine;
use crate::error::EngineError;

/// What runc and the kernel say through the engine when the memory is in use and cannot be reclaimed.
const IN_USE: [&str; 2] = ["unable to set memory limit", "device or resource busy"];

/// An act that was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// What a person should know of it.
    pub notes: Vec<String>,
    /// What a command wrote last; it ended with 0.
    pub output: Option<String>,
}

/// The name of a container that was set aside.
pub(super) fn name_aside(container: &ContainerIdentity) -> String {
    format!("murphy-aside-{}", container.id.get(..12).unwrap_or(&container.id))
}

/// Whole seconds, rounded up, as the engine counts a grace.
fn whole_seconds(span: Span) -> i32 {
    i32::try_from(span.as_duration().as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

impl Engine {
    /// Does it. `undos` are those that [`Engine::prepare`] gave for the same container and action, and must be in the
    /// undo log before this is called.
    pub async fn apply(
        &self,
        container: &ContainerIdentity,
        action: &Action,
        undos: &[Undo],
    ) -> Result<Applied, ActError> {
        let id = &container.id;
        match action {
            Action::Kill { signal } => self.kill(container, *signal).await?,
            Action::Stop { grace } => {
                let options = StopContainerOptionsBuilder::new().t(whole_seconds(*grace)).build();
                self.call_within("stop", *grace, self.docker().stop_container(id, Some(options))).await?;
            }
            Action::Restart { grace } => {
                let options = RestartContainerOptionsBuilder::new().t(whole_seconds(*grace)).build();
                self.call_within("restart", *grace, self.docker().restart_container(id, Some(options)))
                    .await?;
            }
            Action::Pause => self.call("pause", self.docker().pause_container(id)).await?,
            Action::Remove(Removal::SetAside) => {
                self.kill(container, Signal::KILL).await?;
                let options = RenameContainerOptionsBuilder::new().name(&name_aside(container)).build();
                self.call("rename", self.docker().rename_container(id, options)).await?;
            }
            Action::Remove(Removal::ForGood) => {
                let options = RemoveContainerOptionsBuilder::new().force(true).build();
                self.call("remove", self.docker().remove_container(id, Some(options))).await?;
            }
            Action::Disconnect(_) => {
                for undo in undos {
                    if let Undo::Reconnect { network, .. } = undo {
                        self.disconnect(container, &network.id).await?;
                    }
                }
            }
            Action::Limit(limits) => {
                for undo in undos {
                    if let Undo::RestoreLimits { limits: record, .. } = undo {
                        self.limit(container, limits, record).await?;
                    }
                }
            }
            Action::Exec(command) => {
                let output = self.exec(container, &command.command, command.within).await?;
                return Ok(Applied { output: Some(output), ..Applied::default() });
            }
        }
        Ok(Applied::default())
    }

    async fn kill(&self, container: &ContainerIdentity, signal: Signal) -> Result<(), ActError> {
        let options = KillContainerOptionsBuilder::new().signal(signal.name()).build();
        match self.call("kill", self.docker().kill_container(&container.id, Some(options))).await {
            Err(EngineError::Conflict { .. }) => {
                Err(ActError::NotRunning { container: container.clone(), state: "ended".to_owned() })
            }
            answer => Ok(answer?),
        }
    }

    pub(super) async fn disconnect(
        &self,
        container: &ContainerIdentity,
        network: &str,
    ) -> Result<(), EngineError> {
        let request = NetworkDisconnectRequest { container: container.id.clone(), force: Some(false) };
        self.call("disconnect", self.docker().disconnect_network(network, request)).await
    }

    async fn limit(
        &self,
        container: &ContainerIdentity,
        limits: &Limits,
        record: &LimitsRecord,
    ) -> Result<(), ActError> {
        let body = limit::lessen(record, limits);
        match self.call("update", self.docker().update_container(&container.id, body)).await {
            Err(EngineError::Failed { message, .. })
                if limits.memory.is_some() && IN_USE.iter().any(|words| message.contains(words)) =>
            {
                let wanted = limits.memory.unwrap_or_default();
                Err(ActError::MemoryInUse { container: container.clone(), wanted })
            }
            answer => Ok(answer?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_never_cut_short() {
        assert_eq!(whole_seconds(Span::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Span::ZERO), 0);
        assert_eq!(whole_seconds(Span::from_secs(u64::MAX / 1_000_000_000)), i32::MAX);
    }
}
