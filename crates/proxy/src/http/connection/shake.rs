//! The stage in which TLS begins, and what a connection is when it is through: HTTP, or bytes of a protocol that is only
//! carried.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use murphy_core::{ConnId, EventKind, Protocol, Side};

use super::{Asks, Connection, Ends, Over, Stage, Step};
use crate::exchange::Exchanges;
use crate::http::upstream::{UpstreamFate, UpstreamIo};
use crate::shared::Shared;
use crate::tls::{Failed, Near, Shaken, shake};

impl Connection {
    pub(super) fn shaking(&self, called: Option<IpAddr>) -> Stage {
        let (shared, io, upstream) = (Arc::clone(&self.shared), self.io.clone(), self.upstream_io());
        let (state, draws) = (self.state.clone(), Arc::clone(&self.draws));
        Stage::Shaking(Box::pin(shake(shared, io, called, upstream, state, draws)))
    }

    pub(super) fn shaken(&mut self, shaken: Shaken) -> Step {
        let Shaken { near, far, shown } = shaken;
        if let Near::Sealed(_) = near {
            let mut wire = self.io.lock();
            wire.sealed = true;
            // A caller may look at the certificate only now, and leave.
            wire.shown = shown.is_some();
            if !wire.shown {
                wire.asked = None;
            }
        }
        (self.near, self.shown) = (near, shown);
        let far = match far {
            Some(far) if self.shared.protocol != Protocol::Http => far,
            far => {
                self.far = far;
                return Step::Next(Stage::Listening(BytesMut::new()));
            }
        };
        self.asks = Asks::Never;
        let Shared { recorder, edge, .. } = &*self.shared;
        self.exchanges = Exchanges::watch(recorder, edge, self.conn);
        let (mut near, mut far) = (self.near.clone(), far);
        Step::Next(Stage::Tunnelling(Box::pin(async move {
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        })))
    }

    pub(super) fn failed(&self, failed: Failed) -> Over {
        match failed {
            Failed::Caller => (Side::Client, Ends::Lingering),
            Failed::Certificate => {
                self.io.lock().shown = true;
                (Side::Client, Ends::Lingering)
            }
            Failed::Fault => (Side::Proxy, Ends::Lingering),
            Failed::Dependency(why) => {
                dial_failed(&self.shared, &self.fate, self.conn, why);
                (Side::Upstream, Ends::Reset)
            }
        }
    }
}

pub(super) fn dial_failed(shared: &Shared, fate: &UpstreamFate, conn: ConnId, why: String) {
    UpstreamIo::give_up(fate);
    shared.meter.dial_failed();
    shared.recorder.record(EventKind::DialFailed { edge: shared.edge.clone(), conn, why });
}
