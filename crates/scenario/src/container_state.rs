//! What a probe wants a container to be: words of the engine, as they are written in a scenario.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a container is doing, in the engine's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// At work.
    #[default]
    Running,
    /// Frozen by the engine.
    Paused,
    /// Ended, and the engine will start it again.
    Restarting,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
}

/// What a container's own health check must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It has not passed yet.
    Starting,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl ContainerState {
    /// The engine's word.
    pub fn name(self) -> &'static str {
        match self {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Exited => "exited",
            ContainerState::Dead => "dead",
        }
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        })
    }
}
