//! The connection to an engine: finds it, agrees on a version, bounds every call in time and counts them. It decides
//! nothing about targets or faults, and starts no task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::models::{ContainerInspectResponse, SystemVersion};
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::http::uri::PathAndQuery;
use murphy_core::{ContainerIdentity, Seed, Span};

use crate::container::{Container, own_container};
use crate::endpoint::{Endpoint, Environment};
use crate::error::EngineError;
use crate::select::{Choice, SelectError, Target, Wanted, choose};
use crate::transport;

/// An API version, `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

impl ApiVersion {
    /// The oldest version with every call that is made here: limits of running containers by `update`, with pids, came
    /// with 1.40.
    pub const NEEDED: ApiVersion = ApiVersion { major: 1, minor: 40 };
    const NEEDED_TEXT: &'static str = "1.40";

    fn parse(text: &str) -> Option<ApiVersion> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(ApiVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Which program the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker, or something that says nothing else.
    Docker,
    /// Podman's Docker-compatible service.
    Podman,
}

/// What the engine said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Which program.
    pub kind: EngineKind,
    /// Its version: `20.10.24`.
    pub version: String,
    /// The API version that is spoken with it: the newest that both sides know.
    pub api: ApiVersion,
    /// The kernel under it.
    pub kernel: String,
}

/// Which containers a list call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that run (also paused ones).
    Running,
    /// All, also ended ones.
    All,
}

/// An engine. Cheap to clone; all clones share one count of calls.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    endpoint: Endpoint,
    facts: Arc<EngineFacts>,
    budget: Span,
    calls: Arc<AtomicU64>,
    own: Option<String>,
}

impl Engine {
    /// What one call may take unless the call itself has to wait for something (a grace, a command).
    pub const BUDGET: Span = Span::from_secs(20);

    /// Connects to the engine of this process's environment.
    pub async fn connect() -> Result<Engine, EngineError> {
        Engine::connect_from(&Environment::of_process()).await
    }

    /// Connects to the engine of an environment: `DOCKER_HOST` if set, else the first usual socket that exists.
    pub async fn connect_from(environment: &Environment) -> Result<Engine, EngineError> {
        if let Some(endpoint) = environment.given()? {
            return Engine::connect_to(endpoint, Engine::BUDGET).await;
        }
        let usual = environment.usual_sockets();
        match usual.iter().find(|socket| socket.exists()) {
            Some(socket) => Engine::connect_to(Endpoint::Unix(socket.clone()), Engine::BUDGET).await,
            None => Err(EngineError::NoSocket { tried: usual }),
        }
    }

    /// Connects to one engine, with a limit of its own on each call.
    pub async fn connect_to(endpoint: Endpoint, budget: Span) -> Result<Engine, EngineError> {
        let docker = transport::client(&endpoint)?;
        let version = first_answer(&docker, budget, &endpoint).await?;
        let facts = facts(&version, &endpoint)?;
        let prefix = format!("/v{}", facts.api);
        Ok(Engine {
            docker: docker.with_request_modifier(move |request| with_version(request, &prefix)),
            endpoint,
            facts: Arc::new(facts),
            budget,
            calls: Arc::new(AtomicU64::new(1)),
            own: std::fs::read_to_string("/proc/self/mountinfo").ok().as_deref().and_then(own_container),
        })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it said of itself.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// How many calls were made so far, over all clones.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sort(&self, raw: bollard::errors::Error, call: &'static str) -> EngineError {
        EngineError::sort(raw, call, &self.endpoint)
    }

    /// Makes one call, within the usual budget.
    pub(crate) async fn call<T>(
        &self,
        call: &'static str,
        future: impl Future<Output = Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T, EngineError> {
        self.within(call, Span::ZERO, Box::pin(future)).await
    }

    /// Makes one call that has to wait for something itself: that time is added to the budget.
    pub(crate) async fn call_within<T>(
        &self,
        call: &'static str,
        extra: Span,
        future: impl Future<Output = Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T, EngineError> {
        self.within(call, extra, Box::pin(future)).await
    }

    async fn within<T>(
        &self,
        call: &'static str,
        extra: Span,
        future: Asked<'_, T>,
    ) -> Result<T, EngineError> {
        self.count_call();
        let within = Span::from(self.budget.as_duration().saturating_add(extra.as_duration()));
        bounded(call, within, &self.endpoint, future).await
    }

    /// Containers of the engine, by name. Murphy's own container is left out: it is no target.
    pub async fn containers(&self, scope: Scope) -> Result<Vec<Container>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(scope == Scope::All).build();
        let summaries = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        let mut containers: Vec<Container> = summaries
            .into_iter()
            .filter_map(Container::from_summary)
            .filter(|container| Some(&container.identity.id) != self.own.as_ref())
            .collect();
        murphy_core::sort_short(&mut containers, |a, b| a.identity.cmp_by_name(&b.identity));
        Ok(containers)
    }

    /// Finds the containers that a target means. Also ended containers are looked at, so that the error for "nothing"
    /// can say that they are there but do not run.
    pub async fn targets(&self, target: &Target, seed: Seed, wanted: Wanted) -> Result<Choice, FindError> {
        let containers = self.containers(Scope::All).await?;
        Ok(choose(&containers, target, seed, wanted)?)
    }

    /// Everything that the engine knows of one container.
    pub(crate) async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse, EngineError> {
        self.call("inspect", self.docker.inspect_container(id, None)).await
    }

    /// How often the engine has started a container again by itself.
    pub async fn restarts(&self, container: &ContainerIdentity) -> Result<u64, EngineError> {
        let restarts = self.inspect(&container.id).await?.restart_count.unwrap_or_default();
        Ok(u64::try_from(restarts).unwrap_or_default())
    }

    /// The pid of a container's main process, as the engine's machine counts: to signal it as a crash would, which the
    /// engine's restart policy answers. `None` if it does not run.
    pub async fn main_pid(&self, container: &ContainerIdentity) -> Result<Option<i64>, EngineError> {
        let state = self.inspect(&container.id).await?.state.unwrap_or_default();
        Ok(state.pid.filter(|pid| *pid > 0))
    }
}

/// A call under way. Of one type for each kind of answer, so that the limit on its time is compiled once for each and not for each
/// call.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, bollard::errors::Error>> + Send + 'a>>;

/// Why no target was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The target means nothing that may be touched.
    #[error(transparent)]
    Select(#[from] SelectError),
}

trait ByName {
    fn cmp_by_name(&self, other: &Self) -> std::cmp::Ordering;
}

impl ByName for ContainerIdentity {
    fn cmp_by_name(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name).then_with(|| self.id.cmp(&other.id))
    }
}

/// How often an engine that hangs up after the handshake is asked, so that the alert with the cause may come first once.
const ASKED: u32 = 5;

async fn first_answer(
    docker: &Docker,
    budget: Span,
    endpoint: &Endpoint,
) -> Result<SystemVersion, EngineError> {
    let mut asked = 1;
    loop {
        match bounded("version", budget, endpoint, Box::pin(docker.version())).await {
            Err(EngineError::HungUp { .. }) if asked < ASKED => asked += 1,
            answer => return answer,
        }
    }
}

async fn bounded<T>(
    call: &'static str,
    within: Span,
    endpoint: &Endpoint,
    future: Asked<'_, T>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(within.as_duration(), future).await {
        Ok(answer) => answer.map_err(|raw| EngineError::sort(raw, call, endpoint)),
        Err(_) => Err(EngineError::Timeout { call, within }),
    }
}

fn facts(version: &SystemVersion, endpoint: &Endpoint) -> Result<EngineFacts, EngineError> {
    let text = version.api_version.as_deref().unwrap_or_default();
    let server = ApiVersion::parse(text).ok_or_else(|| EngineError::Malformed {
        call: "version",
        why: format!("`{text}` is not an API version"),
    })?;
    if server < ApiVersion::NEEDED {
        return Err(EngineError::TooOld {
            endpoint: endpoint.to_string(),
            found: server.to_string(),
            needed: ApiVersion::NEEDED_TEXT,
        });
    }
    let newest = ApiVersion {
        major: API_DEFAULT_VERSION.major_version as u32,
        minor: API_DEFAULT_VERSION.minor_version as u32,
    };
    let podman = version
        .components
        .iter()
        .flatten()
        .any(|component| component.name.to_ascii_lowercase().contains("podman"));
    Ok(EngineFacts {
        kind: if podman { EngineKind::Podman } else { EngineKind::Docker },
        version: version.version.clone().unwrap_or_default(),
        api: server.min(newest),
        kernel: version.kernel_version.clone().unwrap_or_default(),
    })
}

/// Puts the version in front of a request's path. The client library leaves it out, and an engine answers an unversioned
/// request by its own newest version, which may be newer than this build can read.
fn with_version(request: BollardRequest, prefix: &str) -> BollardRequest {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.clone().into_parts();
    let path = uri.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    if !path.starts_with("/v1.")
        && let Ok(versioned) = PathAndQuery::try_from(format!("{prefix}{path}"))
    {
        uri.path_and_query = Some(versioned);
        if let Ok(uri) = uri.try_into() {
            parts.uri = uri;
        }
    }
    BollardRequest::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(api: &str) -> SystemVersion {
        SystemVersion { api_version: Some(api.to_owned()), ..SystemVersion::default() }
    }

    fn somewhere() -> Endpoint {
        Endpoint::Tcp("box:2375".into())
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        assert_eq!(facts(&said("1.41"), &somewhere()).unwrap().api, ApiVersion { major: 1, minor: 41 });
        let newest = facts(&said("1.999"), &somewhere()).unwrap().api;
        assert_eq!(newest.minor as usize, API_DEFAULT_VERSION.minor_version);
    }

    #[test]
    fn an_old_engine_and_a_mute_one_are_refused() {
        let error = facts(&said("1.39"), &somewhere()).unwrap_err();
        assert!(
            error.to_string().contains("speaks API 1.39") && error.to_string().contains("1.40"),
            "{error}"
        );
        assert!(matches!(facts(&said(""), &somewhere()), Err(EngineError::Malformed { .. })));
    }
}
