//! Requests and answers: how the two halves of a conversation go on, and what follows when one of them is through.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use hyper_util::rt::TokioIo;
use murphy_core::Side;
use tokio::io::AsyncWrite as _;

use super::{Asks, Connection, Ends, Half, Stage, Step};
use crate::effect::{Ending, Farewell};
use crate::http::effect::Then;
use crate::http::hub::{Hub, Takeover, Tunnel};
use crate::http::straight::{Goes, Straight};
use crate::http::turns::{Called, Turns};
use crate::tls::Near;

impl Connection {
    pub(super) fn go_straight(&mut self, mut straight: Box<Straight>, cx: &mut Context<'_>) -> Step {
        match straight.go(&self.io, &self.state, cx) {
            Goes::Rests => Step::Stay(Stage::Straight(straight)),
            Goes::CallerLeft => Step::Next(Stage::Draining { by: Side::Client }),
            Goes::Over if self.fate.ended() == Some(Farewell::Rst) => {
                Step::Over((Side::Upstream, Ends::Reset))
            }
            Goes::Over => {
                self.near.finish(cx);
                Step::Next(Stage::Draining { by: Side::Upstream })
            }
            Goes::Lost => {
                let (raw, then) = (straight.untold(), Then::End(self.fate.ending()));
                let takeover = Takeover { raw, then, by: Side::Upstream, arming: None };
                let (hub, client) = (Arc::clone(straight.hub()), Box::pin(std::future::ready(Ok(()))));
                Step::Next(Stage::TakenOver { takeover, client, server: None, hub, client_over: true })
            }
            Goes::Elsewhere(begun) => {
                self.near.put_back(begun);
                let hub = Arc::clone(straight.hub());
                drop(straight);
                self.converse(hub)
            }
        }
    }

    pub(super) fn talk(
        &mut self,
        mut server: Half,
        mut client: Half,
        hub: Arc<Hub>,
        mut client_over: bool,
        mut called: Called,
        cx: &mut Context<'_>,
    ) -> Step {
        loop {
            let Some(turns) = &self.turns else {
                return Step::Stay(Stage::Talking { server, client, hub, client_over });
            };
            if !client_over && called.client() {
                client_over = client.as_mut().poll(&mut turns.client()).is_ready();
            }
            let early = hub.early();
            let held_back = !self.early.is_empty();
            // What is said to the caller stays in order: an informational answer goes whole and before all that follows, or
            // not at all, for behind it, or behind the rest of an answer before it, the HTTP layer would have to wait.
            if !early.is_empty() && !held_back && self.io.lock().is_flushed() {
                self.early = early;
            }
            if !self.early.is_empty() {
                write_early(&mut self.near, &mut self.early, &mut turns.server());
            }
            // Mostly by what the dependency has just said.
            let has_called = !self.is_edited() && turns.server_called();
            // Who was held back has nobody else to call it.
            let is_servers_turn = (has_called || called.server() || held_back) && self.early.is_empty();
            let served = match is_servers_turn {
                true => server.as_mut().poll(&mut turns.server()),
                false => Poll::Pending,
            };
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
                let server = Some(server);
                return Step::Next(Stage::TakenOver { takeover, client, server, hub, client_over });
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
            // With nothing on the lines all that happens between two rounds is what the halves say to each other.
            let goes_on = !self.for_both && !self.is_edited();
            match self.turns.as_mut().filter(|_| goes_on).and_then(Turns::again) {
                Some(more) => {
                    // The books tell the end of one request from the beginning of the next.
                    if self.shared.recorder.is_enabled() {
                        self.io.lock().settle();
                    }
                    called = more;
                }
                None => return Step::Stay(Stage::Talking { server, client, hub, client_over }),
            }
        }
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

    fn tunnel(&mut self, tunnel: Tunnel, client: Half, client_over: bool) -> Step {
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

    pub(super) fn write_by_hand(
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
}

/// Writes as much as the caller's side takes of informational answers, which the HTTP layer does not write. With its waker, for
/// a socket keeps one for all its writers.
fn write_early(near: &mut Near, early: &mut BytesMut, cx: &mut Context<'_>) {
    while !early.is_empty() {
        match Pin::new(&mut *near).poll_write(cx, early) {
            Poll::Ready(Ok(written @ 1..)) => early.advance(written),
            Poll::Pending => return,
            // The HTTP layer is told the same when it writes.
            Poll::Ready(_) => early.clear(),
        }
    }
}
