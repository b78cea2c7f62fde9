//! One request on its straight way, and its answer: what of both has come and gone on, and where each ends.
//!
//! Of a body nothing is held but what its receiver did not take at once, and then its sender is not read.

use std::io::IoSlice;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use murphy_core::Answerer;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::sync::watch;

use super::chunks::{Chunks, NoChunks};
use super::reply::{self, Extent, Head};
use super::request::{Behind, Plain, Wants};
use super::{Goes, Turn, Turned};
use crate::http::call::call_of;
use crate::http::client_io::ClientIo;
use crate::http::hand_made::{bad_gateway, written};
use crate::http::hub::{Hub, Ticket};
use crate::http::upstream::UpstreamIo;
use crate::scratch::with_scratch;
use crate::shared::State;

/// What is still to come of an answer.
#[derive(Debug)]
enum Answer {
    /// All of it.
    Head,
    /// So many bytes.
    Bytes(u64),
    /// Chunks.
    Chunks(Chunks),
    /// All until the dependency ends.
    Rest,
    /// Nothing.
    Over,
    /// Nothing, and all of it has been handed over.
    Told,
}

/// Whether the dependency takes the rest of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    All,
    Nothing,
}

/// A request that is under way.
pub(super) struct Call {
    ticket: Ticket,
    wants: Wants,
    /// Of its body, what the caller has not sent yet.
    unsent: u64,
    takes: Takes,
    /// What was heard when there was an edit of the faults that the connection does not know of: it waits until it does.
    late: Bytes,
    /// The beginning of the answer's head.
    said: BytesMut,
    answer: Answer,
    behind: Behind,
}

impl Call {
    /// A request of whose body so much is still to come.
    pub(super) fn new(hub: &Arc<Hub>, plain: &Plain<'_, '_>, unsent: u64) -> Call {
        hub.use_of();
        let told = call_of(hub, plain.method, plain.path(), |name| plain.text(name));
        let ticket = Ticket::new(Arc::clone(hub), told);
        ticket.note(|call| call.reached = true);
        let (wants, behind) = (plain.wants(), plain.behind);
        let (late, said, answer) = (Bytes::new(), BytesMut::new(), Answer::Head);
        Call { ticket, wants, unsent, takes: Takes::All, late, said, answer, behind }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// True if all of the answer has come.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Over | Answer::Told)
    }

    /// True if all of it has been handed over too.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.answer, Answer::Told)
    }

    /// The answer has been handed over.
    pub(super) fn finish(&mut self, near: &ClientIo) {
        if !self.is_told() {
            self.answer = Answer::Told;
            self.ticket.finish();
            // The books tell the end of one request from the beginning of the next.
            near.lock().settle();
        }
    }

    /// What may follow on this connection.
    pub(super) fn behind(&self) -> Behind {
        match self.takes {
            Takes::All => self.behind,
            Takes::Nothing => Behind::Nothing,
        }
    }

    /// Passes bytes of the request on, and keeps what is not taken.
    pub(super) fn pass(
        &mut self,
        bytes: &[u8],
        far: &mut UpstreamIo,
        to_far: &mut BytesMut,
        cx: &mut Context<'_>,
    ) {
        if self.takes == Takes::Nothing {
            return;
        }
        match Pin::new(far).poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => to_far.extend_from_slice(&bytes[written..]),
            Poll::Pending => to_far.extend_from_slice(bytes),
            // It may have answered before.
            Poll::Ready(Err(_)) => self.takes = Takes::Nothing,
        }
    }

    /// Passes on what was kept.
    pub(super) fn send(&mut self, far: &mut UpstreamIo, to_far: &mut BytesMut, cx: &mut Context<'_>) {
        while !to_far.is_empty() {
            match Pin::new(&mut *far).poll_write(cx, to_far) {
                Poll::Ready(Ok(written @ 1..)) => to_far.advance(written),
                Poll::Pending => return,
                Poll::Ready(_) => {
                    self.takes = Takes::Nothing;
                    to_far.clear();
                }
            }
        }
        *to_far = BytesMut::new();
    }

    /// Reads more of the request's body, and passes it on.
    pub(super) fn carry(
        &mut self,
        near: &ClientIo,
        far: &mut UpstreamIo,
        to_far: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Turned {
        with_scratch(|scratch| {
            let room = usize::try_from(self.unsent).unwrap_or(usize::MAX).min(scratch.len());
            let mut buf = ReadBuf::new(&mut scratch[..room]);
            let mut wire = near.lock();
            match wire.poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Turn::Rests),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Err(Goes::CallerLeft),
            }
            if self.is_answered() {
                // The rest of a request that the books have closed is not the beginning of the next one.
                wire.asked = None;
            }
            drop(wire);
            self.unsent -= buf.filled().len() as u64;
            self.pass(buf.filled(), far, to_far, cx);
            Ok(Turn::Moved)
        })
    }

    /// Reads more of the answer, and hands it over. What the caller did not take before must have gone.
    pub(super) fn hear(
        &mut self,
        near: &ClientIo,
        far: &mut UpstreamIo,
        to_near: &mut BytesMut,
        edits: &watch::Receiver<State>,
        cx: &mut Context<'_>,
    ) -> Turned {
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            return self.heard(&late, &mut Caller { near, to_near, cx });
        }
        with_scratch(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(far).poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Turn::Rests),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(Ok(())) if matches!(self.answer, Answer::Rest) => {
                    (self.answer, self.behind) = (Answer::Over, Behind::Nothing);
                    return Ok(Turn::Moved);
                }
                Poll::Ready(_) => return Err(Goes::Lost),
            }
            if edits.has_changed().unwrap_or(false) {
                // Who said it may know of the edit, which wakes the task.
                self.late = Bytes::copy_from_slice(buf.filled());
                return Ok(Turn::Rests);
            }
            self.heard(buf.filled(), &mut Caller { near, to_near, cx })
        })
    }

    /// Takes these bytes behind those of a head that has no end yet.
    fn heard(&mut self, bytes: &[u8], caller: &mut Caller<'_, '_>) -> Turned {
        if self.said.is_empty() {
            return self.take(bytes, 0, caller);
        }
        let mut said = std::mem::take(&mut self.said);
        let seen = said.len();
        said.extend_from_slice(bytes);
        self.take(&said, seen, caller)
    }

    /// Takes what the dependency said, of which so much was looked at before.
    fn take(&mut self, bytes: &[u8], mut seen: usize, caller: &mut Caller<'_, '_>) -> Turned {
        let mut at = 0;
        while matches!(self.answer, Answer::Head) {
            match reply::read(&bytes[at..], seen, self.wants) {
                reply::Read::Part => {
                    self.said.extend_from_slice(&bytes[at..]);
                    return Ok(Turn::Moved);
                }
                reply::Read::Nonsense => {
                    self.refuse(caller.to_near);
                    return Ok(Turn::Moved);
                }
                reply::Read::Head(head) if head.is_early() => {
                    caller.say(head.anew.as_deref().unwrap_or(&bytes[at..at + head.length]))?;
                    at += head.length;
                    seen = 0;
                }
                reply::Read::Head(head) => return self.begin(bytes, at, &head, caller),
            }
        }
        self.body(bytes, at..at, at, caller)
    }

    /// The answer's own head has come, from here on.
    fn begin(&mut self, bytes: &[u8], at: usize, head: &Head, caller: &mut Caller<'_, '_>) -> Turned {
        self.ticket.note(|call| {
            (call.status, call.service_status) = (Some(head.status), Some(head.status));
            call.answerer = Answerer::Service;
        });
        self.ticket.begins_behind(caller.to_near.len());
        if head.behind == Behind::Nothing {
            self.behind = Behind::Nothing;
        }
        self.answer = match head.extent {
            Extent::Bytes(0) => Answer::Over,
            Extent::Bytes(length) => Answer::Bytes(length),
            Extent::Chunks => Answer::Chunks(Chunks::new()),
            Extent::Rest => Answer::Rest,
        };
        let end = at + head.length;
        let as_it_came = match &head.anew {
            Some(anew) => {
                caller.say(anew)?;
                end..end
            }
            None => at..end,
        };
        self.body(bytes, as_it_came, end, caller)
    }

    /// What stands from here on is the answer's body; these bytes before it go with it.
    fn body(&mut self, bytes: &[u8], before: Range<usize>, at: usize, caller: &mut Caller<'_, '_>) -> Turned {
        let mut going = before;
        let here = bytes.len() - at;
        let read = match &mut self.answer {
            Answer::Bytes(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                *left -= here as u64;
                if *left == 0 {
                    self.answer = Answer::Over;
                }
                going.end = at + here;
                here
            }
            Answer::Chunks(chunks) => {
                let mut said = Ok(());
                let read = chunks.read(&bytes[at..], |range| {
                    let range = at + range.start..at + range.end;
                    if range.start == going.end {
                        going.end = range.end;
                    } else if said.is_ok() {
                        said = caller.say(&bytes[std::mem::replace(&mut going, range)]);
                    }
                });
                said?;
                match read {
                    Ok(read) => {
                        if chunks.is_over() {
                            self.answer = Answer::Over;
                        }
                        read
                    }
                    Err(NoChunks) => {
                        caller.say(&bytes[going])?;
                        return Err(Goes::Lost);
                    }
                }
            }
            Answer::Rest => {
                going.end = bytes.len();
                here
            }
            Answer::Head | Answer::Over | Answer::Told => 0,
        };
        caller.say(&bytes[going])?;
        if self.is_answered() && read < here {
            // Nobody asked for what follows, and the next request must not have it for an answer.
            self.behind = Behind::Nothing;
        }
        Ok(Turn::Moved)
    }

    /// The dependency's answer is not HTTP.
    fn refuse(&mut self, to_near: &mut BytesMut) {
        let refusal = bad_gateway();
        self.ticket.note(|call| {
            (call.status, call.answerer) = (Some(refusal.status().as_u16()), Answerer::Murphy);
        });
        self.ticket.begins_behind(to_near.len());
        let (head, body) = written(refusal);
        to_near.extend_from_slice(&head);
        if self.wants == Wants::Body {
            to_near.extend_from_slice(&body);
        }
        (self.answer, self.behind) = (Answer::Over, Behind::Nothing);
    }
}

/// Who is told the answer.
struct Caller<'a, 'c> {
    near: &'a ClientIo,
    /// What it did not take at once.
    to_near: &'a mut BytesMut,
    cx: &'a mut Context<'c>,
}

impl Caller<'_, '_> {
    fn say(&mut self, bytes: &[u8]) -> Result<(), Goes> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.to_near.is_empty() {
            self.to_near.extend_from_slice(bytes);
            return Ok(());
        }
        match self.near.lock().poll_write(self.cx, &[IoSlice::new(bytes)]) {
            Poll::Ready(Ok(written)) => self.to_near.extend_from_slice(&bytes[written..]),
            Poll::Pending => self.to_near.extend_from_slice(bytes),
            Poll::Ready(Err(_)) => return Err(Goes::CallerLeft),
        }
        Ok(())
    }
}
