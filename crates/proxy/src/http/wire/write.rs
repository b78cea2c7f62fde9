//! What the caller is told: past the line of its direction, and on to the socket when it is due.

use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use murphy_core::Direction;

use super::{Gone, Wire};
use crate::effect::Farewell;
use crate::line::Front;

impl Wire {
    pub(in crate::http) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.down.is_clear() {
            let Some(first) = data.iter().find(|slice| !slice.is_empty()) else { return Poll::Ready(Ok(0)) };
            return self.write_through(cx, first);
        }
        loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broke(error))),
                Poll::Pending => {
                    self.blocked = true;
                    return Poll::Pending;
                }
            }
            match self.stream.try_write_vectored(data) {
                Ok(written) => {
                    self.blocked = false;
                    self.pushed += written as u64;
                    self.count(written);
                    return Poll::Ready(Ok(written));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(self.broke(error))),
            }
        }
    }

    fn count(&mut self, written: usize) {
        self.delivered += written as u64;
        self.shared.meter.delivered(Direction::ToClient, written);
    }

    fn write_through(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.deliver(cx);
        if self.gone.is_some() {
            // What is not taken any more was not handed over: an answer that ends in it was never given.
            self.blocked = true;
            return Poll::Pending;
        }
        let crowded = self.down.held() > 0 && self.shared.room() == 0;
        let n = if crowded { 0 } else { self.down.wants(Instant::now()).min(data.len()) };
        self.blocked = n == 0;
        if n == 0 {
            self.offering = true;
            return Poll::Pending;
        }
        self.down.push(Bytes::copy_from_slice(&data[..n]), Instant::now());
        self.pushed += n as u64;
        self.deliver(cx);
        Poll::Ready(Ok(n))
    }

    /// Writes what is due.
    pub(super) fn deliver(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        self.full = false;
        self.down.wake(now);
        if let Some(ending) = self.down.ended_at_once() {
            self.gone.get_or_insert(Gone::Fault(ending));
            return;
        }
        loop {
            let bytes = match self.down.front(now) {
                Front::Bytes(bytes) => bytes,
                Front::End(ending) => {
                    self.gone.get_or_insert(Gone::Fault(ending));
                    return;
                }
                Front::Farewell(_) => {
                    // The caller may have gone already; the close that follows tells it as well.
                    let _ = socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
                    self.down.abandon();
                    return;
                }
                Front::Empty | Front::Waiting(_) => return,
            };
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.lost(),
                Poll::Pending => {
                    self.full = true;
                    return;
                }
            }
            match self.stream.try_write(bytes) {
                Ok(written) => {
                    self.down.advance(written);
                    self.count(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.lost(),
            }
        }
    }

    /// The HTTP layer has no more to say.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.down.is_clear() {
            return socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
        }
        self.down.push_farewell(Farewell::Fin, Instant::now());
        Ok(())
    }
}
