//! A container to break, and what the engine says of it.

use std::time::Duration;

use murphy_testkit::{Member, Sandbox};
use murphy_tests::{Bench, eventually};
use serde_json::{Value, json};

/// One container that echoes on a port, on a network of its own.
pub struct Victims {
    pub sandbox: Sandbox,
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub network: String,
    pub member: Member,
}

impl Victims {
    pub fn start(test: &str) -> Option<Victims> {
        Victims::that(test, &["echo", "7000"])
    }

    /// It does not heed SIGTERM, so that a stop takes its whole grace.
    #[allow(dead_code, reason = "not every test that shares this file needs one")]
    pub fn deaf(test: &str) -> Option<Victims> {
        Victims::that(test, &["ignore-term", "echo", "7000"])
    }

    fn that(test: &str, words: &[&str]) -> Option<Victims> {
        let sandbox = Sandbox::open(test)?;
        let network = sandbox.network("net", json!({}));
        let settings = json!({
            "HostConfig": { "NetworkMode": network, "PidsLimit": 200, "RestartPolicy": { "Name": "no" } },
            "NetworkingConfig": { "EndpointsConfig": { network.clone(): { "Aliases": ["victim"] } } },
        });
        let member = sandbox.container("victim", words, settings);
        Some(Victims { sandbox, network, member })
    }

    /// Where it echoes.
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn address(&self) -> String {
        let networks = &self.sandbox.inspect(&self.member.id)["NetworkSettings"]["Networks"];
        format!("{}:7000", networks[&self.network]["IPAddress"].as_str().expect("an address"))
    }

    /// All that a fault may change: state, name, limits, networks with aliases and address, files.
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn state(&self) -> Value {
        let all = self.sandbox.inspect(&self.member.id);
        let host = &all["HostConfig"];
        let networks: serde_json::Map<String, Value> = all["NetworkSettings"]["Networks"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, network)| {
                let mut aliases: Vec<String> = network["Aliases"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|alias| alias.as_str().map(str::to_owned))
                    .collect();
                aliases.sort();
                (name.clone(), json!({ "aliases": aliases, "address": network["IPAddress"] }))
            })
            .collect();
        json!({
            "name": all["Name"],
            "running": all["State"]["Running"],
            "paused": all["State"]["Paused"],
            "memory": limit(&host["Memory"]), "swap": limit(&host["MemorySwap"]),
            "cpus": limit(&host["NanoCpus"]), "pids": limit(&host["PidsLimit"]),
            "restart": host["RestartPolicy"],
            "networks": networks,
        })
    }

    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn is_paused(&self) -> bool {
        self.sandbox.inspect(&self.member.id)["State"]["Paused"] == json!(true)
    }

    /// True if the engine has sent it a signal since then: a stop begins so.
    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn was_signalled(&self, since: Duration) -> bool {
        self.sandbox.has_told(&self.member, "kill", since)
    }

    #[allow(dead_code, reason = "not every test that shares this file asks")]
    pub fn started_at(&self) -> String {
        self.sandbox.inspect(&self.member.id)["State"]["StartedAt"].as_str().unwrap_or_default().to_owned()
    }
}

/// A limit, or `None` for "no limit": absent, 0, -1, or the most bytes that the kernel counts, which is what an engine's
/// record shows after a limit was lifted, as it has no word for it.
fn limit(value: &Value) -> Option<i64> {
    const MOST_BYTES: i64 = i64::MAX / 4096 * 4096;
    value.as_i64().filter(|limit| (1..MOST_BYTES).contains(limit))
}

/// Waits until a fault of the bench's first run is in the world.
#[allow(dead_code, reason = "not every test that shares this file asks")]
pub fn armed(bench: &Bench) {
    eventually("a fault is armed", Duration::from_secs(60), || {
        bench.journals().first().is_some_and(|journal| {
            std::fs::read_to_string(journal).is_ok_and(|text| text.contains("\"fault-armed\""))
        })
    });
}
