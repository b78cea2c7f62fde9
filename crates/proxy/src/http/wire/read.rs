//! What the caller says: past the line of its direction, and never past an edit of the faults on it.

use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use murphy_core::Direction;
use tokio::io::ReadBuf;
use tokio::sync::watch;

use super::{Gone, Wire};
use crate::arrival::read_into;
use crate::effect::Farewell;
use crate::line::Front;
use crate::shared::State;

/// The most bytes that are read at a time where a fault sits on the line.
const READ: usize = 16 * 1024;

/// The length of the longest record that only says goodbye in TLS: no record with a request is so short.
const ALERT: usize = 31;

impl Wire {
    /// From now on edits are told by this.
    pub(crate) fn heed(&mut self, edits: watch::Receiver<State>) {
        self.edits = Some(edits);
    }

    fn is_edited(&self) -> bool {
        self.edits.as_ref().is_some_and(|edits| edits.has_changed().unwrap_or(false))
    }

    /// Keeps what was just read back if there is an edit that the lines do not know of: who sent it may know. The edit wakes the
    /// task.
    fn is_late(&mut self, bytes: &[u8]) -> bool {
        let edited = self.is_edited();
        if edited {
            self.late = Bytes::copy_from_slice(bytes);
        }
        edited
    }

    fn came(&mut self, bytes: usize) {
        self.shared.meter.received(Direction::ToUpstream, bytes);
        if !self.sealed || bytes > ALERT {
            self.spoke();
        }
    }

    pub(in crate::http) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // In the order in which they came: what is ahead, what the line holds, what was late, what the socket still has.
        if self.ahead.hand_on(buf) {
            self.read_on(buf);
            return Poll::Ready(Ok(()));
        }
        if !self.late.is_empty() {
            if self.is_edited() {
                return Poll::Pending;
            }
            let late = std::mem::take(&mut self.late);
            if self.up.is_clear() {
                self.ahead.put_back(late);
                self.ahead.hand_on(buf);
                self.read_on(buf);
                return Poll::Ready(Ok(()));
            }
            self.up.push(late, Instant::now());
        }
        self.listening = false;
        if !self.up.is_clear() {
            let read = self.read_through(cx, buf);
            self.wanting = read.is_pending();
            return read;
        }
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.left.is_some() {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broke(error))),
                Poll::Pending => {
                    self.listening = true;
                    return Poll::Pending;
                }
            }
            let before = buf.filled().len();
            match read_into(&self.stream, buf) {
                Ok(0) if buf.remaining() > 0 => {
                    self.fell_silent();
                    return Poll::Ready(Ok(()));
                }
                Ok(read) => {
                    self.came(read);
                    if self.is_late(&buf.filled()[before..]) {
                        buf.set_filled(before);
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(self.broke(error))),
            }
        }
    }

    /// What has come since bytes were read ahead goes with them: the HTTP layer grows its buffer, for as long as the
    /// connection lives, when the first of them come alone. An end is told by the next read.
    fn read_on(&mut self, buf: &mut ReadBuf<'_>) {
        let is_next = self.ahead.is_empty() && self.late.is_empty() && self.up.is_clear();
        if buf.remaining() == 0 || !is_next || self.has_left() {
            return;
        }
        let before = buf.filled().len();
        match read_into(&self.stream, buf) {
            Ok(0) => {}
            Ok(read) => {
                self.came(read);
                if self.is_late(&buf.filled()[before..]) {
                    buf.set_filled(before);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // It is said by the socket only once.
            Err(error) => drop(self.broke(error)),
        }
    }

    /// The way of bytes on which a fault sits.
    fn read_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = Instant::now();
            self.up.wake(now);
            if let Some(ending) = self.up.ended_at_once() {
                self.gone.get_or_insert(Gone::Fault(ending));
                return Poll::Pending;
            }
            match self.up.front(now) {
                Front::Bytes(bytes) => {
                    let n = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..n]);
                    self.up.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Front::Farewell(Farewell::Fin) => return Poll::Ready(Ok(())),
                Front::Farewell(Farewell::Rst) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Front::End(ending) => {
                    self.gone.get_or_insert(Gone::Fault(ending));
                    return Poll::Pending;
                }
                Front::Empty | Front::Waiting(_) => {}
            }
            let want = self.up.wants(now).min(READ);
            if self.has_left() || want == 0 || (self.up.held() > 0 && self.shared.room() == 0) {
                return Poll::Pending;
            }
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(_) => {}
                Poll::Pending => {
                    self.listening = true;
                    return Poll::Pending;
                }
            }
            let mut bytes = Vec::with_capacity(want);
            match self.stream.try_read_buf(&mut bytes) {
                Ok(0) => {
                    self.fell_silent();
                    self.up.push_farewell(Farewell::Fin, Instant::now());
                }
                Ok(read) => {
                    bytes.truncate(read);
                    self.came(read);
                    if self.is_late(&bytes) {
                        return Poll::Pending;
                    }
                    self.up.push(Bytes::from(bytes), Instant::now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    let _ = self.broke(error);
                    self.up.push_farewell(Farewell::Rst, Instant::now());
                }
            }
        }
    }

    /// Throws away what the caller still sends. True once it has ended.
    pub(crate) fn waste(&mut self, cx: &mut Context<'_>) -> bool {
        let mut buffer = [0; 2048];
        loop {
            let mut buf = ReadBuf::new(&mut buffer);
            match self.poll_read(cx, &mut buf) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return true,
            }
        }
    }
}
