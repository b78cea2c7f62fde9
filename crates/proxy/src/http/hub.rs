//! What the requests of one connection share: who is connected, what stands on the edge, and how a request ends its
//! connection by other means than an answer.

use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hyper::upgrade::OnUpgrade;
use murphy_core::{ConnId, FaultId, HttpCall, Side};
use tokio::sync::watch;

use super::client_io::ClientIo;
use super::effect::Then;
use super::upstream::UpstreamFate;
use crate::armed::{Draws, Standing, Table};
use crate::effect::Ending;
use crate::shared::{Shared, State};
use crate::timer::{Alarm, Timer};

/// The version that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1 or 1.0: an answer ends with its connection.
    One,
    /// HTTP/2: an answer ends with its stream.
    Two,
}

/// Whether a connection has served before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseOf {
    /// This is its first request.
    Fresh,
    /// It has had one before.
    Again,
}

/// How a connection goes on without the HTTP layer: these bytes, and then this.
#[derive(Debug)]
pub(crate) struct Takeover {
    pub(crate) raw: Bytes,
    pub(crate) then: Then,
    pub(crate) by: Side,
    /// The fault that wants it, if a stall is to end with it.
    pub(crate) arming: Option<u64>,
}

/// Both ends of a connection that has left HTTP.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) upstream: OnUpgrade,
}

/// The table as this connection has seen it last. Whether it is still the same is told by a number that all may read at
/// once; to look at the table itself, or to share it, all connections of the proxy would write to one place.
struct Seen {
    state: watch::Receiver<State>,
    table: Arc<Table>,
}

impl Seen {
    fn new(mut state: watch::Receiver<State>) -> Seen {
        let table = Arc::new(state.borrow_and_update().table.clone());
        Seen { state, table }
    }

    fn now(&mut self) -> Arc<Table> {
        if self.state.has_changed().unwrap_or(true) {
            self.table = Arc::new(self.state.borrow_and_update().table.clone());
        }
        Arc::clone(&self.table)
    }
}

pub(crate) struct Hub {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conn: ConnId,
    pub(crate) source: IpAddr,
    pub(crate) speaks: Speaks,
    /// The fault whose certificate the caller has accepted.
    pub(crate) shown: Option<FaultId>,
    pub(crate) io: ClientIo,
    pub(crate) fate: Arc<UpstreamFate>,
    pub(crate) draws: Arc<Mutex<Draws>>,
    state: watch::Receiver<State>,
    timer: Arc<Timer>,
    seen: Mutex<Seen>,
    takeover: Mutex<Option<Takeover>>,
    /// There is or was one: looked at in each turn, and nearly always there is none.
    has_takeover: AtomicBool,
    tunnel: Mutex<Option<Tunnel>>,
    /// Informational answers on their way to the caller, as they are written.
    early: Mutex<BytesMut>,
    /// There are some.
    has_early: AtomicBool,
    in_flight: AtomicUsize,
    used: AtomicBool,
}

impl Hub {
    #[allow(clippy::too_many_arguments)] // the parts of a connection
    pub(crate) fn new(
        shared: Arc<Shared>,
        conn: ConnId,
        source: IpAddr,
        speaks: Speaks,
        shown: Option<FaultId>,
        io: ClientIo,
        fate: Arc<UpstreamFate>,
        draws: Arc<Mutex<Draws>>,
        state: watch::Receiver<State>,
        timer: Arc<Timer>,
    ) -> Hub {
        Hub {
            shared,
            conn,
            source,
            speaks,
            shown,
            io,
            fate,
            draws,
            seen: Mutex::new(Seen::new(state.clone())),
            state,
            timer,
            takeover: Mutex::default(),
            has_takeover: AtomicBool::new(false),
            tunnel: Mutex::default(),
            early: Mutex::default(),
            has_early: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// The faults that stand on the edge now.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// Counts what a fault did to one request.
    pub(crate) fn count(&self, standing: &Standing, bytes: usize) {
        let mark = self.draws.lock().unwrap_or_else(PoisonError::into_inner).touched(standing);
        standing.tally.add(&mark, 1, bytes as u64);
    }

    /// The connection goes on without the HTTP layer as soon as that has written what it has. The first word counts.
    pub(crate) fn take_over(&self, takeover: Takeover) {
        self.takeover.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(takeover);
        self.has_takeover.store(true, Ordering::Release);
    }

    pub(crate) fn has_takeover(&self) -> bool {
        self.has_takeover.load(Ordering::Acquire)
            && self.takeover.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn takeover(&self) -> Option<Takeover> {
        self.takeover.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn open_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    pub(crate) fn tunnel(&self) -> Option<Tunnel> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An informational answer that the HTTP layer does not write.
    pub(crate) fn inform(&self, head: &[u8]) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.extend_from_slice(head);
        self.has_early.store(true, Ordering::Release);
    }

    /// Informational answers that have not been written.
    pub(crate) fn early(&self) -> BytesMut {
        if !self.has_early.load(Ordering::Acquire) {
            return BytesMut::new();
        }
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_early.store(false, Ordering::Release);
        std::mem::take(&mut *early)
    }

    /// Notes a request.
    pub(crate) fn use_of(&self) -> UseOf {
        if self.used.swap(true, Ordering::Relaxed) { UseOf::Again } else { UseOf::Fresh }
    }

    /// Requests that have come and whose answers have not been handed over in full.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until an instant, or for ever, and no longer than the fault stands as it is.
    pub(crate) async fn held(&self, arming: u64, until: Option<Instant>) {
        let mut alarm = Alarm::new(Arc::clone(&self.timer));
        let mut state = self.state.clone();
        loop {
            if !state.borrow_and_update().table.stands(arming) {
                return;
            }
            let mut changed = pin!(state.changed());
            let over = std::future::poll_fn(|cx| {
                if until.is_some_and(|at| at <= Instant::now()) {
                    return Poll::Ready(true);
                }
                if let Poll::Ready(changed) = changed.as_mut().poll(cx) {
                    return Poll::Ready(changed.is_err());
                }
                alarm.set(until, cx);
                Poll::Pending
            })
            .await;
            if over {
                return;
            }
        }
    }
}

/// A request in the books, from its arrival to the end of its answer.
pub(crate) struct Ticket {
    hub: Arc<Hub>,
    /// Its name in the books; `None` where none are kept.
    id: Option<u64>,
    over: bool,
}

impl Ticket {
    pub(crate) fn new(hub: Arc<Hub>, call: Option<HttpCall>) -> Ticket {
        hub.in_flight.fetch_add(1, Ordering::AcqRel);
        let id = call.map(|call| {
            let mut wire = hub.io.lock();
            let hits = wire.hits();
            wire.books.open(call, hits)
        });
        Ticket { hub, id, over: false }
    }

    pub(crate) fn note(&self, note: impl FnOnce(&mut HttpCall)) {
        if let Some(id) = self.id {
            self.hub.io.lock().books.note(id, note);
        }
    }

    /// The answer's first byte is the next one.
    pub(crate) fn begins(&self) {
        self.begins_behind(0);
    }

    /// The answer's first byte is the next one behind so many that have not been handed over yet.
    pub(crate) fn begins_behind(&self, waiting: usize) {
        if let Some(id) = self.id {
            let mut wire = self.hub.io.lock();
            let before = wire.pushed() + waiting as u64;
            wire.books.begins(id, before);
        }
    }

    /// The answer has been handed over.
    pub(crate) fn finish(&mut self) {
        self.over = true;
        if let Some(id) = self.id {
            self.hub.io.lock().books.finishes(id);
        }
    }

    /// The request is broken off, alone.
    pub(crate) fn fail(&mut self, by: Side) {
        self.over = true;
        if let Some(id) = self.id {
            let mut wire = self.hub.io.lock();
            let hits = wire.hits();
            wire.books.breaks(id, by, hits);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // On HTTP/1 a request that is dropped ends with its connection, which knows why. On HTTP/2 the caller has
        // reset the stream.
        if !self.over && self.hub.speaks == Speaks::Two {
            self.fail(Side::Client);
        }
        self.hub.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A wait inside a body, which is polled and cannot await.
pub(crate) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The end that a fault makes.
pub(crate) fn ended_by_fault(how: Ending) -> Takeover {
    Takeover { raw: Bytes::new(), then: Then::End(how), by: Side::Proxy, arming: None }
}
