//! Is a stack up? A pure function of its containers, and the waiting around it.

use std::time::Duration;

use murphy_core::{ContainerHealth, Span};

use crate::container::{Container, State};
use crate::engine::Engine;
use crate::error::EngineError;

/// How long a container without a health check has to stay up before it counts as ready. Running is all that such a
/// container says of itself, and one that dies of its configuration runs for a moment too.
const SETTLE: Duration = Duration::from_secs(1);

/// Where a stack stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Every service runs, and is healthy where it has a health check. A service that ended with 0 has done its work.
    Ready,
    /// Not yet.
    Waiting {
        /// For what, a line a service or container.
        reasons: Vec<String>,
    },
    /// It will not be: a container ended with an error and nobody restarts it.
    Failed {
        /// Which.
        container: Container,
    },
}

/// Why a stack is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Time is up.
    #[error("the stack `{project}` was not ready within {within}: {}", .reasons.join("; "))]
    TooLate {
        /// The compose project.
        project: String,
        /// The time it had.
        within: Span,
        /// What was missing at the end.
        reasons: Vec<String>,
    },
    /// A container failed.
    #[error("`{container}` of the stack `{project}` ended: {status}{}", said(.last_output))]
    Ended {
        /// The compose project.
        project: String,
        /// The container's name.
        container: String,
        /// The engine's words: `Exited (1) 2 seconds ago`.
        status: String,
        /// Its last lines.
        last_output: Vec<String>,
    },
}

fn said(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; it last wrote:\n  {}", lines.join("\n  ")) }
}

/// Where a stack stands, by the containers that it has and the services that it should have.
pub fn readiness(containers: &[Container], services: &[String]) -> Readiness {
    let mut reasons: Vec<String> = services
        .iter()
        .filter(|service| !containers.iter().any(|container| container.service() == Some(service)))
        .map(|service| format!("{service} has no container"))
        .collect();
    for container in containers.iter().filter(|container| container.service().is_some()) {
        match container.state {
            State::Running => match container.health() {
                ContainerHealth::None | ContainerHealth::Healthy => {}
                ContainerHealth::Starting => reasons.push(format!("{} is starting", container.name())),
                ContainerHealth::Unhealthy => reasons.push(format!("{} is unhealthy", container.name())),
            },
            State::Exited if container.status.starts_with("Exited (0)") => {}
            State::Exited | State::Dead => return Readiness::Failed { container: container.clone() },
            state => reasons.push(format!("{} is {state}", container.name())),
        }
    }
    if reasons.is_empty() { Readiness::Ready } else { Readiness::Waiting { reasons } }
}

fn says_nothing_of_its_health(container: &Container) -> bool {
    container.state == State::Running && container.health() == ContainerHealth::None
}

impl Engine {
    /// Waits until a project is ready; where a running container has no health check, until it was so for a second
    /// on end. Its containers then, by name.
    pub async fn until_ready(
        &self,
        project: &str,
        services: &[String],
        within: Span,
    ) -> Result<Vec<Container>, ReadyError> {
        let deadline = tokio::time::Instant::now() + within.as_duration();
        let mut ready_since = None;
        loop {
            let containers = self.project(project).await?;
            match readiness(&containers, services) {
                Readiness::Ready => {
                    let now = tokio::time::Instant::now();
                    let since = *ready_since.get_or_insert(now);
                    if now - since >= SETTLE || !containers.iter().any(says_nothing_of_its_health) {
                        return Ok(containers);
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Readiness::Failed { container } => {
                    return Err(ReadyError::Ended {
                        project: project.to_owned(),
                        last_output: self.last_output(&container.identity).await,
                        container: container.identity.name,
                        status: container.status,
                    });
                }
                Readiness::Waiting { reasons } if tokio::time::Instant::now() >= deadline => {
                    return Err(ReadyError::TooLate { project: project.to_owned(), within, reasons });
                }
                Readiness::Waiting { .. } => {
                    ready_since = None;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Inventory;

    fn shop(web: (State, &str), job: (State, &str)) -> Readiness {
        let mut containers =
            Inventory::new().service("shop", "job", 1).service("shop", "web", 1).containers();
        for (container, (state, status)) in containers.iter_mut().zip([job, web]) {
            (container.state, container.status) = (state, status.to_owned());
        }
        readiness(&containers, &["web".into(), "job".into()])
    }

    #[test]
    fn a_stack_is_ready_when_all_run_or_have_done_their_work() {
        let done = (State::Exited, "Exited (0) 3 seconds ago");
        assert_eq!(shop((State::Running, "Up 3 seconds"), done), Readiness::Ready);
        assert_eq!(shop((State::Running, "Up 3 seconds (healthy)"), done), Readiness::Ready);
        for status in ["Up 3 seconds (health: starting)", "Up 3 seconds (unhealthy)"] {
            assert!(matches!(shop((State::Running, status), done), Readiness::Waiting { .. }), "{status}");
        }
        assert!(matches!(shop((State::Restarting, "Restarting (1)"), done), Readiness::Waiting { .. }));
    }

    #[test]
    fn an_end_with_an_error_is_not_waited_for() {
        let failed = shop((State::Running, "Up"), (State::Exited, "Exited (1) 1 second ago"));
        assert!(matches!(failed, Readiness::Failed { container } if container.service() == Some("job")));
    }

    #[test]
    fn a_service_without_a_container_is_named() {
        let containers = Inventory::new().service("shop", "web", 1).containers();
        let Readiness::Waiting { reasons } = readiness(&containers, &["web".into(), "db".into()]) else {
            panic!("not waiting");
        };
        assert_eq!(reasons, ["db has no container"]);
    }
}
