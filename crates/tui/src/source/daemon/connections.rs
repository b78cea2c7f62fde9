//! The open connections of a daemon's proxy: the page that is looked at is read with each look, and at once where it is another one.

use std::sync::Arc;

use murphy_control::{ConnectionDoc, MOST_CONNECTIONS, StageDoc};
use murphy_core::ConnId;
use murphy_proxy::{Decision, EdgeConn, Stage};

use super::Inner;
use crate::connections::{Behind, Listed, OpenConnection, Page, Window};
use crate::screen::lock;

impl Inner {
    /// Another page is wanted, or none any more.
    pub(super) fn look_at(&self, window: Option<Window>) {
        self.looked_at.set(window);
        self.look_now.notify_one();
    }

    /// Reads the page that is looked at.
    pub(super) async fn read_connections(&self) {
        let page = match self.looked_at.get() {
            Some(window) => Some(Arc::new(self.page(window).await)),
            None => None,
        };
        lock(&self.world).connections = page;
    }

    async fn page(&self, window: Window) -> Page {
        let proxy = self.known().names.get(&window.edge).cloned();
        let Some(proxy) = proxy else { return Page::untold(window, "it is no proxy any more") };
        match self.client.connections(&proxy, window.after.conn).await {
            Ok(list) => {
                let behind = if list.len() < MOST_CONNECTIONS { Behind::Nothing } else { Behind::More };
                Page { window, listed: Listed::Rows { rows: list.into_iter().map(row).collect(), behind } }
            }
            Err(error) => Page::untold(window, error.to_string()),
        }
    }
}

fn row(told: ConnectionDoc) -> OpenConnection {
    let decided = told.decisions.into_iter().map(|decision| {
        let name = decision.fault.or(decision.toxic).unwrap_or_else(|| "proxy".to_owned());
        (name, if decision.acts { Decision::Acts } else { Decision::Spares })
    });
    OpenConnection {
        place: EdgeConn { proxy: 0, conn: ConnId(told.conn) },
        peer: told.peer,
        age: told.age,
        stage: match told.stage {
            StageDoc::Opening => Stage::Opening,
            StageDoc::Carried => Stage::Carried,
        },
        to_upstream: told.to_upstream,
        to_client: told.to_client,
        decisions: decided.collect(),
    }
}

#[cfg(test)]
mod tests {
    use murphy_core::Span;

    use super::*;

    #[test]
    fn a_connection_is_told_with_what_faults_and_toxics_decided() {
        let told = serde_json::json!({
            "conn": 7, "peer": "127.0.0.1:40112", "age": "1.5s", "stage": "opening", "to-upstream": 3, "to-client": 4,
            "decisions": [
                { "fault": "slow", "toxic": null, "acts": true },
                { "fault": null, "toxic": "old", "acts": false },
            ],
        });
        let row = row(serde_json::from_value(told).expect("a connection"));
        assert_eq!((row.place.proxy, row.place.conn), (0, ConnId(7)));
        assert_eq!((row.age, row.stage), (Span::from_millis(1_500), Stage::Opening));
        assert_eq!((row.to_upstream, row.to_client), (3, 4));
        let decided = [("slow".to_owned(), Decision::Acts), ("old".to_owned(), Decision::Spares)];
        assert_eq!(row.decisions, decided);
    }
}
