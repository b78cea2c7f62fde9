//! The way of plain requests that no fault is for: their bytes and those of their answers go on as they came, read where they lie and
//! never taken apart. The first request that is not plain, or that a fault may be for, leaves this way with its connection: from there
//! on the HTTP layer reads.
//!
//! It must never decide what a fault does, and never pass on what two readers would cut differently. It leaves between two requests
//! only, with nothing under way.

mod call;
mod chunks;
mod reply;
mod request;

use std::io::IoSlice;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::http::request::Parts;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::watch;

use super::client_io::ClientIo;
use super::hub::Hub;
use super::upstream::UpstreamIo;
use crate::armed::Table;
use crate::effect::EdgeEffect;
use crate::scratch::with_scratch;
use crate::shared::State;
use call::Call;
use request::{Behind, Plain, Read, read, room};

/// The longest head of a plain request that comes in pieces.
const HEAD: usize = 16 * 1024;

/// Turns of one connection in a row; then others on this thread have theirs.
const TURNS: u8 = 16;

/// How it goes on.
#[derive(Debug)]
pub(super) enum Goes {
    /// Nothing more to do for now; wakers are set.
    Rests,
    /// The caller has ended, or broken off.
    CallerLeft,
    /// Nothing more comes behind what was said; the caller is to be told.
    Over,
    /// The dependency ended in the middle of an answer, or before it.
    Lost,
    /// The HTTP layer is to read on, from these bytes.
    Elsewhere(Bytes),
}

/// What one turn came to, if the connection stays on this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Moved,
    Rests,
}

type Turned = Result<Turn, Goes>;

/// One connection on its straight way.
pub(super) struct Straight {
    hub: Arc<Hub>,
    far: UpstreamIo,
    /// Of the caller: what has not been passed on, and begins with a request.
    asked: BytesMut,
    /// So much of it is known to have no end of a head.
    seen: usize,
    /// For the dependency, which did not take it at once.
    to_far: BytesMut,
    /// For the caller, likewise.
    to_near: BytesMut,
    call: Option<Call>,
}

impl Straight {
    pub(super) fn new(hub: Arc<Hub>, far: UpstreamIo) -> Straight {
        let (asked, to_far, to_near) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        Straight { hub, far, asked, seen: 0, to_far, to_near, call: None }
    }

    /// What the connection's requests share, for who goes on with them.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Does all that can be done now. With an edit of the faults that the connection does not know of yet no byte goes: it wakes
    /// the task.
    pub(super) fn go(
        &mut self,
        near: &ClientIo,
        edits: &watch::Receiver<State>,
        cx: &mut Context<'_>,
    ) -> Goes {
        for _ in 0..TURNS {
            if edits.has_changed().unwrap_or(false) {
                return Goes::Rests;
            }
            match self.turn(near, edits, cx) {
                Ok(Turn::Moved) => {}
                Ok(Turn::Rests) => return Goes::Rests,
                Err(goes) => return goes,
            }
        }
        cx.waker().wake_by_ref();
        Goes::Rests
    }

    fn turn(&mut self, near: &ClientIo, edits: &watch::Receiver<State>, cx: &mut Context<'_>) -> Turned {
        tell(near, &mut self.to_near, cx)?;
        let Some(call) = &mut self.call else {
            // What was said last goes before anything else.
            if !self.to_near.is_empty() {
                return Ok(Turn::Rests);
            }
            return match self.listen_to_idle(cx) {
                Some(goes) => Err(goes),
                None => self.next(near, cx),
            };
        };
        if call.is_answered() && self.to_near.is_empty() {
            // Before it is seen that the caller leaves, which it may do now.
            call.finish(near);
        }
        if !self.to_far.is_empty() {
            call.send(&mut self.far, &mut self.to_far, cx);
        }
        let asked = match call.has_unsent() {
            true if self.to_far.is_empty() => call.carry(near, &mut self.far, &mut self.to_far, cx)?,
            true => Turn::Rests,
            // Also to see whether the caller leaves an answer that it has not taken. Behind one that it has, the next request is looked for.
            false if self.asked.is_empty() && !call.is_told() => look_ahead(near, &mut self.asked, cx)?,
            false => Turn::Rests,
        };
        let heard = match self.to_near.is_empty() && !call.is_answered() {
            true => call.hear(near, &mut self.far, &mut self.to_near, edits, cx)?,
            false => Turn::Rests,
        };
        if call.is_answered() && self.to_near.is_empty() {
            call.finish(near);
            let is_sent = !call.has_unsent() && self.to_far.is_empty();
            match call.behind() {
                Behind::Nothing => return Err(Goes::Over),
                Behind::More if is_sent => {
                    self.call = None;
                    return Ok(Turn::Moved);
                }
                // Who answers before it has the whole request may take the rest of it, and then the next one. All that it may say
                // before that is that it ends.
                Behind::More => {
                    if let Some(goes) = self.listen_to_idle(cx) {
                        return Err(goes);
                    }
                }
            }
        }
        Ok(if asked == Turn::Moved || heard == Turn::Moved { Turn::Moved } else { Turn::Rests })
    }

    /// A dependency may end between two requests, and must not say anything.
    fn listen_to_idle(&mut self, cx: &mut Context<'_>) -> Option<Goes> {
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        Pin::new(&mut self.far).poll_read(cx, &mut buf).is_ready().then_some(Goes::Over)
    }

    /// Reads the next request.
    fn next(&mut self, near: &ClientIo, cx: &mut Context<'_>) -> Turned {
        // What was sent ahead comes first.
        if self.asked.len() > self.seen {
            let asked = std::mem::take(&mut self.asked);
            return self.begin(&asked, cx);
        }
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            let mut wire = near.lock();
            match wire.poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Turn::Rests),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(read) => {
                    // With nothing under way it is said goodbye to, past the faults that act on a goodbye. It may have gone already.
                    if read.is_ok() && self.asked.is_empty() {
                        let _ = wire.finish();
                    }
                    return Err(Goes::CallerLeft);
                }
            }
            drop(wire);
            if self.asked.is_empty() {
                return self.begin(buf.filled(), cx);
            }
            let mut asked = std::mem::take(&mut self.asked);
            asked.extend_from_slice(buf.filled());
            self.begin(&asked, cx)
        })
    }

    /// Passes a request on that begins these bytes, if it is all there and may go this way.
    fn begin(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Turned {
        let mut room = room();
        let plain = match read(bytes, std::mem::take(&mut self.seen), &mut room) {
            Read::Part if bytes.len() <= HEAD => {
                self.asked.extend_from_slice(bytes);
                self.seen = bytes.len();
                return Ok(Turn::Moved);
            }
            Read::Plain(plain) if is_free(&plain, &self.hub.table(), self.hub.source) => plain,
            Read::Part | Read::Plain(_) | Read::Other => {
                return Err(Goes::Elsewhere(Bytes::copy_from_slice(bytes)));
            }
        };
        let body = usize::try_from(plain.body).unwrap_or(usize::MAX).min(bytes.len() - plain.head);
        let (now, later) = bytes.split_at(plain.head + body);
        let mut call = Call::new(&self.hub, &plain, plain.body - body as u64);
        call.pass(now, &mut self.far, &mut self.to_far, cx);
        self.call = Some(call);
        self.asked.extend_from_slice(later);
        Ok(Turn::Moved)
    }

    /// What the caller has not taken yet of what was said to it.
    pub(super) fn untold(&mut self) -> Bytes {
        std::mem::take(&mut self.to_near).freeze()
    }
}

/// True if no fault can be for this request. Which of the requests that one may be for it chooses, and what it does, is not decided here.
fn is_free(plain: &Plain<'_, '_>, table: &Table, source: IpAddr) -> bool {
    let mut parts: Option<Parts> = None;
    table.standing().iter().all(|standing| {
        let EdgeEffect::Http(effect) = &standing.armed.effect else { return true };
        let Some(filter) = &effect.filter else { return false };
        if !filter.may_match(plain.method, plain.path(), source) {
            return true;
        }
        if parts.is_none() {
            parts = plain.parts();
        }
        parts.as_ref().is_some_and(|parts| !filter.matches(parts, source))
    })
}

/// Says what is left to say to the caller, as far as it takes it.
fn tell(near: &ClientIo, to_near: &mut BytesMut, cx: &mut Context<'_>) -> Result<(), Goes> {
    while !to_near.is_empty() {
        match near.lock().poll_write(cx, &[IoSlice::new(to_near)]) {
            Poll::Ready(Ok(written @ 1..)) => to_near.advance(written),
            Poll::Ready(_) => return Err(Goes::CallerLeft),
            Poll::Pending => return Ok(()),
        }
    }
    // An idle connection holds nothing.
    if to_near.capacity() > 0 {
        *to_near = BytesMut::new();
    }
    Ok(())
}

/// Keeps what the caller says before it has its answer.
fn look_ahead(near: &ClientIo, asked: &mut BytesMut, cx: &mut Context<'_>) -> Turned {
    with_scratch(|scratch| {
        let mut buf = ReadBuf::new(&mut scratch[..HEAD]);
        match near.lock().poll_read(cx, &mut buf) {
            Poll::Pending => Ok(Turn::Rests),
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                asked.extend_from_slice(buf.filled());
                Ok(Turn::Rests)
            }
            Poll::Ready(_) => Err(Goes::CallerLeft),
        }
    })
}
