//! The body of an answer on its way to the caller: streamed, never held whole but for an edit that needs it, and shaped
//! where a fault says so.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use murphy_core::{Rate, Side};

use super::effect::Then;
use super::framing::Framing;
use super::hub::{Hub, Speaks, Takeover, Ticket, Wait};
use super::marker::marker;
use crate::effect::Ending;

/// The most bytes that are held for an edit of a whole body. A longer one passes as it is.
pub(crate) const HELD_FOR_EDIT: usize = 4 * 1024 * 1024;

/// How often a paced body moves.
const TICK: Duration = Duration::from_millis(10);

/// Why a body broke off.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The dependency broke off.
    Upstream(hyper::Error),
    /// A fault did.
    Fault,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Upstream(error) => error.fmt(f),
            BodyError::Fault => f.write_str("a fault ended the answer"),
        }
    }
}

impl Error for BodyError {
    /// The HTTP/2 layer looks here for the reason that the dependency gave.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BodyError::Upstream(error) => Some(error),
            BodyError::Fault => None,
        }
    }
}

/// Where a body comes from.
pub(crate) enum Source {
    /// The dependency.
    Stream(Incoming),
    /// What was held of it, then the rest.
    Resumed(BytesMut, Incoming),
    /// Memory.
    Whole(Bytes),
    /// Memory, and then what comes behind a body: the status of a gRPC call comes there. Only its head may tell how long it is, for over
    /// HTTP/1 nothing comes behind a length.
    Trailed(Bytes, Option<Box<HeaderMap>>),
}

/// A body that was taken in whole.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    /// What came behind it.
    pub(crate) trailers: Option<Box<HeaderMap>>,
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Source::Stream(body) => Pin::new(body).poll_frame(cx),
            Source::Resumed(held, _) if !held.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(held.split().freeze()))))
            }
            Source::Resumed(_, body) => Pin::new(body).poll_frame(cx),
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Trailed(bytes, trailers) if bytes.is_empty() => {
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
            }
            Source::Trailed(bytes, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Source::Stream(body) => body.is_end_stream(),
            Source::Resumed(held, body) => held.is_empty() && body.is_end_stream(),
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Trailed(bytes, trailers) => bytes.is_empty() && trailers.is_none(),
        }
    }

    fn size(&self) -> SizeHint {
        match self {
            Source::Stream(body) => body.size_hint(),
            Source::Resumed(..) | Source::Trailed(..) => SizeHint::default(),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }

    /// How long it is, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.size().exact()
    }

    /// The whole body if it is no longer than what may be held; else a source that goes on where this one was left.
    pub(crate) async fn collect(self) -> Result<Result<Held, Source>, hyper::Error> {
        let (mut held, mut body) = match self {
            Source::Whole(bytes) => return Ok(Ok(Held { bytes, trailers: None })),
            Source::Trailed(bytes, trailers) => return Ok(Ok(Held { bytes, trailers })),
            Source::Stream(body) => (BytesMut::new(), body),
            Source::Resumed(held, body) => (held, body),
        };
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => held.extend_from_slice(&data),
                Err(other) => trailers = other.into_trailers().ok().map(Box::new),
            }
            if held.len() > HELD_FOR_EDIT {
                return Ok(Err(Source::Resumed(held, body)));
            }
        }
        Ok(Ok(Held { bytes: held.freeze(), trailers }))
    }
}

/// What faults do to a body while it passes.
#[derive(Default)]
pub(crate) struct Shape {
    /// Nothing before this is over.
    pub(crate) first: Option<Wait>,
    /// Bytes at a rate.
    pub(crate) pace: Option<Pace>,
    /// An end before the end.
    pub(crate) cut: Option<Cut>,
    /// What tells the caller of its end.
    pub(crate) framing: Framing,
    /// What the head says of the length is not true, so it must not be derived from the body.
    pub(crate) lies: bool,
    /// After the last byte the connection ends, for the HTTP layer would not go on from there.
    pub(crate) last: bool,
    /// A chunk whose size is no number comes in the place of the first one.
    pub(crate) bad_chunk: bool,
    /// On HTTP/2: when this is over, the stream ends, by whom it says.
    pub(crate) end: Option<(Wait, Side)>,
}

/// So many bytes of the body, and then this.
pub(crate) struct Cut {
    pub(crate) left: u64,
    pub(crate) then: Then,
    pub(crate) arming: u64,
    /// Bytes have been cut off.
    pub(crate) through: bool,
}

impl Cut {
    pub(crate) fn new(after: u64, then: Then, arming: u64) -> Cut {
        Cut { left: after, then, arming, through: false }
    }
}

/// Bytes at a rate.
pub(crate) struct Pace {
    rate: Rate,
    arming: u64,
    held: Option<Bytes>,
    begun: Option<Instant>,
    sent: u64,
    wait: Option<Wait>,
}

impl Pace {
    pub(crate) fn new(rate: Rate, arming: u64) -> Pace {
        Pace { rate, arming, held: None, begun: None, sent: 0, wait: None }
    }

    /// The next bytes that are due, once they are.
    fn poll(&mut self, cx: &mut Context<'_>, hub: &Arc<Hub>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(wait) = &mut self.wait {
                if wait.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.wait = None;
            }
            let Some(held) = &mut self.held else { return Poll::Ready(None) };
            let begun = *self.begun.get_or_insert_with(Instant::now);
            let rate = self.rate.as_bytes_per_sec() as f64;
            if !hub.table().stands(self.arming) {
                return Poll::Ready(self.held.take());
            }
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            let allowed =
                usize::try_from(due.saturating_sub(self.sent)).unwrap_or(usize::MAX).min(held.len());
            if allowed > 0 {
                self.sent += allowed as u64;
                let piece = held.split_to(allowed);
                if held.is_empty() {
                    self.held = None;
                }
                return Poll::Ready(Some(piece));
            }
            // The moment at which one byte more is due, and at least a tick.
            let until = (rate > 0.0)
                .then(|| Duration::try_from_secs_f64((self.sent + 1) as f64 / rate).ok())
                .flatten()
                .and_then(|after| begun.checked_add(after))
                .map(|at| at.max(Instant::now() + TICK));
            let (hub, arming) = (Arc::clone(hub), self.arming);
            self.wait = Some(Box::pin(async move { hub.held(arming, until).await }));
        }
    }
}

/// What the HTTP layer is told of a body.
type Told = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// The body of an answer.
pub(crate) struct ReplyBody {
    hub: Arc<Hub>,
    source: Source,
    shape: Option<Box<Shape>>,
    ticket: Ticket,
    /// The body will never move again: the connection goes on without it.
    parked: bool,
}

impl ReplyBody {
    pub(crate) fn new(hub: Arc<Hub>, source: Source, shape: Option<Box<Shape>>, ticket: Ticket) -> ReplyBody {
        ReplyBody { hub, source, shape, ticket, parked: false }
    }

    fn take_over(&mut self, raw: Bytes, then: Then, by: Side, arming: Option<u64>) -> Told {
        self.parked = true;
        if self.hub.speaks == Speaks::Two {
            return self.end_stream(then, by, arming);
        }
        self.hub.take_over(Takeover { raw, then, by, arming });
        Poll::Pending
    }

    /// On HTTP/2 only the stream ends. A reset throws away what is queued, the head of the answer too, so it waits until that
    /// has been written; a stall ends with its fault, for what was cut off cannot be taken up again in mid-answer.
    fn end_stream(&mut self, then: Then, by: Side, arming: Option<u64>) -> Told {
        let Some(shape) = &mut self.shape else {
            self.ticket.fail(by);
            return Poll::Ready(Some(Err(BodyError::Fault)));
        };
        match then {
            Then::End(_) => {
                let (marker, written) = marker();
                shape.end = Some((written, by));
                Poll::Ready(Some(Ok(Frame::data(marker))))
            }
            Then::Stall => {
                if let Some(arming) = arming {
                    let hub = Arc::clone(&self.hub);
                    shape.end = Some((Box::pin(async move { hub.held(arming, None).await }), by));
                }
                Poll::Pending
            }
        }
    }

    /// What comes of a body that never moves again.
    fn ending(&mut self, cx: &mut Context<'_>) -> Told {
        let end = self.shape.as_mut().and_then(|shape| shape.end.as_mut());
        let Some((wait, by)) = end else { return Poll::Pending };
        if wait.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let by = *by;
        if let Some(shape) = &mut self.shape {
            shape.end = None;
        }
        self.ticket.fail(by);
        Poll::Ready(Some(Err(BodyError::Fault)))
    }

    /// A frame of data as the shape lets it pass.
    fn shaped(&mut self, mut data: Bytes) -> Told {
        let Some(shape) = &mut self.shape else { return Poll::Ready(Some(Ok(Frame::data(data)))) };
        if shape.bad_chunk {
            let raw = [b"xyz\r\n", &data[..], b"\r\n"].concat();
            return self.take_over(Bytes::from(raw), Then::End(Ending::Close), Side::Proxy, None);
        }
        if let Some(cut) = &mut shape.cut {
            let left = usize::try_from(cut.left).unwrap_or(usize::MAX);
            if data.len() > left {
                let (then, arming) = (cut.then, cut.arming);
                let whole = data.len();
                data.truncate(left);
                if shape.framing == Framing::Chunks && self.hub.speaks == Speaks::One {
                    // The cut goes through a chunk.
                    let raw = [format!("{whole:x}\r\n").as_bytes(), &data[..]].concat();
                    return self.take_over(Bytes::from(raw), then, Side::Proxy, Some(arming));
                }
                (cut.left, cut.through) = (0, true);
                if data.is_empty() {
                    return self.take_over(Bytes::new(), then, Side::Proxy, Some(arming));
                }
                // What is left of the frame is dropped; the next call finds nothing left to pass.
            } else {
                cut.left -= data.len() as u64;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// What comes of a body that goes on.
    fn next(&mut self, cx: &mut Context<'_>) -> Told {
        let this = self;
        if let Some(shape) = &mut this.shape {
            if let Some(first) = &mut shape.first {
                if first.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                shape.first = None;
            }
            if let Some(cut) = &shape.cut
                && cut.left == 0
                // A body that is no longer than that is left alone.
                && match (this.hub.speaks, shape.framing) {
                    // HTTP/1 does not ask for more than its length.
                    (Speaks::One, Framing::Length) => true,
                    // What comes next tells, and is cut through.
                    (Speaks::One, Framing::Chunks) => false,
                    (Speaks::One, Framing::Connection) => cut.through,
                    (Speaks::Two, _) => cut.through,
                }
            {
                let (then, arming) = (cut.then, cut.arming);
                return this.take_over(Bytes::new(), then, Side::Proxy, Some(arming));
            }
            if let Some(pace) = &mut shape.pace {
                match pace.poll(cx, &this.hub) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(data)) => return this.shaped(data),
                    Poll::Ready(None) => {}
                }
            }
        }
        match this.source.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if this.shape.is_some() => {
                    if let Some(pace) = this.shape.as_mut().and_then(|shape| shape.pace.as_mut()) {
                        pace.held = Some(data);
                        return match pace.poll(cx, &this.hub) {
                            Poll::Ready(Some(data)) => this.shaped(data),
                            _ => Poll::Pending,
                        };
                    }
                    this.shaped(data)
                }
                Ok(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(trailers) => {
                    // They are the end, after which the HTTP layer does not ask again.
                    this.ticket.finish();
                    Poll::Ready(Some(Ok(trailers)))
                }
            },
            Poll::Ready(Some(Err(error))) => {
                if this.hub.speaks == Speaks::Two {
                    this.ticket.fail(Side::Upstream);
                    return Poll::Ready(Some(Err(BodyError::Upstream(error))));
                }
                let ending = this.hub.fate.ending();
                this.take_over(Bytes::new(), Then::End(ending), Side::Upstream, None)
            }
            Poll::Ready(None) => {
                if this.shape.as_ref().is_some_and(|shape| shape.last) && this.hub.speaks == Speaks::One {
                    return this.take_over(Bytes::new(), Then::End(Ending::Close), Side::Proxy, None);
                }
                this.ticket.finish();
                Poll::Ready(None)
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Told {
        if !self.parked {
            match self.next(cx) {
                Poll::Pending if self.parked => {}
                told => return told,
            }
        }
        self.ending(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.shape {
            None => self.source.is_end(),
            Some(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.shape {
            Some(shape) if shape.lies => SizeHint::default(),
            _ => self.source.size(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        // The HTTP layer does not ask for an end that it knows to have come.
        let held =
            self.shape.as_ref().and_then(|shape| shape.pace.as_ref()).is_some_and(|p| p.held.is_some());
        if !self.parked && !held && self.source.is_end() {
            self.ticket.finish();
        }
    }
}
