//! The catalogue: what the shop sells. Its items carry a version that grows each second, so that a reader can tell a
//! fresh answer from an old one.

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::reply::{Reply, json_reply};
use crate::server::{Handler, not_found, segments};

const NAMES: [&str; 8] = ["anvil", "bellows", "compass", "dynamo", "easel", "funnel", "gimbal", "hammock"];

/// `GET /items/{id}`, `GET /live`.
#[derive(Debug)]
pub(crate) struct Catalogue {
    started: Instant,
}

impl Catalogue {
    /// Version 1 begins now.
    pub fn new() -> Catalogue {
        Catalogue { started: Instant::now() }
    }

    fn item(&self, id: &str) -> Value {
        let sum: usize = id.bytes().map(usize::from).sum();
        json!({
            "id": id,
            "name": NAMES[sum % NAMES.len()],
            "price_cents": 500 + 25 * (sum % 100),
            "version": 1 + self.started.elapsed().as_secs(),
        })
    }
}

impl Handler for Catalogue {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), segments(request.uri().path()).as_slice()) {
            (&Method::GET, ["items", id]) => json_reply(StatusCode::OK, &self.item(id)),
            (&Method::GET, ["live"]) => json_reply(StatusCode::OK, &json!({ "alive": true })),
            _ => not_found("GET /items/{id}, GET /live"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_version_grows_each_second_and_nothing_else_changes() {
        let catalogue = Catalogue::new();
        let first = catalogue.item("7");
        tokio::time::advance(Duration::from_secs(3)).await;
        let mut later = catalogue.item("7");
        assert_eq!(first["version"], 1);
        assert_eq!(later["version"], 4);
        later["version"] = json!(1);
        assert_eq!(first, later);
        assert_ne!(catalogue.item("8")["name"], first["name"]);
    }
}
