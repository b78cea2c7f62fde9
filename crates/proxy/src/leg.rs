//! One of a connection's two sockets, and what can be told of its peer without reading.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

type Watch<'a> = Pin<Box<dyn Future<Output = io::Result<Ready>> + Send + 'a>>;

/// One of the two sockets.
pub(crate) struct Leg<'a> {
    pub(crate) stream: &'a TcpStream,
    /// Looks for errors while nobody reads.
    watch: Option<Watch<'a>>,
    pub(crate) broken: bool,
}

impl<'a> Leg<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Leg<'a> {
        Leg { stream, watch: None, broken: false }
    }

    /// True if the peer has ended, though its last bytes have not been read.
    pub(crate) fn has_hung_up(&self, cx: &mut Context<'_>) -> bool {
        let ready = pin!(self.stream.ready(Interest::READABLE));
        matches!(ready.poll(cx), Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// True once, when the socket has failed. Boxed on first use: most connections are read all the time.
    pub(crate) fn has_failed(&mut self, cx: &mut Context<'_>) -> bool {
        if self.broken {
            return false;
        }
        let stream = self.stream;
        let watch = self.watch.get_or_insert_with(|| Box::pin(stream.ready(Interest::ERROR)));
        if watch.as_mut().poll(cx).is_ready() {
            self.broken = true;
            self.watch = None;
        }
        self.broken
    }
}
