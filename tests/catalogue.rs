//! The smallest scenario that there is: one service behind one edge, with a load on it.

use crate::free_ports;

/// One catalogue service behind one edge, on free ports. `more` are the lines that follow its load: phases, faults and
/// expectations; `SERVICE` in them becomes the service's own address.
pub fn catalogue_scenario(name: &str, more: &str) -> String {
    let [service, edge]: [u16; 2] = free_ports();
    let service = format!("127.0.0.1:{service}");
    format!(
        r#"murphy: 1
name: {name}
services:
  catalogue:
    run: [murphy, demo-service, catalogue, --listen, "{service}"]
    ready: {{ tcp: "{service}" }}
    within: 30s
edges:
  items: {{ listen: "127.0.0.1:{edge}", to: "{service}" }}
load:
  read: {{ http: "GET http://127.0.0.1:{edge}/items/1", rate: 150/s, timeout: 4s }}
{}"#,
        more.replace("SERVICE", &service)
    )
}
