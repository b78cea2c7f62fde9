//! From a body to an order by hand, checked: the words are those of a scenario's fault.

use murphy_adhoc::{Asked, Consent, Deed, NetworkTarget, Order, Whom};
use murphy_core::{FaultId, Seed, Span};
use murphy_faults::{ContainerTarget, Fault, Place};
use murphy_scenario::NetworkDoc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::native::{Finding, Problem};

/// A fault on containers, or on the network between them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewContainerFault {
    /// Its name, unique in the daemon; the fault's own name with a number if left out.
    pub name: Option<FaultId>,
    /// The containers that it acts on, as in a scenario: `service:web`, or conditions that must all hold.
    pub container: Option<ContainerTarget>,
    /// The stretch of network that it acts on, as in a scenario.
    pub network: Option<NetworkDoc>,
    /// The compose project in which the names of `network` are meant, where several have one of that name.
    pub project: Option<String>,
    /// What happens: a fault on containers or on a network, with its settings.
    pub inject: Fault,
    /// How long it stays so each time; 30s if left out. A fault without a way back has none.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// Again and again: time from one beginning to the next.
    pub every: Option<Span>,
    /// Each beginning is earlier or later by at most so much.
    pub jitter: Option<Span>,
    /// So many rounds; without it, until it is taken off or the daemon ends.
    #[schemars(range(min = 1))]
    pub times: Option<u32>,
    /// Root of all its choices; one of the daemon's own if left out.
    pub seed: Option<Seed>,
    /// At most so many may be touched at once. Needed for more than five.
    #[schemars(range(min = 1))]
    pub max: Option<u32>,
    /// Only tell whom it would touch and how it would be taken back.
    #[serde(default)]
    pub dry_run: DryRun,
}

/// Whether something is only to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(from = "bool", into = "bool")]
#[schemars(with = "bool")]
pub enum DryRun {
    /// It is to be done.
    #[default]
    No,
    /// Nothing is to be touched.
    Yes,
}

impl From<bool> for DryRun {
    fn from(yes: bool) -> DryRun {
        if yes { DryRun::Yes } else { DryRun::No }
    }
}

impl From<DryRun> for bool {
    fn from(dry_run: DryRun) -> bool {
        dry_run == DryRun::Yes
    }
}

/// The order that a body asks for. `seed` is for a body without one.
pub fn order(new: NewContainerFault, seed: Seed) -> Result<Order, Problem> {
    let NewContainerFault { container, network, project, inject, lasts, every, jitter, times, max, .. } = new;
    if max == Some(0) {
        return Err(value("max", "a maximum of 0 forbids everything".into(), "write at least 1"));
    }
    let (whom, place, max) = match (container, network) {
        (Some(_), None) if project.is_some() => {
            let message = "this is for `network`".into();
            return Err(value("project", message, "write it into `container`, with `service`"));
        }
        (Some(target), None) => {
            let max = target.max.into_iter().chain(max).min();
            (Whom::Containers(ContainerTarget { max, ..target }), Place::Container, max)
        }
        (None, Some(network)) => {
            let said = |error: murphy_scenario::StretchError| {
                let help = "write `{ \"between\": [\"web\", \"db\"] }`, `{ \"from\": \"web\", \"to\": \"db\" }` or `{ \"of\": \"web\" }`";
                value("network", error.to_string(), help)
            };
            let stretch = network.stretch().map_err(said)?;
            stretch.takes(&inject).map_err(said)?;
            (Whom::Network(NetworkTarget { stretch, project, max }), Place::Network, max)
        }
        _ => {
            let help =
                "write `\"container\": \"service:web\"` or `\"network\": { \"between\": [\"web\", \"db\"] }`";
            return Err(value("container", "a fault here sits on containers or on a network".into(), help));
        }
    };
    let mut problems = inject.problems();
    inject.check_on(place, &mut problems);
    let findings: Vec<Finding> = problems.into_iter().map(Finding::from).collect();
    if !findings.is_empty() {
        return Err(Problem::Settings { what: inject.name().to_owned(), findings });
    }
    let Some(deed) = Deed::of_fault(&inject, place) else {
        let message = format!("`{}` does not act on containers", inject.name());
        return Err(value("inject", message, "write one that does; `murphy explain` lists them"));
    };
    let asked = Asked { hold: lasts, every, jitter, times };
    let consent = if max.is_some() { Consent::Given } else { Consent::NotGiven };
    let seed = new.seed.unwrap_or(seed);
    Order::new(deed, whom, asked, seed, consent).map_err(|error| Problem::Order {
        // Of a command line: the words are the same.
        why: error.to_string().replace("--", ""),
    })
}

fn value(field: &'static str, message: String, help: &'static str) -> Problem {
    Problem::Value { field, message, help }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &str) -> Result<Order, Problem> {
        order(serde_json::from_str(body).expect(body), Seed(7))
    }

    #[test]
    fn the_words_are_those_of_a_scenario() {
        for body in [
            r#"{ "container": "web", "inject": "pause" }"#,
            r#"{ "container": { "service": "web", "pick": "50%", "max": 3 }, "inject": { "limits": { "memory": "64MiB" } }, "for": "5s" }"#,
            r#"{ "container": "web", "inject": { "restart": "1s" }, "every": "30s", "jitter": "10s", "times": 3 }"#,
            r#"{ "network": { "between": [["web", "worker"], "db"] }, "inject": "partition" }"#,
            r#"{ "network": { "from": "web", "to": "db" }, "project": "shop", "inject": { "loss": "20%" }, "seed": 3 }"#,
            r#"{ "network": { "of": "web" }, "inject": { "bandwidth": "1MB/s" }, "max": 9, "dry-run": true }"#,
        ] {
            read(body).expect(body);
        }
        let order =
            read(r#"{ "container": { "name": "web-*", "max": 9 }, "inject": "pause", "max": 7 }"#).unwrap();
        assert!(matches!(order.whom, Whom::Containers(ContainerTarget { max: Some(7), .. })));
        assert_eq!((order.consent, order.seed), (Consent::Given, Seed(7)));
    }

    proptest! {
        #[test]
        fn any_words_are_answered_without_a_panic(text in "\\PC{0,20}", other in "\\PC{0,20}", number: u32) {
            for body in [
                json!({ "container": text, "inject": other, "for": text, "times": number }),
                json!({ "container": { "service": text, "max": number }, "inject": "pause", "every": other }),
                json!({ "network": { "between": [text, [other]] }, "inject": "partition", "max": number }),
                json!({ "network": { "from": text, "to": other }, "inject": { "loss": "5%" }, "project": text }),
            ] {
                if let Ok(new) = serde_json::from_value(body) {
                    let _ = order(new, Seed(7));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_pointed_at() {
        for (body, wanted) in [
            (r#"{ "inject": "pause" }"#, "service:web"),
            (r#"{ "container": "web", "network": { "of": "x" }, "inject": "pause" }"#, "or on a network"),
            (r#"{ "container": "web", "inject": { "latency": "1s" } }"#, "does not act on containers"),
            (r#"{ "container": "web", "inject": "partition" }"#, "does not act on containers"),
            (r#"{ "container": "web", "inject": "freeze" }"#, "does not act on containers"),
            (r#"{ "network": { "of": "web" }, "inject": "partition" }"#, "needs two sides"),
            (
                r#"{ "network": { "between": ["web", "db"] }, "inject": "pause" }"#,
                "does not act on a network",
            ),
            (r#"{ "network": { "between": ["web"] }, "inject": "partition" }"#, "between what and what"),
            (r#"{ "network": {}, "inject": "partition" }"#, "one of three ways"),
            (r#"{ "network": { "from": "web" }, "inject": "partition" }"#, "one of three ways"),
            (r#"{ "network": { "from": "a b", "to": "x" }, "inject": "partition" }"#, "is not a caller"),
            (r#"{ "container": "web", "inject": "pause", "for": "0s" }"#, "`for 0s` is no time"),
            (r#"{ "container": "web", "inject": "pause", "times": 2 }"#, "`times` needs `every`"),
            (r#"{ "container": "web", "inject": "pause", "max": 0 }"#, "write at least 1"),
            (r#"{ "container": "web", "inject": { "limits": {} } }"#, "limits cannot be meant so"),
            (r#"{ "container": "web", "inject": "pause", "project": "shop" }"#, "into `container`"),
        ] {
            let said = read(body).unwrap_err().to_string();
            assert!(said.contains(wanted), "{body}: {said}");
        }
    }
}
