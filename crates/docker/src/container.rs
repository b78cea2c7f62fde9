//! Containers as targets: what a list call says of each, as plain data. Never holds an environment or a command line,
//! which may carry secrets.

use std::collections::BTreeMap;
use std::fmt;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use murphy_core::{ContainerHealth, ContainerIdentity};

/// A container with this label set to `true` is never touched.
pub const PROTECT_LABEL: &str = "murphy.protect";

const PROJECT_LABEL: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";
const NUMBER_LABEL: &str = "com.docker.compose.container-number";
const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, never started.
    Created,
    /// At work.
    Running,
    /// Frozen by the engine.
    Paused,
    /// Ended, and the engine will start it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
    /// The engine did not say.
    Unknown,
}

impl State {
    /// The engine's own word.
    pub fn name(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Removing => "removing",
            State::Exited => "exited",
            State::Dead => "dead",
            State::Unknown => "unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Option<ContainerSummaryStateEnum>> for State {
    fn from(state: Option<ContainerSummaryStateEnum>) -> State {
        match state {
            Some(ContainerSummaryStateEnum::CREATED) => State::Created,
            Some(ContainerSummaryStateEnum::RUNNING) => State::Running,
            Some(ContainerSummaryStateEnum::PAUSED) => State::Paused,
            Some(ContainerSummaryStateEnum::RESTARTING) => State::Restarting,
            Some(ContainerSummaryStateEnum::REMOVING) => State::Removing,
            Some(ContainerSummaryStateEnum::EXITED) => State::Exited,
            Some(ContainerSummaryStateEnum::DEAD) => State::Dead,
            _ => State::Unknown,
        }
    }
}

/// A container, as far as choosing one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Which.
    pub identity: ContainerIdentity,
    /// Its image as its owner wrote it.
    pub image: String,
    /// What it is doing.
    pub state: State,
    /// The same in the engine's words: `Up 3 minutes (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its networks by name, with its IPv4 address on each where it has one.
    pub networks: BTreeMap<String, Option<String>>,
}

impl Container {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Its compose project.
    pub fn project(&self) -> Option<&str> {
        self.labels.get(PROJECT_LABEL).map(String::as_str)
    }

    /// Its compose service. A one-off container (`compose run`) is not part of its service.
    pub fn service(&self) -> Option<&str> {
        let one_off = self.labels.get(ONE_OFF_LABEL).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        self.labels.get(SERVICE_LABEL).map(String::as_str).filter(|_| !one_off)
    }

    /// Its number within its compose service, as text.
    pub fn number(&self) -> Option<&str> {
        self.labels.get(NUMBER_LABEL).map(String::as_str)
    }

    /// What its health check says, by the engine's words: `Up 3 minutes (healthy)`.
    pub fn health(&self) -> ContainerHealth {
        match self.status.rsplit_once('(').map(|(_, end)| end.trim_end_matches(')')) {
            Some("healthy") => ContainerHealth::Healthy,
            Some("unhealthy") => ContainerHealth::Unhealthy,
            Some("health: starting") => ContainerHealth::Starting,
            _ => ContainerHealth::None,
        }
    }

    /// True if its owner has forbidden to touch it.
    pub fn is_protected(&self) -> bool {
        self.labels.get(PROTECT_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Its first IPv4 address as numbers, for an order by address.
    pub(crate) fn address(&self) -> Option<std::net::Ipv4Addr> {
        self.networks.values().flatten().find_map(|address| address.parse().ok())
    }

    /// Name and service, for lists in messages.
    pub(crate) fn label(&self) -> String {
        match self.service() {
            Some(service) if service != self.name() => format!("{} (service:{service})", self.name()),
            _ => self.name().to_owned(),
        }
    }

    /// From a list call's entry; `None` if the engine left out the id.
    pub(crate) fn from_summary(summary: ContainerSummary) -> Option<Container> {
        let id = summary.id?;
        let names = summary.names.unwrap_or_default();
        // A linked container has names like `/other/alias` too; its own has one slash.
        let own = names.iter().find(|name| name.matches('/').count() <= 1).or(names.first());
        let name =
            own.map_or_else(|| id.get(..12).unwrap_or(&id), |name| name.trim_start_matches('/')).to_owned();
        let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Some(Container {
            identity: ContainerIdentity { id, name },
            image: summary.image.unwrap_or_default(),
            state: summary.state.into(),
            status: summary.status.unwrap_or_default(),
            labels: summary.labels.unwrap_or_default().into_iter().collect(),
            networks: networks
                .into_iter()
                .map(|(name, endpoint)| (name, endpoint.ip_address.filter(|address| !address.is_empty())))
                .collect(),
        })
    }
}

/// The id of the container that this process runs in, from `/proc/self/mountinfo`: the engine mounts `hostname` and its
/// like from a directory named after the container. `None` outside of containers: the engine's own machine sees such
/// directories too, but mounted elsewhere (a container's shared memory; its files while somebody copies them).
pub(crate) fn own_container(mountinfo: &str) -> Option<String> {
    const THERE: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    mountinfo.lines().find_map(|line| {
        // Field 4 is what is mounted, field 5 where (proc_pid_mountinfo(5)).
        let mut fields = line.split_whitespace().skip(3);
        let (what, place) = (fields.next()?, fields.next()?);
        let mut parts = what.split('/').filter(|_| THERE.contains(&place));
        let id = parts.find(|part| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()));
        id.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_container_is_known_by_its_own_name() {
        let summary = ContainerSummary {
            id: Some("ab".repeat(32)),
            names: Some(vec!["/web/db".into(), "/db".into()]),
            ..ContainerSummary::default()
        };
        assert_eq!(Container::from_summary(summary).unwrap().name(), "db");
    }

    #[test]
    fn murphy_finds_the_container_that_it_runs_in() {
        let id = "0123456789abcdef".repeat(4);
        let inside = format!(
            "901 880 254:0 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/x rw"
        );
        assert_eq!(own_container(&inside), Some(id.clone()));
        for outside in [
            "22 1 254:0 / / rw,relatime - ext4 /dev/root rw".to_owned(),
            format!("98 31 0:50 / /var/lib/docker/containers/{id}/mounts/shm rw shared:40 - tmpfs shm rw"),
            format!(
                "99 31 254:0 /var/lib/docker/containers/{id}/hosts /var/lib/docker/overlay2/x/merged/etc/hosts rw - ext4 /dev/x rw"
            ),
        ] {
            assert_eq!(own_container(&outside), None, "{outside}");
        }
    }
}
