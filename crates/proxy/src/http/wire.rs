//! The caller's side of an HTTP connection: its socket, and between it and the HTTP layer one line in each direction, so
//! that faults on bytes act on exactly what travels. With no such fault, bytes go straight through.
//!
//! The HTTP layer sees an ordinary stream. It must never be woken by this file: one task drives both.

mod read;
mod write;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use murphy_core::Offset;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::books::{Books, Progress};
use crate::ahead::Ahead;
use crate::armed::{Draws, Table};
use crate::effect::Ending;
use crate::exchange::Exchanges;
use crate::line::{Blocked, Front, Line};
use crate::shared::{Shared, State};

/// How often the kernel is asked whether a caller that is not read has gone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the socket has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The caller broke off.
    CallerReset,
    /// A fault on the bytes ends the connection.
    Fault(Ending),
    /// The caller has ended, and a fault withholds from everybody what is left.
    Stuck,
}

/// The caller's side.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    stream: Arc<TcpStream>,
    pub(crate) up: Line,
    pub(crate) down: Line,
    /// Read ahead, to tell the version.
    ahead: Ahead,
    /// Whether there is an edit that the lines do not know of.
    edits: Option<watch::Receiver<State>>,
    /// What was read when there was one: it waits until they do.
    late: Bytes,
    /// The caller will send no more, since when.
    left: Option<Offset>,
    broken: bool,
    listening: bool,
    /// The HTTP layer could not hand over all that it had.
    blocked: bool,
    /// The caller does not take what is due.
    full: bool,
    /// The HTTP layer has asked for bytes since the last turn, and there were none for it.
    wanting: bool,
    /// The HTTP layer has offered bytes since the last turn, and there was no room for them on the line.
    offering: bool,
    pushed: u64,
    delivered: u64,
    /// Of these, told of.
    told: u64,
    gone: Option<Gone>,
    watch: Option<Watch>,
    stuck_since: Option<Instant>,
    reported: usize,
    /// When the first byte came that no request has been made of yet.
    pub(crate) asked: Option<Offset>,
    /// What faults had done by then.
    pub(crate) asked_hits: u64,
    /// What faults have done to the handshake of this connection.
    pub(crate) shaken: u64,
    /// A fault has shown the caller a certificate, and the caller has said nothing since: if it leaves now, it refused it.
    pub(crate) shown: bool,
    /// What travels is TLS, and its handshake is over.
    pub(crate) sealed: bool,
    pub(crate) books: Books,
}

impl Wire {
    pub(crate) fn new(shared: Arc<Shared>, stream: Arc<TcpStream>, up: Line, down: Line) -> Wire {
        let books = Books::new(shared.recorder.clone());
        Wire {
            shared,
            stream,
            up,
            down,
            ahead: Ahead::default(),
            edits: None,
            late: Bytes::new(),
            left: None,
            broken: false,
            listening: false,
            blocked: false,
            full: false,
            wanting: false,
            offering: false,
            pushed: 0,
            delivered: 0,
            told: 0,
            gone: None,
            watch: None,
            stuck_since: None,
            reported: 0,
            asked: None,
            asked_hits: 0,
            shaken: 0,
            shown: false,
            sealed: false,
            books,
        }
    }

    /// Gives back what was read ahead.
    pub(crate) fn put_back(&mut self, prefix: Bytes) {
        self.ahead.put_back(prefix);
    }

    /// True if nothing sits between the HTTP layer and the socket.
    pub(crate) fn is_clear(&self) -> bool {
        self.up.is_clear() && self.down.is_clear()
    }

    /// Bytes delivered to the caller.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// True if the HTTP layer could hand over all that it had.
    pub(crate) fn is_flushed(&self) -> bool {
        !self.blocked
    }

    /// True if nothing waits for the caller any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.down.is_clear() || matches!(self.down.front(Instant::now()), Front::Empty)
    }

    /// True if the caller broke off.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// When the caller stopped sending.
    pub(crate) fn left(&self) -> Option<Offset> {
        self.left
    }

    /// True if the caller will send no more.
    pub(crate) fn has_left(&self) -> bool {
        self.left.is_some() || self.broken
    }

    /// How often faults on bytes have acted.
    pub(crate) fn hits(&self) -> u64 {
        self.up.hits() + self.down.hits() + self.shaken
    }

    /// True if a fault keeps back bytes of the caller.
    pub(crate) fn keeps_requests(&self) -> bool {
        self.up.held() > 0
    }

    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    fn now(&self) -> Offset {
        self.shared.recorder.clock().now()
    }

    /// Brings the lines in line with the table.
    pub(crate) fn sync(&mut self, table: &Table, draws: &mut Draws) {
        let now = Instant::now();
        self.up.sync(table, draws, now);
        self.down.sync(table, draws, now);
    }

    /// Tells the books how far things have come.
    pub(crate) fn settle(&mut self) {
        if !self.books.is_empty() {
            let progress = Progress {
                pushed: self.pushed,
                delivered: self.delivered,
                blocked: self.blocked,
                hits: self.hits(),
                left: self.left,
            };
            if self.books.settle(progress) {
                // Bytes that came after a request's head were its body.
                self.asked = None;
            }
        }
    }

    /// Tells of what came and went where the protocol is only carried.
    pub(crate) fn tell(&mut self, exchanges: &mut Exchanges) {
        if self.asked.take().is_some() {
            exchanges.asked(self.asked_hits);
        }
        if self.delivered > std::mem::replace(&mut self.told, self.delivered) {
            exchanges.delivered();
        }
        if self.left.is_some() {
            exchanges.fell_silent();
        }
    }

    /// Does what the clock or the sockets ask for. The second part is when to come again.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) -> (Option<Gone>, Option<Instant>) {
        if !self.down.is_clear() {
            self.deliver(cx);
        }
        if !self.listening && self.has_failed(cx) {
            self.broken = true;
            self.left.get_or_insert(self.shared.recorder.clock().now());
            self.gone.get_or_insert(Gone::CallerReset);
        }
        let held = self.up.held() + self.down.held();
        if held != self.reported {
            self.shared.hold(self.reported, held);
            self.reported = held;
        }
        if self.is_clear() {
            return (self.gone, None);
        }
        let now = Instant::now();
        let look = self.look_at_stuck(cx, now);
        // What is due and what nobody wants, as behind a request that is still under way, must wake nobody: it would do so
        // again and again.
        let (wanting, offering) = (std::mem::take(&mut self.wanting), std::mem::take(&mut self.offering));
        let unread = if wanting { Blocked::No } else { Blocked::Yes };
        let full = if self.full { Blocked::Yes } else { Blocked::No };
        // What a line refused a moment ago it may take by now, and then has nothing left of which a wake-up could come.
        let reads = wanting && self.may_read(now);
        let takes = offering && self.may_take(now);
        let again = (reads || takes).then_some(now);
        let wakes = [look, again, self.up.next_wake(now, unread), self.down.next_wake(now, full)];
        (self.gone, wakes.into_iter().flatten().min())
    }

    /// True if bytes of the caller would be read that nobody waits for, though somebody wants them.
    fn may_read(&self, now: Instant) -> bool {
        let is_crowded = self.up.held() > 0 && self.shared.room() == 0;
        !self.listening && !self.has_left() && self.late.is_empty() && !is_crowded && self.up.wants(now) > 0
    }

    /// True if the line to the caller would take bytes.
    fn may_take(&self, now: Instant) -> bool {
        let is_crowded = self.down.held() > 0 && self.shared.room() == 0;
        !is_crowded && self.down.wants(now) > 0
    }

    fn has_failed(&mut self, cx: &mut Context<'_>) -> bool {
        if self.broken {
            return false;
        }
        let stream = &self.stream;
        let watch = self.watch.get_or_insert_with(|| {
            let stream = Arc::clone(stream);
            Box::pin(async move {
                let _ = stream.ready(Interest::ERROR).await;
            })
        });
        let failed = watch.as_mut().poll(cx).is_ready();
        if failed {
            self.watch = None;
        }
        failed
    }

    /// A connection whose caller has gone and whose bytes are withheld for ever serves nobody.
    fn look_at_stuck(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Instant> {
        if !self.up.is_stuck() && !self.down.is_stuck() {
            self.stuck_since = None;
            return None;
        }
        if !self.has_left() {
            let mut ready = std::pin::pin!(self.stream.ready(Interest::READABLE));
            match ready.as_mut().poll(cx) {
                Poll::Ready(Ok(ready)) if ready.is_read_closed() => {
                    self.left = Some(self.shared.recorder.clock().now());
                }
                _ => return Some(now + LOOK_AGAIN),
            }
        }
        let since = *self.stuck_since.get_or_insert(now);
        let until = if self.broken { since } else { since + self.shared.limits.linger.as_duration() };
        if until <= now {
            self.gone.get_or_insert(Gone::Stuck);
        }
        Some(until)
    }

    /// The caller said something that a request may be made of.
    pub(crate) fn spoke(&mut self) {
        if std::mem::take(&mut self.shown) {
            // What came before was the handshake.
            self.asked = None;
        }
        if self.asked.is_none() && self.shared.recorder.is_enabled() {
            self.asked = Some(self.now());
            self.asked_hits = self.hits();
        }
    }

    /// The caller will send no more.
    pub(crate) fn fell_silent(&mut self) {
        if self.left.is_none() {
            self.left = Some(self.now());
        }
    }

    fn broke(&mut self, error: io::Error) -> io::Error {
        self.broken = true;
        self.fell_silent();
        error
    }

    fn lost(&mut self) {
        self.broken = true;
        self.fell_silent();
        self.gone.get_or_insert(Gone::CallerReset);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.hold(self.reported, 0);
    }
}
