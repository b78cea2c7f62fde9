//! The caller's end of a connection as its protocol sees it: in the clear, whether or not it travels so.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::ahead::Ahead;
use crate::http::ClientIo;

/// The caller's end. All clones are one end, driven by one task.
#[derive(Clone)]
pub(crate) enum Near {
    /// It travels as it is.
    Plain(ClientIo),
    /// It travels in TLS.
    Sealed(Arc<Mutex<Sealed>>),
}

/// The end of a TLS connection. Its lock is taken before the wire's, never after.
pub(crate) struct Sealed {
    stream: TlsStream<ClientIo>,
    /// To tell the version of the protocol.
    ahead: Ahead,
}

impl Near {
    pub(crate) fn sealed(stream: TlsStream<ClientIo>) -> Near {
        Near::Sealed(Arc::new(Mutex::new(Sealed { stream, ahead: Ahead::default() })))
    }

    /// Gives back what was read ahead.
    pub(crate) fn put_back(&self, prefix: Bytes) {
        match self {
            Near::Plain(io) => io.lock().put_back(prefix),
            Near::Sealed(sealed) => lock(sealed).ahead.put_back(prefix),
        }
    }

    /// Says that no more will be said. What a caller that takes nothing cannot be told is told by the close.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        // The caller may have gone already.
        let _ = Pin::new(self).poll_shutdown(cx);
    }
}

fn lock(sealed: &Arc<Mutex<Sealed>>) -> MutexGuard<'_, Sealed> {
    sealed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sealed {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.hand_on(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = match read {
            // Many clients just close. What they sent before is theirs, and there is nothing to tell them.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => read,
        };
        if matches!(read, Poll::Ready(Ok(()))) && buf.capacity() > before {
            let mut wire = self.stream.get_ref().0.lock();
            match buf.filled().len() > before {
                // It may have come together with the end of the handshake.
                true => wire.spoke(),
                // Its FIN may come later than its word.
                false => wire.fell_silent(),
            }
        }
        read
    }
}

impl AsyncRead for Near {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Near::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Near::Sealed(sealed) => lock(sealed).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Near::Plain(io) => Pin::new(io).poll_write(cx, data),
            Near::Sealed(sealed) => Pin::new(&mut lock(sealed).stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Near::Plain(io) => Pin::new(io).poll_write_vectored(cx, data),
            Near::Sealed(sealed) => Pin::new(&mut lock(sealed).stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Near::Plain(io) => Pin::new(io).poll_flush(cx),
            Near::Sealed(sealed) => Pin::new(&mut lock(sealed).stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Near::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Near::Sealed(sealed) => Pin::new(&mut lock(sealed).stream).poll_shutdown(cx),
        }
    }
}
