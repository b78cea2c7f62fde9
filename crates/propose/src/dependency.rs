//! Who calls whom, guessed from `depends_on` and from environment values that name another service.

use std::collections::BTreeMap;

use crate::compose::{Compose, Service};

/// What a service is, as far as its image, its ports or its URL tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Technology {
    /// Redis, Valkey, KeyDB, Dragonfly.
    Redis,
    /// PostgreSQL and what speaks like it.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// MongoDB.
    Mongo,
    /// RabbitMQ.
    Rabbit,
    /// Kafka, Redpanda.
    Kafka,
    /// Memcached.
    Memcached,
    /// Elasticsearch, OpenSearch.
    Elastic,
    /// A service that speaks HTTP.
    Http,
    /// Not told.
    Unknown,
}

/// Parts of image names, and what they stand for.
const IMAGES: [(&str, Technology); 17] = [
    ("redis", Technology::Redis),
    ("valkey", Technology::Redis),
    ("keydb", Technology::Redis),
    ("dragonfly", Technology::Redis),
    ("postgres", Technology::Postgres),
    ("timescale", Technology::Postgres),
    ("cockroach", Technology::Postgres),
    ("mysql", Technology::Mysql),
    ("mariadb", Technology::Mysql),
    ("mongo", Technology::Mongo),
    ("rabbitmq", Technology::Rabbit),
    ("kafka", Technology::Kafka),
    ("redpanda", Technology::Kafka),
    ("memcached", Technology::Memcached),
    ("elasticsearch", Technology::Elastic),
    ("opensearch", Technology::Elastic),
    ("nginx", Technology::Http),
];

impl Technology {
    /// The port that it listens on if nobody says otherwise.
    pub fn port(self) -> Option<u16> {
        match self {
            Technology::Redis => Some(6379),
            Technology::Postgres => Some(5432),
            Technology::Mysql => Some(3306),
            Technology::Mongo => Some(27017),
            Technology::Rabbit => Some(5672),
            Technology::Kafka => Some(9092),
            Technology::Memcached => Some(11211),
            Technology::Elastic => Some(9200),
            Technology::Http => Some(80),
            Technology::Unknown => None,
        }
    }

    fn of_port(port: u16) -> Technology {
        match port {
            6379 => Technology::Redis,
            5432 => Technology::Postgres,
            3306 => Technology::Mysql,
            27017 => Technology::Mongo,
            5672 => Technology::Rabbit,
            9092 => Technology::Kafka,
            11211 => Technology::Memcached,
            9200 => Technology::Elastic,
            80 | 3000 | 5000 | 8000..=8099 => Technology::Http,
            _ => Technology::Unknown,
        }
    }

    fn of_scheme(scheme: &str) -> Technology {
        match scheme {
            "redis" | "rediss" => Technology::Redis,
            "postgres" | "postgresql" => Technology::Postgres,
            "mysql" | "mariadb" => Technology::Mysql,
            "mongodb" => Technology::Mongo,
            "amqp" => Technology::Rabbit,
            "http" => Technology::Http,
            _ => Technology::Unknown,
        }
    }

    /// The scenario language's name of what travels; `None` for bytes.
    pub fn protocol(self) -> Option<&'static str> {
        match self {
            Technology::Redis => Some("redis"),
            Technology::Postgres => Some("postgres"),
            Technology::Http | Technology::Elastic => Some("http"),
            _ => None,
        }
    }

    /// What a service is, by its image, its health check and its ports.
    pub fn of(service: &Service) -> Technology {
        let image = service.image.as_deref().unwrap_or_default().to_lowercase();
        // `registry:5000/team/redis:7` → `redis`
        let image = image.rsplit('/').next().unwrap_or_default();
        let image = image.split([':', '@']).next().unwrap_or_default();
        let health = service.health.to_lowercase();
        let by_image = IMAGES.iter().find(|(part, _)| image.contains(part)).map(|(_, kind)| *kind);
        let by_health = [
            ("redis-cli", Technology::Redis),
            ("pg_isready", Technology::Postgres),
            ("mysqladmin", Technology::Mysql),
        ]
        .into_iter()
        .find(|(part, _)| health.contains(part))
        .map(|(_, kind)| kind);
        let by_environment = service.environment.keys().find_map(|key| match key.as_str() {
            "POSTGRES_PASSWORD" | "POSTGRES_USER" => Some(Technology::Postgres),
            "MYSQL_ROOT_PASSWORD" | "MARIADB_ROOT_PASSWORD" => Some(Technology::Mysql),
            _ => None,
        });
        let by_port = || {
            service
                .inside
                .iter()
                .map(|port| Technology::of_port(*port))
                .find(|kind| *kind != Technology::Unknown)
        };
        by_image.or(by_health).or(by_environment).or_else(by_port).unwrap_or(Technology::Unknown)
    }

    /// True for what keeps data or messages and is called by services, never by users.
    pub fn is_store(self) -> bool {
        !matches!(self, Technology::Http | Technology::Unknown)
    }
}

/// One service that calls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// On which port, where it can be told.
    pub port: Option<u16>,
    /// What is called.
    pub technology: Technology,
    /// What it was guessed from: `environment CACHE`, `depends_on`.
    pub because: Vec<String>,
}

/// All calls between services, by caller and callee.
pub fn dependencies(compose: &Compose) -> Vec<Dependency> {
    let mut found: BTreeMap<(String, String), Dependency> = BTreeMap::new();
    for (from, service) in &compose.services {
        for (variable, value) in &service.environment {
            for (to, callee) in compose.services.iter().filter(|(to, _)| *to != from) {
                let Some(mention) = mention(value, to) else { continue };
                let mut technology = mention.technology;
                if technology == Technology::Unknown {
                    technology = Technology::of(callee);
                }
                if technology == Technology::Unknown {
                    technology = mention.port.map_or(technology, Technology::of_port);
                }
                let entry = found.entry((from.clone(), to.clone())).or_insert_with(|| Dependency {
                    from: from.clone(),
                    to: to.clone(),
                    port: None,
                    technology,
                    because: Vec::new(),
                });
                entry.port = entry.port.or(mention.port);
                entry.because.push(format!("environment {variable}"));
            }
        }
        for to in service.depends_on.iter().filter(|to| compose.services.contains_key(*to)) {
            let entry = found.entry((from.clone(), to.clone())).or_insert_with(|| Dependency {
                from: from.clone(),
                to: to.clone(),
                port: None,
                technology: Technology::of(&compose.services[to]),
                because: Vec::new(),
            });
            entry.because.push("depends_on".to_owned());
        }
    }
    let mut all: Vec<Dependency> = found.into_values().collect();
    for dependency in &mut all {
        let inside = || compose.services[&dependency.to].inside.first().copied();
        dependency.port = dependency.port.or_else(inside).or_else(|| dependency.technology.port());
    }
    all
}

struct Mention {
    port: Option<u16>,
    technology: Technology,
}

/// A service's name as a host in a value: `cache:6379`, `http://payments:8000/x`, `postgres://u:p@db/x`, `host=db port=5433`.
fn mention(value: &str, name: &str) -> Option<Mention> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for (at, _) in value.match_indices(name) {
        let (before, after) = (&value[..at], &value[at + name.len()..]);
        if before.ends_with(is_part) || after.starts_with(is_part) {
            continue;
        }
        let digits: String =
            after.strip_prefix(':').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        let keyed = value.split([' ', ';', '&']).find_map(|pair| pair.strip_prefix("port=")?.parse().ok());
        let port: Option<u16> = digits.parse().ok().or(keyed);
        // The scheme stands before `//`, with perhaps a user and a password in between.
        let scheme =
            before.rsplit_once("://").filter(|(_, user)| user.is_empty() || user.ends_with('@')).map(
                |(scheme, _)| scheme.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default(),
            );
        let host_key = before.ends_with("host=") || before.ends_with("server=") || before.ends_with("Host=");
        // The bare word alone may be a user or a database: `POSTGRES_USER: web` calls nobody.
        let alone = before.is_empty() && after.is_empty();
        if port.is_some() || scheme.is_some() || host_key {
            return Some(Mention {
                port,
                technology: scheme.map_or(Technology::Unknown, Technology::of_scheme),
            });
        }
        if alone {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_the_usual_forms_and_words_are_not() {
        let seen = |value: &str| mention(value, "db").map(|mention| (mention.port, mention.technology));
        assert_eq!(seen("db:5432"), Some((Some(5432), Technology::Unknown)));
        assert_eq!(seen("postgres://u:p@db/x"), Some((None, Technology::Postgres)));
        assert_eq!(seen("postgresql+asyncpg://u:p@db:5433/db"), Some((Some(5433), Technology::Unknown)));
        assert_eq!(seen("host=db user=x port=5433"), Some((Some(5433), Technology::Unknown)));
        assert_eq!(seen("http://db.example.org"), None);
        assert_eq!(seen("http://mydb:80"), None);
        assert_eq!(seen("db"), None);
        assert_eq!(seen("the db is good"), None);
    }

    #[test]
    fn an_image_a_health_check_or_a_variable_tells_what_a_service_is() {
        let service = |image: &str| Service { image: Some(image.into()), ..Service::default() };
        assert_eq!(Technology::of(&service("registry:5000/team/redis:7")), Technology::Redis);
        assert_eq!(Technology::of(&service("postgis/postgis")), Technology::Unknown);
        let health = Service { health: "CMD pg_isready -q".into(), ..service("mine") };
        assert_eq!(Technology::of(&health), Technology::Postgres);
        let port = Service { inside: vec![8080], ..service("mine") };
        assert_eq!(Technology::of(&port), Technology::Http);
    }
}
