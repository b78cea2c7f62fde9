//! The smallest scenario that there is: one service behind one edge, with a load on it.

use crate::free_ports;

/// One catalogue service behind one edge, on free ports. `more` are the lines that follow its load: phases, faults and
/// expectations; `SERVICE` in them becomes the service's own address, and `EDGE` the edge's.
pub fn catalogue_scenario(name: &str, more: &str) -> String {
    asked_at("EDGE", name, more)
}

/// As [`catalogue_scenario`], with users who go around the edge.
pub fn catalogue_around_its_edge(name: &str, more: &str) -> String {
    asked_at("SERVICE", name, more)
}

fn asked_at(whom: &str, name: &str, more: &str) -> String {
    let [service, edge]: [u16; 2] = free_ports();
    let (service, edge) = (format!("127.0.0.1:{service}"), format!("127.0.0.1:{edge}"));
    let rest = format!(
        r#"services:
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "SERVICE"]
    ready: {{ tcp: "SERVICE" }}
    within: 30s
edges:
  items: {{ listen: "EDGE", to: "SERVICE" }}
load:
  read: {{ http: "GET http://{whom}/items/1", rate: 150/s, timeout: 4s }}
{more}"#
    );
    format!("murphy: 1\nname: {name}\n{}", rest.replace("SERVICE", &service).replace("EDGE", &edge))
}
