//! Containers without an engine, for tests of choosing and planning. It can only be looked at: nothing can be done to
//! these containers, so no test of an action can lean on it.

use std::collections::BTreeMap;

use murphy_core::{ContainerIdentity, Seed};

use crate::container::{Container, State};

/// A list of made-up containers.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    containers: Vec<Container>,
}

impl Inventory {
    /// Nothing yet.
    pub fn new() -> Inventory {
        Inventory::default()
    }

    /// A running container.
    pub fn container(mut self, name: &str, image: &str) -> Inventory {
        self.containers.push(Container {
            identity: ContainerIdentity { id: made_up_id(name), name: name.to_owned() },
            image: image.to_owned(),
            state: State::Running,
            status: "Up 1 minute".to_owned(),
            labels: BTreeMap::new(),
            networks: BTreeMap::new(),
        });
        self
    }

    /// So many running containers of one compose service, named as compose does.
    pub fn service(mut self, project: &str, service: &str, count: u32) -> Inventory {
        for number in 1..=count {
            self = self.container(&format!("{project}-{service}-{number}"), &format!("{project}-{service}"));
            self = self
                .label("com.docker.compose.project", project)
                .label("com.docker.compose.service", service)
                .label("com.docker.compose.container-number", &number.to_string());
        }
        self
    }

    /// Labels the container that was added last.
    pub fn label(mut self, key: &str, value: &str) -> Inventory {
        if let Some(last) = self.containers.last_mut() {
            last.labels.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// The state of the container that was added last.
    pub fn state(mut self, state: State) -> Inventory {
        if let Some(last) = self.containers.last_mut() {
            last.state = state;
        }
        self
    }

    /// The containers, by name.
    pub fn containers(mut self) -> Vec<Container> {
        murphy_core::sort_short(&mut self.containers, |a, b| a.identity.name.cmp(&b.identity.name));
        self.containers
    }
}

/// An id that looks like an engine's and is the same each time.
fn made_up_id(name: &str) -> String {
    (0..4).map(|part| format!("{:016x}", Seed(0).derive(name, part).0)).collect()
}
