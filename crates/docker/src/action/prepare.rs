//! Before an act: looks at the container and writes down how to undo it. Touches nothing.

use bollard::models::{ContainerInspectResponse, ContainerUpdateBody};
use murphy_core::{ContainerIdentity, Span, Undo};

use super::attachment::{attachments, identity};
use super::kind::{Action, Networks, Removal};
use super::{ActError, limit};
use crate::engine::{Engine, EngineKind};
use crate::error::EngineError;
use crate::select::nearest;

/// Signals that stop a process without ending it: nothing would let it go on again.
const STOPPING: [&str; 4] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];
/// The name of no container: names begin with a letter or a digit.
const NOBODY: &str = "-nobody";
/// What Podman says of a container that it does not have.
const NO_SUCH: &str = "no such container";
/// Signals that a process survives unless it asks not to.
const HARMLESS: [&str; 4] = ["SIGCONT", "SIGCHLD", "SIGURG", "SIGWINCH"];

impl Engine {
    /// How to undo an action on a container, in the order in which things are done: undo them from the last to the
    /// first. Empty for an action that has no way back and was asked for as such.
    pub async fn prepare(
        &self,
        container: &ContainerIdentity,
        action: &Action,
    ) -> Result<Vec<Undo>, ActError> {
        let undos = undos(&self.inspect(&container.id).await?, action, self.facts().kind)?;
        if matches!(action, Action::Limit(_)) && self.facts().kind == EngineKind::Podman {
            self.has_update().await?;
        }
        Ok(undos)
    }

    /// Whether limits can be changed, found out on a container that cannot be: an engine that knows the call says that
    /// there is no such container, one that does not says that there is no such page.
    async fn has_update(&self) -> Result<(), ActError> {
        let asked = self.docker().update_container(NOBODY, ContainerUpdateBody::default());
        match self.call("update", asked).await {
            Err(EngineError::NotFound { message, .. }) if !message.contains(NO_SUCH) => {
                let version = self.facts().version.clone();
                Err(ActError::NoUpdate { version, endpoint: self.endpoint().clone() })
            }
            // Whatever else is in the way is met, and told, by the act itself.
            _ => Ok(()),
        }
    }
}

fn undos(
    inspected: &ContainerInspectResponse,
    action: &Action,
    engine: EngineKind,
) -> Result<Vec<Undo>, ActError> {
    let container = identity(inspected);
    let state = inspected.state.clone().unwrap_or_default();
    let host = inspected.host_config.clone().unwrap_or_default();
    if state.running != Some(true) {
        let state = state.status.map(|status| status.to_string()).unwrap_or_default();
        return Err(ActError::NotRunning { container, state });
    }
    let grace = match action {
        Action::Stop { grace } | Action::Restart { grace } => *grace,
        _ => Span::ZERO,
    };
    let start = || Undo::Start { container: container.clone(), addresses: attachments(inspected), grace };
    // An engine deletes a container with --rm as soon as it has ended, and then nothing can bring it back.
    let must_survive_its_end = || match host.auto_remove {
        Some(true) => Err(ActError::AutoRemove { container: container.clone(), action: action.name() }),
        _ => Ok(()),
    };
    match action {
        Action::Kill { signal } if STOPPING.contains(&signal.name()) => {
            Err(ActError::UsePause { signal: *signal })
        }
        Action::Kill { signal } => {
            if !HARMLESS.contains(&signal.name()) {
                must_survive_its_end()?;
            }
            Ok(vec![start()])
        }
        Action::Stop { .. } => must_survive_its_end().map(|()| vec![start()]),
        // Docker keeps a container with --rm through a restart. Podman deletes it, and then has nothing to start.
        Action::Restart { .. } => {
            if engine == EngineKind::Podman {
                must_survive_its_end()?;
            }
            Ok(vec![start()])
        }
        Action::Pause if state.paused == Some(true) => {
            Err(ActError::NotRunning { container, state: "paused".to_owned() })
        }
        Action::Pause => Ok(vec![Undo::Unpause { container }]),
        Action::Remove(Removal::ForGood) => Ok(Vec::new()),
        Action::Remove(Removal::SetAside) => {
            must_survive_its_end()?;
            Ok(vec![start(), Undo::Rename { container }])
        }
        Action::Disconnect(networks) => disconnections(inspected, networks),
        Action::Limit(limits) => {
            if limits.cpus.is_none() && limits.memory.is_none() && limits.pids.is_none() {
                return Err(ActError::NoLimit);
            }
            Ok(vec![Undo::RestoreLimits { container, limits: limit::record(&host, limits) }])
        }
        Action::Exec(command) => {
            if command.command.is_empty() || command.revert.as_ref().is_some_and(Vec::is_empty) {
                return Err(ActError::NoCommand);
            }
            let revert = command.revert.clone().map(|revert| Undo::Exec {
                container,
                command: revert,
                within: command.within,
            });
            Ok(revert.into_iter().collect())
        }
    }
}

fn disconnections(inspected: &ContainerInspectResponse, networks: &Networks) -> Result<Vec<Undo>, ActError> {
    let container = identity(inspected);
    let mode = inspected.host_config.as_ref().and_then(|host| host.network_mode.clone()).unwrap_or_default();
    let mut on = attachments(inspected);
    on.retain(|(network, _)| !matches!(network.name.as_str(), "host" | "none"));
    if on.is_empty() {
        return Err(ActError::NoNetwork { container, mode });
    }
    if let Networks::One(wanted) = networks {
        // Compose calls the network `front` of the project `shop` `shop_front`.
        let project = inspected
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref()?.get("com.docker.compose.project"));
        let full = project.map(|project| format!("{project}_{wanted}"));
        let names: Vec<String> = on.iter().map(|(network, _)| network.name.clone()).collect();
        let chosen = names
            .iter()
            .find(|name| *name == wanted)
            .or(names.iter().find(|name| Some(*name) == full.as_ref()));
        let Some(chosen) = chosen else {
            let guess = nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(ActError::NotOnNetwork { container, network: wanted.clone(), on: names, guess });
        };
        on.retain(|(network, _)| network.name == *chosen);
    }
    let undo = |(network, endpoint)| Undo::Reconnect {
        container: container.clone(),
        network,
        endpoint: Box::new(endpoint),
    };
    Ok(on.into_iter().map(undo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Command, Limits, Signal};
    use bollard::models::{ContainerConfig, ContainerState, EndpointSettings, HostConfig, NetworkSettings};
    use murphy_core::Span;

    fn running() -> ContainerInspectResponse {
        let networks = ["shop_front", "shop_back"].map(|name| {
            (
                name.to_owned(),
                EndpointSettings { network_id: Some(format!("id of {name}")), ..EndpointSettings::default() },
            )
        });
        ContainerInspectResponse {
            id: Some("c".repeat(64)),
            name: Some("/shop-web-1".into()),
            state: Some(ContainerState { running: Some(true), ..ContainerState::default() }),
            host_config: Some(HostConfig::default()),
            config: Some(ContainerConfig {
                labels: Some([("com.docker.compose.project".to_owned(), "shop".to_owned())].into()),
                ..ContainerConfig::default()
            }),
            network_settings: Some(NetworkSettings {
                networks: Some(networks.into()),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    fn on_docker(inspected: &ContainerInspectResponse, action: &Action) -> Result<Vec<Undo>, ActError> {
        undos(inspected, action, EngineKind::Docker)
    }

    fn every_action() -> Vec<Action> {
        let command =
            Command { command: vec!["x".into()], revert: Some(vec!["y".into()]), within: Span::from_secs(1) };
        vec![
            Action::Kill { signal: Signal::KILL },
            Action::Stop { grace: Span::ZERO },
            Action::Restart { grace: Span::ZERO },
            Action::Pause,
            Action::Remove(Removal::SetAside),
            Action::Disconnect(Networks::All),
            Action::Limit(Limits { pids: Some(1), ..Limits::default() }),
            Action::Exec(command),
        ]
    }

    #[test]
    fn every_action_that_has_a_way_back_names_the_container_by_id_and_survives_the_log() {
        for action in every_action() {
            let undos = on_docker(&running(), &action).unwrap();
            assert!(!undos.is_empty(), "{action:?}");
            for undo in undos {
                let line = serde_json::to_string(&undo).unwrap();
                assert!(line.contains(&"c".repeat(64)), "{line}");
                assert_eq!(serde_json::from_str::<Undo>(&line).unwrap(), undo);
            }
        }
    }

    #[test]
    fn a_container_that_ends_for_good_is_not_ended() {
        let mut inspected = running();
        inspected.host_config.as_mut().unwrap().auto_remove = Some(true);
        for action in every_action() {
            let refused =
                |engine| matches!(undos(&inspected, &action, engine), Err(ActError::AutoRemove { .. }));
            let ends = matches!(action.name(), "kill" | "stop" | "remove");
            assert_eq!(refused(EngineKind::Docker), ends, "{action:?}");
            assert_eq!(refused(EngineKind::Podman), ends || action.name() == "restart", "{action:?}");
        }
        assert!(on_docker(&inspected, &Action::Kill { signal: "WINCH".parse().unwrap() }).is_ok());
    }

    #[test]
    fn a_network_is_known_by_composes_short_name_and_a_wrong_one_is_answered_with_those_there() {
        let one = |name: &str| on_docker(&running(), &Action::Disconnect(Networks::One(name.into())));
        let Undo::Reconnect { network, .. } = one("front").unwrap().remove(0) else {
            panic!("not a reconnect")
        };
        assert_eq!(network.name, "shop_front");
        let error = one("shop_frnt").unwrap_err().to_string();
        assert!(error.contains("did you mean `shop_front`?") && error.contains("shop_back"), "{error}");
    }

    #[test]
    fn what_cannot_be_undone_by_a_signal_is_sent_to_pause() {
        let error = on_docker(&running(), &Action::Kill { signal: "STOP".parse().unwrap() }).unwrap_err();
        assert!(error.to_string().contains("pause"), "{error}");
    }

    #[test]
    fn a_container_that_does_not_run_is_refused() {
        let mut inspected = running();
        inspected.state = None;
        assert!(matches!(on_docker(&inspected, &Action::Pause), Err(ActError::NotRunning { .. })));
    }
}
