//! The end of a connection: the books are closed, what no request was made of is told, and what still runs is ended.

use std::sync::PoisonError;

use murphy_core::{EventKind, ExchangeEnd, Side};

use super::{Asks, Carried, Connection, Ends, Over};
use crate::exchange::Parting;

impl Connection {
    /// Closes the books, and ends what still runs.
    pub(super) async fn close(self, over: Option<Over>) -> Carried {
        let Connection { shared, conn, io, fate, streams, stage, asks, exchanges, .. } = self;
        let by = over.map(|(by, _)| by);
        if let Some(mut exchanges) = exchanges {
            let mut wire = io.lock();
            wire.tell(&mut exchanges);
            let parting = match over {
                None => Parting::Stopped,
                Some((Side::Client, Ends::Reset)) => Parting::CallerReset,
                Some((Side::Proxy, _) | (_, Ends::Reset)) => Parting::Broken,
                Some(_) => Parting::Peace,
            };
            exchanges.part(parting, wire.down.held() > 0, wire.hits());
        }
        let (to_client, unheard, refused) = {
            let mut wire = io.lock();
            wire.settle();
            let (left, hits) = (wire.left(), wire.hits());
            let may_ask = match asks {
                Asks::InFull => wire.books.is_empty(),
                Asks::InFrames => wire.books.is_empty() && wire.keeps_requests(),
                Asks::Never => false,
            };
            let unheard = wire.asked.filter(|_| may_ask).map(|began| (began, left, hits > 0));
            wire.books.close(by, left, hits);
            (wire.delivered(), unheard, wire.shown)
        };
        if let Some((began, left, touched)) = unheard {
            // Bytes that no request could be made of before the end: a fault kept them back, or they were no request.
            let now = shared.recorder.clock().now();
            let (end, ended) = match (by, left) {
                (_, left) if refused => (ExchangeEnd::Failed, left.unwrap_or(now).max(began)),
                (_, Some(left)) => (ExchangeEnd::GivenUp, left.max(began)),
                (None, None) => (ExchangeEnd::Open, now),
                (Some(Side::Client), None) => (ExchangeEnd::GivenUp, now),
                (Some(_), None) => (ExchangeEnd::Failed, now),
            };
            let edge = shared.edge.clone();
            let kind = EventKind::Exchange { edge, conn, began, answered: None, ended, end, touched };
            shared.recorder.record_at(ended, kind);
        }
        // The HTTP ends go first, so that nothing writes any more.
        drop(stage);
        let mut running = std::mem::take(&mut *streams.0.lock().unwrap_or_else(PoisonError::into_inner));
        running.shutdown().await;
        let (by, ends) = over.unwrap_or((Side::Proxy, Ends::Orderly));
        Carried { by, ends, to_upstream: fate.delivered(), to_client }
    }
}
