//! Finds the processes whose network is meant: those of containers, services and pids, as they are at this moment. They
//! are looked for again during a run, since containers are restarted and replaced.
//!
//! Must never hand out a process that is not seen to be what the engine says: a pid of another machine or pid namespace
//! would be some other process here.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, OnceLock};

use murphy_core::{ContainerIdentity, NamespaceIdentity, ProcessIdentity, Seed, ServiceName};
use murphy_docker::{
    Choice, Container, Endpoint, Engine, EngineError, Pattern, Scope, SelectError, Selector, SelectorError,
    Target, TargetError, Wanted, choose,
};
use murphy_host as host;
use murphy_netns::{NetnsError, identify};
use murphy_scenario::Caller;
use tokio::sync::OnceCell;

use crate::lock::Lockable;
use crate::services::Services;

/// Whose calls are sat in on.
#[derive(Debug, Clone)]
pub enum Whose {
    /// As a scenario names them.
    Callers(Vec<Caller>),
    /// As a command by hand does. One word alone is a container, or a compose service with all its replicas.
    Containers {
        /// Which.
        target: Target,
        /// Root of the choice, where some are picked.
        seed: Seed,
    },
}

/// Those that were found, and of how many.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) found: Vec<Found>,
    pub(crate) of: usize,
    /// Names of those that match and are protected by their owner.
    pub(crate) protected: Vec<String>,
}

/// One process whose network is meant. Of a container it is the main process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// For people: `shop_web_1`, `web (process 4711)`, `pid 4711`.
    pub(crate) name: String,
    /// Which network.
    pub(crate) namespace: NamespaceIdentity,
    /// Whose lock it is.
    pub(crate) owner: Lockable,
}

/// Why nobody was found.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no such container, or it may not be touched.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The name cannot be that of a container.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The same.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The name is a service of several compose projects.
    #[error(
        "`{name}` is a service of several compose projects ({}); write the name of a container, or take one of the \
         projects down", .projects.join(", ")
    )]
    Ambiguous {
        /// As written.
        name: String,
        /// Their names.
        projects: Vec<String>,
    },
    /// The same by hand, where a project can be typed.
    #[error(
        "`{name}` is a service of several compose projects; say which: {}",
        .projects.iter().map(|project| format!("service:{name},project:{project}")).collect::<Vec<_>>().join(" or ")
    )]
    AmbiguousService {
        /// As typed.
        name: String,
        /// Their names.
        projects: Vec<String>,
    },
    /// The engine's containers are on another kernel.
    #[error(
        "the engine at {endpoint} is on another machine, and the network of its containers cannot be entered from \
         here; run murphy on that machine, or use an edge with `listen:`"
    )]
    Remote {
        /// Where it is.
        endpoint: Endpoint,
    },
    /// The pid that the engine gives is not that container's from here.
    #[error(
        "process {pid}, which the engine names for container {container}, is not that container as seen from here: the \
         engine runs in a virtual machine (Docker Desktop), or murphy in a container without the host's processes; start \
         murphy's container with `--privileged --pid=host`, or use an edge with `listen:`"
    )]
    OtherPids {
        /// Which container.
        container: String,
        /// The pid.
        pid: i64,
    },
    /// No such process.
    #[error("there is no process {pid}")]
    NoProcess {
        /// The pid.
        pid: i32,
    },
    /// The service has no process in a network of its own.
    #[error(
        "service {service} runs in murphy's own network, where its calls cannot be told from those of others; give the \
         edge `listen:` and let the service dial that"
    )]
    OwnNetwork {
        /// Which.
        service: ServiceName,
    },
    /// The network of a process cannot be looked at.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

/// Finds callers. The engine is connected to when the first container is looked for.
#[derive(Debug)]
pub(crate) struct Callers {
    /// Of a run; a command by hand has none.
    services: Option<Arc<Services>>,
    /// The compose project that is meant, if the scenario has a stack.
    project: OnceLock<String>,
    engine: OnceCell<Engine>,
}

impl Callers {
    pub(crate) fn new(services: Option<Arc<Services>>) -> Callers {
        Callers { services, project: OnceLock::new(), engine: OnceCell::new() }
    }

    /// Names of compose services are meant in this project from now on.
    pub(crate) fn in_project(&self, project: &str) {
        // There is one stack in a run; a second call would say the same.
        let _ = self.project.set(project.to_owned());
    }

    /// All that are meant at this moment, each network once, with how many there could have been.
    pub(crate) async fn look(&self, whose: &Whose) -> Result<Finding, CallerError> {
        match whose {
            Whose::Callers(callers) => {
                let found = self.find_all(callers).await?;
                Ok(Finding { of: found.len(), found, protected: Vec::new() })
            }
            Whose::Containers { target, seed } => {
                let finding = self.of_containers(target, *seed).await;
                let mut finding = finding.map_err(|error| match error {
                    CallerError::Ambiguous { name, projects } => {
                        CallerError::AmbiguousService { name, projects }
                    }
                    other => other,
                })?;
                each_network_once(&mut finding.found);
                Ok(finding)
            }
        }
    }

    /// All of several, each network once.
    pub(crate) async fn find_all(&self, callers: &[Caller]) -> Result<Vec<Found>, CallerError> {
        let mut all: Vec<Found> = Vec::new();
        for caller in callers {
            for found in self.find(caller).await? {
                if !all.iter().any(|known| known.namespace.inode == found.namespace.inode) {
                    all.push(found);
                }
            }
        }
        Ok(all)
    }

    /// All that are meant, at least one, each in a network of its own.
    pub(crate) async fn find(&self, caller: &Caller) -> Result<Vec<Found>, CallerError> {
        let mut found = match caller {
            Caller::Process(pid) => {
                let process = host::identity_of(*pid).ok_or(CallerError::NoProcess { pid: *pid })?;
                let owner = owner_of(process);
                vec![Found { name: format!("pid {pid}"), namespace: identify(process)?, owner }]
            }
            Caller::Named(name) => {
                let services = self.services.as_ref();
                match services.and_then(|services| services.processes(name).ok()) {
                    Some(processes) => of_service(name, processes)?,
                    None => {
                        let target = Target::new(vec![Selector::of_kind("name", name.as_str())?])?;
                        // All of them: no dice are thrown.
                        self.of_containers(&target, Seed(0)).await?.found
                    }
                }
            }
        };
        each_network_once(&mut found);
        Ok(found)
    }

    async fn of_containers(&self, target: &Target, seed: Seed) -> Result<Finding, CallerError> {
        let engine = self.engine().await?;
        let containers = engine.containers(Scope::All).await?;
        let project = self.project.get().map(String::as_str);
        let choice = chosen(&containers, target, seed, project)?;
        let mut found = Vec::with_capacity(choice.targets.len());
        for container in choice.targets {
            // One that ends in this moment is looked for again.
            if let Some(pid) = engine.main_pid(&container.identity).await? {
                let process = main_process(&container, pid)?;
                let name = container.name().to_owned();
                let owner = Lockable::Container(container.identity);
                found.push(Found { name, namespace: identify(process)?, owner });
            }
        }
        let protected = choice.protected.into_iter().map(|one| one.name).collect();
        Ok(Finding { found, of: choice.of, protected })
    }

    async fn engine(&self) -> Result<&Engine, CallerError> {
        let engine = self.engine.get_or_try_init(Engine::connect).await?;
        match engine.endpoint() {
            local if local.is_local() => Ok(engine),
            remote => Err(CallerError::Remote { endpoint: remote.clone() }),
        }
    }
}

/// Those processes of a service that live in another network.
fn of_service(service: &ServiceName, processes: Vec<ProcessIdentity>) -> Result<Vec<Found>, CallerError> {
    let own = identify(host::myself())?.inode;
    let found: Vec<Found> = processes
        .into_iter()
        // One that ended in the meantime is nobody's network.
        .filter_map(|process| Some((process, identify(process).ok()?)))
        .filter(|(_, namespace)| namespace.inode != own)
        .map(|(process, namespace)| Found {
            name: format!("{service} (process {})", process.pid),
            namespace,
            owner: Lockable::Process(process),
        })
        .collect();
    if found.is_empty() { Err(CallerError::OwnNetwork { service: service.clone() }) } else { Ok(found) }
}

/// Processes that share a network are one caller: the redirect is the network's.
fn each_network_once(found: &mut Vec<Found>) {
    let mut seen = BTreeSet::new();
    found.retain(|one| seen.insert(one.namespace.inode));
}

/// The containers that are meant. One name alone is a container's, else a compose service's.
fn chosen(
    containers: &[Container],
    target: &Target,
    seed: Seed,
    project: Option<&str>,
) -> Result<Choice, CallerError> {
    let mut target = target.clone();
    if let [Selector::Name(Pattern::Exact(name))] = target.all_of.as_slice() {
        let is_service = |one: &&Container| {
            one.service() == Some(name.as_str()) && project.is_none_or(|p| one.project() == Some(p))
        };
        let is_container = containers.iter().any(|one| one.name() == name.as_str());
        if !is_container && containers.iter().any(|one| is_service(&one)) {
            let projects: BTreeSet<&str> =
                murphy_core::gathered(containers.iter().filter(is_service).filter_map(Container::project));
            if projects.len() > 1 {
                let (name, projects) = (name.clone(), projects.into_iter().map(str::to_owned).collect());
                return Err(CallerError::Ambiguous { name, projects });
            }
            let mut conditions = vec![Selector::of_kind("service", name)?];
            conditions.extend(project.map(|p| Selector::of_kind("project", p)).transpose()?);
            target.all_of = conditions;
        }
    }
    Ok(choose(containers, &target, seed, Wanted::Running)?)
}

/// The process here that is a container's main process, if it is that container's.
pub(crate) fn main_process(container: &Container, pid: i64) -> Result<ProcessIdentity, CallerError> {
    let other = || CallerError::OtherPids { container: container.name().to_owned(), pid };
    let here = i32::try_from(pid).map_err(|_| other())?;
    let process = host::identity_of(here).ok_or_else(other)?;
    // Engines name the control group after the container's id.
    let groups = fs::read_to_string(format!("/proc/{here}/cgroup")).unwrap_or_default();
    if groups.contains(&container.identity.id) { Ok(process) } else { Err(other()) }
}

/// The container that a process lives in, or the process itself: whoever breaks one must not find the other in other hands.
fn owner_of(process: ProcessIdentity) -> Lockable {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
    match container_in(&groups) {
        Some(id) => {
            let name = format!("of process {}", process.pid);
            Lockable::Container(ContainerIdentity { id: id.to_owned(), name })
        }
        None => Lockable::Process(process),
    }
}

/// The id of a container in the names of control groups: 64 hexadecimal digits, the innermost if one is within another.
fn container_in(groups: &str) -> Option<&str> {
    let mut words = groups.split(|c: char| !c.is_ascii_alphanumeric());
    words.rfind(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_control_group() {
        let id = "0123456789abcdef".repeat(4);
        for groups in [
            format!("12:memory:/docker/{id}\n1:name=systemd:/docker/{id}\n"),
            format!("0::/system.slice/docker-{id}.scope\n"),
            format!("0::/machine.slice/libpod-{id}.scope/container\n"),
            format!("0::/../{id}\n"),
            format!("4:cpu:/docker/{}/docker/{id}\n", "f".repeat(64)),
        ] {
            assert_eq!(container_in(&groups), Some(id.as_str()), "{groups}");
        }
        assert_eq!(container_in("0::/user.slice/user-1000.slice/session-3.scope\n"), None);
        assert_eq!(owner_of(host::myself()) == Lockable::Process(host::myself()), !in_container());
    }

    /// True if these tests run in a container.
    fn in_container() -> bool {
        fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| container_in(&groups).is_some())
    }
}
