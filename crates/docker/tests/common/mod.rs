//! What the tests against a real engine share: connecting to it, and what "exactly as before" is compared by.

use murphy_core::{ContainerIdentity, Span};
use murphy_docker::{Endpoint, Engine};
use murphy_testkit::{Member, Sandbox};
use serde_json::{Value, json};

/// The code under test, on the sandbox's engine.
pub async fn connect(sandbox: &Sandbox) -> Engine {
    let endpoint = Endpoint::Unix(sandbox.engine().socket.clone());
    Engine::connect_to(endpoint, Span::from_secs(20)).await.expect("the engine")
}

/// A sandbox's container in the words of the code under test.
#[allow(dead_code)] // not every test binary acts on containers
pub fn identity(member: &Member) -> ContainerIdentity {
    ContainerIdentity { id: member.id.clone(), name: member.name.clone() }
}

/// All that an owner would call the state of a container: name, configuration, limits, restart policy, networks with
/// aliases and addresses, published ports, mounts, running or not. Left out is what only counts its past (ids of
/// endpoints, pids, instants).
#[allow(dead_code)] // not every test binary compares
pub fn snapshot(sandbox: &Sandbox, member: &Member) -> Value {
    let seen = sandbox.inspect(&member.id);
    let mut networks = seen["NetworkSettings"]["Networks"].clone();
    for endpoint in networks.as_object_mut().into_iter().flat_map(|networks| networks.values_mut()) {
        // Names are a set; compose hands them over in any order.
        if let Some(aliases) = endpoint["Aliases"].as_array_mut() {
            aliases.sort_by_key(ToString::to_string);
        }
        endpoint.as_object_mut().expect("an endpoint").remove("EndpointID");
        for field in ["IPAMConfig", "DriverOpts", "Links"] {
            // The engine says "nothing" in two ways.
            if endpoint[field] == json!({}) || endpoint[field] == json!([]) {
                endpoint[field] = Value::Null;
            }
        }
    }
    json!({
        "name": seen["Name"],
        "running": seen["State"]["Running"],
        "paused": seen["State"]["Paused"],
        "config": seen["Config"],
        "host": seen["HostConfig"],
        "networks": networks,
        "ports": seen["NetworkSettings"]["Ports"],
        "mounts": seen["Mounts"],
    })
}
