//! The handshakes of one connection. The caller's greeting comes first, then the dependency is shaken hands with, and
//! only then the caller is answered: so both sides speak the same protocol, chosen by the dependency.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use murphy_core::{FaultId, Protocol};
use murphy_tls::{Flaw, Upstream};
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;

use super::{EdgeTls, Far, HandshakeEffect, Near};
use crate::armed::{Draws, Standing};
use crate::effect::EdgeEffect;
use crate::http::{ClientIo, UpstreamIo};
use crate::shared::{Shared, State};

/// What a refused caller is told: a fatal alert, `handshake_failure` (RFC 8446, section 6).
const REFUSAL: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

/// Both ends, ready to be spoken on.
pub(crate) struct Shaken {
    pub(crate) near: Near,
    /// `None` where the dependency is to be shaken hands with later.
    pub(crate) far: Option<Far>,
    /// The fault whose certificate the caller has accepted.
    pub(crate) shown: Option<FaultId>,
}

/// Why there are no two ends.
pub(crate) enum Failed {
    /// The caller broke off, or what it said is no greeting.
    Caller,
    /// The caller broke off at a certificate that a fault showed: it has had an answer, and did not give up waiting for one.
    Certificate,
    /// A fault refused it.
    Fault,
    /// The dependency could not be shaken hands with.
    Dependency(String),
}

/// Shakes hands on the sides where TLS is spoken.
pub(crate) async fn shake(
    shared: Arc<Shared>,
    io: ClientIo,
    called: Option<IpAddr>,
    upstream: UpstreamIo,
    state: watch::Receiver<State>,
    draws: Arc<Mutex<Draws>>,
) -> Result<Shaken, Failed> {
    let EdgeTls { terminate, originate } = &shared.tls;
    let Some(authority) = terminate else {
        let far = match originate {
            // HTTP is told apart by the caller's first bytes.
            Some(_) if shared.protocol == Protocol::Http => None,
            Some(to) => Some(open_within(&shared, to, upstream, &[]).await?),
            None => Some(Far::Plain(upstream)),
        };
        return Ok(Shaken { near: Near::Plain(io), far, shown: None });
    };
    let greeting = LazyConfigAcceptor::new(Acceptor::default(), io.clone());
    let greeting = Box::pin(greeting).await.map_err(|_| Failed::Caller)?;
    let shown = fault(&io, state, &draws).await?;
    let hello = greeting.client_hello();
    let names = names(&shared, hello.server_name(), called);
    let offered: Vec<Vec<u8>> = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    let offered = spoken(shared.protocol, offered);
    let (far, alpn) = match originate {
        Some(to) => {
            let far = open_within(&shared, to, upstream, &offered).await?;
            let alpn = far.protocol().into_iter().collect();
            (far, alpn)
        }
        None => (Far::Plain(upstream), chosen_alone(offered)),
    };
    let (by, flaw) = shown.map_or((None, None), |(by, flaw)| (Some(by), Some(flaw)));
    let config = authority.server_config(&names, flaw, alpn);
    let config = config.map_err(|error| Failed::Dependency(error.to_string()))?;
    let broken = || if flaw.is_some() { Failed::Certificate } else { Failed::Caller };
    let near = Box::pin(greeting.into_stream(config)).await.map_err(|_| broken())?;
    Ok(Shaken { near: Near::sealed(near), far: Some(far), shown: by })
}

/// Shakes hands with the dependency, within the time that it has for accepting.
pub(crate) async fn open_within(
    shared: &Shared,
    to: &Upstream,
    io: UpstreamIo,
    alpn: &[Vec<u8>],
) -> Result<Far, Failed> {
    let limit = shared.limits.dial_timeout.as_duration();
    let said = |why: String| Failed::Dependency(format!("no TLS with {}: {why}", shared.upstream));
    match tokio::time::timeout(limit, Box::pin(Far::open(to, io, alpn))).await {
        Ok(Ok(far)) => Ok(far),
        Ok(Err(error)) => Err(said(error.to_string())),
        Err(_) => Err(said(format!("no answer to the greeting within {limit:?}"))),
    }
}

/// What a fault makes of the caller's greeting, now.
async fn fault(
    io: &ClientIo,
    mut state: watch::Receiver<State>,
    draws: &Mutex<Draws>,
) -> Result<Option<(FaultId, Flaw)>, Failed> {
    loop {
        let table = state.borrow_and_update().table.clone();
        let hits = |standing: &&Standing| draws.lock().unwrap_or_else(PoisonError::into_inner).hit(standing);
        let found = table
            .standing()
            .iter()
            .filter(|standing| matches!(standing.armed.effect, EdgeEffect::Handshake(_)))
            .find(hits);
        let Some(standing) = found else { return Ok(None) };
        let EdgeEffect::Handshake(effect) = standing.armed.effect else { return Ok(None) };
        let mark = draws.lock().unwrap_or_else(PoisonError::into_inner).touched(standing);
        if !mark.load(Ordering::Relaxed) {
            standing.tally.add(&mark, 1, 0);
            io.lock().shaken += 1;
        }
        match effect {
            HandshakeEffect::Show(flaw) => return Ok(Some((standing.armed.id.clone(), flaw))),
            HandshakeEffect::Refuse => {
                // A caller that has gone needs no refusal.
                let _ = io.clone().write_all(&REFUSAL).await;
                return Err(Failed::Fault);
            }
            HandshakeEffect::Stall => stall(io.clone(), &mut state, standing.arming).await?,
        }
    }
}

/// The most that is read ahead of a caller whose greeting is not answered: nothing is due from it.
const AHEAD: usize = 16 * 1024;

/// Waits as long as the fault stands and stalls. The caller is read meanwhile, so that its leaving is seen.
async fn stall(mut io: ClientIo, state: &mut watch::Receiver<State>, arming: u64) -> Result<(), Failed> {
    let mut ahead = BytesMut::new();
    loop {
        let stalls = state.borrow_and_update().table.standing().iter().any(|standing| {
            standing.arming == arming
                && matches!(standing.armed.effect, EdgeEffect::Handshake(HandshakeEffect::Stall))
        });
        if !stalls {
            io.lock().put_back(Bytes::from(ahead));
            return Ok(());
        }
        let mut changed = pin!(state.changed());
        let here = std::future::poll_fn(|cx| {
            if let Poll::Ready(changed) = changed.as_mut().poll(cx) {
                return Poll::Ready(changed.is_ok());
            }
            while ahead.len() < AHEAD {
                let mut buffer = [0; 1024];
                let mut buf = ReadBuf::new(&mut buffer);
                match Pin::new(&mut io).poll_read(cx, &mut buf) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if !buf.filled().is_empty() => ahead.extend_from_slice(buf.filled()),
                    Poll::Ready(_) => return Poll::Ready(false),
                }
            }
            Poll::Pending
        })
        .await;
        if !here {
            return Err(Failed::Caller);
        }
    }
}

/// The names of the certificate: what the caller asks for, or all that it can have meant.
fn names(shared: &Shared, asked: Option<&str>, called: Option<IpAddr>) -> Vec<String> {
    if let Some(asked) = asked {
        return vec![asked.to_owned()];
    }
    let host = shared.upstream.rsplit_once(':').map_or(&*shared.upstream, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut names: Vec<String> = called.map(|ip| ip.to_canonical().to_string()).into_iter().collect();
    for name in [host, "localhost".to_owned()] {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Of the offered protocols those that can be carried here.
fn spoken(protocol: Protocol, mut offered: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if protocol == Protocol::Http {
        offered.retain(|one| one == HTTP_1 || one == HTTP_2);
    }
    offered
}

/// The protocol where the dependency is not asked. Servers without TLS speak HTTP/1.1, but a caller that only speaks
/// HTTP/2 knows why.
fn chosen_alone(offered: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let first = offered.iter().position(|one| one == HTTP_1).unwrap_or(0);
    offered.into_iter().skip(first).take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&[u8]]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.to_vec()).collect()
    }

    #[test]
    fn only_what_can_be_carried_is_offered_on() {
        assert_eq!(spoken(Protocol::Http, all(&[b"h3", HTTP_2, HTTP_1])), all(&[HTTP_2, HTTP_1]));
        assert_eq!(spoken(Protocol::Tcp, all(&[b"postgresql"])), all(&[b"postgresql"]));
    }

    #[test]
    fn a_dependency_without_tls_is_taken_to_speak_http_1_unless_the_caller_cannot() {
        assert_eq!(chosen_alone(all(&[HTTP_2, HTTP_1])), all(&[HTTP_1]));
        assert_eq!(chosen_alone(all(&[HTTP_2])), all(&[HTTP_2]));
        assert_eq!(chosen_alone(all(&[])), all(&[]));
        assert_eq!(chosen_alone(all(&[b"postgresql", b"x"])), all(&[b"postgresql"]));
    }
}
