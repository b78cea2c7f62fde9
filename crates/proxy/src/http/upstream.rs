//! The dependency's side of an HTTP connection: its socket, counted, and how it ended.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use murphy_core::Direction;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::arrival::read_into;
use crate::effect::{Ending, Farewell};
use crate::shared::Shared;

const OPEN: u8 = 0;
const FIN: u8 = 1;
const RST: u8 = 2;

/// What is known of the dependency's socket, shared by all who must know it.
#[derive(Debug, Default)]
pub(crate) struct UpstreamFate {
    ended: AtomicU8,
    delivered: AtomicU64,
}

impl UpstreamFate {
    /// How it ended, if it did.
    pub(crate) fn ended(&self) -> Option<Farewell> {
        match self.ended.load(Ordering::Relaxed) {
            FIN => Some(Farewell::Fin),
            RST => Some(Farewell::Rst),
            _ => None,
        }
    }

    /// How the caller's connection shall end when this one has.
    pub(crate) fn ending(&self) -> Ending {
        if self.ended() == Some(Farewell::Rst) { Ending::Reset } else { Ending::Close }
    }

    /// Bytes delivered to the dependency.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

/// The dependency's side as a stream.
pub(crate) struct UpstreamIo {
    shared: Arc<Shared>,
    stream: Arc<TcpStream>,
    fate: Arc<UpstreamFate>,
}

impl UpstreamIo {
    pub(crate) fn new(shared: Arc<Shared>, stream: Arc<TcpStream>, fate: Arc<UpstreamFate>) -> UpstreamIo {
        UpstreamIo { shared, stream, fate }
    }

    /// The dependency is of no use, though its socket is open.
    pub(crate) fn give_up(fate: &UpstreamFate) {
        fate.ended.store(RST, Ordering::Relaxed);
    }

    fn broke(&self, error: io::Error) -> io::Error {
        self.fate.ended.store(RST, Ordering::Relaxed);
        error
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broke(error))),
                Poll::Pending => return Poll::Pending,
            }
            match read_into(&self.stream, buf) {
                Ok(0) if buf.remaining() > 0 => {
                    let _ = self.fate.ended.compare_exchange(OPEN, FIN, Ordering::Relaxed, Ordering::Relaxed);
                    return Poll::Ready(Ok(()));
                }
                Ok(read) => {
                    self.shared.meter.received(Direction::ToClient, read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(self.broke(error))),
            }
        }
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broke(error))),
                Poll::Pending => return Poll::Pending,
            }
            match self.stream.try_write_vectored(data) {
                Ok(written) => {
                    self.shared.meter.delivered(Direction::ToUpstream, written);
                    self.fate.delivered.fetch_add(written as u64, Ordering::Relaxed);
                    return Poll::Ready(Ok(written));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(self.broke(error))),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write))
    }
}
