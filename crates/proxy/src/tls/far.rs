//! The dependency's end of a connection as its protocol sees it: in the clear, whether or not it travels so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use murphy_tls::Upstream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ahead::Ahead;
use crate::http::UpstreamIo;

/// The dependency's end.
pub(crate) enum Far {
    /// It travels as it is.
    Plain(UpstreamIo),
    /// It travels in TLS.
    Sealed(Box<SealedFar>),
}

/// The dependency's end of a TLS connection.
pub(crate) struct SealedFar {
    stream: TlsStream<UpstreamIo>,
    /// To see whether it ends: a server of HTTP/2 greets before it is spoken to.
    ahead: Ahead,
}

impl Far {
    /// Shakes hands with the dependency, offering these protocols.
    pub(crate) async fn open(to: &Upstream, io: UpstreamIo, alpn: &[Vec<u8>]) -> io::Result<Far> {
        let connector = TlsConnector::from(to.offering(alpn));
        let stream = connector.connect(to.name(), io).await?;
        Ok(Far::Sealed(Box::new(SealedFar { stream, ahead: Ahead::default() })))
    }

    /// The protocol that the dependency chose.
    pub(crate) fn protocol(&self) -> Option<Vec<u8>> {
        match self {
            Far::Plain(_) => None,
            Far::Sealed(far) => far.stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec),
        }
    }
}

impl SealedFar {
    /// Ready once it has ended without a word.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
        match (read, buf.filled().first()) {
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(Ok(())), Some(first)) => {
                self.ahead.put_back(Bytes::copy_from_slice(&[*first]));
                Poll::Pending
            }
            (Poll::Ready(_), _) => Poll::Ready(()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.hand_on(buf) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Far::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Far::Sealed(far) => far.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Far::Plain(io) => Pin::new(io).poll_write(cx, data),
            Far::Sealed(far) => Pin::new(&mut far.stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Far::Plain(io) => Pin::new(io).poll_write_vectored(cx, data),
            Far::Sealed(far) => Pin::new(&mut far.stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Far::Plain(io) => Pin::new(io).poll_flush(cx),
            Far::Sealed(far) => Pin::new(&mut far.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Far::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Far::Sealed(far) => Pin::new(&mut far.stream).poll_shutdown(cx),
        }
    }
}
