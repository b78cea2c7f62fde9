//! One connection from accept to close: reaches the other side, runs both directions, carries endings through, tells
//! what happened.
//!
//! A link owns its two sockets and nothing else. Control reaches it only through the table that it watches. Whatever a
//! fault or a peer does, it must come to an end once nobody can be served any more.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use murphy_core::{CloseHow, ConnId, Direction, EventKind, Protocol, Side, Span};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::acceptor::Accepted;
use crate::admit::{Books, Reached, reach};
use crate::armed::Draws;
use crate::effect::{Ending, Farewell};
use crate::exchange::{Exchanges, Parting};
use crate::goodbye::{Farewells, close_alone, rejects};
use crate::http::{self, Ends};
use crate::leg::Leg;
use crate::nudge::Heeded;
use crate::pump::{Around, Found, Input, Pump};
use crate::roster::Live;
use crate::shared::{Shared, State};
use crate::timer::Alarm;

/// How a link is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Both directions have been carried to their end.
    Carried,
    /// One side broke, and the other shall know.
    Broken,
    /// A fault said so.
    Fault(Ending),
    /// The proxy stops.
    Stopped,
}

struct Closing {
    by: Side,
    how: Farewells,
}

/// What becomes of a connection that a fault withholds from everybody.
enum Stuck {
    GiveUp,
    LookAgain(Instant),
}

/// How often the kernel is asked whether a sender that is not read has gone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

struct Link<'a> {
    shared: &'a Shared,
    live: &'a Live,
    client: Leg<'a>,
    upstream: Leg<'a>,
    to_upstream: Pump,
    to_client: Pump,
    exchanges: Option<Exchanges>,
    first: Option<Side>,
    stuck_since: Option<Instant>,
    /// Bytes of this connection in the proxy's sum of held bytes.
    reported: usize,
    alarm: &'a mut Alarm,
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        self.shared.hold(self.reported, 0);
    }
}

/// Carries one connection. Returns when it is gone.
pub(crate) async fn carry(
    shared: Arc<Shared>,
    // Before the caller's socket, so that this is dropped behind it.
    accepted: Accepted,
    client: TcpStream,
    peer: SocketAddr,
    mut state: watch::Receiver<State>,
) {
    let (conn, opened) = (accepted.conn, Instant::now());
    let mut books = Books::open(Arc::clone(&shared), conn, peer, opened);
    let shared = &*shared;
    if shared.recorder.is_enabled() {
        let opened = EventKind::ConnOpened { edge: shared.edge.clone(), conn, peer: peer.to_string() };
        shared.recorder.record(opened);
    }
    let mut draws = Draws::new(shared.seed, conn);
    let mut to_upstream = Pump::new(Direction::ToUpstream);
    let mut to_client = Pump::new(Direction::ToClient);
    let mut alarm = Alarm::new(Arc::clone(&accepted.seat.desk.timer));

    let admitted = {
        let lines = (&mut to_upstream.line, &mut to_client.line);
        let fetch = reach(shared, &client, &mut books, &mut draws, lines, &mut state, &mut alarm);
        // Boxed, so that an idle connection does not carry the room for it.
        let mut fetch = Box::pin(fetch);
        let mut lost = pin!(client.ready(Interest::ERROR));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(reached) = fetch.as_mut().poll(cx) {
                return Poll::Ready(reached);
            }
            lost.as_mut().poll(cx).map(|_| Reached::CallerLost)
        })
        .await
    };
    let upstream = match admitted {
        Reached::Upstream(upstream) => upstream,
        Reached::Nobody { by, how } => {
            let closed = EventKind::ConnClosed {
                edge: shared.edge.clone(),
                conn,
                by,
                how,
                to_upstream: 0,
                to_client: 0,
                age: opened.elapsed().into(),
            };
            Box::pin(close_alone(client, how)).await;
            shared.recorder.record(closed);
            return;
        }
        Reached::CallerLost => {
            shared.recorder.record(EventKind::ConnClosed {
                edge: shared.edge.clone(),
                conn,
                by: Side::Client,
                how: CloseHow::Rst,
                to_upstream: 0,
                to_client: 0,
                age: opened.elapsed().into(),
            });
            return;
        }
    };

    books.live.carried();
    if shared.protocol == Protocol::Http || !shared.tls.is_none() {
        let (client, upstream) = (Arc::new(client), Arc::new(upstream));
        let lines = (to_upstream.line, to_client.line);
        let (near, far) = (Arc::clone(&client), Arc::clone(&upstream));
        let (all, live) = (Arc::clone(&books.shared), Arc::clone(&books.live));
        let carrying = http::carry(all, live, near, far, peer, conn, lines, draws, state, &mut alarm);
        let carried = Box::pin(carrying).await;
        let closing = Closing {
            by: carried.by,
            how: match carried.ends {
                Ends::Orderly => Farewells::Orderly,
                Ends::Lingering => Farewells::Lingering,
                Ends::Reset => Farewells::Reset,
            },
        };
        closing.how.say(&client, &upstream).await;
        drop((client, upstream));
        tell_closed(shared, conn, &closing, (carried.to_upstream, carried.to_client), opened);
        return;
    }
    let mut link = Link {
        shared,
        live: &books.live,
        client: Leg::new(&client),
        upstream: Leg::new(&upstream),
        to_upstream,
        to_client,
        exchanges: Exchanges::watch(&shared.recorder, &shared.edge, conn),
        first: None,
        stuck_since: None,
        reported: 0,
        alarm: &mut alarm,
    };
    let over = link.run(&mut state, &mut draws).await;
    let closing = Box::pin(link.settle(over)).await;
    let (to_upstream, to_client) = (link.to_upstream.delivered, link.to_client.delivered);
    drop(link);
    closing.how.say(&client, &upstream).await;
    drop((client, upstream));
    tell_closed(shared, conn, &closing, (to_upstream, to_client), opened);
}

fn tell_closed(shared: &Shared, conn: ConnId, closing: &Closing, bytes: (u64, u64), opened: Instant) {
    if shared.recorder.is_enabled() {
        shared.recorder.record(EventKind::ConnClosed {
            edge: shared.edge.clone(),
            conn,
            by: closing.by,
            how: if closing.how == Farewells::Reset { CloseHow::Rst } else { CloseHow::Fin },
            to_upstream: bytes.0,
            to_client: bytes.1,
            age: Span::from(opened.elapsed()),
        });
    }
}

impl Link<'_> {
    async fn run(&mut self, state: &mut watch::Receiver<State>, draws: &mut Draws) -> Over {
        loop {
            {
                let current = state.borrow_and_update();
                if current.stopping {
                    return Over::Stopped;
                }
                let now = Instant::now();
                self.to_upstream.line.sync(&current.table, draws, now);
                self.to_client.line.sync(&current.table, draws, now);
            }
            // Never starved of its budget: its waker is left once, not at each turn.
            let mut changed = pin!(tokio::task::unconstrained(state.changed()));
            let mut heeded = Heeded::default();
            let over = std::future::poll_fn(|cx| {
                if heeded.poll(changed.as_mut(), cx).is_ready() {
                    return Poll::Ready(None);
                }
                self.poll(cx).map(Some)
            })
            .await;
            if let Some(over) = over {
                return over;
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if self.live.is_to_look() {
            self.to_upstream.doubt();
            self.to_client.doubt();
        }
        let polled = self.pass(cx);
        if polled.is_pending()
            && (self.to_upstream.rests_unsure() || self.to_client.rests_unsure())
            && self.live.rests_unsure(cx.waker())
        {
            self.shared.second_look.want();
        }
        polled
    }

    /// Does what can be done without waiting.
    fn pass(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let mut around = Around {
                meter: &self.shared.meter,
                exchanges: &mut self.exchanges,
                other_hits: self.to_client.line.hits(),
                room: self.shared.room(),
            };
            let up = self.to_upstream.turn(cx, self.client.stream, self.upstream.stream, &mut around);
            around.other_hits = self.to_upstream.line.hits();
            around.room = self.shared.room().saturating_sub(self.to_upstream.line.held());
            let down = self.to_client.turn(cx, self.upstream.stream, self.client.stream, &mut around);
            self.live.delivered(self.to_upstream.delivered, self.to_client.delivered);
            let held = self.to_upstream.line.held() + self.to_client.line.held();
            if held != self.reported {
                self.shared.hold(self.reported, held);
                self.reported = held;
            }
            let again = up != Found::Rest || down != Found::Rest;
            if let Some(over) =
                self.digest(up, Direction::ToUpstream).or_else(|| self.digest(down, Direction::ToClient))
            {
                return Poll::Ready(over);
            }
            if self.to_upstream.done && self.to_client.done {
                let broken = self.client.broken || self.upstream.broken;
                return Poll::Ready(if broken { Over::Broken } else { Over::Carried });
            }
            if again {
                continue;
            }
            if !self.to_upstream.listening && self.client.has_failed(cx) {
                self.broke(Side::Client);
                continue;
            }
            if !self.to_client.listening && self.upstream.has_failed(cx) {
                self.broke(Side::Upstream);
                continue;
            }
            if self.to_upstream.is_clear() && self.to_client.is_clear() {
                self.alarm.set(None, cx);
                return Poll::Pending;
            }
            let now = Instant::now();
            let look = match self.look_at_stuck(cx, now) {
                Some(Stuck::GiveUp) => return Poll::Ready(Over::Broken),
                Some(Stuck::LookAgain(at)) => Some(at),
                None => None,
            };
            let wakes = [self.to_upstream.next_wake(now), self.to_client.next_wake(now), look];
            self.alarm.set(wakes.into_iter().flatten().min(), cx);
            return Poll::Pending;
        }
    }

    /// Takes note of what a direction found; `Some` if the connection is over with it.
    fn digest(&mut self, found: Found, direction: Direction) -> Option<Over> {
        let (source, target) = match direction {
            Direction::ToUpstream => (Side::Client, Side::Upstream),
            Direction::ToClient => (Side::Upstream, Side::Client),
        };
        match found {
            Found::Rest | Found::More | Found::Done => None,
            Found::SourceFin => {
                self.first.get_or_insert(source);
                if source == Side::Client
                    && let Some(exchanges) = &mut self.exchanges
                {
                    exchanges.fell_silent();
                }
                None
            }
            Found::SourceBroken => {
                self.broke(source);
                None
            }
            Found::TargetBroken => {
                self.broke(target);
                None
            }
            Found::Reset => Some(Over::Broken),
            Found::End(ending) => {
                self.first.get_or_insert(Side::Proxy);
                Some(Over::Fault(ending))
            }
        }
    }

    /// One side is broken: nothing reaches it any more, and what it has sent before is still carried, with the RST
    /// behind it.
    fn broke(&mut self, side: Side) {
        self.first.get_or_insert(side);
        let (leg, from, to) = match side {
            Side::Client => (&mut self.client, &mut self.to_upstream, &mut self.to_client),
            Side::Upstream | Side::Proxy => (&mut self.upstream, &mut self.to_client, &mut self.to_upstream),
        };
        leg.broken = true;
        to.abandon();
        match from.input {
            Input::Open => from.input = Input::Broken,
            Input::Broken => {}
            Input::Over => from.line.push_farewell(Farewell::Rst, Instant::now()),
        }
    }

    /// A connection whose sender has gone and whose bytes are withheld for ever serves nobody: it is given up after a
    /// while, or the sockets of all callers that ever timed out would pile up behind a fault. Answers when to give up,
    /// or when to look again.
    fn look_at_stuck(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Stuck> {
        let mut gone = false;
        let mut unread = false;
        let over = |pump: &Pump, source: &Leg<'_>, cx: &mut Context<'_>| match pump.input {
            Input::Over | Input::Broken => true,
            Input::Open if pump.listening => false,
            // What the fault keeps is full, so the FIN behind it is not read; the kernel knows of it.
            Input::Open => source.has_hung_up(cx),
        };
        let caller_gone = over(&self.to_upstream, &self.client, cx);
        if self.to_upstream.line.is_stuck() {
            gone |= caller_gone;
            unread |= !caller_gone && !self.to_upstream.listening;
        }
        if self.to_client.line.is_stuck() {
            let answered = over(&self.to_client, &self.upstream, cx);
            // An answer that is withheld behind the dependency's farewell still has a caller who waits for it.
            gone |= answered && (caller_gone || self.upstream.broken);
            unread |= !self.to_client.listening || answered && !caller_gone;
        }
        if !gone {
            self.stuck_since = None;
            return unread.then(|| Stuck::LookAgain(now + LOOK_AGAIN));
        }
        let since = *self.stuck_since.get_or_insert(now);
        // A broken sender is not waited for at all.
        let broken = self.client.broken || self.upstream.broken;
        let until = if broken { since } else { since + self.shared.limits.linger.as_duration() };
        Some(if until <= now { Stuck::GiveUp } else { Stuck::LookAgain(until) })
    }

    /// Closes the books of the exchange that was under way, and says how the sockets are to be closed.
    async fn settle(&mut self, over: Over) -> Closing {
        let by = match over {
            Over::Stopped => Side::Proxy,
            _ => self.first.unwrap_or(Side::Proxy),
        };
        let mut client_reset = self.client.broken;
        if let Some(exchanges) = &mut self.exchanges {
            if !client_reset && exchanges.is_doubtful() {
                client_reset = rejects(self.client.stream).await;
            }
            let parting = match over {
                Over::Stopped => Parting::Stopped,
                _ if client_reset => Parting::CallerReset,
                Over::Fault(_) => Parting::Broken,
                Over::Broken => Parting::Broken,
                Over::Carried => Parting::Peace,
            };
            let hits = self.to_upstream.line.hits() + self.to_client.line.hits();
            exchanges.part(parting, self.to_client.line.held() > 0, hits);
        }
        let how = match over {
            Over::Broken | Over::Fault(Ending::Reset) => Farewells::Reset,
            Over::Fault(Ending::Close) => Farewells::Lingering,
            Over::Carried | Over::Stopped => Farewells::Orderly,
        };
        Closing { by, how }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function of five arguments gives.
    fn size_of_task<F, A, B, C, D, E>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_holds_no_buffer() {
        // A buffer or a dial inlined into the task costs every idle connection: this was once 9.8 KiB.
        let size = size_of_task(carry);
        assert!(size <= 1536, "the task of a connection takes {size} bytes");
    }
}
