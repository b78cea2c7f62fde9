//! What every fault is made of: a small value that can be read, written, checked, printed and turned into an effect.
//!
//! A specification is data. It must never open a socket, start a task or touch a process; that is its effect's matter.

use std::fmt::Debug;

use murphy_core::{Chance, Directions, FaultId};
use murphy_docker::Action;
use murphy_host::Pressure;
use murphy_proxy::{Armed, EdgeEffect};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Problems;
use crate::network::NetworkAction;
use crate::process::ProcessAction;

/// What a fault can sit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The calls between a service and a dependency.
    Edge,
    /// A process: one that Murphy started, or one that was found.
    Process,
    /// A container.
    Container,
    /// The network between containers.
    Network,
    /// The machine that Murphy runs on.
    Host,
}

/// What a fault on an edge is put on, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// Connections and their bytes, whatever is spoken.
    Connections,
    /// Requests; the edge must speak HTTP.
    Requests,
}

impl Place {
    /// The key under which a scenario names the target.
    pub fn key(self) -> &'static str {
        match self {
            Place::Edge => "edge",
            Place::Process => "process",
            Place::Container => "container",
            Place::Network => "network",
            Place::Host => "host",
        }
    }
}

/// What a fault does, as something that can be carried out.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Something at an edge.
    Edge(EdgeEffect),
    /// Something done to a process.
    Process(ProcessAction),
    /// Something done to a container.
    Container(Action),
    /// Something done to a network.
    Network(NetworkAction),
    /// Something that is taken of what a machine has.
    Pressure(Pressure),
}

/// One fault of the catalogue. A file implements this for its type; a line in the registry does the rest.
pub trait FaultSpec:
    Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Debug + Send + Sync + 'static
{
    /// The name in YAML and on the command line.
    const NAME: &'static str;
    /// What it does, in one sentence.
    const ABOUT: &'static str;
    /// A whole fault as YAML; a test reads each.
    const EXAMPLE: &'static str;
    /// What it sits on.
    const PLACE: Place;
    /// On an edge, what it is put on.
    const GRAIN: Grain = Grain::Connections;
    /// What else it can sit on.
    const ALSO: &'static [Place] = &[];
    /// The field that a bare value stands for: `{ latency: 800ms }`.
    const SHORTHAND: Option<&'static str> = None;

    /// The fault with its main settings, as printed: `latency 800ms ± 100ms`.
    fn text(&self) -> String;

    /// Reports settings that cannot be meant.
    fn check(&self, _problems: &mut Problems) {}

    /// Reports settings that mean nothing where it sits.
    fn check_on(&self, _place: Place, _problems: &mut Problems) {}

    /// What it does.
    fn effect(&self) -> Effect;

    /// What it does to one of the places that it can sit on, the same to all unless a fault says otherwise; `None` for any
    /// other.
    fn effect_on(&self, place: Place) -> Option<Effect> {
        (place == Self::PLACE || Self::ALSO.contains(&place)).then(|| self.effect())
    }

    /// The fault ready to be put on a proxy under this name, acting on all connections and, if it acts on bytes, on the
    /// answers; change the fields for less or more. `None` for a fault that does not sit on an edge.
    fn armed(&self, id: FaultId) -> Option<Armed> {
        match self.effect() {
            Effect::Edge(effect) => {
                Some(Armed { id, effect, directions: Directions::default(), chance: Chance::ALWAYS })
            }
            _ => None,
        }
    }
}
