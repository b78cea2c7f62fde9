//! How a conversation begins: which version the caller speaks is told by its first bytes, and the dependency's end is opened
//! for that one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::BytesMut;
use hyper_util::rt::TokioIo;
use murphy_core::Side;
use murphy_tls::Upstream;
use tokio::io::{AsyncRead, ReadBuf};

use super::shake::dial_failed;
use super::{Asks, Connection, Ends, Half, Stage, Step};
use crate::http::hub::{Hub, Speaks};
use crate::http::pass_on::{RequestBody, Sender};
use crate::http::service::Service;
use crate::http::straight::Straight;
use crate::http::upstream::UpstreamIo;
use crate::shared::Shared;
use crate::tls::{Failed, Far, Near, open_within};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Headers of one message. Servers take about a hundred; a message with more than this is refused with 431.
const HEADERS: usize = 1024;

impl Connection {
    /// Waits for enough of the caller's first bytes to tell the version.
    pub(super) fn listen(&mut self, mut begun: BytesMut, cx: &mut Context<'_>) -> Step {
        loop {
            let mut buffer = [0; PREFACE.len()];
            let mut buf = ReadBuf::new(&mut buffer[begun.len()..]);
            match Pin::new(&mut self.near).poll_read(cx, &mut buf) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Step::Over((Side::Client, Ends::Reset)),
                Poll::Ready(Ok(())) if buf.filled().is_empty() && begun.is_empty() => {
                    self.near.finish(cx);
                    return Step::Next(Stage::Draining { by: Side::Client });
                }
                Poll::Ready(Ok(())) => {
                    let ended = buf.filled().is_empty();
                    begun.extend_from_slice(buf.filled());
                    if ended || !PREFACE.starts_with(&begun) {
                        self.near.put_back(begun.freeze());
                        return self.speak_one();
                    }
                    if begun.len() == PREFACE.len() {
                        self.near.put_back(begun.freeze());
                        return self.speak_two();
                    }
                }
            }
        }
        // A dependency that puts idle connections away does so here too.
        if let Some(Far::Sealed(far)) = &mut self.far {
            return match far.poll_end(cx) {
                Poll::Ready(()) => Step::Over(self.upstream_over()),
                Poll::Pending => Step::Stay(Stage::Listening(begun)),
            };
        }
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        match self.upstream.poll_peek(cx, &mut buf) {
            Poll::Ready(Ok(0)) => Step::Over((Side::Upstream, Ends::Lingering)),
            Poll::Ready(Err(_)) => Step::Over((Side::Upstream, Ends::Reset)),
            Poll::Ready(Ok(_)) | Poll::Pending => Step::Stay(Stage::Listening(begun)),
        }
    }

    fn hub(&self, speaks: Speaks) -> Arc<Hub> {
        Arc::new(Hub::new(
            Arc::clone(&self.shared),
            self.conn,
            self.peer.ip(),
            speaks,
            self.shown.clone(),
            self.io.clone(),
            Arc::clone(&self.fate),
            Arc::clone(&self.draws),
            self.state.clone(),
            Arc::clone(&self.timer),
        ))
    }

    /// The dependency's end, for who speaks this protocol on it.
    fn far(&mut self, alpn: &'static [u8]) -> impl Future<Output = Option<TokioIo<Far>>> + Send + use<> {
        let (far, io, shared) = (self.far.take(), self.upstream_io(), Arc::clone(&self.shared));
        let (fate, conn) = (Arc::clone(&self.fate), self.conn);
        async move {
            let far = match (far, &shared.tls.originate) {
                (Some(far), _) => far,
                (None, None) => Far::Plain(io),
                (None, Some(to)) => match open_for(&shared, to, io, alpn).await {
                    Ok(far) => far,
                    Err(why) => {
                        dial_failed(&shared, &fate, conn, why);
                        return None;
                    }
                },
            };
            Some(TokioIo::new(far))
        }
    }

    fn speak_one(&mut self) -> Step {
        let hub = self.hub(Speaks::One);
        if matches!(self.near, Near::Plain(_)) && self.far.is_none() && self.shared.tls.originate.is_none() {
            return Step::Next(Stage::Straight(Box::new(Straight::new(hub, self.upstream_io()))));
        }
        self.converse(hub)
    }

    /// The HTTP layer reads from here on, between two requests.
    pub(super) fn converse(&mut self, hub: Arc<Hub>) -> Step {
        let upstream = self.far(b"http/1.1");
        let io = TokioIo::new(self.near.clone());
        Step::Next(Stage::Greeting(Box::pin(async move {
            let upstream = upstream.await?;
            let (sender, client) = hyper::client::conn::http1::Builder::new()
                .preserve_header_case(true)
                .allow_obsolete_multiline_headers_in_responses(true)
                .max_headers(HEADERS)
                .handshake::<_, RequestBody>(upstream)
                .await
                .ok()?;
            let service = Service::new(Arc::clone(&hub), Sender::One(Mutex::new(Some(sender))));
            let server = hyper::server::conn::http1::Builder::new()
                .preserve_header_case(true)
                .auto_date_header(false)
                .header_read_timeout(None)
                .max_headers(HEADERS)
                .serve_connection(io, service)
                .with_upgrades();
            Some((Box::pin(server) as Half, Box::pin(client.with_upgrades()) as Half, hub))
        })))
    }

    fn speak_two(&mut self) -> Step {
        self.asks = Asks::InFrames;
        let hub = self.hub(Speaks::Two);
        let upstream = self.far(b"h2");
        let io = TokioIo::new(self.near.clone());
        let streams = self.streams.clone();
        Step::Next(Stage::Greeting(Box::pin(async move {
            let upstream = upstream.await?;
            let (sender, client) = hyper::client::conn::http2::Builder::new(streams.clone())
                .handshake::<_, RequestBody>(upstream)
                .await
                .ok()?;
            let service = Service::new(Arc::clone(&hub), Sender::Two(sender));
            let server = hyper::server::conn::http2::Builder::new(streams)
                .auto_date_header(false)
                .serve_connection(io, service);
            Some((Box::pin(server) as Half, Box::pin(client) as Half, hub))
        })))
    }
}

/// Shakes hands with the dependency for a caller that already speaks.
async fn open_for(shared: &Shared, to: &Upstream, io: UpstreamIo, alpn: &[u8]) -> Result<Far, String> {
    let far = match open_within(shared, to, io, &[alpn.to_vec()]).await {
        Ok(far) => far,
        Err(Failed::Dependency(why)) => return Err(why),
        Err(Failed::Caller | Failed::Certificate | Failed::Fault) => {
            return Err("the handshake was broken off".to_owned());
        }
    };
    // A server that does not choose speaks HTTP/1.1.
    match far.protocol() {
        None if alpn == b"h2" => {
            Err(format!("{} does not speak HTTP/2, which its caller speaks", shared.upstream))
        }
        _ => Ok(far),
    }
}
