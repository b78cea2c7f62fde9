//! One direction of one connection, with its sockets: reads what the line wants, writes what is due.
//!
//! With nothing to do but carry, bytes go from one per-thread buffer straight on, and memory is taken only for what the
//! receiver does not accept. A pump never waits by itself; it says what it found, and the link decides.

use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use murphy_core::Direction;
use nix::sys::socket::{MsgFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::arrival::{Reading, Stamps, look, read_awaited, read_some};
use crate::effect::{Ending, Farewell};
use crate::exchange::Exchanges;
use crate::line::{Blocked, Front, Line, READ_SIZE};
use crate::meter::Meter;
use crate::scratch::with_scratch;

/// Reads in one turn, so that one direction never starves the other.
const READS: usize = 8;

/// What the source has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// It may still send.
    Open,
    /// It is broken: what is left of it may be read, and the end is a RST.
    Broken,
    /// It will send no more.
    Over,
}

/// What one turn found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing more to do for now; wakers are set.
    Rest,
    /// There is more to do.
    More,
    /// The source sent FIN.
    SourceFin,
    /// The source is broken.
    SourceBroken,
    /// The receiver is broken.
    TargetBroken,
    /// The source's FIN has been passed on; the direction is done.
    Done,
    /// The source's RST is to be passed on now.
    Reset,
    /// A fault ends the connection now.
    End(Ending),
}

pub(crate) struct Pump {
    pub(crate) direction: Direction,
    pub(crate) line: Line,
    pub(crate) input: Input,
    /// Nothing more will be delivered.
    pub(crate) done: bool,
    pub(crate) delivered: u64,
    pub(crate) blocked: Blocked,
    /// The last turn left a waker with the source.
    pub(crate) listening: bool,
    stamps: Stamps,
    emptied: Emptied,
}

/// What is known of a source that has nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emptied {
    /// It said so.
    Seen,
    /// Its last read was short.
    Supposed,
    /// It is to be asked.
    Doubted,
}

/// What a turn needs beside the sockets.
pub(crate) struct Around<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) exchanges: &'a mut Option<Exchanges>,
    /// What faults have done on the connection's other direction.
    pub(crate) other_hits: u64,
    /// Bytes that the proxy as a whole may still take to hold.
    pub(crate) room: usize,
}

impl Pump {
    pub(crate) fn new(direction: Direction) -> Pump {
        Pump {
            direction,
            line: Line::new(direction),
            input: Input::Open,
            done: false,
            delivered: 0,
            blocked: Blocked::No,
            listening: false,
            stamps: Stamps::default(),
            emptied: Emptied::Seen,
        }
    }

    /// True if it waits for more of a source that has not said that it has nothing.
    pub(crate) fn rests_unsure(&self) -> bool {
        self.listening && self.emptied == Emptied::Supposed
    }

    /// The next turn asks such a source.
    pub(crate) fn doubt(&mut self) {
        if self.rests_unsure() {
            self.emptied = Emptied::Doubted;
        }
    }

    /// Nobody takes these bytes any more.
    pub(crate) fn abandon(&mut self) {
        self.line.abandon();
        self.done = true;
        self.input = Input::Over;
    }

    /// True if nothing sits on this direction, or nothing more comes of it.
    pub(crate) fn is_clear(&self) -> bool {
        self.done || self.line.is_clear()
    }

    /// When to look at this direction again if nothing happens before. Never once it is done: the farewell that stays at the
    /// head of its line is long due.
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        if self.done {
            return None;
        }
        // A line that took nothing in the turn may take something by now; and one that holds nothing has nothing else to wake it.
        let is_refused = self.input == Input::Open && !self.listening && self.line.held() == 0;
        if is_refused && self.line.wants(now) > 0 {
            return Some(now);
        }
        self.line.next_wake(now, self.blocked)
    }

    /// Does what can be done without waiting, up to a fair share.
    pub(crate) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        source: &TcpStream,
        target: &TcpStream,
        around: &mut Around<'_>,
    ) -> Found {
        // Whatever has come since lay there unread by no choice of ours.
        let mut reading = if std::mem::take(&mut self.listening) { Reading::Awaited } else { Reading::Late };
        if self.done {
            return Found::Rest;
        }
        let held = self.line.held();
        for _ in 0..READS {
            if !self.line.is_clear()
                && let Some(found) = self.deliver(cx, target, around)
            {
                return found;
            }
            if self.input == Input::Over {
                return Found::Rest;
            }
            let want = if self.line.is_clear() { READ_SIZE } else { self.line.wants(Instant::now()) };
            if want == 0 || self.is_crowded(held, around.room) {
                return Found::Rest;
            }
            match source.poll_read_ready(cx) {
                Poll::Pending if self.emptied == Emptied::Doubted => {}
                Poll::Pending => {
                    self.listening = true;
                    return Found::Rest;
                }
                Poll::Ready(Err(_)) => return self.source_broke(),
                Poll::Ready(Ok(())) => {}
            }
            let reading = std::mem::replace(&mut reading, Reading::Late);
            match with_scratch(|scratch| self.carry(source, target, &mut scratch[..want], reading, around)) {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.emptied = Emptied::Seen,
                Err(_) => return self.source_broke(),
            }
        }
        Found::More
    }

    /// True if this line may not add to what all hold. An empty one always may, or it would never move.
    fn is_crowded(&self, before: usize, room: usize) -> bool {
        self.line.held() > 0 && self.line.held().saturating_sub(before) >= room
    }

    /// One read, and where no fault sits here the write as well.
    fn carry(
        &mut self,
        source: &TcpStream,
        target: &TcpStream,
        scratch: &mut [u8],
        reading: Reading,
        around: &mut Around<'_>,
    ) -> io::Result<Option<Found>> {
        let (read, came) = match reading {
            _ if self.emptied == Emptied::Doubted => (look(source, scratch)?, None),
            Reading::Awaited if !self.line.is_clear() => {
                let (read, came) = read_awaited(source, scratch, &mut self.stamps)?;
                (read, Some(came))
            }
            _ => (read_some(source, scratch)?, None),
        };
        if read == 0 {
            if self.input == Input::Broken {
                return Ok(Some(self.source_broke()));
            }
            self.input = Input::Over;
            self.line.push_farewell(Farewell::Fin, Instant::now());
            return Ok(Some(Found::SourceFin));
        }
        if read < scratch.len() && self.emptied == Emptied::Seen {
            self.emptied = Emptied::Supposed;
        }
        around.meter.received(self.direction, read);
        if self.direction == Direction::ToUpstream
            && let Some(exchanges) = around.exchanges
        {
            exchanges.asked(self.line.hits() + around.other_hits);
        }
        let bytes = &scratch[..read];
        if !self.line.is_clear() {
            self.line.push(Bytes::copy_from_slice(bytes), came.unwrap_or_else(Instant::now));
            return Ok(None);
        }
        let written = match send(target.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
            Ok(written) => written,
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => 0,
            Err(_) => return Ok(Some(Found::TargetBroken)),
        };
        if written > 0 {
            self.count(written, around);
        }
        if written < read {
            self.line.push_rest(Bytes::copy_from_slice(&bytes[written..]), Instant::now());
        }
        Ok(None)
    }

    fn source_broke(&mut self) -> Found {
        self.input = Input::Over;
        self.line.push_farewell(Farewell::Rst, Instant::now());
        Found::SourceBroken
    }

    /// Writes what is due; `Some` if that ended something.
    fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        target: &TcpStream,
        around: &mut Around<'_>,
    ) -> Option<Found> {
        let now = Instant::now();
        self.line.wake(now);
        if let Some(ending) = self.line.ended_at_once() {
            return Some(Found::End(ending));
        }
        self.blocked = Blocked::No;
        loop {
            let bytes = match self.line.front(now) {
                Front::Bytes(bytes) => bytes,
                Front::Empty | Front::Waiting(_) => return None,
                Front::End(ending) => return Some(Found::End(ending)),
                Front::Farewell(Farewell::Rst) => return Some(Found::Reset),
                Front::Farewell(Farewell::Fin) => {
                    self.done = true;
                    let shut = socket2::SockRef::from(target).shutdown(std::net::Shutdown::Write);
                    return Some(if shut.is_ok() { Found::Done } else { Found::TargetBroken });
                }
            };
            match target.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Some(Found::TargetBroken),
                Poll::Pending => {
                    self.blocked = Blocked::Yes;
                    // A broken sender's bytes are not waited for: TCP would drop them too.
                    let lost = self.input == Input::Broken || self.line.reset_has_come(now);
                    return lost.then_some(Found::Reset);
                }
            }
            match write_some(target, bytes) {
                Ok(written) => {
                    self.line.advance(written);
                    self.count(written, around);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Some(Found::TargetBroken),
            }
        }
    }

    fn count(&mut self, written: usize, around: &mut Around<'_>) {
        self.delivered += written as u64;
        around.meter.delivered(self.direction, written);
        if self.direction == Direction::ToClient
            && let Some(exchanges) = around.exchanges
        {
            exchanges.delivered();
        }
    }
}

/// Writes once; a short write clears the readiness: nothing more fits now.
fn write_some(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut result = Err(io::ErrorKind::WouldBlock.into());
    let _ = stream.try_io(Interest::WRITABLE, || {
        result = send(stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL).map_err(io::Error::from);
        match &result {
            Ok(written) if *written == bytes.len() => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    result
}
