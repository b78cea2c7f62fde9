//! What happens in a daemon, told to whoever listens: a stream of server-sent events.
//!
//! Telling never waits: a listener that does not read loses events, and is told how many.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use murphy_adhoc::Happening;
use murphy_core::{Demand, Event, EventKind, FaultId, LeaseName, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Interval;

use crate::proxies::{LeaseHold, given_name};

/// What ended a fault or a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LiftedBy {
    /// Somebody asked for it.
    Request,
    /// Its time was over.
    Time,
    /// The connection that held its lease went.
    Connection,
}

/// What a fault did while it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TallyDoc {
    /// Connections that it touched, also refused ones.
    pub connections: u64,
    /// How often it acted.
    pub hits: u64,
    /// Bytes that it delayed, cut, changed or withheld.
    pub bytes: u64,
}

impl From<Tally> for TallyDoc {
    fn from(tally: Tally) -> TallyDoc {
        TallyDoc { connections: tally.connections, hits: tally.hits, bytes: tally.bytes }
    }
}

/// Something that was done to the daemon. Its name is the event's name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// The stream has begun.
    Listening {
        /// The version of Murphy.
        murphy: &'static str,
    },
    /// So many events were not read in time.
    Lost {
        /// How many.
        count: u64,
    },
    /// There is a proxy, or another in its place.
    ProxyCreated {
        /// Its name.
        proxy: String,
    },
    /// A proxy was changed, enabled or disabled.
    ProxyChanged {
        /// Its name.
        proxy: String,
    },
    /// A proxy is gone, with its faults.
    ProxyDeleted {
        /// Its name.
        proxy: String,
    },
    /// A toxic is on a proxy.
    ToxicAdded {
        /// The proxy.
        proxy: String,
        /// Its name.
        toxic: String,
    },
    /// A toxic was changed.
    ToxicChanged {
        /// The proxy.
        proxy: String,
        /// Its name.
        toxic: String,
    },
    /// A toxic is off.
    ToxicRemoved {
        /// The proxy.
        proxy: String,
        /// Its name.
        toxic: String,
    },
    /// A fault is on a proxy, or is another now.
    FaultArmed {
        /// The proxy.
        proxy: String,
        /// Its name.
        fault: FaultId,
    },
    /// A fault is off.
    FaultLifted {
        /// The proxy.
        proxy: String,
        /// Its name.
        fault: FaultId,
        /// What ended it.
        by: LiftedBy,
        /// What it did.
        tally: TallyDoc,
    },
    /// Something happened to a fault on containers or on a network.
    ContainerFault {
        /// Its name.
        fault: FaultId,
        /// What.
        happened: Happening,
    },
    /// A lease is over.
    LeaseEnded {
        /// Its name.
        lease: LeaseName,
        /// What ended it.
        by: LiftedBy,
    },
}

impl Notice {
    /// The frame: the variant's name as event, its fields as data.
    fn frame(&self) -> Option<Bytes> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(object)) => {
                let (name, data) = object.into_iter().next()?;
                Some(Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
            }
            _ => None,
        }
    }
}

/// Events that wait for a listener that does not read.
const WAITING: usize = 1024;
/// The most listeners at a time.
const LISTENERS: usize = 64;
/// How often an idle stream says that it is alive; this is how a dead listener is noticed.
const BEAT: Duration = Duration::from_secs(15);

struct Listener {
    frames: mpsc::Sender<Bytes>,
    lost: u64,
}

/// Everybody who listens. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events {
    listeners: Arc<Mutex<Vec<Listener>>>,
    demand: Demand,
}

/// There are as many listeners as a daemon serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{LISTENERS} listen already, which is the most")]
pub struct TooManyListeners;

impl Events {
    /// Nobody listens yet. The demand is kept up to date.
    pub fn new(demand: Demand) -> Events {
        Events { listeners: Arc::default(), demand }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody.
    pub fn tell(&self, notice: &Notice) {
        let mut listeners = self.lock();
        if !listeners.is_empty()
            && let Some(frame) = notice.frame()
        {
            send(&mut listeners, &frame);
        }
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Tells everybody of something that the data path has recorded.
    pub fn tell_traffic(&self, event: &Event) {
        let mut listeners = self.lock();
        if !listeners.is_empty()
            && let Ok(data) = serde_json::to_string(named(event).as_ref())
        {
            send(&mut listeners, &Bytes::from(format!("event: traffic\ndata: {data}\n\n")));
        }
    }

    /// A stream of everything from now on.
    pub fn listen(&self) -> Result<EventBody, TooManyListeners> {
        let mut listeners = self.lock();
        if listeners.len() >= LISTENERS {
            return Err(TooManyListeners);
        }
        let (frames, receiver) = mpsc::channel(WAITING);
        let hello = Notice::Listening { murphy: env!("CARGO_PKG_VERSION") };
        if let Some(frame) = hello.frame() {
            // Empty until now, so there is room.
            let _ = frames.try_send(frame);
        }
        listeners.push(Listener { frames, lost: 0 });
        self.demand.set(listeners.len());
        Ok(EventBody::new(receiver, Some(self.clone()), None))
    }

    /// Ends all streams.
    pub fn close(&self) {
        let mut listeners = self.lock();
        listeners.clear();
        self.demand.set(0);
    }

    fn sweep(&self) {
        let mut listeners = self.lock();
        listeners.retain(|listener| !listener.frames.is_closed());
        self.demand.set(listeners.len());
    }
}

fn send(listeners: &mut [Listener], frame: &Bytes) {
    for listener in listeners {
        if listener.lost > 0
            && let Some(lost) = (Notice::Lost { count: listener.lost }).frame()
            && listener.frames.try_send(lost).is_ok()
        {
            listener.lost = 0;
        }
        if listener.lost > 0 || listener.frames.try_send(frame.clone()).is_err() {
            listener.lost += 1;
        }
    }
}

/// The body of a stream of events. Dropped when its connection goes.
pub struct EventBody {
    frames: mpsc::Receiver<Bytes>,
    beat: Interval,
    events: Option<Events>,
    _hold: Option<LeaseHold>,
}

impl EventBody {
    pub(crate) fn new(
        frames: mpsc::Receiver<Bytes>,
        events: Option<Events>,
        hold: Option<LeaseHold>,
    ) -> EventBody {
        EventBody { frames, beat: tokio::time::interval(BEAT), events, _hold: hold }
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        self.frames.close();
        if let Some(events) = &self.events {
            events.sweep();
        }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.poll_recv(cx) {
            Poll::Ready(Some(frame)) => return Poll::Ready(Some(Ok(Frame::data(frame)))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        // The first beat comes at once, so that a client sees that the stream stands.
        self.beat.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b": alive\n\n")))))
    }
}

/// The event with the faults' names as clients gave them.
fn named(event: &Event) -> Cow<'_, Event> {
    match &event.kind {
        EventKind::Request(call) if !call.faults.is_empty() => {
            let mut call = call.clone();
            call.faults.iter_mut().for_each(|fault| *fault = given_name(fault));
            Cow::Owned(Event { kind: EventKind::Request(call), ..event.clone() })
        }
        _ => Cow::Borrowed(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_does_not_read_loses_events_and_is_told_how_many() {
        let events = Events::default();
        let mut body = events.listen().unwrap();
        for number in 0..WAITING + 4 {
            events.tell(&Notice::ProxyCreated { proxy: number.to_string() });
        }
        let mut frames = Vec::new();
        while let Ok(frame) = body.frames.try_recv() {
            frames.push(frame);
        }
        events.tell(&Notice::ProxyDeleted { proxy: "last".into() });
        assert_eq!(frames.len(), WAITING);
        assert!(frames[0].starts_with(b"event: listening\n"));
        assert_eq!(body.frames.try_recv().unwrap(), "event: lost\ndata: {\"count\":5}\n\n");
        assert!(body.frames.try_recv().unwrap().starts_with(b"event: proxy-deleted\n"));
        drop(body);
        assert!(events.lock().is_empty());
    }

    #[tokio::test]
    async fn the_number_of_listeners_is_bounded() {
        let events = Events::default();
        let bodies: Vec<EventBody> = (0..LISTENERS).map(|_| events.listen().unwrap()).collect();
        assert!(events.listen().is_err());
        drop(bodies);
        assert!(events.listen().is_ok());
    }
}
