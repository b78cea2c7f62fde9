//! One connection whose bytes Murphy understands, because it reads HTTP or speaks TLS: its two ends, the lines under the
//! caller's end, and the stages from its first byte to its last.
//!
//! One task drives everything, so that a caller's leaving is seen at once and takes the dependency's side with it.

mod begin;
mod close;
mod shake;
mod talk;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use murphy_core::{ConnId, FaultId, Side};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client_io::ClientIo;
use super::hub::{Hub, Takeover};
use super::straight::Straight;
use super::turns::{Called, Turns};
use super::upstream::{UpstreamFate, UpstreamIo};
use super::wire::{Gone, Wire};
use crate::armed::Draws;
use crate::effect::{Ending, Farewell};
use crate::exchange::Exchanges;
use crate::line::Line;
use crate::nudge::Heeded;
use crate::roster::Live;
use crate::shared::{Shared, State};
use crate::timer::{Alarm, Timer};
use crate::tls::{Failed, Far, Near, Shaken};

type Half = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// How a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// FIN to both sides, which have ended themselves.
    Orderly,
    /// FIN to both sides, of which one or both may still send.
    Lingering,
    /// RST to both sides.
    Reset,
}

/// What is told of a connection at its end.
pub(crate) struct Carried {
    pub(crate) by: Side,
    pub(crate) ends: Ends,
    pub(crate) to_upstream: u64,
    pub(crate) to_client: u64,
}

/// The tasks of the streams of one HTTP/2 connection; they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(async move {
            future.await;
        });
    }
}

/// Ends with both halves of the conversation, if the dependency greets back.
type Greeting = Pin<Box<dyn Future<Output = Option<(Half, Half, Arc<Hub>)>> + Send>>;

/// Ends with both ends, where TLS is spoken on one or both of them.
type Handshake = Pin<Box<dyn Future<Output = Result<Shaken, Failed>> + Send>>;

/// What the connection does at present.
enum Stage {
    /// TLS begins.
    Shaking(Handshake),
    /// It is not known yet which version the caller speaks.
    Listening(BytesMut),
    /// The HTTP/2 connection to the dependency begins.
    Greeting(Greeting),
    /// Requests and answers that go on as they came.
    Straight(Box<Straight>),
    /// Requests and answers.
    Talking { server: Half, client: Half, hub: Arc<Hub>, client_over: bool },
    /// The caller's HTTP end has been given up: these bytes, and then an end.
    TakenOver { takeover: Takeover, client: Half, server: Option<Half>, hub: Arc<Hub>, client_over: bool },
    /// Both have left HTTP.
    Tunnelling(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Everything is said; the lines may still hold bytes.
    Draining { by: Side },
}

/// What bytes of the caller mean that no request was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// The beginning of a request.
    InFull,
    /// Most are about the connection itself (HTTP/2); a request can only be among those that a fault holds back.
    InFrames,
    /// Nothing: HTTP has been left.
    Never,
}

struct Connection {
    shared: Arc<Shared>,
    live: Arc<Live>,
    conn: ConnId,
    peer: SocketAddr,
    io: ClientIo,
    near: Near,
    /// Until somebody speaks on it; `None` before that where it is to be opened when the caller's version is known.
    far: Option<Far>,
    shown: Option<FaultId>,
    /// Of a protocol that is only carried.
    exchanges: Option<Exchanges>,
    upstream: Arc<TcpStream>,
    fate: Arc<UpstreamFate>,
    draws: Arc<Mutex<Draws>>,
    state: watch::Receiver<State>,
    timer: Arc<Timer>,
    streams: Streams,
    stage: Stage,
    asks: Asks,
    /// The rest of an informational answer that the caller's side did not take at once; before it is gone, nothing else goes.
    early: BytesMut,
    turns: Option<Turns>,
    /// The next turn is for both halves, whoever calls: the faults have changed, or a line still held bytes.
    for_both: bool,
}

type Over = (Side, Ends);

/// Carries one connection whose dependency has been reached. Returns when it is over; the sockets are the caller's to
/// close.
#[allow(clippy::too_many_arguments)] // the parts of a connection
pub(crate) async fn carry(
    shared: Arc<Shared>,
    live: Arc<Live>,
    client: Arc<TcpStream>,
    upstream: Arc<TcpStream>,
    peer: SocketAddr,
    conn: ConnId,
    lines: (Line, Line),
    draws: Draws,
    mut state: watch::Receiver<State>,
    alarm: &mut Alarm,
) -> Carried {
    let called = client.local_addr().ok().map(|address| address.ip());
    let io = ClientIo::new(Wire::new(Arc::clone(&shared), client, lines.0, lines.1));
    let mut connection = Connection {
        shared: Arc::clone(&shared),
        live,
        conn,
        peer,
        io: io.clone(),
        near: Near::Plain(io.clone()),
        far: None,
        shown: None,
        exchanges: None,
        upstream,
        fate: Arc::default(),
        draws: Arc::new(Mutex::new(draws)),
        state: state.clone(),
        timer: Arc::clone(alarm.timer()),
        streams: Streams::default(),
        stage: Stage::Listening(BytesMut::new()),
        asks: Asks::InFull,
        early: BytesMut::new(),
        turns: None,
        for_both: true,
    };
    if !shared.tls.is_none() {
        connection.stage = connection.shaking(called);
    }
    let over = loop {
        {
            let current = state.borrow_and_update();
            if current.stopping {
                break None;
            }
            let mut draws = connection.draws.lock().unwrap_or_else(PoisonError::into_inner);
            io.lock().sync(&current.table, &mut draws);
            connection.for_both = true;
        }
        connection.state = state.clone();
        io.lock().heed(state.clone());
        let mut changed = pin!(tokio::task::unconstrained(state.changed()));
        let mut heeded = Heeded::default();
        let over = std::future::poll_fn(|cx| {
            if heeded.poll(changed.as_mut(), cx).is_ready() {
                return Poll::Ready(None);
            }
            connection.poll(cx, alarm).map(Some)
        })
        .await;
        if over.is_some() {
            break over;
        }
    };
    alarm.clear();
    connection.close(over).await
}

impl Connection {
    fn upstream_io(&self) -> UpstreamIo {
        let (shared, stream) = (Arc::clone(&self.shared), Arc::clone(&self.upstream));
        UpstreamIo::new(shared, stream, Arc::clone(&self.fate))
    }

    fn poll(&mut self, cx: &mut Context<'_>, alarm: &mut Alarm) -> Poll<Over> {
        let (_, mut called) = Turns::begin(&mut self.turns, cx);
        loop {
            let (gone, wake) = {
                let mut wire = self.io.lock();
                // Bytes that a line keeps back call nobody: who waits for them looks at each turn, and once more when the
                // line is clear again.
                if std::mem::replace(&mut self.for_both, !wire.is_clear()) || self.for_both {
                    called = Called::BOTH;
                }
                wire.turn(cx)
            };
            if let Some(gone) = gone {
                return Poll::Ready(self.gone(gone));
            }
            let stage = std::mem::replace(&mut self.stage, Stage::Draining { by: Side::Proxy });
            let (stage, again) = match self.step(stage, called, cx) {
                Step::Stay(stage) => (stage, false),
                Step::Next(stage) => (stage, true),
                Step::Over(over) => return Poll::Ready(over),
            };
            self.stage = stage;
            if again && !self.is_edited() {
                called = Called::BOTH;
                continue;
            }
            let mut wire = self.io.lock();
            wire.settle();
            // What the HTTP layer has just read or written may have set another time.
            let (gone, later) = wire.turn(cx);
            self.live.delivered(self.fate.delivered(), wire.delivered());
            if let Some(exchanges) = &mut self.exchanges {
                wire.tell(exchanges);
            }
            drop(wire);
            if let Some(gone) = gone {
                return Poll::Ready(self.gone(gone));
            }
            let wake = [wake, later].into_iter().flatten().min();
            if wake.is_some_and(|at| at <= Instant::now()) && !self.is_edited() {
                called = Called::BOTH;
                continue;
            }
            match self.turns.as_mut().and_then(Turns::rest) {
                Some(more) if !self.is_edited() => called = more,
                _ => {
                    alarm.set(wake, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// True if there is an edit that the lines do not know of yet: no byte more goes before they do. It wakes the task, and
    /// then everybody looks.
    fn is_edited(&self) -> bool {
        self.state.has_changed().unwrap_or(false)
    }

    fn gone(&self, gone: Gone) -> Over {
        match gone {
            Gone::CallerReset => (Side::Client, Ends::Reset),
            Gone::Stuck => (Side::Client, Ends::Reset),
            Gone::Fault(Ending::Reset) => (Side::Proxy, Ends::Reset),
            Gone::Fault(Ending::Close) => (Side::Proxy, Ends::Lingering),
        }
    }

    fn step(&mut self, stage: Stage, called: Called, cx: &mut Context<'_>) -> Step {
        match stage {
            Stage::Shaking(mut handshake) => match handshake.as_mut().poll(cx) {
                Poll::Pending => Step::Stay(Stage::Shaking(handshake)),
                Poll::Ready(Ok(shaken)) => self.shaken(shaken),
                Poll::Ready(Err(failed)) => Step::Over(self.failed(failed)),
            },
            Stage::Listening(begun) => self.listen(begun, cx),
            Stage::Greeting(mut greeting) => match greeting.as_mut().poll(cx) {
                Poll::Pending => Step::Stay(Stage::Greeting(greeting)),
                Poll::Ready(Some((server, client, hub))) => {
                    Step::Next(Stage::Talking { server, client, hub, client_over: false })
                }
                Poll::Ready(None) => Step::Over(self.upstream_over()),
            },
            Stage::Straight(straight) => self.go_straight(straight, cx),
            Stage::Talking { server, client, hub, client_over } => {
                self.talk(server, client, hub, client_over, called, cx)
            }
            Stage::TakenOver { takeover, client, server, hub, client_over } => {
                self.write_by_hand(takeover, client, server, hub, client_over, cx)
            }
            Stage::Tunnelling(mut tunnel) => match tunnel.as_mut().poll(cx) {
                Poll::Pending => Step::Stay(Stage::Tunnelling(tunnel)),
                Poll::Ready(()) => {
                    if self.fate.ended() == Some(Farewell::Rst) {
                        return Step::Over((Side::Upstream, Ends::Reset));
                    }
                    let by = if self.io.lock().has_left() { Side::Client } else { Side::Upstream };
                    Step::Next(Stage::Draining { by })
                }
            },
            Stage::Draining { by } => {
                let wire = self.io.lock();
                if wire.is_broken() {
                    return Step::Over((by, Ends::Reset));
                }
                if wire.is_drained() {
                    return Step::Over((
                        by,
                        if by == Side::Client { Ends::Orderly } else { Ends::Lingering },
                    ));
                }
                Step::Stay(Stage::Draining { by })
            }
        }
    }

    fn upstream_over(&self) -> Over {
        let ends = if self.fate.ending() == Ending::Reset { Ends::Reset } else { Ends::Lingering };
        (Side::Upstream, ends)
    }
}

enum Step {
    Stay(Stage),
    Next(Stage),
    Over(Over),
}
