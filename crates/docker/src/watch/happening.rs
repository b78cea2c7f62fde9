//! One event of an engine in words of our own; what is of no interest is dropped here. Pure.

use std::collections::{BTreeMap, HashMap};

use bollard::models::EventMessage;
use murphy_core::{ContainerHealth, ContainerIdentity};

use crate::container::{Container, State};

/// What an engine said about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happening {
    /// Nanoseconds since 1970 by the engine's clock.
    pub at: i64,
    /// Which container, with the labels that it has.
    pub container: Container,
    /// What.
    pub what: What,
}

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Its main process began.
    Started,
    /// Somebody asked the engine to signal or stop it.
    Asked,
    /// Its main process ended with this code.
    Ended(i64),
    /// The kernel killed a process for want of memory.
    OutOfMemory,
    /// Its health check changed its mind.
    Health(ContainerHealth),
    /// It was removed.
    Removed,
}

/// Reads an event; `None` if it is not of interest.
pub(super) fn read(message: EventMessage) -> Option<Happening> {
    let action = message.action?;
    let actor = message.actor?;
    let mut attributes: HashMap<String, String> = actor.attributes.unwrap_or_default();
    let what = match action.as_str() {
        "start" => What::Started,
        "kill" | "stop" => What::Asked,
        "die" => What::Ended(attributes.remove("exitCode").and_then(|code| code.parse().ok()).unwrap_or(-1)),
        "oom" => What::OutOfMemory,
        // In Docker's word and in Podman's.
        "destroy" | "remove" => What::Removed,
        // Podman and newer engines write the verdict behind a colon.
        other => match other.strip_prefix("health_status")?.trim_start_matches(':').trim() {
            "healthy" => What::Health(ContainerHealth::Healthy),
            "unhealthy" => What::Health(ContainerHealth::Unhealthy),
            "starting" => What::Health(ContainerHealth::Starting),
            _ => return None,
        },
    };
    let identity = ContainerIdentity { id: actor.id?, name: attributes.remove("name").unwrap_or_default() };
    let state = match what {
        What::Ended(_) => State::Exited,
        What::Removed => State::Removing,
        _ => State::Running,
    };
    let container = Container {
        identity,
        image: attributes.remove("image").unwrap_or_default(),
        state,
        status: String::new(),
        labels: attributes.into_iter().collect(),
        networks: BTreeMap::new(),
    };
    Some(Happening { at: message.time_nano.unwrap_or(0), container, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    fn event(action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        EventMessage {
            action: Some(action.to_owned()),
            actor: Some(EventActor { id: Some("ab".repeat(32)), attributes: Some(attributes) }),
            time_nano: Some(7),
            ..EventMessage::default()
        }
    }

    #[test]
    fn an_end_carries_its_code_and_the_containers_labels() {
        let read =
            read(event("die", &[("name", "web"), ("exitCode", "139"), ("com.docker.compose.service", "w")]));
        let happening = read.unwrap();
        assert_eq!((happening.what, happening.at), (What::Ended(139), 7));
        assert_eq!((happening.container.name(), happening.container.service()), ("web", Some("w")));
    }

    #[test]
    fn health_is_read_and_the_rest_is_dropped() {
        let health = read(event("health_status: unhealthy", &[])).unwrap().what;
        assert_eq!(health, What::Health(ContainerHealth::Unhealthy));
        for word in ["destroy", "remove"] {
            assert_eq!(read(event(word, &[])).unwrap().what, What::Removed);
        }
        assert_eq!(read(event("exec_create: /bin/true", &[])), None);
        assert_eq!(read(EventMessage::default()), None);
    }
}
