//! One connection of an HTTP edge: its two HTTP ends, the lines under the caller's end, and how all of it comes to an end.
//!
//! One task drives everything, so that a caller's leaving is seen at once and takes the dependency's side with it.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use hyper_util::rt::TokioIo;
use murphy_core::{ConnId, EventKind, ExchangeEnd, FaultId, Protocol, Side};
use murphy_tls::Upstream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::effect::Then;
use super::hub::{Hub, Speaks, Takeover};
use super::pass_on::{RequestBody, Sender};
use super::service::Service;
use super::upstream::{UpstreamFate, UpstreamIo};
use super::wire::{ClientIo, Gone, Wire};
use crate::armed::Draws;
use crate::effect::{Ending, Farewell};
use crate::exchange::{Exchanges, Parting};
use crate::line::Line;
use crate::nudge::Heeded;
use crate::roster::Live;
use crate::shared::{Shared, State};
use crate::timer::Alarm;
use crate::tls::{Failed, Far, Near, Shaken, open_within, shake};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Headers of one message. Servers take about a hundred; a message with more than this is refused with 431.
const HEADERS: usize = 1024;

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
    streams: Streams,
    stage: Stage,
    asks: Asks,
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
        streams: Streams::default(),
        stage: Stage::Listening(BytesMut::new()),
        asks: Asks::InFull,
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
        }
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
    fn poll(&mut self, cx: &mut Context<'_>, alarm: &mut Alarm) -> Poll<Over> {
        loop {
            let (gone, wake) = self.io.lock().turn(cx);
            if let Some(gone) = gone {
                return Poll::Ready(self.gone(gone));
            }
            let stage = std::mem::replace(&mut self.stage, Stage::Draining { by: Side::Proxy });
            let (stage, again) = match self.step(stage, cx) {
                Step::Stay(stage) => (stage, false),
                Step::Next(stage) => (stage, true),
                Step::Over(over) => return Poll::Ready(over),
            };
            self.stage = stage;
            if again {
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
            if wake.is_some_and(|at| at <= Instant::now()) {
                continue;
            }
            alarm.set(wake, cx);
            return Poll::Pending;
        }
    }

    fn gone(&self, gone: Gone) -> Over {
        match gone {
            Gone::CallerReset => (Side::Client, Ends::Reset),
            Gone::Stuck => (Side::Client, Ends::Reset),
            Gone::Fault(Ending::Reset) => (Side::Proxy, Ends::Reset),
            Gone::Fault(Ending::Close) => (Side::Proxy, Ends::Lingering),
        }
    }

    fn step(&mut self, stage: Stage, cx: &mut Context<'_>) -> Step {
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
            Stage::Talking { server, client, hub, client_over } => {
                self.talk(server, client, hub, client_over, cx)
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

    /// Waits for enough of the caller's first bytes to tell the version.
    fn listen(&mut self, mut begun: BytesMut, cx: &mut Context<'_>) -> Step {
        loop {
            let mut buffer = [0; PREFACE.len()];
            let mut buf = ReadBuf::new(&mut buffer[begun.len()..]);
            match Pin::new(&mut self.near).poll_read(cx, &mut buf) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Step::Over((Side::Client, Ends::Reset)),
                Poll::Ready(Ok(())) if buf.filled().is_empty() && begun.is_empty() => {
                    self.near.finish(cx);
                    return Step::Next(Stage::Draining { by: Side::Client });
                }
                Poll::Ready(Ok(())) => {
                    let ended = buf.filled().is_empty();
                    begun.extend_from_slice(buf.filled());
                    if ended || !PREFACE.starts_with(&begun) {
                        self.near.put_back(begun.freeze());
                        return self.speak_one();
                    }
                    if begun.len() == PREFACE.len() {
                        self.near.put_back(begun.freeze());
                        return self.speak_two();
                    }
                }
            }
        }
        // A dependency that puts idle connections away does so here too.
        if let Some(Far::Sealed(far)) = &mut self.far {
            return match far.poll_end(cx) {
                Poll::Ready(()) => Step::Over(self.upstream_over()),
                Poll::Pending => Step::Stay(Stage::Listening(begun)),
            };
        }
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        match self.upstream.poll_peek(cx, &mut buf) {
            Poll::Ready(Ok(0)) => Step::Over((Side::Upstream, Ends::Lingering)),
            Poll::Ready(Err(_)) => Step::Over((Side::Upstream, Ends::Reset)),
            Poll::Ready(Ok(_)) | Poll::Pending => Step::Stay(Stage::Listening(begun)),
        }
    }

    fn hub(&self, speaks: Speaks) -> Arc<Hub> {
        Arc::new(Hub::new(
            Arc::clone(&self.shared),
            self.conn,
            self.peer.ip(),
            speaks,
            self.shown.clone(),
            self.io.clone(),
            Arc::clone(&self.fate),
            Arc::clone(&self.draws),
            self.state.clone(),
        ))
    }

    fn upstream_io(&self) -> UpstreamIo {
        let (shared, stream) = (Arc::clone(&self.shared), Arc::clone(&self.upstream));
        UpstreamIo::new(shared, stream, Arc::clone(&self.fate))
    }

    /// The dependency's end, for who speaks this protocol on it.
    fn far(&mut self, alpn: &'static [u8]) -> impl Future<Output = Option<TokioIo<Far>>> + Send + use<> {
        let (far, io, shared) = (self.far.take(), self.upstream_io(), Arc::clone(&self.shared));
        let (fate, conn) = (Arc::clone(&self.fate), self.conn);
        async move {
            let far = match (far, &shared.tls.originate) {
                (Some(far), _) => far,
                (None, None) => Far::Plain(io),
                (None, Some(to)) => match open_for(&shared, to, io, alpn).await {
                    Ok(far) => far,
                    Err(why) => {
                        dial_failed(&shared, &fate, conn, why);
                        return None;
                    }
                },
            };
            Some(TokioIo::new(far))
        }
    }

    fn shaking(&self, called: Option<IpAddr>) -> Stage {
        let (shared, io, upstream) = (Arc::clone(&self.shared), self.io.clone(), self.upstream_io());
        let (state, draws) = (self.state.clone(), Arc::clone(&self.draws));
        Stage::Shaking(Box::pin(shake(shared, io, called, upstream, state, draws)))
    }

    fn shaken(&mut self, shaken: Shaken) -> Step {
        let Shaken { near, far, shown } = shaken;
        if let Near::Sealed(_) = near {
            let mut wire = self.io.lock();
            wire.sealed = true;
            // A caller may look at the certificate only now, and leave.
            if shown.is_none() {
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

    fn failed(&self, failed: Failed) -> Over {
        match failed {
            Failed::Caller => (Side::Client, Ends::Lingering),
            Failed::Certificate => {
                self.io.lock().refused = true;
                (Side::Client, Ends::Lingering)
            }
            Failed::Fault => (Side::Proxy, Ends::Lingering),
            Failed::Dependency(why) => {
                dial_failed(&self.shared, &self.fate, self.conn, why);
                (Side::Upstream, Ends::Reset)
            }
        }
    }

    fn speak_one(&mut self) -> Step {
        let hub = self.hub(Speaks::One);
        let upstream = self.far(b"http/1.1");
        let io = TokioIo::new(self.near.clone());
        Step::Next(Stage::Greeting(Box::pin(async move {
            let upstream = upstream.await?;
            let (sender, client) = hyper::client::conn::http1::Builder::new()
                .preserve_header_case(true)
                .allow_obsolete_multiline_headers_in_responses(true)
                .max_headers(HEADERS)
                .handshake::<_, RequestBody>(upstream)
                .await
                .ok()?;
            let service = Service::new(Arc::clone(&hub), Sender::One(Mutex::new(Some(sender))));
            let server = hyper::server::conn::http1::Builder::new()
                .preserve_header_case(true)
                .auto_date_header(false)
                .header_read_timeout(None)
                .max_headers(HEADERS)
                .serve_connection(io, service)
                .with_upgrades();
            Some((Box::pin(server) as Half, Box::pin(client.with_upgrades()) as Half, hub))
        })))
    }

    fn speak_two(&mut self) -> Step {
        self.asks = Asks::InFrames;
        let hub = self.hub(Speaks::Two);
        let upstream = self.far(b"h2");
        let io = TokioIo::new(self.near.clone());
        let streams = self.streams.clone();
        Step::Next(Stage::Greeting(Box::pin(async move {
            let upstream = upstream.await?;
            let (sender, client) = hyper::client::conn::http2::Builder::new(streams.clone())
                .handshake::<_, RequestBody>(upstream)
                .await
                .ok()?;
            let service = Service::new(Arc::clone(&hub), Sender::Two(sender));
            let server = hyper::server::conn::http2::Builder::new(streams)
                .auto_date_header(false)
                .serve_connection(io, service);
            Some((Box::pin(server) as Half, Box::pin(client) as Half, hub))
        })))
    }

    fn talk(
        &mut self,
        mut server: Half,
        mut client: Half,
        hub: Arc<Hub>,
        mut client_over: bool,
        cx: &mut Context<'_>,
    ) -> Step {
        if !client_over {
            client_over = client.as_mut().poll(cx).is_ready();
        }
        let early = hub.early();
        if !early.is_empty() {
            // Nothing of the HTTP layer is under way while it waits for the answer. What does not fit is dropped: it
            // was for information.
            let _ = Pin::new(&mut self.near).poll_write(cx, &early);
        }
        let served = server.as_mut().poll(cx);
        if let Poll::Ready(result) = served {
            if let Some(tunnel) = hub.tunnel() {
                return self.tunnel(tunnel, client, client_over);
            }
            return Step::Next(Stage::Draining { by: self.ended_by(client_over, result.is_err()) });
        }
        if hub.has_takeover() && self.io.lock().is_flushed() {
            let Some(takeover) = hub.takeover() else {
                return Step::Stay(Stage::Talking { server, client, hub, client_over });
            };
            return Step::Next(Stage::TakenOver { takeover, client, server: Some(server), hub, client_over });
        }
        if client_over && hub.in_flight() == 0 && !hub.has_takeover() {
            let wire = self.io.lock();
            if wire.is_flushed() {
                drop(wire);
                if self.fate.ended() == Some(Farewell::Rst) {
                    return Step::Over((Side::Upstream, Ends::Reset));
                }
                self.near.finish(cx);
                return Step::Next(Stage::Draining { by: Side::Upstream });
            }
        }
        Step::Stay(Stage::Talking { server, client, hub, client_over })
    }

    /// Who ended a connection whose caller's HTTP end is through.
    fn ended_by(&self, client_over: bool, failed: bool) -> Side {
        if self.io.lock().has_left() {
            Side::Client
        } else if client_over && !failed {
            Side::Upstream
        } else {
            Side::Proxy
        }
    }

    fn tunnel(&mut self, tunnel: super::hub::Tunnel, client: Half, client_over: bool) -> Step {
        self.asks = Asks::Never;
        Step::Next(Stage::Tunnelling(Box::pin(async move {
            let both = async { tokio::join!(tunnel.client, tunnel.upstream) };
            let leave = async {
                if !client_over {
                    let _ = client.await;
                }
            };
            let ((near, far), ()) = tokio::join!(both, leave);
            if let (Ok(near), Ok(far)) = (near, far) {
                let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        })))
    }

    fn write_by_hand(
        &mut self,
        mut takeover: Takeover,
        mut client: Half,
        server: Option<Half>,
        hub: Arc<Hub>,
        mut client_over: bool,
        cx: &mut Context<'_>,
    ) -> Step {
        if !client_over {
            client_over = client.as_mut().poll(cx).is_ready();
        }
        while !takeover.raw.is_empty() {
            match Pin::new(&mut self.near).poll_write(cx, &takeover.raw) {
                Poll::Ready(Ok(written)) => takeover.raw.advance(written),
                Poll::Ready(Err(_)) => return Step::Over((Side::Client, Ends::Reset)),
                Poll::Pending => break,
            }
        }
        let flushed = Pin::new(&mut self.near).poll_flush(cx).is_ready();
        let mut wire = self.io.lock();
        let left = wire.waste(cx);
        let written = takeover.raw.is_empty() && flushed && wire.is_drained();
        if wire.is_broken() {
            return Step::Over((Side::Client, Ends::Reset));
        }
        if written {
            match takeover.then {
                Then::End(Ending::Reset) => return Step::Over((takeover.by, Ends::Reset)),
                Then::End(Ending::Close) => return Step::Over((takeover.by, Ends::Lingering)),
                Then::Stall if left => return Step::Over((Side::Client, Ends::Orderly)),
                Then::Stall => {}
            }
            let lifted = takeover.arming.is_some_and(|arming| !hub.table().stands(arming));
            if lifted {
                // What was cut off cannot be taken up again in mid-answer.
                return Step::Over((takeover.by, Ends::Lingering));
            }
        }
        drop(wire);
        Step::Stay(Stage::TakenOver { takeover, client, server, hub, client_over })
    }

    /// Closes the books, and ends what still runs.
    async fn close(self, over: Option<Over>) -> Carried {
        let Connection { shared, conn, io, fate, streams, stage, asks, exchanges, shown, .. } = self;
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
            // A caller that looks at the certificate after the handshake leaves without a word.
            (wire.delivered(), unheard, wire.refused || shown.is_some())
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

/// Shakes hands with the dependency for a caller that already speaks.
async fn open_for(shared: &Shared, to: &Upstream, io: UpstreamIo, alpn: &[u8]) -> Result<Far, String> {
    let far = match open_within(shared, to, io, &[alpn.to_vec()]).await {
        Ok(far) => far,
        Err(Failed::Dependency(why)) => return Err(why),
        Err(Failed::Caller | Failed::Certificate | Failed::Fault) => {
            return Err("the handshake was broken off".to_owned());
        }
    };
    // A server that does not choose speaks HTTP/1.1.
    match far.protocol() {
        None if alpn == b"h2" => {
            Err(format!("{} does not speak HTTP/2, which its caller speaks", shared.upstream))
        }
        _ => Ok(far),
    }
}

fn dial_failed(shared: &Shared, fate: &UpstreamFate, conn: ConnId, why: String) {
    UpstreamIo::give_up(fate);
    shared.meter.dial_failed();
    shared.recorder.record(EventKind::DialFailed { edge: shared.edge.clone(), conn, why });
}

enum Step {
    Stay(Stage),
    Next(Stage),
    Over(Over),
}
