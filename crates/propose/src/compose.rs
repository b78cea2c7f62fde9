//! What a compose file says, as far as a proposal needs it. Everything that is not understood is passed over: the compose
//! file is somebody else's, and compose itself is its judge.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

/// Why a file is no compose file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// It is not YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// It has no `services:` block.
    #[error("no compose file: it has no `services:`")]
    NoServices,
    /// It has no service in it.
    #[error("a compose file without a service")]
    Empty,
}

/// A compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// Those on whose calls nobody can sit in: whose end others wait for, that are not started by default, or that live in
    /// another one's network.
    pub jobs: BTreeSet<String>,
}

/// One service of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its image, if it names one.
    pub image: Option<String>,
    /// What it is built from, if it is built.
    pub build: Option<String>,
    /// Services that it waits for.
    pub depends_on: Vec<String>,
    /// Its environment; values as written, variables not filled.
    pub environment: BTreeMap<String, String>,
    /// Ports on the machine, as written: `${PORT:-8080}`, `8080`.
    pub published: Vec<String>,
    /// Ports inside, from `ports` and `expose`.
    pub inside: Vec<u16>,
    /// The words of its health check.
    pub health: String,
}

impl Compose {
    /// Reads the text of a compose file.
    pub fn read(text: &str) -> Result<Compose, ComposeError> {
        let mut root: Value =
            serde_yaml::from_str(text).map_err(|error| ComposeError::Yaml(error.to_string()))?;
        // A merge that cannot be applied leaves keys out; that is no reason to refuse the file.
        let _ = root.apply_merge();
        let services = root.get("services").and_then(Value::as_mapping).ok_or(ComposeError::NoServices)?;
        let named =
            services.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), service(value))));
        let unseen =
            services.iter().filter(|(_, service)| is_unseen(service)).filter_map(|(name, _)| scalar(name));
        let jobs = murphy_core::gathered(services.values().flat_map(jobs).chain(unseen));
        let services: BTreeMap<String, Service> = murphy_core::gathered(named);
        if services.is_empty() { Err(ComposeError::Empty) } else { Ok(Compose { services, jobs }) }
    }

    /// Adds what a further file of the same project says, which wins where both say something.
    pub fn merge(&mut self, other: Compose) {
        for (name, service) in other.services {
            let ours = self.services.entry(name).or_default();
            ours.image = service.image.or(ours.image.take());
            ours.build = service.build.or(ours.build.take());
            ours.depends_on.extend(service.depends_on);
            ours.environment.extend(service.environment);
            ours.published.extend(service.published);
            // The first one is taken where nothing else tells.
            ours.inside.splice(0..0, service.inside);
            if !service.health.is_empty() {
                ours.health = service.health;
            }
        }
        self.jobs.extend(other.jobs);
    }
}

/// True if it is not started by default, or has no network of its own.
fn is_unseen(service: &Value) -> bool {
    let none = |value: Option<&Value>| value.and_then(Value::as_u64) == Some(0);
    service.get("profiles").is_some()
        || service.get("network_mode").is_some()
        || none(service.get("scale"))
        || none(service.get("deploy").and_then(|deploy| deploy.get("replicas")))
}

/// The services whose end this one waits for.
fn jobs(service: &Value) -> Vec<String> {
    let ends = |waits: &Value| {
        waits.get("condition").and_then(Value::as_str) == Some("service_completed_successfully")
    };
    let waits = service.get("depends_on").and_then(Value::as_mapping).into_iter().flatten();
    waits.filter(|(_, waits)| ends(waits)).filter_map(|(name, _)| scalar(name)).collect()
}

fn service(value: &Value) -> Service {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let build = text("build").or_else(|| {
        value.get("build").and_then(|build| build.get("context")).and_then(Value::as_str).map(str::to_owned)
    });
    let mut service = Service {
        image: text("image"),
        build,
        depends_on: names(value.get("depends_on")),
        environment: environment(value.get("environment")),
        health: words(value.get("healthcheck").and_then(|check| check.get("test"))),
        ..Service::default()
    };
    service.depends_on.extend(
        names(value.get("links"))
            .into_iter()
            .map(|link| link.split(':').next().unwrap_or_default().to_owned()),
    );
    for port in value.get("ports").and_then(Value::as_sequence).into_iter().flatten() {
        let (published, inside) = port_of(port);
        service.published.extend(published);
        service.inside.extend(inside);
    }
    for port in value.get("expose").and_then(Value::as_sequence).into_iter().flatten() {
        service.inside.extend(scalar(port).and_then(|text| number(&text)));
    }
    service
}

/// A scalar as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The keys of a map, or the items of a list.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Sequence(items)) => items.iter().filter_map(scalar).collect(),
        Some(Value::Mapping(map)) => map.keys().filter_map(scalar).collect(),
        _ => Vec::new(),
    }
}

fn environment(value: Option<&Value>) -> BTreeMap<String, String> {
    match value {
        Some(Value::Mapping(map)) => murphy_core::gathered(
            map.iter().filter_map(|(key, value)| Some((scalar(key)?, scalar(value).unwrap_or_default()))),
        ),
        Some(Value::Sequence(items)) => {
            murphy_core::gathered(items.iter().filter_map(scalar).filter_map(|item| {
                item.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
            }))
        }
        _ => BTreeMap::new(),
    }
}

fn words(value: Option<&Value>) -> String {
    match value {
        Some(Value::Sequence(items)) => items.iter().filter_map(scalar).collect::<Vec<_>>().join(" "),
        Some(value) => scalar(value).unwrap_or_default(),
        None => String::new(),
    }
}

fn number(text: &str) -> Option<u16> {
    let text = text.split('/').next().unwrap_or(text);
    text.parse().ok().filter(|port| *port != 0)
}

/// The port on the machine and the one inside, of `8080:80`, `127.0.0.1:8080:80/tcp`, `80`, or the long form.
fn port_of(value: &Value) -> (Option<String>, Option<u16>) {
    if let Value::Mapping(_) = value {
        let inside = value.get("target").and_then(scalar).and_then(|text| number(&text));
        return (value.get("published").and_then(scalar), inside);
    }
    let Some(text) = scalar(value) else { return (None, None) };
    // Colons within `${…}` part nothing.
    let mut parts = vec![String::new()];
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (c, depth, parts.last_mut()) {
            (':', 0, _) => parts.push(String::new()),
            (c, _, Some(last)) => last.push(c),
            _ => {}
        }
    }
    match parts.as_slice() {
        [inside] => (None, number(inside)),
        [.., published, inside] => (Some(published.clone()).filter(|port| !port.is_empty()), number(inside)),
        [] => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_forms_are_read() {
        let compose = Compose::read(
            "x-env: &env { A: 1 }\nservices:\n  web:\n    image: web:1\n    environment: { <<: *env, B: two }\n    \
             ports: ['127.0.0.1:${PORT:-8080}:80/tcp', 9000, { target: 81, published: 8081 }]\n    \
             depends_on: { db: { condition: service_completed_successfully } }\n  db:\n    build: ./db\n    environment: [X=y=z, BARE]\n    \
             expose: ['5432']\n",
        )
        .unwrap();
        let web = &compose.services["web"];
        assert_eq!(web.published, ["${PORT:-8080}", "8081"]);
        assert_eq!(web.inside, [80, 9000, 81]);
        assert_eq!(web.depends_on, ["db"]);
        assert_eq!(compose.jobs.iter().collect::<Vec<_>>(), ["db"]);
        assert_eq!(web.environment["A"], "1");
        let db = &compose.services["db"];
        assert_eq!((db.build.as_deref(), db.inside.as_slice()), (Some("./db"), &[5432][..]));
        assert_eq!(db.environment, BTreeMap::from([("X".to_owned(), "y=z".to_owned())]));
    }

    #[test]
    fn what_a_further_file_says_wins_and_what_it_leaves_out_stays() {
        let one =
            "services: { web: { image: 'web:1', environment: { A: one, B: two } }, db: { image: postgres } }";
        let more = "services: { web: { environment: { A: three }, depends_on: [db] } }";
        let mut both = Compose::read(one).unwrap();
        both.merge(Compose::read(more).unwrap());
        let web = &both.services["web"];
        assert_eq!(
            (web.image.as_deref(), web.depends_on.as_slice()),
            (Some("web:1"), &["db".to_owned()][..])
        );
        assert_eq!((web.environment["A"].as_str(), web.environment["B"].as_str()), ("three", "two"));
        assert_eq!(both.services.len(), 2);
    }

    #[test]
    fn services_that_are_not_started_or_have_no_network_are_known_as_such() {
        let text = "services: { a: { profiles: [dev] }, b: { scale: 0 }, c: { deploy: { replicas: 0 } }, \
                    d: { network_mode: host }, e: { scale: 2, deploy: { replicas: 2 } } }";
        let jobs = Compose::read(text).unwrap().jobs;
        assert_eq!(jobs.iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_is_no_compose_file_is_refused_in_a_sentence() {
        assert!(matches!(Compose::read("a: [").unwrap_err(), ComposeError::Yaml(_)));
        assert_eq!(Compose::read("version: '3'\n").unwrap_err(), ComposeError::NoServices);
        assert_eq!(Compose::read("services: {}\n").unwrap_err(), ComposeError::Empty);
        assert_eq!(Compose::read("").unwrap_err(), ComposeError::NoServices);
    }
}
